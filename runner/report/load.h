#pragma once

/*
 * The loads of several loaders as one: the `load` part of summary.json as one loader would have
 * written it that had done all of it. Pure.
 *
 * Counts and rates asked for are added. Throughput is what all of them acknowledged in their
 * windows, by the time from the earliest window's beginning to the latest one's end. Percentiles
 * come from the sum of all histograms; where one loader left none, there are no percentiles of the
 * whole (null), rather than some of a part. Times of loaders on different hosts are compared by our
 * clock: the measured offset of each host's clock is taken off.
 *
 * Where all of them report the same `shapes` of requests, these are added up too; where shapes
 * differ, each loader's own are left to its load.json.
 *
 * What load.json says is hostile: any image may have written it. report_check_load has seen it.
 */

#include "lib/buffer.h"
#include "lib/histogram.h"
#include "lib/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrows all. */
struct report_loader {
    const char *name, *host;
    const struct json *load; /* load.json; NULL: it left none that is usable */
    bool ended;              /* exit_code is known */
    int64_t exit_code;
    bool has_latency, has_from_send; /* its histograms are in the sums */
    int64_t clock_offset_ns;         /* its host's clock minus ours */
    uint64_t clock_uncertain_ns;
};

/* Of a mix of requests: the sums of one shape over all loaders. NULL: somebody left none. */
struct report_shape {
    const char *name;
    const struct histogram *latency, *from_send;
};

struct report_loads {
    const struct report_loader *loaders;
    size_t count;
    int64_t agreed_ns;                                      /* of the start; 0: there was none */
    const struct histogram *latency, *from_send, *lateness; /* sums over all loaders */
    const struct report_shape *shapes;
    size_t shapes_count;
};

/* NULL when no loader has reported a load. Of a single one, what it reported. */
struct json *report_merge_loads(const struct report_loads *loads);

/* Sentences, for the reasons: which of several loaders failed, and which left a hole in the sum. */
struct json *report_load_gaps(const struct report_loads *loads);

/* Of a merged load: how many loaders, and how they began. Nothing for a single one. */
void report_loaders_text(const struct json *load, struct buffer *out);
