#pragma once

/*
 * Two clocks that cannot be mixed. An *instant* is a point of CLOCK_MONOTONIC: for durations,
 * deadlines and latencies. A *wall time* is a point of CLOCK_REALTIME: for people, file names and
 * other machines; it may jump. Units: nanoseconds.
 */

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_SEC UINT64_C(1000000000)

struct instant {
    uint64_t ns;
};

struct wall_time {
    int64_t ns; /* since 1970-01-01T00:00:00Z */
};

/* Later than everything: "no deadline". */
#define INSTANT_NEVER ((struct instant){.ns = UINT64_MAX})

struct instant clock_instant(void);
struct wall_time clock_wall(void);

/* Saturates at INSTANT_NEVER. */
struct instant instant_after(struct instant t, uint64_t ns);
bool instant_passed(struct instant deadline, struct instant now);
/* 0 when `to` is not after `from`. */
uint64_t instant_ns_between(struct instant from, struct instant to);
/* For poll(): milliseconds until the deadline, rounded up, at most `ms_max`; -1 for never. */
int instant_poll_ms(struct instant deadline, struct instant now, int ms_max);
struct instant instant_earlier(struct instant a, struct instant b);

enum { WALL_TEXT_SIZE = 40 };
/* RFC 3339 in UTC with nanoseconds: 2026-11-20T13:22:00.123456789Z. Returns `text`. */
const char *wall_text(struct wall_time t, char text[WALL_TEXT_SIZE]);
/* 20261120-132200, UTC: for names of folders. Returns `text`. */
const char *wall_stamp(struct wall_time t, char text[WALL_TEXT_SIZE]);
