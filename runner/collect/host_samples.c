/* What a host says of itself: a command there that answers once a second, when it is asked. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/collect/host_load.h"
#include "runner/collect/samples_impl.h"
#include "runner/report/resources.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_MAX_BYTES = 64 << 10,
    ASKED_MAX = 8, /* questions without an answer: more would come all at once, and too late */
    TRIES_MAX = 3, /* of a command that ends by itself, between two answers */
};

/* A question, and when it was asked. */
struct question {
    struct wall_time time;
    struct instant asked;
};

struct host_sampler {
    struct samples *samples;
    struct sampled *sampled;
    struct sample_file file;
    int ask_fd, answer_fd;  /* the ends of a pipe: questions */
    struct cancel give_up;  /* of the command alone */
    pthread_t asker, taker; /* threads */

    pthread_mutex_t lock;
    bool running;             /* a command is there to be asked */
    uint64_t asked, answered; /* numbers of the last ones */
    struct question questions[ASKED_MAX];
    uint64_t turns; /* seconds in which it should have been asked */

    /* Of the taker. */
    struct buffer line;
    struct host_load load, before;
    bool has_before;
    unsigned tries;
};

/* ---- questions ---- */

static void ask(struct host_sampler *h) {
    char text[32];
    pthread_mutex_lock(&h->lock);
    h->turns++;
    if (h->running && h->asked - h->answered < ASKED_MAX) {
        int size = snprintf(text, sizeof text, "%llu\n", (unsigned long long)h->asked + 1);
        h->questions[(h->asked + 1) % ASKED_MAX] =
            (struct question){.time = clock_wall(), .asked = clock_instant()};
        if (write(h->ask_fd, text, (size_t)size) == size)
            h->asked++;
    }
    pthread_mutex_unlock(&h->lock);
}

