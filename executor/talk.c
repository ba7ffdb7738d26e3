#include "executor/talk.h"

#include "lib/cleanup.h"
#include "lib/handshake.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { IN_MAX = (int)WIRE_HEADER_SIZE + (int)WIRE_BODY_MAX + (int)SEAL_TAG_SIZE };

/* ---- the socket ---- */

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

static int dial(struct talk *t, const struct task *task, struct error *err) {
    const struct transport_address *to = &t->place->addresses[t->replica];
    char service[8];
    snprintf(service, sizeof service, "%u", to->port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int problem = getaddrinfo(to->host, service, &hints, &list);
    if (problem)
        return error_set(err, ERROR_CONFIG, "the address '%s': %s", to->host,
                         gai_strerror(problem));
    int r = connect_to(task, list, &t->fd, err);
    freeaddrinfo(list);
    return r;
}

static int send_all(const struct talk *t, const struct task *task, const void *data, size_t size,
                    struct error *err) {
    const char *at = data;
    while (size > 0) {
        ssize_t n = send(t->fd, at, size, MSG_NOSIGNAL);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        } else if (errno == EAGAIN || errno == EINTR) {
            if (task_wait(task, t->fd, POLLOUT, err) < 0)
                return -1;
        } else {
            return error_set_os(err, ERROR_UNREACHABLE, errno, "the connection broke");
        }
    }
    return 0;
}

/* 1: something came. */
static int read_some(struct talk *t, struct error *err) {
    enum { PART = 64 * 1024 };
    size_t left = IN_MAX - t->in.size, want = left < PART ? left : PART;
    ssize_t n = recv(t->fd, buffer_reserve(&t->in, want), want, 0);
    if (n > 0) {
        buffer_commit(&t->in, (size_t)n);
        return 1;
    }
    if (n == 0)
        return error_set(err, ERROR_UNREACHABLE, "it closed the connection");
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    return error_set_os(err, ERROR_UNREACHABLE, errno, "the connection broke");
}

/* ---- frames ---- */

static int say(struct talk *t, const struct task *task, uint8_t *head, size_t head_size,
               const void *payload, size_t payload_size, const uint8_t *payload_hash,
               struct error *err) {
    uint8_t tag[SEAL_TAG_SIZE];
    bool sealed = seal_is_on(&t->seal);
    size_t direct = head_size - WIRE_HEADER_SIZE;
    if (sealed) {
        const struct sealed frame = {.parts = {head + WIRE_HEADER_SIZE},
                                     .sizes = {direct},
                                     .rest_hash = payload_size > 0 ? payload_hash : NULL};
        seal_header(head, direct);
        seal_tag(&t->seal, t->seal.sent++, head, &frame, tag);
    }
    if (send_all(t, task, head, head_size, err) < 0 ||
        send_all(t, task, payload, payload_size, err) < 0)
        return -1;
    return sealed ? send_all(t, task, tag, sizeof tag, err) : 0;
}

/* The frame that lies first in `in`, if it is whole. */
static int take_frame(struct talk *t, struct wire_header *ret, const uint8_t **ret_body,
                      struct error *err) {
    const uint8_t *data = (const uint8_t *)t->in.data;
    struct wire_header header;
    bool sealed = seal_is_on(&t->seal);
    if (t->in.size < WIRE_HEADER_SIZE)
        return 0;
    if ((sealed ? wire_sealed_header_decode(data, &header, err)
                : wire_header_decode(data, &header, err)) < 0)
        return -1;
    if (t->in.size < WIRE_HEADER_SIZE + (size_t)header.body_size)
        return 0;
    t->consumed = (uint32_t)WIRE_HEADER_SIZE + header.body_size;
    struct unsealed unsealed = {.size = header.body_size};
    if (sealed && seal_open(&t->seal, &header, data + WIRE_HEADER_SIZE, &unsealed, err) < 0)
        return -1;
    header.body_size = (uint32_t)unsealed.size;
    *ret = header;
    *ret_body = data + WIRE_HEADER_SIZE;
    return 1;
}

