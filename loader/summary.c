#include "loader/summary.h"

#include "lib/cleanup.h"
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
enum { SENTENCE_SIZE_MAX = 1024 };
enum { PERCENTILES = sizeof percentiles / sizeof *percentiles };

double summary_seconds(const struct summary *s) {
    return (double)s->record->end_ns / (double)NS_PER_SEC;
}

static double window_from_s(const struct summary *s) {
    return (double)s->record->window_from_ns / (double)NS_PER_SEC;
}

/* A load that ended before its window has an empty one. */
static double window_to_s(const struct summary *s) {
    const struct record *r = s->record;
    uint64_t to_ns = r->window_to_ns < r->end_ns ? r->window_to_ns : r->end_ns;
    return (double)(to_ns > r->window_from_ns ? to_ns : r->window_from_ns) / (double)NS_PER_SEC;
}

static double in_window_per_s(const struct summary *s, uint64_t count) {
    double seconds = window_to_s(s) - window_from_s(s);
    return seconds > 0 ? (double)count / seconds : 0;
}

static double throughput(const struct summary *s) {
    return in_window_per_s(s, s->record->window_acknowledged);
}

static double per_second(double count, uint64_t ns) {
    return ns > 0 ? count * (double)NS_PER_SEC / (double)ns : 0;
}

static bool is_shared(const struct summary *s) {
    return s->share && s->share->loaders > 1;
}

/* Of us: the rate is that of the whole load. */
static double asked_per_s(const struct summary *s) {
    double all = per_second(rate_requests(&s->options->rate, s->span_ns), s->span_ns);
    return is_shared(s) ? all / s->share->loaders : all;
}

static double sent_per_s(const struct summary *s) {
    const struct record *r = s->record;
    return per_second((double)r->sent, r->sent_end_ns > s->span_ns ? r->sent_end_ns : s->span_ns);
}

bool summary_shortfall(const struct summary *s, struct buffer *out) {
    const struct record *r = s->record;
    if (!options_open(s->options) || r->due == 0)
        return false;
    uint64_t late_ns = histogram_percentile(&r->lateness, 99);
    if (r->sent * 100 < r->due * LOADER_SENT_PERCENT_MIN) {
        buffer_format(out,
                      "of %" PRIu64 " requests that were due, %" PRIu64
                      " were sent, which is less than %d %%",
                      r->due, r->sent, LOADER_SENT_PERCENT_MIN);
    } else if (late_ns > LOADER_LATENESS_P99_NS_MAX) {
        buffer_text(out, "one request in 100 was sent ");
        summary_duration(out, 0, late_ns);
        buffer_text(out, " or more after it was due, which is above ");
        summary_duration(out, 0, LOADER_LATENESS_P99_NS_MAX);
    } else {
        return false;
    }
    buffer_format(out, "; asked for were %.1f requests/s, sent were %.1f/s", asked_per_s(s),
                  sent_per_s(s));
    return true;
}

/* ---- JSON ---- */

static void json_model(const struct summary *s, struct buffer *out) {
    const struct options *o = s->options;
    if (options_open(o))
        buffer_format(out, "{\"model\": \"open\", \"arrival\": \"%s\", \"asked_per_s\": %.3f, ",
                      o->arrival == ARRIVAL_POISSON ? "poisson" : "constant", asked_per_s(s));
    else
        buffer_text(out, "{\"model\": \"closed\", \"asked_per_s\": null, ");
    buffer_format(out, "\"protocol\": \"%s\", ", options_protocol_name(o->protocol));
}

/* How well the schedule was kept. */
static void json_sending(const struct summary *s, struct buffer *out) {
    const struct histogram *h = &s->record->lateness;
    cleanup(buffer_deinit) struct buffer why;
    buffer_init(&why, SENTENCE_SIZE_MAX);
    buffer_format(out, ",\n \"generated\": %s, \"sent_per_s\": %.3f,\n \"lateness_ns\": ",
                  summary_shortfall(s, &why) ? "false" : "true", sent_per_s(s));
    if (h->count == 0)
        buffer_text(out, "{\"p50\": null, \"p99\": null, \"max\": null}");
    else
        buffer_format(out, "{\"p50\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"max\": %" PRIu64 "}",
                      histogram_percentile(h, 50), histogram_percentile(h, 99), histogram_max(h));
}

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

/* What whoever merges has to know. */
static void json_share(const struct summary *s, struct buffer *out) {
    const struct options *own = s->options, *all = s->whole;
    buffer_format(out,
                  " \"share\": {\"loader\": %" PRIu32 ", \"loaders\": %" PRIu32
                  ", \"clients\": %" PRIu64 ", \"clients_of_all\": %" PRIu64,
                  s->share->index, s->share->loaders, own->concurrency, all->concurrency);
    if (all->requests > 0)
        buffer_format(out, ", \"requests\": %" PRIu64 ", \"requests_of_all\": %" PRIu64,
                      own->requests, all->requests);
    buffer_format(out, ", \"begun_late_ns\": %" PRIu64 "},\n", s->record->begun_ns);
}