static void *asker_main(void *arg) {
    struct host_sampler *h = arg;
    struct task task = {.cancel = &h->samples->cancel, .deadline = INSTANT_NEVER};
    struct error err = ERROR_NULL;
    struct instant next = clock_instant();
    do {
        if (host_is_short_of_sessions(h->samples->settings.host)) {
            cancel_raise(&h->give_up, 1);
            break;
        }
        ask(h);
        struct instant now = clock_instant();
        do
            next = instant_after(next, SAMPLES_INTERVAL_NS);
        while (instant_passed(next, now));
        if (task_sleep(&task, instant_ns_between(now, next), &err) < 0)
            cancel_raise(&h->give_up, 1);
    } while (cancel_level(&h->give_up) == 0);
    pthread_mutex_lock(&h->lock);
    h->sampled->cpu_ns += samples_thread_cpu_ns();
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* ---- answers ---- */

/* The question that "=N" answers; false when it was never asked, or long ago. */
static bool find_question(struct host_sampler *h, const char *number, struct question *ret) {
    struct error ignored = ERROR_NULL;
    uint64_t n;
    if (text_to_u64(number, 1, UINT64_MAX, &n, &ignored) < 0)
        return false;
    pthread_mutex_lock(&h->lock);
    bool found = n > h->answered && n <= h->asked;
    if (found) {
        *ret = h->questions[n % ASKED_MAX];
        h->answered = n;
    }
    pthread_mutex_unlock(&h->lock);
    return found;
}

static int keep(struct host_sampler *h, const struct question *q, struct error *err) {
    uint64_t took_ns = instant_ns_between(q->asked, clock_instant());
    int64_t time_ns = q->time.ns + (int64_t)(took_ns / 2);
    struct sampled *sampled = h->sampled;
    struct series_point point;
    cleanup(buffer_deinit) struct buffer line;
    buffer_init(&line, LINE_MAX_BYTES);
    host_load_write(&h->load, h->has_before ? &h->before : NULL, time_ns, took_ns / 2, &line);
    if (sample_file_write(&h->file, &line, err) < 0)
        return -1;
    host_load_point(&h->load, time_ns, &point);
    series_add(&sampled->series, &point);
    if (h->has_before && !isnan(h->load.uptime_s) && !isnan(h->before.uptime_s))
        sampled_interval(sampled, h->load.uptime_s - h->before.uptime_s);
    sampled->samples++;
    h->before = h->load;
    h->has_before = true;
    h->tries = 0;
    return 0;
}

static int take_line(struct host_sampler *h, struct error *err) {
    const char *line = buffer_string(&h->line);
    struct question q;
    if (line[0] != '=') {
        host_load_line(&h->load, line);
        return 0;
    }
    int r = find_question(h, line + 1, &q) ? keep(h, &q, err) : 0;
    host_load_init(&h->load);
    return r;
}

/* A line that is too long is left out. */
static int take_output(void *arg, const void *data, size_t size, struct error *err) {
    struct host_sampler *h = arg;
    const char *text = data;
    while (size) {
        const char *newline = memchr(text, '\n', size);
        size_t n = newline ? (size_t)(newline - text) : size;
        buffer_append(&h->line, text, n);
        if (!newline)
            return 0;
        if (!h->line.overflowed && take_line(h, err) < 0)
            return -1;
        buffer_deinit(&h->line);
        buffer_init(&h->line, HOST_LOAD_LINE_MAX);
        text += n + 1;
        size -= n + 1;
    }
    return 0;
}

/* ---- the command ---- */

/* Questions that were asked of one that is gone are nobody's. */
static void begin_running(struct host_sampler *h) {
    char ignored[256];
    pthread_mutex_lock(&h->lock);
    while (read(h->answer_fd, ignored, sizeof ignored) > 0) {
    }
    h->answered = h->asked;
    h->running = true;
    pthread_mutex_unlock(&h->lock);
    host_load_init(&h->load);
    buffer_clear(&h->line);
}

static void end_running(struct host_sampler *h) {
    pthread_mutex_lock(&h->lock);
    h->running = false;
    pthread_mutex_unlock(&h->lock);
}

static int run(struct host_sampler *h, const struct task *task, struct error *err) {
    struct sink sink = {.push = take_output, .arg = h};
    struct host_exec_result result;
    cleanup_free char *quoted = host_quote(host_load_command);
    cleanup_free char *command = text_format("exec /bin/sh -c %s", quoted);
    struct host_exec exec = {.command = command, .input_fd = &h->answer_fd, .output = &sink};
    begin_running(h);
    int r = host_exec(h->samples->settings.host, &exec, task, &result, err);
    end_running(h);
    if (r < 0)
        return -1;
    return error_set(err, ERROR_FAILED, "it reads no /proc: exit code %d: %s", result.exit_code,
                     result.errors);
}

/* Is it worth another try? */
static bool goes_on(struct host_sampler *h, const struct task *task, struct error *err) {
    struct samples *s = h->samples;
    bool lost = err->kind == ERROR_UNREACHABLE;
    if (cancel_level(&s->cancel) > 0)
        return false;
    if (cancel_level(&h->give_up) > 0) {
        sampled_end(h->sampled, "sshd has no session left for others (MaxSessions)");
        return false;
    }
    if (err->kind == ERROR_IO || (!lost && ++h->tries >= TRIES_MAX)) {
        sampled_end(h->sampled, err->text);
        return false;
    }
    h->sampled->breaks += lost;
    error_clear(err);
    return (!lost || host_await(s->settings.host, task, err) >= 0) &&
           task_sleep(task, SAMPLES_AGAIN_PAUSE_NS, err) == 0;
}

static void *taker_main(void *arg) {
    struct host_sampler *h = arg;
    struct task task = {.cancel = &h->give_up, .deadline = INSTANT_NEVER};
    struct error err = ERROR_NULL;
    do
        run(h, &task, &err);
    while (goes_on(h, &task, &err));
    cancel_raise(&h->give_up, 1); /* there is nobody to ask */
    pthread_mutex_lock(&h->lock);
    h->sampled->cpu_ns += samples_thread_cpu_ns();
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* ---- beginning and end ---- */

static void host_sampler_free(struct host_sampler *h) {
    cancel_deinit(&h->give_up);
    pthread_mutex_destroy(&h->lock);
    sample_file_close(&h->file);
    buffer_deinit(&h->line);
    if (h->ask_fd >= 0)
        close(h->ask_fd);
    if (h->answer_fd >= 0)
        close(h->answer_fd);
    free(h);
}

DEFINE_CLEANUP_FREE(host_sampler);

int host_sampler_start(struct samples *s, struct host_sampler **ret, struct error *err) {
    cleanup(host_sampler_freep) struct host_sampler *h = mem_new(struct host_sampler);
    int pair[2];
    *h = (struct host_sampler){.samples = s,
                               .sampled = s->settings.host_sampled,
                               .file = {.path = path_join(s->folder, "stats.jsonl")},
                               .ask_fd = -1,
                               .answer_fd = -1,
                               .give_up = {.event_fd = -1}};
    pthread_mutex_init(&h->lock, NULL);
    buffer_init(&h->line, HOST_LOAD_LINE_MAX);
    h->sampled->series.gauges = HOST_GAUGES;
    if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_set_os(err, ERROR_IO, errno, "create a pipe");
    h->answer_fd = pair[0];
    h->ask_fd = pair[1];
    if (cancel_init(&h->give_up, err) < 0 || samples_thread(&h->asker, asker_main, h, err) < 0)
        return -1;
    if (samples_thread(&h->taker, taker_main, h, err) < 0) {
        cancel_raise(&h->give_up, 1);
        pthread_join(h->asker, NULL);
        return -1;
    }
    *ret = take_ptr(h);
    return 0;
}

void host_sampler_join(struct host_sampler *h) {
    pthread_join(h->asker, NULL);
    pthread_join(h->taker, NULL);
    uint64_t under_way = h->asked - h->answered > 1 ? 1 : h->asked - h->answered;
    uint64_t expected = h->turns - (h->turns > 0 ? under_way : 0);
    h->sampled->missed = expected > h->sampled->samples ? expected - h->sampled->samples : 0;
    host_sampler_free(h);
}
