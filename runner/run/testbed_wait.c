/* Machines that were just started: SSH comes first, the engine later, keys and groups in between.
 */

#include "runner/run/testbed.h"

#include "lib/cleanup.h"
#include "lib/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* An engine may have to be installed first. */
#define PATIENCE_NS (10 * 60 * NS_PER_SEC)
/* Until then cloud-init has given a machine its keys. */
#define YOUNG_NS (3 * 60 * NS_PER_SEC)
#define PAUSE_MIN_NS (200 * NS_PER_MS)
#define PAUSE_MAX_NS (2 * NS_PER_SEC)

enum { TELL_SEC = 10 };

struct waiting {
    struct testbed *testbed;
    struct task task;
    struct instant young_until;
    pthread_mutex_t lock;
    pthread_cond_t some_done;
    atomic_bool failed; /* one has, for good: nobody goes on */
};

struct waiter {
    struct waiting *all;
    size_t index;
    bool young, started, done, ready;
    struct error last; /* why it is not ready */
    pthread_t thread;
};

/* ---- on a host's thread ---- */

/* A login has the groups that its user had then: with an engine that was not there yet it is not
 * kept. */
static int try_once(const struct waiter *w, struct error *err) {
    struct testbed *testbed = w->all->testbed;
    struct engine *engine;
    if (testbed_connect_one(testbed, w->index, &w->all->task, err) < 0)
        return -1;
    if (testbed_engine(testbed, w->index, &w->all->task, &engine, err) == 0) {
        engine_close(engine);
        return 0;
    }
    struct error more = ERROR_NULL;
    if (host_check_engine(testbed->hosts[w->index].host, &w->all->task, &more) < 0)
        *err = more;
    testbed_disconnect_one(testbed, w->index);
    return -1;
}

static bool may_pass(const struct waiter *w, const struct error *why) {
    bool young = w->young && !instant_passed(w->all->young_until, clock_instant());
    return error_retryable(why->kind) ||
           (young && (why->kind == ERROR_REFUSED || why->kind == ERROR_INVALID));
}

/* Returns whether it is worth another try. */
static bool go_on(struct waiter *w, const struct error *why, uint64_t pause_ns) {
    struct error over = ERROR_NULL;
    pthread_mutex_lock(&w->all->lock);
    w->last = *why;
    pthread_mutex_unlock(&w->all->lock);
    if (!may_pass(w, why) || atomic_load(&w->all->failed))
        return false;
    if (task_sleep(&w->all->task, pause_ns, &over) == 0)
        return true;
    pthread_mutex_lock(&w->all->lock);
    if (over.kind == ERROR_CANCELLED)
        w->last = over;
    else
        error_wrap(&w->last, "after %d minutes", (int)(PATIENCE_NS / NS_PER_SEC / 60));
    pthread_mutex_unlock(&w->all->lock);
    return false;
}

static void *wait_main(void *arg) {
    struct waiter *w = arg;
    struct error why = ERROR_NULL;
    uint64_t pause_ns = PAUSE_MIN_NS;
    bool ready;
    while (!(ready = try_once(w, &why) == 0) && go_on(w, &why, pause_ns)) {
        pause_ns = 2 * pause_ns < PAUSE_MAX_NS ? 2 * pause_ns : PAUSE_MAX_NS;
        error_clear(&why);
    }
    pthread_mutex_lock(&w->all->lock);
    w->ready = ready;
    w->done = true;
    if (!ready)
        atomic_store(&w->all->failed, true);
    pthread_cond_signal(&w->all->some_done);
    pthread_mutex_unlock(&w->all->lock);
    return NULL;
}

/* ---- on ours ---- */

static void start(struct waiter *w) {
    int r = pthread_create(&w->thread, NULL, wait_main, w);
    w->started = r == 0;
    if (r == 0)
        return;
    error_set_os(&w->last, ERROR_IO, r, "start a thread");
    w->done = true;
}

static size_t count_done(const struct waiter *waiters, size_t count) {
    size_t done = 0;
    for (size_t i = 0; i < count; i++)
        done += waiters[i].done;
    return done;
}

/* What is told is told without the lock. */
static void tell_ready(struct waiting *all, const struct testbed_wait *wait, size_t done,
                       size_t count) {
    pthread_mutex_unlock(&all->lock);
    wait->on_ready(wait->arg, done, count);
    pthread_mutex_lock(&all->lock);
}

static void tell_wait(struct waiting *all, const struct testbed_wait *wait,
                      const struct waiter *waiters, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct error why = waiters[i].last;
        if (waiters[i].done || why.kind == ERROR_NONE)
            continue;
        pthread_mutex_unlock(&all->lock);
        wait->on_wait(wait->arg, &all->testbed->hosts[waiters[i].index], &why);
        pthread_mutex_lock(&all->lock);
        return;
    }
}

static void watch(struct waiting *all, const struct testbed_wait *wait,
                  const struct waiter *waiters, size_t count) {
    size_t told = 0;
    pthread_mutex_lock(&all->lock);
    for (;;) {
        struct timespec until;
        size_t done = count_done(waiters, count);
        if (done != told && !atomic_load(&all->failed))
            tell_ready(all, wait, told = done, count);
        if (done == count)
            break;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += TELL_SEC;
        int r = 0;
        while (r == 0 && count_done(waiters, count) == done)
            r = pthread_cond_timedwait(&all->some_done, &all->lock, &until);
        if (r != 0)
            tell_wait(all, wait, waiters, count);
    }
    pthread_mutex_unlock(&all->lock);
}

/* The one that ended it, not those that it kept from going on: what waiting may mend comes last. */
static int first_error(const struct waiter *waiters, size_t count, struct error *err) {
    const struct waiter *worst = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct waiter *w = &waiters[i];
        if (!w->ready && (!worst || (may_pass(worst, &worst->last) && !may_pass(w, &w->last))))
            worst = w;
    }
    if (!worst)
        return 0;
    *err = worst->last;
    return error_wrap(err, "wait for the machines");
}

int testbed_await(struct testbed *testbed, const struct testbed_wait *wait, const struct task *task,
                  struct error *err) {
    struct waiter *waiters = mem_new_array(struct waiter, testbed->count);
    struct waiting all = {.testbed = testbed,
                          .task = task_within(task, PATIENCE_NS),
                          .young_until = instant_after(clock_instant(), YOUNG_NS),
                          .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&all.some_done, &monotonic);
    size_t count = 0;
    for (size_t i = 0; i < testbed->count; i++)
        if (testbed->hosts[i].deployment)
            waiters[count++] = (struct waiter){.all = &all, .index = i, .young = wait->young[i]};
    for (size_t i = 0; i < count; i++)
        start(&waiters[i]);
    watch(&all, wait, waiters, count);
    for (size_t i = 0; i < count; i++)
        if (waiters[i].started)
            pthread_join(waiters[i].thread, NULL);
    int r = first_error(waiters, count, err);
    free(waiters);
    pthread_cond_destroy(&all.some_done);
    pthread_condattr_destroy(&monotonic);
    return r;
}
