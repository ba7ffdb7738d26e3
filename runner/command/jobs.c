#include "runner/command/jobs.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "runner/command/command.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define TICK_NS (200 * (long)NS_PER_MS)

/* The jobs of one host. */
struct queue {
    struct job *jobs;
    size_t count;
    atomic_size_t next;
    job_function *function;
    void *arg;
};

static int work(struct job *job, const struct queue *q, struct engine **engine, struct error *err) {
    struct task task = command_task();
    if (job->engine && !*engine && engine_open(job->engine, &task, engine, err) < 0)
        return -1;
    return q->function(job->subject, *engine, q->arg, err);
}

static void *worker(void *arg) {
    struct queue *q = arg;
    cleanup(engine_closep) struct engine *engine = NULL;
    for (size_t i; (i = atomic_fetch_add(&q->next, 1)) < q->count;) {
        struct error err = ERROR_NULL;
        q->jobs[i].result = work(&q->jobs[i], q, &engine, &err);
        if (q->jobs[i].result < 0)
            q->jobs[i].fault = mem_dup(&err, sizeof err);
    }
    return NULL;
}

/* The queue of each host; returns how many. */
static size_t make_queues(struct job *jobs, size_t count, struct queue *queues,
                          job_function *function, void *arg) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || jobs[i].engine != jobs[i - 1].engine)
            queues[n++] = (struct queue){.jobs = &jobs[i], .function = function, .arg = arg};
        queues[n - 1].count++;
    }
    return n;
}

static void join(pthread_t thread, const struct jobs_watch *watch) {
    struct timespec until;
    while (watch->tick) {
        clock_gettime(CLOCK_REALTIME, &until); /* pthread_timedjoin_np knows no other */
        until.tv_nsec += TICK_NS;
        until.tv_sec += until.tv_nsec / (long)NS_PER_SEC;
        until.tv_nsec %= (long)NS_PER_SEC;
        if (pthread_timedjoin_np(thread, NULL, &until) == 0)
            return;
        watch->tick(watch->arg);
    }
    pthread_join(thread, NULL);
}

void jobs_run(struct job *jobs, size_t count, size_t workers, job_function *function, void *arg) {
    jobs_run_watched(jobs, count, workers, function, arg, &(struct jobs_watch){.tick = NULL});
}

void jobs_run_watched(struct job *jobs, size_t count, size_t workers, job_function *function,
                      void *arg, const struct jobs_watch *watch) {
    cleanup_free struct queue *queues = mem_new_array(struct queue, count);
    cleanup_free pthread_t *threads = mem_new_array(pthread_t, count);
    size_t queue_count = make_queues(jobs, count, queues, function, arg), thread_count = 0;
    for (size_t q = 0; q < queue_count; q++) {
        size_t wanted = workers && workers < queues[q].count ? workers : queues[q].count;
        size_t before = thread_count;
        for (size_t w = 0; w < wanted; w++)
            if (pthread_create(&threads[thread_count], NULL, worker, &queues[q]) == 0)
                thread_count++;
        if (thread_count == before) /* no thread to be had: then this one does it */
            worker(&queues[q]);
    }
    for (size_t i = 0; i < thread_count; i++)
        join(threads[i], watch);
}

void jobs_free(struct job *jobs, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(jobs[i].fault);
    free(jobs);
}
