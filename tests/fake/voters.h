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
    VOTER_LIES,     /* it says that it leads; its digest and its view are its own */
    VOTER_SILENT,   /* it takes requests, and answers none */
    VOTER_REFUSES,  /* all requests */
    VOTER_ABSENT,   /* nobody listens there */
    VOTER_STRANGER, /* answers as another replica */
    VOTER_FLOODS,   /* says without end what nobody has asked, and answers none */
    VOTER_ALONE,    /* it says that it leads, and that its answer is enough; the others never hear
                       of what it is asked */
    VOTER_FORGES,   /* answers as the others, with another value than theirs */
    VOTER_AHEAD,    /* has read something else than the others; what is ordered, it knows as well */
};

struct voters_script {
    uint16_t n;
    uint16_t answers; /* 0: f + 1 */
    enum voter voters[VOTERS_MAX];
    const char *value;    /* that gets are answered with, before the reply; NULL: no values */
    uint64_t view;        /* that all are in, whatever they said when they were greeted */
    uint64_t ignore_each; /* the primary loses every such request (5: the 5th, 10th, ...) the first
                             time; 0: none */
    uint64_t
        vanish_after; /* so many executed requests: the primary closes all that it has; 0: never */
    uint64_t deaf_after; /* so many executed requests: the primary reads no more and says no more,
                            and the others are in the next view; 0: never */
};

struct voters;

int voters_start(const struct voters_script *script, struct voters **ret, struct error *err);
uint16_t voters_port(const struct voters *v, int index);

struct voters_counts {
    uint64_t executed;            /* different requests */
    uint64_t requests;            /* that came, to whomever */
    uint64_t resent;              /* to a backup, or a second time */
    uint64_t reads;               /* that came, to whomever; none of the above */
    uint64_t ordered_reads;       /* executed: they read, and write nothing */
    uint64_t came_to[VOTERS_MAX]; /* requests that are no reads */
};
void voters_stop(struct voters *v, struct voters_counts *ret);
