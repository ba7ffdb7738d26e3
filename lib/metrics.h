#pragma once

/*
 * A program's metrics for Prometheus: GET /metrics on an address of its own, answered by a thread
 * that costs nothing while nobody asks.
 *
 * Source: the text exposition format of Prometheus, version 0.0.4.
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    METRICS_SIZE_MAX = 1 << 20, /* of one answer */
    METRICS_CONNECTIONS_MAX = 16,
    METRICS_TIMEOUT_S = 10, /* of a connection that says nothing */
};

struct metrics;

/* Appends all metrics; called in the server's thread. False: they cannot be told now (503). */
typedef bool metrics_write(void *context, struct buffer *out);

/* `listen`: "PORT" (on 127.0.0.1), "HOST:PORT", "[V6]:PORT"; port 0: any. Errors: ERROR_CONFIG for
 * another form, ERROR_IO naming the address. */
int metrics_open(const char *listen, metrics_write *write, void *context, struct metrics **ret,
                 struct error *err);
/* Answers those that have asked, and ends the thread. */
void metrics_close(struct metrics *m);
static inline void metrics_closep(struct metrics **m) {
    if (*m)
        metrics_close(*m);
}
/* The one that was found for 0. */
uint16_t metrics_port(const struct metrics *m);

/* ---- writing ---- */

/* "# HELP" and "# TYPE"; `type`: counter, gauge, histogram. Its samples follow. */
void metrics_head(struct buffer *out, const char *name, const char *type, const char *help);
/* `labels` as they are written (`a="b"`), or NULL. */
void metrics_sample(struct buffer *out, const char *name, const char *labels, double value);
/* The samples of a histogram: `counts` has one for each bound, of what is at or below it and above
 * the one before, and one more for the rest. */
void metrics_histogram(struct buffer *out, const char *name, const char *labels,
                       const double *bounds, const uint64_t *counts, size_t bound_count,
                       double sum);
