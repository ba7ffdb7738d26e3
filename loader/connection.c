#include "loader/connection.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "loader/limits.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* The largest frame that a client connection may be sent. */
enum { FRAME_SIZE_MAX = (int)WIRE_HELLO_ANSWER_SIZE_MAX + (int)SEAL_TAG_SIZE };
static_assert((int)WIRE_REPLY_SIZE_MAX <= (int)WIRE_HELLO_ANSWER_SIZE_MAX, "all answers fit");
static_assert((int)WIRE_STATUS_SIZE_MAX <= (int)WIRE_HELLO_ANSWER_SIZE_MAX, "all answers fit");
static_assert(FRAME_SIZE_MAX <= LOADER_INPUT_SIZE / 16, "the buffer holds many frames");

void connection_init(struct connection *c, const struct endpoint *peer, uint16_t index,
                     const char *run, uint64_t id, const struct wire_clients *clients,
                     const struct identity *identity) {
    *c = (struct connection){.peer = peer,
                             .index = index,
                             .run = run,
                             .id = id,
                             .clients = *clients,
                             .identity = identity,
                             .fd = -1};
    c->in = mem_alloc(LOADER_INPUT_SIZE);
}

void connection_deinit(struct connection *c) {
    connection_close(c);
    free(c->in);
    c->in = NULL;
}

void connection_error_text(const struct connection *c, struct error *err) {
    error_wrap(err, "replica %u ('%s' at %s)", c->index, c->peer->name, c->peer->address);
}

void connection_close(struct connection *c) {
    if (c->fd >= 0)
        close(take_fd(&c->fd));
    handshake_deinit(&c->handshake);
    seal_deinit(&c->seal);
    c->state = CONNECTION_CLOSED;
}

int connection_open(struct connection *c, struct error *err) {
    assert(c->state == CONNECTION_CLOSED);
    c->in_begin = c->in_end = 0;
    c->fd =
        socket(c->peer->socket_address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return error_set_os(err, ERROR_IO, errno, "make a socket");
    int on = 1; /* a request must not wait for the acknowledgement of the one before */
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->state = CONNECTION_CONNECTING;
    if (connect(c->fd, (const struct sockaddr *)&c->peer->socket_address,
                c->peer->socket_address_size) < 0 &&
        errno != EINPROGRESS) {
        error_set_os(err, ERROR_UNREACHABLE, errno, "connect");
        connection_close(c);
        return connection_error(c, err);
    }
    return 0;
}

uint32_t connection_greeting_events(const struct connection *c) {
    return c->state == CONNECTION_CONNECTING ? EPOLLOUT : EPOLLIN;
}

/* An unused socket has room for so little; if not, something is badly wrong with it. */
static int send_whole(const struct connection *c, const uint8_t *frame, size_t size,
                      struct error *err) {
    ssize_t written = send(c->fd, frame, size, MSG_NOSIGNAL);
    if (written < 0)
        return error_set_os(err, ERROR_UNREACHABLE, errno, "send the greeting");
    if ((size_t)written != size)
        return error_set(err, ERROR_UNREACHABLE, "the system took only a part of the greeting");
    return 0;
}

static int say_hello(struct connection *c, struct error *err) {
    int failure = 0;
    socklen_t size = sizeof failure;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0)
        failure = errno;
    if (failure)
        return error_set_os(err, ERROR_UNREACHABLE, failure, "connect");
    struct wire_hello hello = {.role = WIRE_ROLE_CLIENT, .id = c->id, .clients = c->clients};
    memcpy(hello.run, c->run, strlen(c->run) + 1);
    uint8_t frame[WIRE_HELLO_SIZE_MAX];
    if (send_whole(c, frame, handshake_begin(&c->handshake, c->identity, c->index, &hello, frame),
                   err) < 0)
        return -1;
    c->state = CONNECTION_GREETING;
    return 0;
}

static int prove(struct connection *c, const uint8_t proof[WIRE_HELLO_PROOF_SIZE],
                 struct seal_keys *keys, struct error *err) {
    seal_init(&c->seal, keys);
    c->state = CONNECTION_PROVEN;
    return send_whole(c, proof, WIRE_HELLO_PROOF_SIZE, err);
}

