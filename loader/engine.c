#include "loader/engine.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "loader/limits.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Warnings on their way to the calling thread; more at once are dropped. With several threads, none
 * of the last ones shown is shown again. */
enum { NOTES_MAX = 64, NOTES_SHOWN_MAX = 16 };
/* From when all are connected to time 0, so that no thread wakes up late. */
#define BEGIN_NS (2 * NS_PER_MS)

struct engine;

struct worker {
    struct engine *engine;
    pthread_t thread;
    struct driver *driver;
    struct record record;
    struct exchange exchange;
    struct durations_writer *durations;
    int outcome; /* of what it did last */
    struct error err;
};

enum phase { CONNECTING, RUNNING, ABANDONED };

struct engine {
    struct engine_config config;
    struct worker *workers;
    uint32_t started; /* threads */
    struct cancel stop;
    int wake_fd;
    struct engine_progress progress;
    struct interval last;
    struct error fault; /* of config.begin */
    char *shown[NOTES_SHOWN_MAX];
    uint32_t shown_next;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t moved; /* phase */
    enum phase phase;
    struct instant start;
    uint32_t connected, ended;
    struct worker *failed; /* the first one */
    char *notes[NOTES_MAX];
    uint32_t notes_count;
};

uint32_t engine_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    return (uint32_t)CPU_COUNT(&set);
}

/* ---- in the worker's thread ---- */

static void wake(const struct engine *e) {
    uint64_t one = 1;
    ssize_t n = write(e->wake_fd, &one, sizeof one);
    (void)n; /* full means awake */
}

static void keep_note(void *context, const char *text) {
    struct engine *e = context;
    pthread_mutex_lock(&e->lock);
    if (e->notes_count < NOTES_MAX)
        e->notes[e->notes_count++] = text_dup(text);
    pthread_mutex_unlock(&e->lock);
    wake(e);
}

/* Waits until all are connected. False: there will be no load. */
static bool wait_for_others(struct engine *e, struct instant *ret_start) {
    pthread_mutex_lock(&e->lock);
    e->connected++;
    wake(e);
    while (e->phase == CONNECTING)
        pthread_cond_wait(&e->moved, &e->lock);
    bool running = e->phase == RUNNING;
    *ret_start = e->start;
    pthread_mutex_unlock(&e->lock);
    return running;
}

static int work_through(struct worker *w) {
    struct instant start;
    int r = driver_connect(w->driver, &w->err);
    if (r != DRIVER_DONE)
        return r;
    if (!wait_for_others(w->engine, &start))
        return DRIVER_INTERRUPTED;
    r = driver_run(w->driver, start, &w->record, &w->err);
    struct error second = ERROR_NULL;
    if (w->durations && durations_flush(w->durations, r < 0 ? &second : &w->err) < 0)
        r = -1;
    return r;
}

static void *work(void *context) {
    struct worker *w = context;
    struct engine *e = w->engine;
    prctl(PR_SET_TIMERSLACK, 1UL); /* ns: wake this thread when it asked for it */
    w->outcome = work_through(w);
    pthread_mutex_lock(&e->lock);
    e->ended++;
    if (w->outcome < 0 && !e->failed)
        e->failed = w;
    pthread_mutex_unlock(&e->lock);
    wake(e);
    return NULL;
}

/* ---- in the calling thread ---- */

/* Each thread meets the same replicas. */
static bool was_shown(const struct engine *e, const char *text) {
    for (size_t i = 0; i < NOTES_SHOWN_MAX; i++)
        if (e->shown[i] && text_equal(e->shown[i], text))
            return true;
    return false;
}

static void show_notes(struct engine *e) {
    char *notes[NOTES_MAX];
    pthread_mutex_lock(&e->lock);
    uint32_t count = e->notes_count;
    for (uint32_t i = 0; i < count; i++)
        notes[i] = e->notes[i];
    e->notes_count = 0;
    pthread_mutex_unlock(&e->lock);
    for (uint32_t i = 0; i < count; i++) {
        if (e->config.threads > 1 && was_shown(e, notes[i])) {
            free(notes[i]);
            continue;
        }
        e->config.note(e->config.context, notes[i]);
        char **place = &e->shown[e->shown_next++ % NOTES_SHOWN_MAX];
        free(*place);
        *place = notes[i];
    }
}

