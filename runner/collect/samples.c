#include "runner/collect/samples.h"

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/collect/log_record.h"
#include "runner/collect/samples_impl.h"
#include "runner/collect/samples_line.h"
#include "runner/engine/stats.h"
#include "runner/report/resources.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LINE_MAX_BYTES = 2048,
    TRIES_MAX = 10, /* in a row, of a container whose samples nobody can use */
};

/* An engine that says more than this is not listened to. */
#define SAMPLE_NS_MIN (200 * NS_PER_MS)

struct follower {
    struct samples *samples;
    char *container;
    struct sample_file file;
    struct sampled *sampled;
    struct sample before;
    struct instant taken;
    unsigned tries; /* since the last sample */
    pthread_t thread;
};

/* ---- shared ---- */

int samples_thread(pthread_t *ret, void *(*run)(void *arg), void *arg, struct error *err) {
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    int r = pthread_attr_setstacksize(&attr, SAMPLES_STACK_BYTES);
    if (r == 0)
        r = pthread_create(ret, &attr, run, arg);
    pthread_attr_destroy(&attr);
    return r ? error_set_os(err, ERROR_IO, r, "start a thread for samples") : 0;
}

uint64_t samples_thread_cpu_ns(void) {
    struct timespec t = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

void sampled_end(struct sampled *s, const char *why) {
    if (!s->why[0])
        text_safe(why, s->why, sizeof s->why);
}

void sampled_interval(struct sampled *s, double seconds) {
    struct sampled_intervals *i = &s->intervals;
    if (seconds <= 0)
        return;
    i->count++;
    i->sum_s += seconds;
    i->squares_s2 += seconds * seconds;
    i->max_s = fmax(i->max_s, seconds);
    double whole = round(seconds / ((double)SAMPLES_INTERVAL_NS / (double)NS_PER_SEC));
    if (whole > 1 && whole < 1e9)
        s->missed += (uint64_t)whole - 1;
}

void sampled_deinit(struct sampled *s) {
    series_deinit(&s->series);
    *s = (struct sampled){.samples = 0};
}

int sample_file_write(struct sample_file *f, const struct buffer *line, struct error *err) {
    if (buffer_check(line, "a sample", err) < 0)
        return -1;
    if (!f->file)
        f->file = fopen(f->path, "ae");
    if (!f->file || fwrite(line->data, 1, line->size, f->file) < line->size || fflush(f->file))
        return error_set_os(err, ERROR_IO, errno, "write '%s'", f->path);
    return 0;
}

void sample_file_close(struct sample_file *f) {
    if (f->file)
        fclose(f->file); /* each line was flushed */
    free(f->path);
}

/* ---- one container ---- */

static double seconds_since(const struct sample *before, int64_t read_ns, int64_t time_ns) {
    return before->read_ns && read_ns ? (double)(read_ns - before->read_ns) / (double)NS_PER_SEC
                                      : (double)(time_ns - before->time_ns) / (double)NS_PER_SEC;
}

static int keep(struct follower *f, const struct sample *sample, struct error *err) {
    struct sampled *sampled = f->sampled;
    cleanup(buffer_deinit) struct buffer line;
    struct series_point point;
    bool first = sampled->samples == 0;
    buffer_init(&line, LINE_MAX_BYTES);
    sample_write(sample, first ? NULL : &f->before, &line);
    if (sample_file_write(&f->file, &line, err) < 0)
        return -1;
    sample_point(sample, &point);
    series_add(&sampled->series, &point);
    if (!first)
        sampled_interval(sampled, seconds_since(&f->before, sample->read_ns, sample->time_ns));
    sampled->samples++;
    f->before = *sample;
    f->before.stats.json = NULL;
    f->before.stats.read = NULL;
    f->tries = 0;
    return 0;
}

/* A container that does not run has nothing to say; nor has an engine that repeats itself. */
static int take_sample(void *arg, const struct engine_stats *stats, struct error *err) {
    struct follower *f = arg;
    struct instant now = clock_instant();
    bool first = f->sampled->samples == 0;
    if (!stats->running)
        return 0;
    struct sample sample = {.stats = *stats,
                            .read_ns = log_time_ns(stats->read, strlen(stats->read))};
    sample.time_ns =
        sample.read_ns ? sample.read_ns - f->samples->settings.clock_offset_ns : clock_wall().ns;
    bool again = sample.read_ns && sample.read_ns == f->before.read_ns;
    if (!first && (again || instant_ns_between(f->taken, now) < SAMPLE_NS_MIN))
        return 0;
    f->taken = now;
    return keep(f, &sample, err);
}

static int follow(struct follower *f, const struct task *task, struct error *err) {
    cleanup(engine_closep) struct engine *engine = NULL;
    if (engine_open(f->samples->settings.engine, task, &engine, err) < 0)
        return -1;
    return engine_container_stats_follow(engine, f->container, take_sample, f, task, err);
}

static int ask(struct follower *f, const struct task *task, struct error *err) {
    struct samples *s = f->samples;
    cleanup(engine_stats_deinit) struct engine_stats stats = ENGINE_STATS_NULL;
    pthread_mutex_lock(&s->asking);
    int r = s->engine ? 0 : engine_open(s->settings.engine, task, &s->engine, err);
    if (r == 0)
        r = engine_container_stats(s->engine, f->container, task, &stats, err);
    if (r < 0 && s->engine) {
        engine_close(s->engine);
        s->engine = NULL;
    }
    pthread_mutex_unlock(&s->asking);
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "there is no container any more");
    return r < 0 ? -1 : take_sample(f, &stats, err);
}

