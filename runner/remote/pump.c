#include "runner/remote/pump.h"

#include "lib/buffer.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 64 * 1024,
    TAIL_BYTES = 4000, /* of the errors, before they are made harmless */
};

struct pumping {
    const struct host_exec *exec;
    int input_fd, output_fd, errors_fd; /* -1: ended */
    char *piece;
    char *pending; /* of the input; PIECE_BYTES */
    size_t pending_at, pending_size;
    struct buffer tail;
};

static void end_input(struct pumping *p) {
    if (p->input_fd >= 0)
        shutdown(p->input_fd, SHUT_WR);
    p->input_fd = -1;
}

static ssize_t pull_input(const struct pumping *p, struct error *err) {
    const struct source *input = p->exec->input;
    if (input)
        return input->pull(input->arg, p->pending, PIECE_BYTES, err);
    ssize_t n = read(*p->exec->input_fd, p->pending, PIECE_BYTES);
    return n < 0 && errno != EAGAIN && errno != EINTR ? 0 : n; /* it is no more: that is an end */
}

static int send_input(struct pumping *p, struct error *err) {
    if (p->pending_at == p->pending_size) {
        ssize_t n = pull_input(p, err);
        if (n < 0)
            return p->exec->input ? -1 : 0;
        if (n == 0) {
            end_input(p);
            return 0;
        }
        p->pending_at = 0;
        p->pending_size = (size_t)n;
    }
    ssize_t n = send(p->input_fd, p->pending + p->pending_at, p->pending_size - p->pending_at,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        p->pending_at += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        end_input(p); /* it reads no more */
    return 0;
}

static void keep_tail(struct pumping *p, const char *data, size_t size) {
    if (size > TAIL_BYTES) {
        data += size - TAIL_BYTES;
        size = TAIL_BYTES;
    }
    if (p->tail.size + size > TAIL_BYTES)
        buffer_consume(&p->tail, p->tail.size + size - TAIL_BYTES);
    buffer_append(&p->tail, data, size);
}

/* One read; 1: the sink has had enough. */
static int receive(struct pumping *p, int *fd, const struct sink *sink, bool keep,
                   struct error *err) {
    ssize_t n = read(*fd, p->piece, PIECE_BYTES);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        *fd = -1;
        return 0;
    }
    if (sink) {
        int r = sink->push(sink->arg, p->piece, (size_t)n, err);
        return r > 0 ? 1 : r;
    }
    if (keep)
        keep_tail(p, p->piece, (size_t)n);
    return 0;
}

static int step(struct pumping *p, const struct task *task, struct error *err) {
    /* A descriptor has to have something before it is read: reading would wait. */
    bool ask = p->input_fd >= 0 && p->exec->input_fd && p->pending_at == p->pending_size;
    struct pollfd fds[5] = {
        {.fd = p->output_fd, .events = POLLIN},
        {.fd = p->errors_fd, .events = POLLIN},
        {.fd = ask ? -1 : p->input_fd, .events = POLLOUT},
        {.fd = task->cancel ? task->cancel->event_fd : -1, .events = POLLIN},
        {.fd = ask ? *p->exec->input_fd : -1, .events = POLLIN},
    };
    if (task_check(task, err) < 0)
        return -1;
    int n = poll(fds, 5, instant_poll_ms(task->deadline, clock_instant(), -1));
    if (n < 0 && errno != EINTR)
        return error_set_os(err, ERROR_IO, errno, "poll");
    if (n <= 0)
        return 0;
    int r = 0;
    if (fds[0].revents)
        r = receive(p, &p->output_fd, p->exec->output, false, err);
    if (r == 0 && fds[1].revents)
        r = receive(p, &p->errors_fd, p->exec->errors, true, err);
    if (r == 0 && p->input_fd >= 0 && (fds[2].revents || fds[4].revents))
        r = send_input(p, err);
    return r;
}

static void set_non_blocking(int fd) {
    if (fd >= 0)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void write_errors(const struct pumping *p, struct host_exec_result *ret) {
    cleanup(buffer_deinit) struct buffer shown;
    buffer_init(&shown, 4 * TAIL_BYTES + 16);
    text_harmless(&shown, buffer_string(&p->tail), p->tail.size);
    size_t skip = shown.size < sizeof ret->errors ? 0 : shown.size - (sizeof ret->errors - 1);
    snprintf(ret->errors, sizeof ret->errors, "%s", buffer_string(&shown) + skip);
    size_t end = strlen(ret->errors);
    while (end > 0 && ret->errors[end - 1] == '\n')
        ret->errors[--end] = '\0';
}

int pump_run(const struct pump *pump, const struct host_exec *exec, const struct task *task,
             struct host_exec_result *ret, struct error *err) {
    cleanup_free char *piece = mem_alloc(PIECE_BYTES);
    bool has_input = exec->input || exec->input_fd;
    cleanup_free char *pending = has_input ? mem_alloc(PIECE_BYTES) : NULL;
    struct pumping p = {.exec = exec,
                        .input_fd = pump->input_fd,
                        .output_fd = pump->output_fd,
                        .errors_fd = pump->errors_fd,
                        .piece = piece,
                        .pending = pending};
    buffer_init(&p.tail, TAIL_BYTES);
    set_non_blocking(p.input_fd);
    set_non_blocking(p.output_fd);
    set_non_blocking(p.errors_fd);
    if (!has_input)
        end_input(&p);
    int r = 0;
    while (r == 0 && (p.output_fd >= 0 || p.errors_fd >= 0))
        r = step(&p, task, err);
    write_errors(&p, ret);
    buffer_deinit(&p.tail);
    return r;
}
