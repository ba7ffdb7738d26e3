#pragma once

/*
 * When an open loop sends its requests: a pure function of the rate's course, the seed and the
 * position. Constant arrivals are as even as the rate; Poisson arrivals come as independent users
 * would send them, their mean being the rate. Each thread walks through all positions and is given
 * those that are its own: position modulo loaders, and of these every so-many-th as there are
 * threads in this loader. So any number of loaders with any numbers of threads send one schedule.
 *
 * Units: ns since the start of the run.
 */

#include "loader/rate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum arrival_model { ARRIVAL_CONSTANT, ARRIVAL_POISSON };

struct arrival {
    uint64_t position; /* from 0, over all threads */
    uint64_t intended_ns;
};

/* Either limit may be UINT64_MAX. */
struct arrivals_config {
    const struct rate *rate; /* borrowed */
    enum arrival_model model;
    uint64_t seed;
    uint64_t requests;        /* positions are below it */
    uint64_t end_ns;          /* intended times are before it */
    uint32_t loader, loaders; /* positions of this loader: modulo loaders; 0 of 0: all */
};

struct arrivals {
    struct arrivals_config config;
    uint64_t first, step; /* positions of this thread */
    uint64_t position;    /* the next one, of any thread */
    double requests;      /* where in the course the last one was */
    size_t phase;
};

void arrivals_init(struct arrivals *a, const struct arrivals_config *config, uint32_t thread,
                   uint32_t threads);
/* The next one of this thread; false when there is none. */
bool arrivals_next(struct arrivals *a, struct arrival *ret);

/* For how long requests are asked for; UINT64_MAX: for ever. With Poisson arrivals and a number of
 * requests, the expected time. */
uint64_t arrivals_span_ns(const struct arrivals_config *config);
