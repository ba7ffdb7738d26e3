#include "lib/task.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int cancel_init(struct cancel *c, struct error *err) {
    atomic_init(&c->level, 0);
    c->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->event_fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create eventfd");
    return 0;
}

void cancel_deinit(struct cancel *c) {
    if (c->event_fd >= 0)
        close(c->event_fd);
    c->event_fd = -1;
}

void cancel_raise(struct cancel *c, int level) {
    int saved_errno = errno;
    int now = atomic_load(&c->level);
    while (now < level && !atomic_compare_exchange_weak(&c->level, &now, level)) {
    }
    uint64_t one = 1;
    /* Full means raised already: nothing to do. */
    ssize_t n = write(c->event_fd, &one, sizeof one);
    (void)n;
    errno = saved_errno;
}

int cancel_level(const struct cancel *c) {
    return atomic_load(&c->level);
}

struct task task_within(const struct task *task, uint64_t ns) {
    struct task narrowed = *task;
    narrowed.deadline = instant_earlier(task->deadline, instant_after(clock_instant(), ns));
    return narrowed;
}

int task_check(const struct task *task, struct error *err) {
    if (task->cancel && cancel_level(task->cancel) > 0)
        return error_set(err, ERROR_CANCELLED, "cancelled");
    if (instant_passed(task->deadline, clock_instant()))
        return error_set(err, ERROR_TIMEOUT, "timed out");
    return 0;
}

int task_wait(const struct task *task, int fd, short events, struct error *err) {
    for (;;) {
        if (task_check(task, err) < 0)
            return -1;
        struct pollfd fds[2] = {
            {.fd = fd, .events = events},
            {.fd = task->cancel ? task->cancel->event_fd : -1, .events = POLLIN},
        };
        int n = poll(fds, 2, instant_poll_ms(task->deadline, clock_instant(), -1));
        if (n < 0 && errno != EINTR)
            return error_set_os(err, ERROR_IO, errno, "poll");
        if (n > 0 && fds[0].revents)
            return task_check(task, err);
    }
}

int task_sleep(const struct task *task, uint64_t ns, struct error *err) {
    struct instant end = instant_after(clock_instant(), ns);
    struct task narrowed = *task;
    narrowed.deadline = instant_earlier(task->deadline, end);
    if (task_wait(&narrowed, -1, 0, err) < 0 && err->kind != ERROR_TIMEOUT)
        return -1;
    if (instant_passed(end, clock_instant())) {
        error_clear(err);
        return 0;
    }
    return -1;
}
