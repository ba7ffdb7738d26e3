#pragma once

/*
 * trace.json: the steps of a trial as Chrome trace events, for Perfetto. Pure.
 *
 * Each host is a process; spans that overlap go to rows (threads) of their own, the lowest that is
 * free. Source: "Trace Event Format", complete events (ph "X"), microseconds.
 */

#include "lib/json.h"

#include <stddef.h>
#include <stdint.h>

struct trace_span {
    const char *name, *stage, *host, *subject, *outcome;
    size_t host_index;
    int64_t started_ns, ended_ns; /* since the start of the trial */
};

struct trace {
    struct json *events;
    int64_t *rows; /* when each row is free again */
    size_t row_count, row_capacity;
};

void trace_init(struct trace *t);
/* Spans come in the order of their start, or nearly so. */
void trace_add(struct trace *t, const struct trace_span *span);
/* Gives the document; the trace is empty afterwards. */
struct json *trace_take(struct trace *t);
