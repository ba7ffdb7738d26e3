#include "runner/report/trace.h"

#include "lib/memory.h"

#include <stdlib.h>

void trace_init(struct trace *t) {
    *t = (struct trace){.events = json_new_array()};
}

static size_t free_row(struct trace *t, const struct trace_span *span) {
    for (size_t i = 0; i < t->row_count; i++)
        if (t->rows[i] <= span->started_ns)
            return i;
    mem_grow(t->rows, t->row_count, t->row_capacity);
    return t->row_count++;
}

void trace_add(struct trace *t, const struct trace_span *span) {
    size_t row = free_row(t, span);
    t->rows[row] = span->ended_ns;
    struct json *event = json_append(t->events, json_new_object());
    json_set_text(event, "ph", "X");
    json_set_text(event, "name", span->name);
    json_set_text(event, "cat", span->stage);
    json_set_int(event, "pid", (int64_t)span->host_index + 1);
    json_set_int(event, "tid", (int64_t)row + 1);
    json_set_number(event, "ts", (double)span->started_ns / 1e3);
    json_set_number(event, "dur", (double)(span->ended_ns - span->started_ns) / 1e3);
    struct json *args = json_set_object(event, "args");
    json_set_text(args, "host", span->host);
    json_set_text(args, "subject", span->subject);
    json_set_text(args, "outcome", span->outcome);
}

struct json *trace_take(struct trace *t) {
    struct json *document = json_new_object();
    json_set_text(document, "displayTimeUnit", "ms");
    json_set(document, "traceEvents", t->events);
    free(t->rows);
    *t = (struct trace){.events = NULL};
    return document;
}