static int hear(struct talk *t, struct wire_header *ret, const uint8_t **ret_body,
                struct error *err) {
    buffer_consume(&t->in, t->consumed);
    t->consumed = 0;
    int r;
    while ((r = take_frame(t, ret, ret_body, err)) == 0)
        if ((r = read_some(t, err)) <= 0)
            return r;
    return r;
}

static int expect(struct talk *t, const struct task *task, enum wire_type type,
                  const uint8_t **ret_body, size_t *ret_size, struct error *err) {
    struct wire_header header = {0};
    int r;
    while ((r = hear(t, &header, ret_body, err)) == 0)
        if (task_wait(task, t->fd, POLLIN, err) < 0)
            return -1;
    if (r < 0)
        return -1;
    if (header.type != type)
        return error_set(err, ERROR_INVALID, "unexpected answer (type %u, %u bytes)", header.type,
                         header.body_size);
    *ret_size = header.body_size;
    return 0;
}

static int greet(struct talk *t, const struct task *task, struct handshake *h,
                 const struct wire_hello *hello, struct error *err) {
    uint8_t frame[WIRE_HELLO_SIZE_MAX], proof[WIRE_HELLO_PROOF_SIZE];
    struct wire_hello m = *hello;
    struct seal_keys keys;
    const uint8_t *body;
    snprintf(m.run, sizeof m.run, "%s", t->place->cluster->run);
    size_t size = handshake_begin(h, t->place->identity, t->replica, &m, frame);
    if (say(t, task, frame, size, NULL, 0, NULL, err) < 0 ||
        expect(t, task, WIRE_HELLO_ANSWER, &body, &size, err) < 0)
        return -1;
    int r = handshake_take_answer(h, body, size, &t->answer, proof, &keys, err);
    if (r <= 0)
        return r;
    if (say(t, task, proof, sizeof proof, NULL, 0, NULL, err) < 0)
        return -1;
    seal_init(&t->seal, &keys);
    return expect(t, task, WIRE_WELCOME, &body, &size, err);
}

/* ---- for others ---- */

static int wrap(const struct talk *t, int r, struct error *err) {
    const struct transport_address *to = &t->place->addresses[t->replica];
    return r < 0 ? error_wrap(err, "replica %u at %s:%u", t->replica, to->host, to->port) : r;
}

int talk_open(struct talk *t, const struct task *task, const struct place *place, uint16_t replica,
              const struct wire_hello *hello, struct error *err) {
    cleanup(handshake_deinit) struct handshake h = HANDSHAKE_NULL;
    *t = (struct talk){.place = place, .replica = replica, .fd = -1, .seal = SEAL_NULL};
    buffer_init(&t->in, IN_MAX);
    if (dial(t, task, err) == 0 && greet(t, task, &h, hello, err) == 0)
        return 0;
    wrap(t, -1, err);
    talk_close(t);
    return -1;
}

void talk_close(struct talk *t) {
    if (t->fd >= 0)
        close(t->fd);
    seal_deinit(&t->seal);
    buffer_deinit(&t->in);
    t->fd = -1;
}

int talk_send(struct talk *t, const struct task *task, uint8_t *head, size_t head_size,
              const void *payload, size_t payload_size, const uint8_t *payload_hash,
              struct error *err) {
    return wrap(t, say(t, task, head, head_size, payload, payload_size, payload_hash, err), err);
}

int talk_receive(struct talk *t, struct wire_header *ret, const uint8_t **ret_body,
                 struct error *err) {
    return wrap(t, hear(t, ret, ret_body, err), err);
}

int talk_expect(struct talk *t, const struct task *task, enum wire_type type,
                const uint8_t **ret_body, size_t *ret_size, struct error *err) {
    return wrap(t, expect(t, task, type, ret_body, ret_size, err), err);
}
