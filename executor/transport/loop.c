#include "executor/transport/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

int loop_init(struct loop *loop, struct error *err) {
    loop->fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->fd < 0)
        return error_set_os(err, ERROR_IO, errno, "epoll_create1");
    return 0;
}

void loop_deinit(struct loop *loop) {
    if (loop->fd >= 0)
        close(loop->fd);
    *loop = LOOP_NULL;
}

int loop_watch(struct loop *loop, struct watch *watch, uint32_t events, struct error *err) {
    if (watch->added && watch->events == events)
        return 0;
    struct epoll_event event = {.events = events, .data.ptr = watch};
    int op = watch->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(loop->fd, op, watch->fd, &event) < 0)
        return error_set_os(err, ERROR_IO, errno, "watch a descriptor");
    watch->added = true;
    watch->events = events;
    return 0;
}

void loop_unwatch(struct loop *loop, struct watch *watch) {
    if (!watch->added)
        return;
    epoll_ctl(loop->fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->added = false;
    watch->events = 0;
}

int loop_round(struct loop *loop, struct instant deadline, struct error *err) {
    enum { READY_MAX = 128 };
    struct epoll_event ready[READY_MAX];
    int timeout_ms = instant_poll_ms(deadline, clock_instant(), 60 * 1000);
    int count = epoll_wait(loop->fd, ready, READY_MAX, timeout_ms);
    if (count < 0 && errno != EINTR)
        return error_set_os(err, ERROR_IO, errno, "epoll_wait");
    loop->now = clock_instant();
    for (int i = 0; i < count; i++) {
        struct watch *watch = ready[i].data.ptr;
        uint32_t events = ready[i].events;
        if (events & (EPOLLERR | EPOLLHUP))
            events |= EPOLLIN;
        if (watch->added) /* not unwatched by one of those before it */
            watch->ready(watch, events);
    }
    return 0;
}
