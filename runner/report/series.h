#pragma once

/*
 * What was sampled of something over time, kept small: a few values at each point, and from them
 * what a report says of a part of that time. Pure.
 *
 * A value is a *counter*, which only grows, or a *gauge*. A counter that is smaller than before has
 * begun again at 0, as that of a container does which was started again. Between two points a
 * counter grows evenly, so that a window may begin and end anywhere.
 *
 * A series never holds more than SERIES_POINTS_MAX points: when it is full every second one goes,
 * and from then on only every second, fourth, ... is kept. Gauges keep their maximum through that.
 *
 * Units: times in nanoseconds of our wall clock.
 * Owns:  its points.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SERIES_VALUES_MAX = 8,
    SERIES_POINTS_MAX = 4096, /* more than an hour of seconds, in 300 KB */
};

struct series_point {
    int64_t time_ns;
    unsigned known; /* bit n: values[n] means something */
    uint64_t values[SERIES_VALUES_MAX];
};

struct series {
    unsigned gauges; /* bit n: values[n] is one; set before the first point */
    struct series_point *points;
    size_t count, capacity;
    unsigned stride, skipped; /* one point of so many is kept; since the last one that was */
};
#define SERIES_NULL ((struct series){.points = NULL})

/* From `from_ns` up to `to_ns`. */
struct series_window {
    int64_t from_ns, to_ns;
};
#define SERIES_ALL ((struct series_window){INT64_MIN, INT64_MAX})

/* A point that is not later than the one before is dropped: somebody has set a clock. */
void series_add(struct series *s, const struct series_point *point);
void series_deinit(struct series *s);

/* All of them return false, and nothing else, where the window holds nothing that is known. */

/* How much a counter has grown in the window, in how many seconds of it that were sampled. */
bool series_growth(const struct series *s, unsigned value, struct series_window window,
                   double *ret_growth, double *ret_seconds);
/* The most that it grew per second between two points next to each other. */
bool series_rate_max(const struct series *s, unsigned value, struct series_window window,
                     double *ret_per_s);
/* Of a gauge, over the points in the window; of a window between two points, the later one. */
bool series_max(const struct series *s, unsigned value, struct series_window window, uint64_t *ret);
