#include "executor/query.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int connect_to(const struct task *task, const struct addrinfo *a, int *ret_fd,
                      struct error *err) {
    cleanup_close int fd =
        socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create a socket");
    int problem = connect(fd, a->ai_addr, a->ai_addrlen) < 0 ? errno : 0;
    if (problem == EINPROGRESS) {
        socklen_t size = sizeof problem;
        if (task_wait(task, fd, POLLOUT, err) < 0)
            return -1;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size);
    }
    if (problem)
        return error_set_os(err, ERROR_UNREACHABLE, problem, "connect");
    *ret_fd = take_fd(&fd);
    return 0;
}

static int transfer(const struct task *task, int fd, void *data, size_t size, bool sending,
                    struct error *err) {
    char *at = data;
    while (size > 0) {
        ssize_t n = sending ? send(fd, at, size, MSG_NOSIGNAL) : recv(fd, at, size, 0);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        } else if (n == 0) {
            return error_set(err, ERROR_UNREACHABLE, "it closed the connection");
        } else if (errno == EAGAIN || errno == EINTR) {
            if (task_wait(task, fd, sending ? POLLOUT : POLLIN, err) < 0)
                return -1;
        } else {
            return error_set_os(err, ERROR_UNREACHABLE, errno, "the connection broke");
        }
    }
    return 0;
}

enum { ANSWER_MAX = 1024 };

static int receive(const struct task *task, int fd, enum wire_type type, uint8_t body[ANSWER_MAX],
                   size_t *ret_size, struct error *err) {
    uint8_t head[WIRE_HEADER_SIZE];
    struct wire_header header;
    if (transfer(task, fd, head, sizeof head, false, err) < 0 ||
        wire_header_decode(head, &header, err) < 0)
        return -1;
    if (header.type != type || header.body_size > ANSWER_MAX)
        return error_set(err, ERROR_INVALID, "unexpected answer (type %u, %u bytes)", header.type,
                         header.body_size);
    *ret_size = header.body_size;
    return transfer(task, fd, body, header.body_size, false, err);
}

static int ask(const struct task *task, int fd, const struct place *place, struct wire_status *ret,
               struct error *err) {
    uint8_t frame[WIRE_HELLO_SIZE_MAX], body[ANSWER_MAX];
    size_t size;
    struct wire_hello hello = {.role = WIRE_ROLE_CLIENT};
    struct wire_hello_answer answer;
    snprintf(hello.run, sizeof hello.run, "%s", place->cluster->run);
    size = wire_hello_encode(&hello, frame);
    if (transfer(task, fd, frame, size, true, err) < 0 ||
        receive(task, fd, WIRE_HELLO_ANSWER, body, &size, err) < 0 ||
        wire_hello_answer_decode(body, size, &answer, err) < 0)
        return -1;
    if (!answer.accepted)
        return error_set(err, ERROR_REFUSED, "%s", answer.text);
    if (answer.replica != place->replica)
        return error_set(err, ERROR_CONFLICT, "replica %u answers there, not replica %u",
                         answer.replica, place->replica);
    size = wire_status_query_encode(frame);
    if (transfer(task, fd, frame, size, true, err) < 0 ||
        receive(task, fd, WIRE_STATUS, body, &size, err) < 0)
        return -1;
    return wire_status_decode(body, size, ret, err);
}

int query_status(const struct task *task, const struct place *place, struct wire_status *ret,
                 struct error *err) {
    const struct transport_address *to = &place->addresses[place->replica];
    char service[8];
    snprintf(service, sizeof service, "%u", to->port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int problem = getaddrinfo(to->host, service, &hints, &list);
    if (problem)
        return error_set(err, ERROR_CONFIG, "the address '%s': %s", to->host,
                         gai_strerror(problem));
    cleanup_close int fd = -1;
    int r = connect_to(task, list, &fd, err);
    freeaddrinfo(list);
    if (r < 0 || ask(task, fd, place, ret, err) < 0)
        return error_wrap(err, "replica %u at %s:%u", place->replica, to->host, to->port);
    return 0;
}
