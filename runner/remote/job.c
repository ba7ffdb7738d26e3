#include "runner/remote/job.h"

#include "lib/memory.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void destination_deinit(struct destination *d) {
    free(d->unix_socket);
    free(d->address);
    *d = (struct destination){.port = 0};
}

int job_new(enum job_kind kind, struct job **ret, struct error *err) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create eventfd");
    struct job *job = mem_new(struct job);
    job->kind = kind;
    job->fds[0] = job->fds[1] = -1;
    job->done_fd = fd;
    atomic_init(&job->holders, 1);
    atomic_init(&job->done, false);
    atomic_init(&job->abandoned, false);
    *ret = job;
    return 0;
}

void job_release(struct job *job) {
    if (atomic_fetch_sub(&job->holders, 1) > 1)
        return;
    for (size_t i = 0; i < 2; i++)
        if (job->fds[i] >= 0)
            close(job->fds[i]);
    close(job->done_fd);
    destination_deinit(&job->destination);
    free(job->command);
    free(job->term);
    free(job);
}

void job_finish(struct job *job, int result, const struct error *err) {
    uint64_t one = 1;
    job->result = result;
    if (err)
        job->err = *err;
    atomic_store(&job->done, true);
    ssize_t n = write(job->done_fd, &one, sizeof one);
    (void)n;
    job_release(job);
}

void job_abandon(struct job *job) {
    atomic_store(&job->abandoned, true);
}

int job_wait(struct job *job, const struct task *task, struct error *err) {
    while (!atomic_load(&job->done))
        if (task_wait(task, job->done_fd, POLLIN, err) < 0) {
            job_abandon(job);
            return -1;
        }
    if (job->result < 0)
        *err = job->err;
    return job->result;
}