static void json_outcomes(struct buffer *out, const uint64_t outcomes[OUTCOME_COUNT]) {
    for (int i = 0; i < OUTCOME_COUNT; i++)
        buffer_format(out, ", \"%s\": %" PRIu64, outcome_name((enum outcome)i), outcomes[i]);
}

/* Where there is more than one. Names need no escaping (mix.h). */
static void json_shapes(const struct summary *s, struct buffer *out) {
    const struct record *r = s->record;
    if (r->shapes_count == 0)
        return;
    buffer_text(out, ",\n \"shapes\": [");
    for (size_t i = 0; i < r->shapes_count; i++) {
        const struct record_shape *one = &r->shapes[i];
        const struct shape *shape = &s->options->mix.shapes[i];
        buffer_format(out,
                      "%s\n  {\"name\": \"%s\", \"weight\": %" PRIu64 ", \"reads\": %s,\n"
                      "   \"requests\": {\"sent\": %" PRIu64,
                      i ? "," : "", shape->name, shape->weight, shape->read_only ? "true" : "false",
                      one->sent);
        json_outcomes(out, one->outcomes);
        buffer_text(out, "},\n");
        if (is_shared(s))
            buffer_format(out, "   \"window_acknowledged\": %" PRIu64 ",\n",
                          one->window_acknowledged);
        buffer_format(out, "   \"throughput_per_s\": %.3f,\n   ",
                      in_window_per_s(s, one->window_acknowledged));
        json_latency(out, "latency_ns", &one->latency);
        buffer_text(out, ",\n   ");
        json_latency(out, "latency_from_send_ns", &one->latency_from_send);
        buffer_text(out, "}");
    }
    buffer_text(out, "]");
}

