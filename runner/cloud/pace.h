#pragma once

/*
 * How fast somebody is asked who says that it is too fast. Before a call is repeated there is a
 * pause that doubles, with jitter; and after a call was throttled all calls are spread out, wider
 * each time, and come closer again with each that goes well: EC2's limits are of an account, not of
 * a call. Pure.
 */

#include "lib/clock.h"

#include <stdbool.h>
#include <stdint.h>

enum { PACE_TRIES_MAX = 7 };

struct pace {
    uint64_t gap_ns; /* between the begins of two calls; 0: none */
    struct instant last;
};

/* To wait before the next call. */
uint64_t pace_before_ns(const struct pace *pace, struct instant now);
void pace_begun(struct pace *pace, struct instant now);
void pace_went_well(struct pace *pace);
void pace_throttled(struct pace *pace);

/* To wait before try `tries` + 1 (`tries` from 1); `random`: any 64 bits. At most 20 s. */
uint64_t pace_again_ns(unsigned tries, uint64_t first_ns, uint64_t random);
