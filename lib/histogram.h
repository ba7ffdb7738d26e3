#pragma once

/*
 * A high dynamic range histogram: any value from 1 to a chosen maximum, kept with three significant
 * digits, in fixed memory (270 kB for an hour in nanoseconds). Recording is a handful of
 * instructions; nothing is allocated after init.
 *
 * Shape: values are put into buckets that double in width; each bucket has 2,048 sub-buckets, of
 * which every bucket but the first uses the upper half only. Values that fall into one sub-bucket
 * are *equivalent*: they cannot be told apart, and differ by less than 0.1 %. The counts of two
 * histograms add up to the histogram of both recordings, exactly; percentiles must never be
 * averaged.
 *
 * Whatever is above the maximum is recorded as the maximum and counted in `clamped`, so that a
 * reader can tell that the tail was cut.
 *
 * Units: none of its own; ours are nanoseconds.
 * Threads: one histogram belongs to one thread.
 * Source: Gil Tene's HdrHistogram, https://github.com/HdrHistogram/HdrHistogram (AbstractHistogram:
 * layout of the counts array, equivalent values, value at percentile, mean), with the lowest
 * discernible value 1 and numberOfSignificantValueDigits 3.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_DIGITS = 3,
    /* The power of two that holds 2 * 10^digits values, and its half. */
    HISTOGRAM_SUB_BITS = 11,
    HISTOGRAM_SUB_COUNT = 1 << HISTOGRAM_SUB_BITS,
    HISTOGRAM_SUB_HALF = HISTOGRAM_SUB_COUNT / 2,
};

/* The usual maximum: one hour. */
#define HISTOGRAM_HOUR_NS UINT64_C(3600000000000)

struct histogram {
    uint64_t *counts;
    size_t counts_size;
    uint64_t value_max; /* the largest that is recorded as it is */
    uint64_t count;     /* of all records, clamped ones included */
    uint64_t clamped;
    uint64_t seen_min; /* as recorded; UINT64_MAX while empty */
    uint64_t seen_max;
};

#define HISTOGRAM_NULL ((struct histogram){.counts = NULL})

/* `value_max` is from 2 to 2^62. */
void histogram_init(struct histogram *h, uint64_t value_max);
void histogram_deinit(struct histogram *h);
/* As after init. */
void histogram_clear(struct histogram *h);

/* Where a value (at most `value_max`) is counted. Bucket 0 holds 0 to 2,047 one by one. */
static inline size_t histogram_index(uint64_t value) {
    unsigned top = 63U - (unsigned)__builtin_clzll(value | (HISTOGRAM_SUB_COUNT - 1));
    unsigned bucket = top - (HISTOGRAM_SUB_BITS - 1);
    return ((size_t)bucket << (HISTOGRAM_SUB_BITS - 1)) + (size_t)(value >> bucket);
}

static inline void histogram_record_many(struct histogram *h, uint64_t value, uint64_t times) {
    if (__builtin_expect(value > h->value_max, 0)) {
        value = h->value_max;
        h->clamped += times;
    }
    h->counts[histogram_index(value)] += times;
    h->count += times;
    if (value < h->seen_min)
        h->seen_min = value;
    if (value > h->seen_max)
        h->seen_max = value;
}

static inline void histogram_record(struct histogram *h, uint64_t value) {
    histogram_record_many(h, value, 1);
}

/*
 * Adds everything in `from`. Exact when `from` has the same maximum or a smaller one; with a larger
 * one, its values above our maximum are clamped here (and counted as that).
 */
void histogram_add(struct histogram *to, const struct histogram *from);

/* The smallest and the largest value that cannot be told from `value`, and the one between. */
uint64_t histogram_lowest_equivalent(uint64_t value);
uint64_t histogram_highest_equivalent(uint64_t value);
uint64_t histogram_median_equivalent(uint64_t value);

/* 0 when empty. The maximum is the highest equivalent of the largest value recorded. */
uint64_t histogram_min(const struct histogram *h);
uint64_t histogram_max(const struct histogram *h);
double histogram_mean(const struct histogram *h);

/*
 * The value at or below which `percentile` (0 to 100) per cent of all records lie: the highest
 * equivalent of the sub-bucket in which the count is reached. 0 when empty; for percentile 0 the
 * lowest equivalent of the smallest value.
 */
uint64_t histogram_percentile(const struct histogram *h, double percentile);
/* How many records are at or below `value`, or cannot be told from it. */
uint64_t histogram_count_to(const struct histogram *h, uint64_t value);

/*
 * Goes through the sub-buckets that have a count, smallest value first:
 *
 *     struct histogram_cursor at = HISTOGRAM_CURSOR_NULL;
 *     while (histogram_next(h, &at))
 *         use(at.lowest, at.highest, at.count, at.count_to);
 */
struct histogram_cursor {
    size_t next;
    uint64_t lowest, highest; /* of the values that are equivalent here */
    uint64_t count;
    uint64_t count_to; /* of this sub-bucket and all before it */
};

#define HISTOGRAM_CURSOR_NULL ((struct histogram_cursor){.next = 0})

bool histogram_next(const struct histogram *h, struct histogram_cursor *at);
