#include "loader/metrics.h"

#include <stdio.h>

void load_metrics_init(struct load_metrics *m, const struct options *options) {
    *m = (struct load_metrics){.options = options};
    pthread_mutex_init(&m->lock, NULL);
    interval_init(&m->last);
}

int load_metrics_open(struct load_metrics *m, struct error *err) {
    if (!m->options->metrics)
        return 0;
    if (metrics_open(m->options->metrics, load_metrics_write, m, &m->server, err) < 0)
        return error_wrap(err, "--metrics");
    return 0;
}

void load_metrics_deinit(struct load_metrics *m) {
    if (m->server)
        metrics_close(m->server);
    interval_deinit(&m->last);
    pthread_mutex_destroy(&m->lock);
}

void load_metrics_tell(struct load_metrics *m, const struct engine_progress *progress) {
    if (!m->server)
        return;
    pthread_mutex_lock(&m->lock);
    m->progress = *progress;
    interval_clear(&m->last, progress->last->from_ns);
    interval_add(&m->last, progress->last);
    pthread_mutex_unlock(&m->lock);
}

static double in_seconds(uint64_t ns) {
    return (double)ns / (double)NS_PER_SEC;
}

static void write_outcomes(const struct load_metrics *m, struct buffer *out) {
    static const char name[] = "seatrial_loader_requests_total";
    metrics_head(out, name, "counter", "Requests that have an outcome.");
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        char label[64];
        snprintf(label, sizeof label, "outcome=\"%s\"", outcome_name((enum outcome)i));
        metrics_sample(out, name, label, (double)m->progress.outcomes[i]);
    }
}

static void write_latency(struct buffer *out, const char *name, const char *help,
                          const struct histogram *h) {
    static const double quantiles[] = {0.5, 0.9, 0.99, 0.999, 1};
    metrics_head(out, name, "gauge", help);
    for (size_t i = 0; h->count > 0 && i < sizeof quantiles / sizeof *quantiles; i++) {
        char label[64];
        snprintf(label, sizeof label, "quantile=\"%g\"", quantiles[i]);
        metrics_sample(out, name, label, in_seconds(histogram_percentile(h, 100 * quantiles[i])));
    }
}

static uint64_t in_flight(const struct engine_progress *p) {
    uint64_t done = 0; /* of what was sent */
    for (int i = 0; i < OUTCOME_COUNT; i++)
        done += i == OUTCOME_UNSENT ? 0 : p->outcomes[i];
    return p->sent > done ? p->sent - done : 0;
}

bool load_metrics_write(void *load_metrics, struct buffer *out) {
    struct load_metrics *m = load_metrics;
    pthread_mutex_lock(&m->lock);
    const struct options *o = m->options;
    metrics_head(out, "seatrial_loader_elapsed_seconds", "gauge", "Since the start of the load.");
    metrics_sample(out, "seatrial_loader_elapsed_seconds", NULL,
                   in_seconds(m->progress.elapsed_ns));
    if (options_open(o)) {
        metrics_head(out, "seatrial_loader_asked_per_second", "gauge", "Rate that is asked for.");
        metrics_sample(out, "seatrial_loader_asked_per_second", NULL,
                       options_rate_at(o, m->progress.elapsed_ns));
    }
    metrics_head(out, "seatrial_loader_sent_total", "counter", "Requests that were sent.");
    metrics_sample(out, "seatrial_loader_sent_total", NULL, (double)m->progress.sent);
    write_outcomes(m, out);
    metrics_head(out, "seatrial_loader_in_flight", "gauge",
                 "Requests that were sent and not yet answered.");
    metrics_sample(out, "seatrial_loader_in_flight", NULL, (double)in_flight(&m->progress));
    write_latency(out, "seatrial_loader_latency_seconds",
                  "Of the last second's acknowledged requests, from when they were due.",
                  &m->last.latency);
    write_latency(out, "seatrial_loader_latency_from_send_seconds",
                  "The same from the first byte sent.", &m->last.latency_from_send);
    pthread_mutex_unlock(&m->lock);
    return true;
}
