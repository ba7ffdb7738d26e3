#include "executor/pre_execution.h"

#include "executor/chain/write_set.h"
#include "executor/storage.h"

#include "lib/cleanup.h"
#include "lib/memory.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A ring; positions only rise: taken <= finished and begun <= pushed. */
struct pre_execution {
    const struct handler *handler;
    const struct auth *auth;
    int fd;
    pthread_t threads[PRE_EXECUTION_THREADS];
    unsigned thread_count;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    bool stopping;
    struct pre_execution_job waiting[PRE_EXECUTION_WAITING_MAX];
    uint64_t begun;
    uint64_t pushed;
    struct pre_execution_job finished[PRE_EXECUTION_WAITING_MAX]; /* room for all, see below */
    uint64_t finished_end;
    uint64_t taken;
    uint64_t bytes;  /* of those that were pushed and not taken */
    uint64_t making; /* bytes of write sets */
    pthread_cond_t made;
};

static void finish(struct pre_execution *p, const struct pre_execution_job *job) {
    const uint64_t one = 1;
    p->finished[p->finished_end++ % PRE_EXECUTION_WAITING_MAX] = *job;
    ssize_t n = write(p->fd, &one, sizeof one);
    assert(n == sizeof one);
}

/* Waits for room for a write set of that size. */
static void begin_making(struct pre_execution *p, size_t size) {
    pthread_mutex_lock(&p->lock);
    while (p->making > 0 && p->making + size > PRE_EXECUTION_MAKING_MAX)
        pthread_cond_wait(&p->made, &p->lock);
    p->making += size;
    pthread_mutex_unlock(&p->lock);
}

static void end_making(struct pre_execution *p, size_t size) {
    pthread_mutex_lock(&p->lock);
    p->making -= size;
    pthread_mutex_unlock(&p->lock);
    pthread_cond_broadcast(&p->made);
}

/* The digest of its write set. */
static void make_write_set(const struct pre_execution *p, struct pre_execution_job *job,
                           size_t size) {
    struct error err = ERROR_NULL;
    cleanup_free uint8_t *bytes = mem_alloc(size ? size : 1);
    cleanup(write_set_deinit) struct write_set set;
    write_set_init(&set, size / WRITE_SET_ENTRY_HEAD < COMMAND_KEYS_MAX
                             ? size / WRITE_SET_ENTRY_HEAD + 1
                             : COMMAND_KEYS_MAX);
    p->handler->expand(job->command, bytes);
    int r = write_set_read(&set, bytes, size, &err);
    assert(r == 0); /* it is what a handler makes */
    memcpy(job->execution.write_set, set.digest, sizeof job->execution.write_set);
}

static void execute(struct pre_execution *p, struct pre_execution_job *job) {
    storage_execute(job->execution_ms, job->busy_wait);
    if (!job->command)
        return;
    size_t size = p->handler->write_set_size(job->command);
    begin_making(p, size);
    make_write_set(p, job, size);
    end_making(p, size);
    execution_sign(p->auth, job->digest, &job->execution, job->signature);
}

static void *work(void *argument) {
    struct pre_execution *p = argument;
    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        if (p->begun == p->pushed) {
            pthread_cond_wait(&p->wake, &p->lock);
            continue;
        }
        struct pre_execution_job job = p->waiting[p->begun++ % PRE_EXECUTION_WAITING_MAX];
        pthread_mutex_unlock(&p->lock);
        execute(p, &job);
        pthread_mutex_lock(&p->lock);
        finish(p, &job);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int pre_execution_new(const struct handler *handler, const struct auth *auth,
                      struct pre_execution **ret, struct error *err) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "eventfd");
    struct pre_execution *p = mem_new(struct pre_execution);
    p->handler = handler;
    p->auth = auth;
    p->fd = fd;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->made, NULL);
    *ret = p;
    return 0;
}

void pre_execution_free(struct pre_execution *p, void (*release)(void *request)) {
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_mutex_unlock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    for (unsigned i = 0; i < p->thread_count; i++)
        pthread_join(p->threads[i], NULL);
    for (; p->taken < p->finished_end; p->taken++)
        release(p->finished[p->taken % PRE_EXECUTION_WAITING_MAX].request);
    for (; p->begun < p->pushed; p->begun++)
        release(p->waiting[p->begun % PRE_EXECUTION_WAITING_MAX].request);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->made);
    pthread_mutex_destroy(&p->lock);
    close(p->fd);
    free(p);
}

static void start_threads(struct pre_execution *p) {
    while (p->thread_count < PRE_EXECUTION_THREADS) {
        pthread_t *thread = &p->threads[p->thread_count];
        if (pthread_create(thread, NULL, work, p) != 0)
            return;
        pthread_setname_np(*thread, "pre-execution");
        p->thread_count++;
    }
}

bool pre_execution_push(struct pre_execution *p, const struct pre_execution_job *job) {
    if (p->thread_count == 0)
        start_threads(p);
    pthread_mutex_lock(&p->lock);
    /* Running ones count as waiting until they are taken, so that `finished` always has room. */
    bool room = p->thread_count > 0 && p->pushed - p->taken < PRE_EXECUTION_WAITING_MAX &&
                p->bytes + job->size_bytes <= PRE_EXECUTION_BYTES_MAX;
    p->bytes += room ? job->size_bytes : 0;
    if (room)
        p->waiting[p->pushed++ % PRE_EXECUTION_WAITING_MAX] = *job;
    pthread_mutex_unlock(&p->lock);
    if (room)
        pthread_cond_signal(&p->wake);
    return room;
}

uint64_t pre_execution_count(struct pre_execution *p) {
    pthread_mutex_lock(&p->lock);
    uint64_t count = p->pushed - p->taken;
    pthread_mutex_unlock(&p->lock);
    return count;
}

int pre_execution_fd(const struct pre_execution *p) {
    return p->fd;
}

bool pre_execution_take(struct pre_execution *p, struct pre_execution_job *ret) {
    uint64_t count;
    pthread_mutex_lock(&p->lock);
    bool there = p->taken < p->finished_end;
    if (there) {
        *ret = p->finished[p->taken++ % PRE_EXECUTION_WAITING_MAX];
        p->bytes -= ret->size_bytes;
    } else {
        ssize_t n = read(p->fd, &count, sizeof count);
        (void)n; /* nothing to read is fine too */
    }
    pthread_mutex_unlock(&p->lock);
    return there;
}