static bool all_exchanges_ready(struct engine *e) {
    for (uint32_t i = 0; i < e->config.threads; i++)
        if (!exchange_ready(&e->workers[i].exchange))
            return false;
    return true;
}

static void show_progress(struct engine *e) {
    struct engine_progress *p = &e->progress;
    if (!all_exchanges_ready(e))
        return;
    interval_clear(&e->last, e->last.to_ns);
    for (uint32_t i = 0; i < e->config.threads; i++)
        exchange_fetch(&e->workers[i].exchange, &e->last);
    p->elapsed_ns = e->last.to_ns;
    p->sent += e->last.sent;
    for (int i = 0; i < OUTCOME_COUNT; i++)
        p->outcomes[i] += e->last.outcomes[i];
    p->last = &e->last;
    e->config.log(e->config.context, e->start, &e->last);
    e->config.tell(e->config.context, p);
}

/* All are connected, and wait for it. */
static void begin(struct engine *e) {
    struct instant start = instant_after(clock_instant(), BEGIN_NS);
    int r = e->config.begin ? e->config.begin(e->config.context, &start, &e->fault) : 0;
    pthread_mutex_lock(&e->lock);
    e->phase = r == 0 ? RUNNING : ABANDONED;
    e->start = start;
    pthread_cond_broadcast(&e->moved);
    pthread_mutex_unlock(&e->lock);
}

/* What the workers' states ask for. Says whether all have ended. */
static bool move_on(struct engine *e) {
    pthread_mutex_lock(&e->lock);
    bool ended = e->ended == e->started;
    bool failed = e->failed != NULL;
    bool connected = e->phase == CONNECTING && e->connected == e->config.threads;
    if (e->phase == CONNECTING && (failed || cancel_level(e->config.cancel) > 0)) {
        e->phase = ABANDONED;
        pthread_cond_broadcast(&e->moved);
        connected = false;
    }
    pthread_mutex_unlock(&e->lock);
    if (connected)
        begin(e);
    int level = cancel_level(e->config.cancel);
    if (failed && level == 0)
        level = 1;
    if (level > cancel_level(&e->stop))
        cancel_raise(&e->stop, level);
    return ended;
}

/* The second raise of a cancellation makes no edge that poll could see. */
static int wait_ms(const struct engine *e) {
    enum { AGAIN_MS = 20 };
    return cancel_level(e->config.cancel) > 0 ? AGAIN_MS : -1;
}

static void attend(struct engine *e) {
    while (!move_on(e)) {
        bool cancelled = cancel_level(e->config.cancel) > 0;
        struct pollfd fds[] = {
            {.fd = e->wake_fd, .events = POLLIN},
            {.fd = cancelled ? -1 : e->config.cancel->event_fd, .events = POLLIN}};
        uint64_t count;
        if (poll(fds, 2, wait_ms(e)) > 0 && fds[0].revents &&
            read(e->wake_fd, &count, sizeof count) < 0)
            assert(errno == EAGAIN);
        show_notes(e);
        show_progress(e);
    }
    show_notes(e);
}

static int start_worker(struct engine *e, uint32_t index, struct error *err) {
    const struct engine_config *c = &e->config;
    struct worker *w = &e->workers[index];
    const struct driver_config config = {
        .maker = c->maker,
        .workload = c->workload,
        .clients = c->clients,
        .thread = index,
        .threads = c->threads,
        .requests = c->requests == UINT64_MAX
                        ? UINT64_MAX
                        : slice_requests(c->requests, c->clients, index, c->threads),
        .end_ns = c->end_ns,
        .arrivals = c->arrivals,
        .in_flight_max = (c->in_flight_max + c->threads - 1 - index) / c->threads,
        .spin = c->spin,
        .request_timeout_ns = c->request_timeout_ns,
        .cancel = &e->stop,
        .note = keep_note,
        .note_context = e,
    };
    if (driver_new(&config, &w->driver, err) < 0)
        return -1;
    int failure = pthread_create(&w->thread, NULL, work, w);
    if (failure)
        return error_set_os(err, ERROR_IO, failure, "start a thread");
    e->started++;
    return 0;
}

