#pragma once

/* Between the files of samples.h. */

#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/task.h"
#include "runner/collect/samples.h"

#include <pthread.h>
#include <stdio.h>

/* After something that is worth another try. */
#define SAMPLES_AGAIN_PAUSE_NS (500 * NS_PER_MS)

/* For what a connection and an engine's answer need. */
enum { SAMPLES_STACK_BYTES = 512 << 10 };

struct host_sampler;

struct samples {
    struct samples_settings settings;
    char *folder;
    struct cancel cancel;
    pthread_mutex_t lock; /* of `ended` and followers */
    bool ended;
    struct follower **followers;
    size_t follower_count, follower_capacity;
    pthread_mutex_t asking; /* of `engine`, for one-shots */
    struct engine *engine;
    struct host_sampler *host;
};

int samples_thread(pthread_t *ret, void *(*run)(void *arg), void *arg, struct error *err);
uint64_t samples_thread_cpu_ns(void);

/* Notes why sampling ended, if nothing was noted before. */
void sampled_end(struct sampled *s, const char *why);
/* So long after the one before; by how much of it samples were missed. */
void sampled_interval(struct sampled *s, double seconds);

/* Opened by the first line, and flushed after each, for who reads it meanwhile. */
struct sample_file {
    char *path;
    FILE *file;
};
int sample_file_write(struct sample_file *f, const struct buffer *line, struct error *err);
void sample_file_close(struct sample_file *f);

/* ---- host_samples.c ---- */

int host_sampler_start(struct samples *s, struct host_sampler **ret, struct error *err);
/* After the cancellation was raised. */
void host_sampler_join(struct host_sampler *h);
