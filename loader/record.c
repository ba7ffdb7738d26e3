#include "loader/record.h"

#include "lib/clock.h"
#include "lib/memory.h"
#include "loader/limits.h"

#include <stdlib.h>

void record_init(struct record *r, uint64_t client_base, struct durations *durations) {
    *r = (struct record){.client_base = client_base, .durations = durations};
    histogram_init(&r->latency, HISTOGRAM_HOUR_NS);
    histogram_init(&r->latency_from_send, HISTOGRAM_HOUR_NS);
    histogram_init(&r->second_latency, HISTOGRAM_HOUR_NS);
    r->acknowledged = request_set_new();
}

void record_deinit(struct record *r) {
    histogram_deinit(&r->latency);
    histogram_deinit(&r->latency_from_send);
    histogram_deinit(&r->second_latency);
    if (r->acknowledged)
        request_set_free(r->acknowledged);
    free(r->seconds);
    *r = (struct record){.durations = NULL};
}

static void close_second(struct record *r) {
    struct record_second *second = &r->second;
    if (r->second_latency.count > 0) {
        second->p50_ns = histogram_percentile(&r->second_latency, 50);
        second->p99_ns = histogram_percentile(&r->second_latency, 99);
        second->max_ns = histogram_max(&r->second_latency);
        histogram_clear(&r->second_latency);
    }
    mem_grow(r->seconds, r->seconds_count, r->seconds_capacity);
    r->seconds[r->seconds_count++] = *second;
    *second = (struct record_second){.sent = 0};
}

void record_advance(struct record *r, uint64_t now_ns) {
    while (r->seconds_count < now_ns / NS_PER_SEC && r->seconds_count < LOADER_SECONDS_MAX)
        close_second(r);
}

void record_sent(struct record *r) {
    r->sent++;
    r->second.sent++;
}

void record_late(struct record *r) {
    r->late++;
}

int record_outcome(struct record *r, const struct duration *one, struct error *err) {
    r->outcomes[one->outcome]++;
    r->second.outcomes[one->outcome]++;
    uint64_t end_ns = one->intended_ns + one->latency_ns;
    if (end_ns > r->end_ns)
        r->end_ns = end_ns;
    if (one->outcome == OUTCOME_ACKNOWLEDGED) {
        histogram_record(&r->latency, one->latency_ns);
        histogram_record(&r->latency_from_send, one->latency_ns - one->send_delay_ns);
        histogram_record(&r->second_latency, one->latency_ns);
        if (request_set_add(r->acknowledged, r->client_base + one->client, one->number, err) < 0)
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
