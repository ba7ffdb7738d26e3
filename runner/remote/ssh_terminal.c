#include "runner/remote/ssh_terminal.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

enum { PIECE_BYTES = 16 * 1024, SIZE_CHECK_MS = 250 };

struct terminal {
    struct tunnel *tunnel;
    struct job *job;
    int fd;
    bool input_ended;
    char unsent[PIECE_BYTES];
    size_t unsent_at, unsent_end;
};

bool ssh_terminal_size(struct job *job) {
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        size = (struct winsize){.ws_col = 80, .ws_row = 24};
    int columns = atomic_exchange(&job->columns, size.ws_col);
    int rows = atomic_exchange(&job->rows, size.ws_row);
    return columns != size.ws_col || rows != size.ws_row;
}

static void send_unsent(struct terminal *t) {
    ssize_t n = send(t->fd, t->unsent + t->unsent_at, t->unsent_end - t->unsent_at,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        t->unsent_at += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        t->unsent_at = t->unsent_end;
}

static void read_input(struct terminal *t) {
    ssize_t n = read(STDIN_FILENO, t->unsent, sizeof t->unsent);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    t->unsent_at = 0;
    t->unsent_end = n > 0 ? (size_t)n : 0;
    if (n <= 0) {
        t->input_ended = true;
        shutdown(t->fd, SHUT_WR);
    }
}

static int write_all(const char *data, size_t size, struct error *err) {
    while (size > 0) {
        ssize_t n = write(STDOUT_FILENO, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&fd, 1, -1);
            continue;
        }
        if (n < 0)
            return error_set_os(err, ERROR_IO, errno, "write to the terminal");
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

/* 1: it has ended. */
static int read_output(struct terminal *t, struct error *err) {
    char piece[PIECE_BYTES];
    ssize_t n = recv(t->fd, piece, sizeof piece, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return n <= 0 ? 1 : write_all(piece, (size_t)n, err);
}

static int step(struct terminal *t, const struct task *task, struct error *err) {
    bool pending = t->unsent_at < t->unsent_end;
    struct pollfd fds[3] = {
        {.fd = t->fd, .events = pending ? POLLIN | POLLOUT : POLLIN},
        {.fd = t->input_ended || pending ? -1 : STDIN_FILENO, .events = POLLIN},
        {.fd = task->cancel ? task->cancel->event_fd : -1, .events = POLLIN},
    };
    if (task_check(task, err) < 0)
        return -1;
    if (ssh_terminal_size(t->job))
        tunnel_wake(t->tunnel);
    if (poll(fds, 3, instant_poll_ms(task->deadline, clock_instant(), SIZE_CHECK_MS)) < 0)
        return errno == EINTR ? 0 : error_set_os(err, ERROR_IO, errno, "poll");
    if (fds[0].revents & POLLOUT)
        send_unsent(t);
    if (fds[1].revents)
        read_input(t);
    return fds[0].revents & (POLLIN | POLLHUP | POLLERR) ? read_output(t, err) : 0;
}

int ssh_terminal_run(struct tunnel *tunnel, struct job *job, int fd, const struct task *task,
                     struct error *err) {
    struct terminal t = {.tunnel = tunnel, .job = job, .fd = fd};
    struct termios before, raw;
    bool has_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    if (has_terminal) {
        raw = before;
        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    int r = 0;
    while (r == 0)
        r = step(&t, task, err);
    if (has_terminal)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    return r < 0 ? -1 : 0;
}