static int take_frame(struct connection *c, const struct wire_header *header, const uint8_t *body,
                      struct error *err) {
    struct seal_keys keys;
    uint8_t proof[WIRE_HELLO_PROOF_SIZE];
    if (c->state == CONNECTION_PROVEN) {
        if (header->type != WIRE_WELCOME || header->body_size != 0)
            return error_set(err, ERROR_INVALID, "it sent a frame of type %u instead of WELCOME",
                             header->type);
        c->state = CONNECTION_READY;
        return 0;
    }
    if (header->type != WIRE_HELLO_ANSWER)
        return error_set(err, ERROR_INVALID, "it answered HELLO with a frame of type %u",
                         header->type);
    int r = handshake_take_answer(&c->handshake, body, header->body_size, &c->answer, proof, &keys,
                                  err);
    if (r != 0)
        return r < 0 ? -1 : prove(c, proof, &keys, err);
    c->state = CONNECTION_READY;
    return 0;
}

static int take_answer(struct connection *c, struct error *err) {
    struct wire_header header;
    const uint8_t *body;
    if (connection_read(c, err) < 0)
        return -1;
    int r = connection_frame(c, &header, &body, err);
    return r <= 0 ? r : take_frame(c, &header, body, err);
}

int connection_ready(struct connection *c, struct error *err) {
    int r = c->state == CONNECTION_CONNECTING ? say_hello(c, err) : take_answer(c, err);
    return r < 0 ? connection_error(c, err) : 0;
}

int connection_read(struct connection *c, struct error *err) {
    if (c->in_begin > 0) {
        memmove(c->in, c->in + c->in_begin, c->in_end - c->in_begin);
        c->in_end -= c->in_begin;
        c->in_begin = 0;
    }
    /* There is always room: what is left is less than a frame. */
    ssize_t n = recv(c->fd, c->in + c->in_end, LOADER_INPUT_SIZE - c->in_end, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return error_set_os(err, ERROR_UNREACHABLE, errno, "the connection broke");
    if (n == 0)
        return error_set(err, ERROR_UNREACHABLE, "it closed the connection");
    c->in_end += (size_t)n;
    return 0;
}

int connection_frame(struct connection *c, struct wire_header *ret, const uint8_t **ret_body,
                     struct error *err) {
    size_t left = c->in_end - c->in_begin;
    if (left < WIRE_HEADER_SIZE)
        return 0;
    const uint8_t *frame = c->in + c->in_begin;
    struct wire_header header;
    bool sealed = seal_is_on(&c->seal);
    if ((sealed ? wire_sealed_header_decode(frame, &header, err)
                : wire_header_decode(frame, &header, err)) < 0)
        return error_wrap(err, "it does not speak our protocol");
    if (header.body_size > FRAME_SIZE_MAX - WIRE_HEADER_SIZE)
        return error_set(err, ERROR_INVALID, "it sent a frame of type %u with %u bytes",
                         header.type, header.body_size);
    if (left < WIRE_HEADER_SIZE + header.body_size)
        return 0;
    struct unsealed unsealed = {.size = header.body_size};
    if (sealed && seal_open(&c->seal, &header, frame + WIRE_HEADER_SIZE, &unsealed, err) < 0)
        return -1;
    c->in_begin += WIRE_HEADER_SIZE + header.body_size;
    header.body_size = (uint32_t)unsealed.size;
    *ret = header;
    *ret_body = frame + WIRE_HEADER_SIZE;
    return 1;
}

int connection_write(struct connection *c, const struct iovec *vectors, int count,
                     size_t *ret_bytes, struct error *err) {
    const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)vectors,
                                   .msg_iovlen = (size_t)count};
    ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL); /* writev would raise SIGPIPE */
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return error_set_os(err, ERROR_UNREACHABLE, errno, "the connection broke");
    *ret_bytes = n < 0 ? 0 : (size_t)n;
    return 0;
}
