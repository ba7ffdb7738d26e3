#pragma once

/*
 * What a run has measured, as text for people and as the `load` object of summary.json (load.json).
 * Pure: the same record gives the same bytes.
 *
 * Both state what they cover: latencies are of acknowledged requests only, so a reader must look at
 * what was not acknowledged first; percentiles come from histograms and are never averaged. Values
 * that do not exist, as the latency of no request at all, are null.
 */

#include "lib/buffer.h"
#include "loader/options.h"
#include "loader/record.h"

#include <stdint.h>

struct summary {
    const struct options *options;
    const struct record *record;
    const char *run; /* id of the trial */
    uint64_t seed;   /* given or drawn */
    uint32_t threads;
    const char *why; /* it ended before its time; NULL: it did not */
};

/* From the start to the last outcome. */
double summary_seconds(const struct summary *s);

void summary_text(const struct summary *s, struct buffer *out);
void summary_json(const struct summary *s, struct buffer *out);

/* 812 ns, 91.3 µs, 4.210 ms, 12.503 s; aligned for a column of numbers unless `width` is 0. */
void summary_duration(struct buffer *out, int width, uint64_t ns);
