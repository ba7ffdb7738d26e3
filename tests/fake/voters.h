#pragma once

/*
 * A scripted cluster whose replicas all answer: one thread plays them all. A request that any of
 * them takes is executed once, and then each replica answers it as its script says; one that comes
 * again is answered again by whoever it came to. A read is answered by whom it came to, and nobody
 * else. For loaders of one thread: each replica answers on the connection that it has.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { VOTERS_MAX = 7 };

enum voter {
    VOTER_HONEST,
    VOTER_LIES,     /* its digest is its own */
    VOTER_SILENT,   /* it takes requests, and answers none */
    VOTER_REFUSES,  /* all requests */
    VOTER_ABSENT,   /* nobody listens there */
    VOTER_STRANGER, /* answers as another replica */
};

struct voters_script {
    uint16_t n;
    uint16_t answers; /* 0: f + 1 */
    enum voter voters[VOTERS_MAX];
    uint64_t ignore_each; /* the primary loses every such request (5: the 5th, 10th, ...) the first
                             time; 0: none */
    uint64_t
        vanish_after; /* so many executed requests: the primary closes all that it has; 0: never */
};

struct voters;

int voters_start(const struct voters_script *script, struct voters **ret, struct error *err);
uint16_t voters_port(const struct voters *v, int index);

struct voters_counts {
    uint64_t executed; /* different requests */
    uint64_t requests; /* that came, to whomever */
    uint64_t resent;   /* to a backup, or a second time */
    uint64_t reads;    /* that came, to whomever; none of the above */
};
void voters_stop(struct voters *v, struct voters_counts *ret);