static void init_worker(struct engine *e, struct worker *w) {
    const struct engine_config *c = &e->config;
    w->engine = e;
    size_t shapes = mix_is_mixed(&c->workload->mix) ? c->workload->mix.count : 0;
    exchange_init(&w->exchange, e->wake_fd);
    exchange_shapes(&w->exchange, shapes);
    w->durations = c->durations ? durations_writer_new(c->durations) : NULL;
    record_init(&w->record, c->client_base, w->durations, &w->exchange);
    record_shapes(&w->record, shapes);
    record_window(&w->record, c->window_from_ns, c->window_to_ns);
}

static int engine_init(struct engine *e, const struct engine_config *config, struct error *err) {
    *e = (struct engine){.config = *config, .wake_fd = -1, .stop = {.event_fd = -1}};
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->moved, NULL);
    interval_init(&e->last);
    if (mix_is_mixed(&config->workload->mix))
        interval_shapes(&e->last, config->workload->mix.count);
    if (cancel_init(&e->stop, err) < 0)
        return -1;
    e->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (e->wake_fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create an eventfd");
    e->workers = mem_new_array(struct worker, config->threads);
    for (uint32_t i = 0; i < config->threads; i++)
        init_worker(e, &e->workers[i]);
    return 0;
}

static void engine_deinit(struct engine *e) {
    for (uint32_t i = 0; e->workers && i < e->config.threads; i++) {
        struct worker *w = &e->workers[i];
        if (w->driver)
            driver_free(w->driver);
        if (w->durations)
            durations_writer_free(w->durations);
        record_deinit(&w->record);
        exchange_deinit(&w->exchange);
    }
    free(e->workers);
    for (size_t i = 0; i < NOTES_SHOWN_MAX; i++)
        free(e->shown[i]);
    interval_deinit(&e->last);
    pthread_cond_destroy(&e->moved);
    pthread_mutex_destroy(&e->lock);
    cancel_deinit(&e->stop);
    if (e->wake_fd >= 0)
        close(e->wake_fd);
}

static int start_all(struct engine *e, struct error *err) {
    for (uint32_t i = 0; i < e->config.threads; i++)
        if (start_worker(e, i, err) < 0)
            return -1;
    return 0;
}

/* Of those that started when others could not. */
static void abandon(struct engine *e) {
    pthread_mutex_lock(&e->lock);
    e->phase = ABANDONED;
    pthread_cond_broadcast(&e->moved);
    pthread_mutex_unlock(&e->lock);
    cancel_raise(&e->stop, 2);
}

/* What no whole second has taken along. */
static void log_rest(struct engine *e) {
    interval_clear(&e->last, e->last.to_ns);
    for (uint32_t i = 0; i < e->started; i++) {
        struct worker *w = &e->workers[i];
        if (exchange_ready(&w->exchange))
            exchange_fetch(&w->exchange, &e->last);
        if (w->record.end_ns > w->record.interval.to_ns)
            w->record.interval.to_ns = w->record.end_ns;
        interval_add(&e->last, &w->record.interval);
    }
    if (e->last.to_ns > e->last.from_ns)
        e->config.log(e->config.context, e->start, &e->last);
}

/* All have ended. */
static int collect(struct engine *e, struct record *record, struct error *err) {
    int r = DRIVER_DONE;
    for (uint32_t i = 0; i < e->started; i++)
        pthread_join(e->workers[i].thread, NULL);
    for (uint32_t i = 0; i < e->started; i++) {
        const struct worker *w = &e->workers[i];
        if (w->outcome == DRIVER_INTERRUPTED)
            r = DRIVER_INTERRUPTED;
        if (record_merge(record, &w->record, err) < 0)
            return -1;
    }
    log_rest(e);
    if (e->fault.kind != ERROR_NONE) {
        *err = e->fault;
        return -1;
    }
    if (!e->failed)
        return r;
    *err = e->failed->err;
    return -1;
}

int engine_run(const struct engine_config *config, struct record *record, struct error *err) {
    assert(config->threads > 0 && config->threads <= config->clients);
    cleanup(engine_deinit) struct engine e;
    if (engine_init(&e, config, err) < 0)
        return -1;
    int r = start_all(&e, err);
    if (r < 0)
        abandon(&e);
    attend(&e);
    struct error second = ERROR_NULL;
    int outcome = collect(&e, record, r < 0 ? &second : err);
    return r < 0 ? r : outcome;
}
