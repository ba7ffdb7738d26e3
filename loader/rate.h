#pragma once

/*
 * How many requests per second an open loop asks for, as a course of phases: steps and ramps.
 *
 *     1000                 1,000 requests/s, until something else ends the load
 *     1000:10s,2000:10s    steps; the load ends after the last one
 *     1000..5000:60s       a ramp: the rate rises (or falls) evenly
 *     0:5s,500             nothing for five seconds, then 500 requests/s
 *
 * Pure. The course is the integral of the rate: so many requests are asked for until a time, and
 * request u (from 0) is asked for when the integral reaches u.
 *
 * Units: rates are requests/s, and need not be whole numbers.
 * Errors: ERROR_INVALID for a course that cannot be understood, or asks for nothing.
 */

#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

enum { RATE_PHASES_MAX = 1000, RATE_TEXT_MAX = 32 * 1024 };
/* Beyond what one host can send. */
#define RATE_MAX 1e8
#define RATE_DURATION_NS_MAX (UINT64_C(30) * 24 * 3600 * 1000000000)

struct rate_phase {
    double from_per_s, to_per_s;
    double seconds;         /* INFINITY: it has no end */
    double begin_s, before; /* when it begins; requests asked for until then */
};

struct rate {
    struct rate_phase *phases;
    size_t count;
};

#define RATE_NULL ((struct rate){.phases = NULL})

int rate_parse(const char *text, struct rate *ret, struct error *err);
void rate_deinit(struct rate *r);

/* UINT64_MAX if it has none. */
uint64_t rate_end_ns(const struct rate *r);
/* Requests asked for until then. */
double rate_requests(const struct rate *r, uint64_t until_ns);
/* The rate at a time; 0 behind the end. */
double rate_at(const struct rate *r, uint64_t at_ns);
/* When request `u` is asked for; UINT64_MAX if never, or later than that. `*hint` is the phase to
 * look in first (from 0 on), and is moved: requests are asked about in rising order. */
uint64_t rate_time(const struct rate *r, double u, size_t *hint);
