#include "executor/pre_execution.h"

#include "executor/storage.h"

#include "lib/memory.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A ring; positions only rise: taken <= finished and begun <= pushed. */
struct pre_execution {
    int fd;
    pthread_t threads[PRE_EXECUTION_THREADS];
    unsigned thread_count;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    bool stopping;
    struct pre_execution_job waiting[PRE_EXECUTION_WAITING_MAX];
    uint64_t begun;
    uint64_t pushed;
    void *finished[PRE_EXECUTION_WAITING_MAX]; /* room for all: see pre_execution_push */
    uint64_t finished_end;
    uint64_t taken;
};

static void finish(struct pre_execution *p, void *request) {
    const uint64_t one = 1;
    p->finished[p->finished_end++ % PRE_EXECUTION_WAITING_MAX] = request;
    ssize_t n = write(p->fd, &one, sizeof one);
    assert(n == sizeof one);
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
        storage_execute(job.execution_ms, job.busy_wait);
        pthread_mutex_lock(&p->lock);
        finish(p, job.request);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int pre_execution_new(struct pre_execution **ret, struct error *err) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "eventfd");
    struct pre_execution *p = mem_new(struct pre_execution);
    p->fd = fd;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
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
        release(p->finished[p->taken % PRE_EXECUTION_WAITING_MAX]);
    for (; p->begun < p->pushed; p->begun++)
        release(p->waiting[p->begun % PRE_EXECUTION_WAITING_MAX].request);
    pthread_cond_destroy(&p->wake);
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
    bool room = p->thread_count > 0 && p->pushed - p->taken < PRE_EXECUTION_WAITING_MAX;
    if (room)
        p->waiting[p->pushed++ % PRE_EXECUTION_WAITING_MAX] = *job;
    pthread_mutex_unlock(&p->lock);
    if (room)
        pthread_cond_signal(&p->wake);
    return room;
}

int pre_execution_fd(const struct pre_execution *p) {
    return p->fd;
}

void *pre_execution_take(struct pre_execution *p) {
    uint64_t count;
    void *request = NULL;
    pthread_mutex_lock(&p->lock);
    if (p->taken < p->finished_end) {
        request = p->finished[p->taken++ % PRE_EXECUTION_WAITING_MAX];
    } else {
        ssize_t n = read(p->fd, &count, sizeof count);
        (void)n; /* nothing to read is fine too */
    }
    pthread_mutex_unlock(&p->lock);
    return request;
}
