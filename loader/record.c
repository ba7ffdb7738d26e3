#include "loader/record.h"

#include "lib/clock.h"
#include "lib/memory.h"
#include "loader/limits.h"

#include <assert.h>
#include <stdlib.h>

void record_init(struct record *r, uint64_t client_base, struct durations_writer *durations,
                 struct exchange *exchange) {
    *r = (struct record){.client_base = client_base,
                         .window_to_ns = UINT64_MAX,
                         .durations = durations,
                         .exchange = exchange};
    histogram_init(&r->latency, HISTOGRAM_HOUR_NS);
    histogram_init(&r->latency_from_send, HISTOGRAM_HOUR_NS);
    histogram_init(&r->lateness, HISTOGRAM_HOUR_NS);
    interval_init(&r->interval);
    r->acknowledged = request_set_new();
}

void record_shapes(struct record *r, size_t count) {
    if (count == 0)
        return;
    r->shapes = mem_new_array(struct record_shape, count);
    r->shapes_count = count;
    for (size_t i = 0; i < count; i++) {
        histogram_init(&r->shapes[i].latency, HISTOGRAM_HOUR_NS);
        histogram_init(&r->shapes[i].latency_from_send, HISTOGRAM_HOUR_NS);
    }
    interval_shapes(&r->interval, count);
}

void record_deinit(struct record *r) {
    for (size_t i = 0; i < r->shapes_count; i++) {
        histogram_deinit(&r->shapes[i].latency);
        histogram_deinit(&r->shapes[i].latency_from_send);
    }
    free(r->shapes);
    histogram_deinit(&r->latency);
    histogram_deinit(&r->latency_from_send);
    histogram_deinit(&r->lateness);
    interval_deinit(&r->interval);
    if (r->acknowledged)
        request_set_free(r->acknowledged);
    free(r->seconds);
    *r = (struct record){.durations = NULL};
}

static void append_second(struct record *r, const struct record_second *second) {
    mem_grow(r->seconds, r->seconds_count, r->seconds_capacity);
    r->seconds[r->seconds_count++] = *second;
}

static void add_second(struct record_second *to, const struct record_second *from) {
    to->sent += from->sent;
    for (int i = 0; i < OUTCOME_COUNT; i++)
        to->outcomes[i] += from->outcomes[i];
    to->max_ns = from->max_ns > to->max_ns ? from->max_ns : to->max_ns;
}

static void merge_seconds(struct record *to, const struct record *from) {
    static const struct record_second nothing;
    while (to->seconds_count < from->seconds_count) {
        append_second(to, &to->second); /* it was cut short */
        to->second = nothing;
    }
    for (size_t i = 0; i < from->seconds_count; i++)
        add_second(&to->seconds[i], &from->seconds[i]);
    if (from->seconds_count < to->seconds_count)
        add_second(&to->seconds[from->seconds_count], &from->second);
    else
        add_second(&to->second, &from->second);
}

void record_window(struct record *r, uint64_t from_ns, uint64_t to_ns) {
    r->window_from_ns = from_ns;
    r->window_to_ns = to_ns;
}

static bool in_window(const struct record *r, uint64_t at_ns) {
    return at_ns >= r->window_from_ns && at_ns < r->window_to_ns;
}

static void merge_shapes(struct record *to, const struct record *from) {
    assert(to->shapes_count == from->shapes_count);
    for (size_t i = 0; i < from->shapes_count; i++) {
        struct record_shape *sum = &to->shapes[i];
        const struct record_shape *one = &from->shapes[i];
        sum->sent += one->sent;
        sum->window_acknowledged += one->window_acknowledged;
        for (int k = 0; k < OUTCOME_COUNT; k++)
            sum->outcomes[k] += one->outcomes[k];
        histogram_add(&sum->latency, &one->latency);
        histogram_add(&sum->latency_from_send, &one->latency_from_send);
    }
}

