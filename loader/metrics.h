#pragma once

/*
 * What a running load tells Prometheus: as of the last whole second, from the snapshot that the
 * display gets, so that nobody who measures ever waits for whoever looks.
 *
 * Threads: metrics_tell belongs to one thread; the text is written by the server's.
 */

#include "lib/metrics.h"
#include "loader/engine.h"
#include "loader/options.h"

#include <pthread.h>

struct load_metrics {
    pthread_mutex_t lock; /* of all below */
    struct engine_progress progress;
    struct interval last;
    const struct options *options;
    struct metrics *server; /* NULL: not asked for */
};

void load_metrics_init(struct load_metrics *m, const struct options *options);
/* Listens, if the options say so. */
int load_metrics_open(struct load_metrics *m, struct error *err);
void load_metrics_deinit(struct load_metrics *m);

void load_metrics_tell(struct load_metrics *m, const struct engine_progress *progress);

/* What is served now: always something. */
bool load_metrics_write(void *load_metrics, struct buffer *out);
