#include "loader/summary.h"

#include "lib/clock.h"
#include "loader/limits.h"

#include <inttypes.h>

static const struct percentile {
    const char *key;  /* in JSON */
    const char *text; /* for people */
    double value;
} percentiles[] = {
    {"p50", "p50", 50},      {"p90", "p90", 90},         {"p99", "p99", 99},
    {"p999", "p99.9", 99.9}, {"p9999", "p99.99", 99.99},
};
enum { PERCENTILES = sizeof percentiles / sizeof *percentiles };

double summary_seconds(const struct summary *s) {
    return (double)s->record->end_ns / (double)NS_PER_SEC;
}

static double throughput(const struct summary *s) {
    double seconds = summary_seconds(s);
    return seconds > 0 ? (double)s->record->outcomes[OUTCOME_ACKNOWLEDGED] / seconds : 0;
}

/* ---- JSON ---- */

static void json_latency(struct buffer *out, const char *key, const struct histogram *h) {
    buffer_format(out, "\"%s\": {", key);
    if (h->count == 0) {
        buffer_text(out, "\"min\": null, ");
        for (size_t i = 0; i < PERCENTILES; i++)
            buffer_format(out, "\"%s\": null, ", percentiles[i].key);
        buffer_text(out, "\"max\": null, \"mean\": null}");
        return;
    }
    buffer_format(out, "\"min\": %" PRIu64 ", ", histogram_min(h));
    for (size_t i = 0; i < PERCENTILES; i++)
        buffer_format(out, "\"%s\": %" PRIu64 ", ", percentiles[i].key,
                      histogram_percentile(h, percentiles[i].value));
    buffer_format(out, "\"max\": %" PRIu64 ", \"mean\": %.1f}", histogram_max(h),
                  histogram_mean(h));
}

void summary_json(const struct summary *s, struct buffer *out) {
    const struct record *r = s->record;
    double seconds = summary_seconds(s);
    buffer_format(out,
                  "{\"model\": \"closed\", \"asked_per_s\": null, \"seconds\": %.6f,\n"
                  " \"window\": {\"from_s\": 0, \"to_s\": %.6f},\n",
                  seconds, seconds);
    buffer_format(out, " \"requests\": {\"intended\": %" PRIu64 ", \"sent\": %" PRIu64,
                  s->options->requests, r->sent);
    for (int i = 0; i < OUTCOME_COUNT; i++)
        buffer_format(out, ", \"%s\": %" PRIu64, outcome_name((enum outcome)i), r->outcomes[i]);
    buffer_format(out, "},\n \"throughput_per_s\": %.3f,\n ", throughput(s));
    json_latency(out, "latency_ns", &r->latency);
    buffer_text(out, ",\n ");
    json_latency(out, "latency_from_send_ns", &r->latency_from_send);
    buffer_text(out, "}\n");
}

/* ---- text ---- */

void summary_duration(struct buffer *out, int width, uint64_t ns) {
    double value = (double)ns;
    if (ns < NS_PER_US)
        buffer_format(out, "%*.0f ns", width, value);
    else if (ns < NS_PER_MS)
        buffer_format(out, "%*.1f µs", width, value / (double)NS_PER_US);
    else if (ns < NS_PER_SEC)
        buffer_format(out, "%*.3f ms", width, value / (double)NS_PER_MS);
    else
        buffer_format(out, "%*.3f s%s", width, value / (double)NS_PER_SEC, width ? " " : "");
}

static void text_load(const struct summary *s, struct buffer *out) {
    const struct options *o = s->options;
    buffer_format(out,
                  "model        closed loop, %" PRIu64 " clients, each with one request in flight\n"
                  "request      %" PRIu64 " keys of %" PRIu64 " B, values of %" PRIu64
                  " B, payload of %" PRIu64 " B",
                  o->concurrency, o->keys, o->key_size, o->value_size, o->payload_size);
    if (o->execution_ms > 0)
        buffer_format(out, ", %" PRIu64 " ms of execution by %s", o->execution_ms,
                      o->busy_wait ? "busy wait" : "sleep");
    buffer_text(out, o->pre_execute ? ", pre-executed\n" : "\n");
    buffer_format(out,
                  "run          %s, seed %" PRIu64 ", clients %" PRIu64 " to %" PRIu64 ", %" PRIu32
                  " threads\n",
                  s->run, s->seed, s->record->client_base,
                  s->record->client_base + o->concurrency - 1, s->threads);
}