int record_merge(struct record *to, const struct record *from, struct error *err) {
    to->begun_ns = from->begun_ns > to->begun_ns ? from->begun_ns : to->begun_ns;
    to->due += from->due;
    to->window_acknowledged += from->window_acknowledged;
    to->sent += from->sent;
    to->sent_end_ns = from->sent_end_ns > to->sent_end_ns ? from->sent_end_ns : to->sent_end_ns;
    to->late += from->late;
    to->ordered_reads += from->ordered_reads;
    for (int i = 0; i < OUTCOME_COUNT; i++)
        to->outcomes[i] += from->outcomes[i];
    to->end_ns = from->end_ns > to->end_ns ? from->end_ns : to->end_ns;
    histogram_add(&to->latency, &from->latency);
    histogram_add(&to->latency_from_send, &from->latency_from_send);
    histogram_add(&to->lateness, &from->lateness);
    merge_seconds(to, from);
    merge_shapes(to, from);
    if (request_set_merge(to->acknowledged, from->acknowledged, err) < 0)
        return error_wrap(err, "merge what was acknowledged");
    return 0;
}

static void close_second(struct record *r) {
    append_second(r, &r->second);
    r->second = (struct record_second){.sent = 0};
}

void record_advance(struct record *r, uint64_t now_ns) {
    while (r->seconds_count < now_ns / NS_PER_SEC && r->seconds_count < LOADER_SECONDS_MAX)
        close_second(r);
    uint64_t whole_ns = now_ns / NS_PER_SEC * NS_PER_SEC;
    if (r->exchange && whole_ns > r->told_ns) {
        r->told_ns = whole_ns;
        exchange_put(r->exchange, &r->interval, whole_ns);
    }
}

void record_due(struct record *r) {
    r->due++;
}

void record_lateness(struct record *r, uint64_t intended_ns, uint64_t sent_ns) {
    if (in_window(r, intended_ns))
        histogram_record(&r->lateness, sent_ns - intended_ns);
}

void record_sent(struct record *r, uint64_t at_ns) {
    r->sent++;
    r->sent_end_ns = at_ns;
    r->second.sent++;
    r->interval.sent++;
}

void record_late(struct record *r) {
    r->late++;
}

void record_ordered_read(struct record *r) {
    r->ordered_reads++;
}

/* What was never sent because no client was free has no number, and so no shape. */
static void record_of_shape(struct record *r, const struct duration *one, uint64_t end_ns) {
    if (r->shapes_count == 0 || one->number == 0)
        return;
    assert(one->shape < r->shapes_count);
    struct record_shape *shape = &r->shapes[one->shape];
    shape->sent += one->sent;
    shape->outcomes[one->outcome]++;
    if (one->outcome != OUTCOME_ACKNOWLEDGED)
        return;
    shape->window_acknowledged += in_window(r, end_ns);
    if (in_window(r, one->intended_ns)) {
        histogram_record(&shape->latency, one->latency_ns);
        histogram_record(&shape->latency_from_send, one->latency_ns - one->send_delay_ns);
    }
    histogram_record(&r->interval.shapes[one->shape], one->latency_ns);
}

int record_outcome(struct record *r, const struct duration *one, struct error *err) {
    r->outcomes[one->outcome]++;
    r->second.outcomes[one->outcome]++;
    r->interval.outcomes[one->outcome]++;
    uint64_t end_ns = one->intended_ns + one->latency_ns;
    if (end_ns > r->end_ns)
        r->end_ns = end_ns;
    record_of_shape(r, one, end_ns);
    if (one->outcome == OUTCOME_ACKNOWLEDGED) {
        r->window_acknowledged += in_window(r, end_ns);
        if (in_window(r, one->intended_ns)) {
            histogram_record(&r->latency, one->latency_ns);
            histogram_record(&r->latency_from_send, one->latency_ns - one->send_delay_ns);
        }
        histogram_record(&r->interval.latency, one->latency_ns);
        histogram_record(&r->interval.latency_from_send, one->latency_ns - one->send_delay_ns);
        if (one->latency_ns > r->second.max_ns)
            r->second.max_ns = one->latency_ns;
        if (!one->read_only &&
            request_set_add(r->acknowledged, r->client_base + one->client, one->number, err) < 0)
            return error_wrap(err, "remember an acknowledged request");
    }
    return r->durations ? durations_append(r->durations, one, err) : 0;
}

uint64_t record_outcomes(const struct record *r) {
    uint64_t all = 0;
    for (int i = 0; i < OUTCOME_COUNT; i++)
        all += r->outcomes[i];
    return all;
}

uint64_t record_errors(const struct record_second *second) {
    uint64_t errors = 0;
    for (int i = 0; i < OUTCOME_COUNT; i++)
        if (i != OUTCOME_ACKNOWLEDGED)
            errors += second->outcomes[i];
    return errors;
}