/* Until it fails. */
static int ask_again_and_again(struct follower *f, const struct task *task, struct error *err) {
    struct instant next = clock_instant();
    while (ask(f, task, err) == 0) {
        if (host_is_short_of_sessions(f->samples->settings.host))
            return error_set(err, ERROR_LIMIT, "sshd has no session left for others (MaxSessions)");
        struct instant now = clock_instant();
        do
            next = instant_after(next, SAMPLES_INTERVAL_NS);
        while (instant_passed(next, now));
        if (task_sleep(task, instant_ns_between(now, next), err) < 0)
            return -1;
    }
    return -1;
}

/* Is it worth another try? */
static bool goes_on(struct follower *f, const struct task *task, struct error *err) {
    struct sampled *s = f->sampled;
    bool lost = err->kind == ERROR_UNREACHABLE;
    if (err->kind == ERROR_NOT_FOUND || cancel_level(task->cancel) > 0)
        return false;
    if (err->kind == ERROR_IO || err->kind == ERROR_LIMIT || (!lost && ++f->tries >= TRIES_MAX)) {
        sampled_end(s, err->text);
        return false;
    }
    s->breaks += lost;
    error_clear(err);
    return (!lost || host_await(f->samples->settings.host, task, err) >= 0) &&
           task_sleep(task, SAMPLES_AGAIN_PAUSE_NS, err) == 0;
}

static void *follower_main(void *arg) {
    struct follower *f = arg;
    struct samples *s = f->samples;
    struct task task = {.cancel = &s->cancel, .deadline = INSTANT_NEVER};
    struct error err = ERROR_NULL;
    bool one_shots = s->settings.one_shots || host_engine_takes_sessions(s->settings.host);
    do
        if (one_shots)
            ask_again_and_again(f, &task, &err);
        else
            follow(f, &task, &err); /* that its stream ends is worth another look */
    while (goes_on(f, &task, &err));
    f->sampled->cpu_ns += samples_thread_cpu_ns();
    return NULL;
}

static void follower_free(struct follower *f) {
    sample_file_close(&f->file);
    free(f->container);
    free(f);
}

static bool has(const struct samples *s, const struct sampled *sampled) {
    for (size_t i = 0; i < s->follower_count; i++)
        if (s->followers[i]->sampled == sampled)
            return true;
    return false;
}

int samples_add(struct samples *s, const char *container, const char *folder, struct sampled *ret,
                struct error *err) {
    pthread_mutex_lock(&s->lock);
    int r = 0;
    if (!s->ended && !has(s, ret)) {
        struct follower *f = mem_new(struct follower);
        *f = (struct follower){.samples = s,
                               .container = text_dup(container),
                               .file = {.path = path_join(folder, "stats.jsonl")},
                               .sampled = ret};
        ret->series.gauges = USAGE_GAUGES;
        r = samples_thread(&f->thread, follower_main, f, err);
        if (r == 0) {
            mem_grow(s->followers, s->follower_count, s->follower_capacity);
            s->followers[s->follower_count++] = f;
        } else {
            follower_free(f);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* ---- all of a host ---- */

static void release(struct samples *s) {
    cancel_deinit(&s->cancel);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->asking);
    engine_close(s->engine);
    free(s->followers);
    free(s->folder);
    free(s);
}

int samples_start(const struct samples_settings *settings, struct samples **ret,
                  struct error *err) {
    struct samples *s = mem_new(struct samples);
    s->settings = *settings;
    s->folder = text_dup(settings->folder);
    s->cancel.event_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->asking, NULL);
    int r = cancel_init(&s->cancel, err);
    if (r == 0 && s->folder)
        r = file_make_folders(s->folder, 0755, err);
    if (r == 0 && s->folder)
        r = host_sampler_start(s, &s->host, err);
    if (r < 0)
        release(s);
    else
        *ret = s;
    return r;
}

void samples_stop(struct samples *s) {
    pthread_mutex_lock(&s->lock);
    bool ended = s->ended;
    s->ended = true; /* nobody is added any more */
    pthread_mutex_unlock(&s->lock);
    if (ended)
        return;
    cancel_raise(&s->cancel, 1);
    if (s->host)
        host_sampler_join(s->host);
    for (size_t i = 0; i < s->follower_count; i++) {
        pthread_join(s->followers[i]->thread, NULL);
        follower_free(s->followers[i]);
    }
}

void samples_free(struct samples *s) {
    if (!s)
        return;
    samples_stop(s);
    release(s);
}