static void text_counts(const struct summary *s, struct buffer *out) {
    const struct record *r = s->record;
    buffer_format(
        out, "requests     %" PRIu64 " asked for, %" PRIu64 " sent, %" PRIu64 " acknowledged\n",
        s->options->requests, r->sent, r->outcomes[OUTCOME_ACKNOWLEDGED]);
    buffer_format(out, "errors       %" PRIu64 " timed out (after ",
                  r->outcomes[OUTCOME_TIMED_OUT]);
    summary_duration(out, 0, s->options->request_timeout_ns);
    buffer_format(out, "), %" PRIu64 " failed, %" PRIu64 " overloaded\n",
                  r->outcomes[OUTCOME_FAILED], r->outcomes[OUTCOME_OVERLOADED]);
    if (r->late > 0)
        buffer_format(out,
                      "late         %" PRIu64 " replies to requests that had an outcome before\n",
                      r->late);
    if (s->why)
        buffer_format(out, "ended early  %s\n", s->why);
    buffer_format(out,
                  "time         %.3f s, all of it measured\n"
                  "throughput   %.1f acknowledged requests/s\n",
                  summary_seconds(s), throughput(s));
}

static void text_latency_row(struct buffer *out, const char *name, uint64_t latency_ns,
                             uint64_t from_send_ns) {
    buffer_format(out, "  %-9s", name);
    summary_duration(out, 12, latency_ns);
    summary_duration(out, 12, from_send_ns);
    buffer_text(out, "\n");
}

static void text_latency(const struct summary *s, struct buffer *out) {
    const struct histogram *a = &s->record->latency, *b = &s->record->latency_from_send;
    if (a->count == 0) {
        buffer_text(out, "latency      none: no request was acknowledged\n");
        return;
    }
    buffer_text(out, "latency      of acknowledged requests, from the client being free and from "
                     "the first byte sent\n");
    text_latency_row(out, "min", histogram_min(a), histogram_min(b));
    for (size_t i = 0; i < PERCENTILES; i++)
        text_latency_row(out, percentiles[i].text, histogram_percentile(a, percentiles[i].value),
                         histogram_percentile(b, percentiles[i].value));
    text_latency_row(out, "max", histogram_max(a), histogram_max(b));
    text_latency_row(out, "mean", (uint64_t)histogram_mean(a), (uint64_t)histogram_mean(b));
    if (a->clamped > 0)
        buffer_format(out, "  %" PRIu64 " latencies above one hour are shown as one hour\n",
                      a->clamped);
}

/* One row for several seconds when there are many; sums and maxima only, for percentiles of rows
 * cannot be made from percentiles of seconds. */
static void text_seconds(const struct summary *s, struct buffer *out) {
    const struct record *r = s->record;
    size_t count = r->seconds_count;
    size_t step = (count + LOADER_SECONDS_SHOWN_MAX - 1) / LOADER_SECONDS_SHOWN_MAX;
    if (count == 0)
        return;
    buffer_format(out, "seconds      from   acknowledged/s     errors      largest latency\n");
    for (size_t from = 0; from < count; from += step) {
        size_t to = from + step < count ? from + step : count;
        uint64_t acknowledged = 0, errors = 0, max_ns = 0;
        for (size_t i = from; i < to; i++) {
            acknowledged += r->seconds[i].outcomes[OUTCOME_ACKNOWLEDGED];
            errors += record_errors(&r->seconds[i]);
            max_ns = r->seconds[i].max_ns > max_ns ? r->seconds[i].max_ns : max_ns;
        }
        buffer_format(out, "  %15zu %16.1f %10" PRIu64 "      ", from,
                      (double)acknowledged / (double)(to - from), errors);
        summary_duration(out, 12, max_ns);
        buffer_text(out, "\n");
    }
}

void summary_text(const struct summary *s, struct buffer *out) {
    text_load(s, out);
    text_counts(s, out);
    text_latency(s, out);
    text_seconds(s, out);
}
