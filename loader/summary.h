#pragma once

/*
 * What a run has measured, as text for people and as the `load` object of summary.json (load.json).
 * Pure: the same record gives the same bytes.
 *
 * An open loop was generated if LOADER_SENT_PERCENT_MIN of its requests were sent, and 99 % of them
 * within LOADER_LATENESS_P99_NS_MAX of their intended time.
 *
 * Both state what they cover: latencies are of acknowledged requests only, so a reader must look at
 * what was not acknowledged first; percentiles come from histograms and are never averaged. Values
 * that do not exist, as the latency of no request at all, are null.
 */

#include "lib/buffer.h"
#include "lib/clock.h"
#include "loader/options.h"
#include "loader/record.h"
#include "loader/share.h"

#include <stdint.h>

struct summary {
    const struct options *options;
    const struct record *record;
    const char *run; /* id of the trial; NULL: imported, and nothing is known of the requests */
    uint64_t seed;   /* given or drawn */
    uint32_t threads;
    const struct share *share;   /* `options` are the part that is ours; NULL: alone */
    const struct options *whole; /* of the load that all loaders share; only with `share` */
    struct wall_time start;      /* time 0; 0: not known */
    uint64_t cpu_ns;             /* of the loader's threads, during the load; 0: not known */
    uint64_t intended;           /* requests asked for */
    uint64_t span_ns;            /* open loop: for which they were asked for */
    const char *why;             /* it ended before its time; NULL: it did not */
};

/* Open loop: whether the load was not generated as it was asked for, and how: a sentence. */
bool summary_shortfall(const struct summary *s, struct buffer *out);

/* From the start to the last outcome. */
double summary_seconds(const struct summary *s);

void summary_text(const struct summary *s, struct buffer *out);
void summary_json(const struct summary *s, struct buffer *out);

/* Rows of percentiles, in one column, or with `b` in two. There are values in both. */
void summary_histogram(struct buffer *out, const struct histogram *a, const struct histogram *b);

/* 812 ns, 91.3 µs, 4.210 ms, 12.503 s; aligned for a column of numbers unless `width` is 0. */
void summary_duration(struct buffer *out, int width, uint64_t ns);