void summary_json(const struct summary *s, struct buffer *out) {
    const struct record *r = s->record;
    json_model(s, out);
    if (s->start.ns)
        buffer_format(out, "\"started_ns\": %" PRId64 ", ", s->start.ns);
    if (s->cpu_ns)
        buffer_format(out, "\"cpu_seconds\": %.3f, ", (double)s->cpu_ns / (double)NS_PER_SEC);
    buffer_format(out,
                  "\"seconds\": %.6f,\n"
                  " \"window\": {\"from_s\": %.6f, \"to_s\": %.6f",
                  summary_seconds(s), window_from_s(s), window_to_s(s));
    if (is_shared(s))
        buffer_format(out, ", \"acknowledged\": %" PRIu64, r->window_acknowledged);
    buffer_text(out, "},\n");
    if (is_shared(s))
        json_share(s, out);
    buffer_format(out, " \"requests\": {\"intended\": %" PRIu64 ", \"sent\": %" PRIu64, s->intended,
                  r->sent);
    json_outcomes(out, r->outcomes);
    if (r->ordered_reads > 0)
        buffer_format(out, ", \"ordered_reads\": %" PRIu64, r->ordered_reads);
    buffer_format(out, "},\n \"throughput_per_s\": %.3f,\n ", throughput(s));
    json_latency(out, "latency_ns", &r->latency);
    buffer_text(out, ",\n ");
    json_latency(out, "latency_from_send_ns", &r->latency_from_send);
    if (options_open(s->options))
        json_sending(s, out);
    json_shapes(s, out);
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

static void text_model(const struct summary *s, struct buffer *out) {
    const struct options *o = s->options;
    if (!s->run)
        buffer_format(out, "model        %s loop, measured by another generator\n",
                      options_open(o) ? "open" : "closed");
    else if (options_open(o))
        buffer_format(out,
                      "model        open loop, %s arrivals, %" PRIu64 " clients, at most %" PRIu64
                      " requests in flight\n",
                      o->arrival == ARRIVAL_POISSON ? "Poisson" : "constant", o->concurrency,
                      o->in_flight_max);
    else
        buffer_format(
            out, "model        closed loop, %" PRIu64 " clients, each with one request in flight\n",
            o->concurrency);
}

static void text_shape(const struct mix *mix, const struct shape *shape, bool first,
                       struct buffer *out) {
    uint64_t weight = 0;
    for (size_t i = 0; i < mix->count; i++)
        weight += mix->shapes[i].weight;
    buffer_text(out, first ? "request      " : "             ");
    if (mix_is_mixed(mix))
        buffer_format(out, "%.4g %% %s: ", 100.0 * (double)shape->weight / (double)weight,
                      shape->name);
    if (shape->read_only)
        buffer_format(out, "reads %" PRIu64 " keys of %" PRIu64 " B", shape->key_count,
                      shape->key_size);
    else
        buffer_format(out, "%" PRIu64 " keys of %" PRIu64 " B, values of %" PRIu64 " B",
                      shape->key_count, shape->key_size, shape->value_size);
    if (shape->read_count > 0)
        buffer_format(out, ", reads %" PRIu64 " keys before", shape->read_count);
    buffer_format(out, ", payload of %" PRIu64 " B", shape->payload_size);
    if (shape->execution_ms > 0)
        buffer_format(out, ", %" PRIu64 " ms of execution by %s", shape->execution_ms,
                      shape->busy_wait ? "busy wait" : "sleep");
    buffer_text(out, shape->pre_execute ? ", pre-executed\n" : "\n");
}

static void text_request(const struct options *o, struct buffer *out) {
    switch (o->protocol) {
    case PROTOCOL_REPLICA: break;
    case PROTOCOL_HTTP:
        buffer_format(out, "request      HTTP %s %s", options_method_name(o->method), o->path);
        if (options_payload_size(o) > 0)
            buffer_format(out, ", payload of %" PRIu64 " B", options_payload_size(o));
        buffer_text(out, "\n");
        return;
    case PROTOCOL_ECHO:
        buffer_format(out, "request      TCP echo of %" PRIu64 " B\n", o->payload_size);
        return;
    }
    for (size_t i = 0; i < o->mix.count; i++)
        text_shape(&o->mix, &o->mix.shapes[i], i == 0, out);
    if (o->mix.key_space == 0)
        return;
    buffer_format(out, "keys         of %" PRIu64 " that all requests share, ", o->mix.key_space);
    if (o->mix.skew.model == KEYS_ZIPF)
        buffer_format(out, "by Zipf's law (%g)\n", o->mix.skew.theta);
    else
        buffer_text(out, "all alike\n");
}

/* Options were of the whole load: what became of them. */
static void text_share(const struct summary *s, struct buffer *out) {
    const struct options *own = s->options, *all = s->whole;
    buffer_format(
        out, "share        loader %" PRIu32 " of %" PRIu32 ": %" PRIu64 " of %" PRIu64 " clients",
        s->share->index + 1, s->share->loaders, own->concurrency, all->concurrency);
    if (all->requests > 0)
        buffer_format(out, ", %" PRIu64 " of %" PRIu64 " requests", own->requests, all->requests);
    if (options_open(own))
        buffer_format(out, ", every %" PRIu32 "th arrival from the %" PRIu32 "th on",
                      s->share->loaders, s->share->index + 1);
    buffer_text(out, "; all that follows is of this loader\n");
}

static void text_load(const struct summary *s, struct buffer *out) {
    const struct options *o = s->options;
    text_model(s, out);
    if (!s->run)
        return;
    text_request(o, out);
    if (is_shared(s))
        text_share(s, out);
    buffer_format(out,
                  "run          %s, seed %" PRIu64 ", clients %" PRIu64 " to %" PRIu64 ", %" PRIu32
                  " threads\n",
                  *s->run ? s->run : "by itself", s->seed, s->record->client_base,
                  s->record->client_base + o->concurrency - 1, s->threads);
}

/* How well the schedule was kept. */
static void text_sending(const struct summary *s, struct buffer *out) {
    const struct histogram *h = &s->record->lateness;
    cleanup(buffer_deinit) struct buffer why;
    buffer_init(&why, SENTENCE_SIZE_MAX);
    buffer_format(out, "rate         %.1f requests/s asked for, %.1f sent\n", asked_per_s(s),
                  sent_per_s(s));
    if (h->count > 0) {
        buffer_text(out, "lateness     of sends: p50 ");
        summary_duration(out, 0, histogram_percentile(h, 50));
        buffer_text(out, ", p99 ");
        summary_duration(out, 0, histogram_percentile(h, 99));
        buffer_text(out, ", max ");
        summary_duration(out, 0, histogram_max(h));
        buffer_text(out, "\n");
    }
    if (summary_shortfall(s, &why))
        buffer_format(out, "not reached  %s\n", buffer_string(&why));
}

static void text_counts(const struct summary *s, struct buffer *out) {
    const struct record *r = s->record;
    buffer_format(
        out, "requests     %" PRIu64 " asked for, %" PRIu64 " sent, %" PRIu64 " acknowledged\n",
        s->intended, r->sent, r->outcomes[OUTCOME_ACKNOWLEDGED]);
    buffer_format(out, "errors       %" PRIu64 " timed out", r->outcomes[OUTCOME_TIMED_OUT]);
    if (s->run) {
        buffer_text(out, " (after ");
        summary_duration(out, 0, s->options->request_timeout_ns);
        buffer_text(out, ")");
    }
    buffer_format(out, ", %" PRIu64 " failed, %" PRIu64 " overloaded, %" PRIu64 " unsent\n",
                  r->outcomes[OUTCOME_FAILED], r->outcomes[OUTCOME_OVERLOADED],
                  r->outcomes[OUTCOME_UNSENT]);
    if (r->late > 0)
        buffer_format(out,
                      "late         %" PRIu64 " replies to requests that had an outcome before\n",
                      r->late);
    if (r->ordered_reads > 0)
        buffer_format(out,
                      "ordered      %" PRIu64 " reads, of which no quorum said the same at once\n",
                      r->ordered_reads);
    if (options_open(s->options))
        text_sending(s, out);
    if (s->why)
        buffer_format(out, "ended early  %s\n", s->why);
    buffer_format(out, "time         %.3f s, ", summary_seconds(s));
    if (r->window_from_ns > 0 || r->window_to_ns != UINT64_MAX)
        buffer_format(out, "of which latencies and throughput cover %.3f s to %.3f s\n",
                      window_from_s(s), window_to_s(s));
    else
        buffer_text(out, "all of it measured\n");
    buffer_format(out, "throughput   %.1f acknowledged requests/s\n", throughput(s));
    if (s->cpu_ns)
        buffer_format(
            out, "loader CPU   %.3f s, %.1f %% of a core\n", (double)s->cpu_ns / (double)NS_PER_SEC,
            per_second(100.0 * (double)s->cpu_ns / (double)NS_PER_SEC, s->record->end_ns));
}

static void text_row(struct buffer *out, const char *name, uint64_t a_ns, const uint64_t *b_ns) {
    buffer_format(out, "  %-9s", name);
    summary_duration(out, 12, a_ns);
    if (b_ns)
        summary_duration(out, 12, *b_ns);
    buffer_text(out, "\n");
}

void summary_histogram(struct buffer *out, const struct histogram *a, const struct histogram *b) {
    uint64_t other = b ? histogram_min(b) : 0;
    const uint64_t *second = b ? &other : NULL;
    text_row(out, "min", histogram_min(a), second);
    for (size_t i = 0; i < PERCENTILES; i++) {
        other = b ? histogram_percentile(b, percentiles[i].value) : 0;
        text_row(out, percentiles[i].text, histogram_percentile(a, percentiles[i].value), second);
    }
    other = b ? histogram_max(b) : 0;
    text_row(out, "max", histogram_max(a), second);
    other = b ? (uint64_t)histogram_mean(b) : 0;
    text_row(out, "mean", (uint64_t)histogram_mean(a), second);
}

static void text_latency(const struct summary *s, struct buffer *out) {
    const struct histogram *a = &s->record->latency;
    if (a->count == 0) {
        buffer_format(out, "latency      none: no request %swas acknowledged\n",
                      s->record->outcomes[OUTCOME_ACKNOWLEDGED] > 0 ? "that was measured " : "");
        return;
    }
    buffer_format(out,
                  "latency      of acknowledged requests, from %s and from the first byte sent\n",
                  options_open(s->options) ? "when each was due" : "the client being free");
    summary_histogram(out, a, &s->record->latency_from_send);
    if (a->clamped > 0)
        buffer_format(out, "  %" PRIu64 " latencies above one hour are shown as one hour\n",
                      a->clamped);
}

/* Where there is more than one. */
static void text_shapes(const struct summary *s, struct buffer *out) {
    const struct record *r = s->record;
    if (r->shapes_count == 0)
        return;
    buffer_text(out, "shapes       acknowledged     errors         p50         p99         max\n");
    for (size_t i = 0; i < r->shapes_count; i++) {
        const struct record_shape *one = &r->shapes[i];
        uint64_t errors = 0;
        for (int k = 0; k < OUTCOME_COUNT; k++)
            errors += k == OUTCOME_ACKNOWLEDGED ? 0 : one->outcomes[k];
        buffer_format(out, "  %-15s %8" PRIu64 " %10" PRIu64, s->options->mix.shapes[i].name,
                      one->outcomes[OUTCOME_ACKNOWLEDGED], errors);
        if (one->latency.count > 0) {
            summary_duration(out, 9, histogram_percentile(&one->latency, 50));
            summary_duration(out, 9, histogram_percentile(&one->latency, 99));
            summary_duration(out, 9, histogram_max(&one->latency));
        }
        buffer_text(out, "\n");
    }
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
    text_shapes(s, out);
    text_seconds(s, out);
}
