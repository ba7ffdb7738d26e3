#include "tests/fake/voters.h"

#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/memory.h"
#include "lib/wire.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_SIZE = 4 * 1024 * 1024, CLIENTS = 64 * 1024, FLOOD_FRAMES = 1024, VALUE_SIZE = 64 };

struct replica {
    int listen_fd, fd; /* -1: none */
    uint16_t port;
    bool greeted;
    uint8_t *in;
    size_t size;
    size_t flooded; /* of the flood, which begins anew when all of it was sent */
};

struct voters {
    struct voters_script script;
    struct voters_counts counts;
    struct replica replicas[VOTERS_MAX];
    uint64_t *executed; /* the last number of each client */
    uint64_t *ignored;  /* the last number of each client that the primary lost */
    uint64_t came;      /* to the primary for the first time */
    uint8_t *flood;
    size_t flood_size;
    int stop_fd;
    pthread_t thread;
};

static bool is_deaf(const struct voters *v, int index) {
    return index == 0 && v->script.deaf_after > 0 && v->counts.executed >= v->script.deaf_after;
}

static void hang_up(struct replica *r) {
    if (r->fd >= 0)
        close(take_fd(&r->fd));
    r->size = r->flooded = 0;
    r->greeted = false;
}

static void send_all(struct replica *r, const void *data, size_t size) {
    if (r->fd >= 0 && send(r->fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        hang_up(r);
}

static void greet(struct voters *v, int index) {
    uint16_t n = v->script.n, f = (uint16_t)((n - 1) / 3);
    bool alone = v->script.voters[index] == VOTER_ALONE;
    bool lies = v->script.voters[index] == VOTER_LIES || alone;
    const struct wire_hello_answer answer = {.accepted = true,
                                             .replica = (uint16_t)index,
                                             .primary = lies ? (uint16_t)index : 0,
                                             .n = n,
                                             .f = f,
                                             .answers = alone               ? 1
                                                        : v->script.answers ? v->script.answers
                                                                            : (uint16_t)(f + 1)};
    uint8_t frame[WIRE_HELLO_ANSWER_SIZE_MAX];
    v->replicas[index].greeted = true;
    send_all(&v->replicas[index], frame, wire_hello_answer_encode(&answer, frame));
}

/* What it has read, as a handler that gives values says it: found, and the value. */
static size_t value_of(const struct voters *v, int index, const struct wire_request *request,
                       uint8_t out[VALUE_SIZE]) {
    enum voter voter = v->script.voters[index];
    bool other =
        voter == VOTER_FORGES || (voter == VOTER_AHEAD && request->flags & WIRE_REQUEST_READ_ONLY);
    const char *value = other ? "another" : v->script.value;
    size_t size = 1 + strlen(value);
    assert(size <= VALUE_SIZE);
    out[0] = 1;
    memcpy(out + 1, value, size - 1);
    return size;
}

static void send_value(struct voters *v, int index, const struct wire_request *request,
                       uint64_t height) {
    uint8_t head[WIRE_VALUE_HEAD_SIZE], value[VALUE_SIZE];
    const struct wire_value m = {.client = request->client,
                                 .number = request->number,
                                 .replica = (uint16_t)index,
                                 .height = height,
                                 .value = value,
                                 .value_size = (uint32_t)value_of(v, index, request, value)};
    wire_value_encode_head(&m, head);
    send_all(&v->replicas[index], head, sizeof head);
    send_all(&v->replicas[index], value, m.value_size);
}

static void reply_at(struct voters *v, int index, const struct wire_request *request,
                     uint64_t height) {
    enum voter voter = v->script.voters[index];
    uint64_t later = is_deaf(v, 0);
    struct wire_reply reply = {.client = request->client,
                               .number = request->number,
                               .replica = (uint16_t)index,
                               .view = voter == VOTER_LIES ? 99 : v->script.view + later,
                               .height = height};
    uint8_t frame[WIRE_REPLY_SIZE_MAX];
    if (!v->replicas[index].greeted || voter == VOTER_SILENT || voter == VOTER_ABSENT ||
        voter == VOTER_FLOODS || is_deaf(v, index))
        return;
    bool differs =
        voter == VOTER_LIES || (voter == VOTER_AHEAD && request->flags & WIRE_REQUEST_READ_ONLY);
    memset(reply.digest, differs ? 0x80 + index : 1, sizeof reply.digest);
    if (v->script.value) {
        uint8_t value[VALUE_SIZE];
        size_t size = value_of(v, index, request, value);
        send_value(v, index, request, height);
        if (request->flags & WIRE_REQUEST_READ_ONLY)
            sha256_of(value, size, reply.digest);
    }
    if (voter == VOTER_REFUSES)
        reply.status = WIRE_REPLY_REFUSED;
    if (voter == VOTER_STRANGER)
        reply.replica = (uint16_t)((index + 1) % v->script.n);
    send_all(&v->replicas[index], frame, wire_reply_encode(&reply, frame));
}

static void reply(struct voters *v, int index, const struct wire_request *request) {
    reply_at(v, index, request, request->number);
}

static void vanish(struct voters *v) {
    hang_up(&v->replicas[0]);
    if (v->replicas[0].listen_fd >= 0)
        close(take_fd(&v->replicas[0].listen_fd));
}

static bool is_lost(struct voters *v, int index, const struct wire_request *request) {
    uint64_t *ignored = &v->ignored[request->client % CLIENTS];
    if (index != 0 || *ignored == request->number)
        return false;
    v->came++;
    if (v->script.ignore_each == 0 || v->came % v->script.ignore_each != 0)
        return false;
    *ignored = request->number;
    return true;
}

/* Whoever is asked answers for itself, at a height of its own. */
static void take_read(struct voters *v, int index, const struct wire_request *request) {
    v->counts.reads++;
    reply_at(v, index, request, 1000 + (uint64_t)index);
}

static void take_request(struct voters *v, int index, const struct wire_request *request) {
    uint64_t *executed = &v->executed[request->client % CLIENTS];
    v->counts.requests++;
    v->counts.came_to[index]++;
    v->counts.resent += index != 0 || request->number <= *executed;
    if (request->number <= *executed) {
        if (request->number == *executed)
            reply(v, index, request);
        return;
    }
    if (is_lost(v, index, request))
        return;
    if (v->script.voters[index] == VOTER_ALONE) {
        reply(v, index, request);
        return;
    }
    *executed = request->number;
    v->counts.executed++;
    v->counts.ordered_reads += request->key_count == 0 && request->read_count > 0;
    if (v->counts.executed == v->script.vanish_after)
        vanish(v);
    for (int i = 0; i < v->script.n; i++)
        reply(v, i, request);
}

static bool take_frame(struct voters *v, int index) {
    struct replica *r = &v->replicas[index];
    struct error err = ERROR_NULL;
    struct wire_header header;
    struct wire_request request;
    if (r->fd < 0 || r->size < WIRE_HEADER_SIZE)
        return false;
    int good = wire_header_decode(r->in, &header, &err);
    assert(good == 0);
    size_t whole = WIRE_HEADER_SIZE + header.body_size;
    if (r->size < whole)
        return false;
    if (header.type == WIRE_REQUEST) {
        good = wire_request_decode(r->in + WIRE_HEADER_SIZE, header.body_size, &request, &err);
        assert(good == 0);
        if (request.flags & WIRE_REQUEST_READ_ONLY)
            take_read(v, index, &request);
        else
            take_request(v, index, &request);
    } else {
        greet(v, index);
    }
    (void)good;
    if (r->size >= whole) { /* it may have hung up */
        memmove(r->in, r->in + whole, r->size - whole);
        r->size -= whole;
    }
    return true;
}

static void serve(struct voters *v, int index) {
    struct replica *r = &v->replicas[index];
    ssize_t n = recv(r->fd, r->in + r->size, IN_SIZE - r->size, 0);
    if (n <= 0) {
        hang_up(r);
        return;
    }
    r->size += (size_t)n;
    while (take_frame(v, index))
        continue;
}

/* Replies to nobody. */
static void make_flood(struct voters *v) {
    const struct wire_reply reply = {.number = 1};
    v->flood = mem_alloc(FLOOD_FRAMES * (size_t)WIRE_REPLY_SIZE_MAX);
    for (int i = 0; i < FLOOD_FRAMES; i++)
        v->flood_size += wire_reply_encode(&reply, v->flood + v->flood_size);
}

/* As much as there is room for. */
static void flood(const struct voters *v, struct replica *r) {
    ssize_t n =
        send(r->fd, v->flood + r->flooded, v->flood_size - r->flooded, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        r->flooded = (r->flooded + (size_t)n) % v->flood_size;
}

static short awaited(const struct voters *v, int index) {
    bool floods = v->script.voters[index] == VOTER_FLOODS && v->replicas[index].greeted;
    return floods ? POLLIN | POLLOUT : POLLIN;
}

static void take_connection(struct replica *r) {
    int fd = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC), on = 1;
    if (fd < 0)
        return;
    hang_up(r);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    r->fd = fd;
}

static void *work(void *arg) {
    struct voters *v = arg;
    for (;;) {
        struct pollfd fds[1 + 2 * VOTERS_MAX] = {{.fd = v->stop_fd, .events = POLLIN}};
        for (int i = 0; i < v->script.n; i++) {
            fds[1 + 2 * i] = (struct pollfd){.fd = v->replicas[i].listen_fd, .events = POLLIN};
            fds[2 + 2 * i] = (struct pollfd){.fd = is_deaf(v, i) ? -1 : v->replicas[i].fd,
                                             .events = awaited(v, i)};
        }
        if (poll(fds, 1 + 2 * (nfds_t)v->script.n, -1) < 0)
            continue;
        if (fds[0].revents)
            return NULL;
        for (int i = 0; i < v->script.n; i++) {
            if (fds[2 + 2 * i].revents & POLLOUT)
                flood(v, &v->replicas[i]);
            if (fds[2 + 2 * i].revents & ~POLLOUT && v->replicas[i].fd == fds[2 + 2 * i].fd)
                serve(v, i);
            if (fds[1 + 2 * i].revents && v->replicas[i].listen_fd >= 0)
                take_connection(&v->replicas[i]);
        }
    }
}

static int start_replica(struct voters *v, int index, struct error *err) {
    struct replica *r = &v->replicas[index];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    *r = (struct replica){.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .fd = -1};
    if (bind(r->listen_fd, (struct sockaddr *)&address, size) < 0 ||
        getsockname(r->listen_fd, (struct sockaddr *)&address, &size) < 0)
        return error_set_os(err, ERROR_IO, errno, "bind");
    r->port = ntohs(address.sin_port);
    r->in = mem_alloc(IN_SIZE);
    if (v->script.voters[index] == VOTER_ABSENT)
        close(take_fd(&r->listen_fd));
    else if (listen(r->listen_fd, 8) < 0)
        return error_set_os(err, ERROR_IO, errno, "listen");
    return 0;
}

int voters_start(const struct voters_script *script, struct voters **ret, struct error *err) {
    struct voters *v = mem_new(struct voters);
    v->script = *script;
    v->executed = mem_new_array(uint64_t, CLIENTS);
    v->ignored = mem_new_array(uint64_t, CLIENTS);
    make_flood(v);
    v->stop_fd = eventfd(0, EFD_CLOEXEC);
    for (int i = 0; i < script->n; i++)
        if (start_replica(v, i, err) < 0)
            return -1; /* a test that ends here, ends */
    int failure = pthread_create(&v->thread, NULL, work, v);
    assert(failure == 0);
    (void)failure;
    *ret = v;
    return 0;
}

uint16_t voters_port(const struct voters *v, int index) {
    return v->replicas[index].port;
}

void voters_stop(struct voters *v, struct voters_counts *ret) {
    uint64_t one = 1;
    ssize_t n = write(v->stop_fd, &one, sizeof one);
    (void)n;
    pthread_join(v->thread, NULL);
    for (int i = 0; i < v->script.n; i++) {
        hang_up(&v->replicas[i]);
        if (v->replicas[i].listen_fd >= 0)
            close(v->replicas[i].listen_fd);
        free(v->replicas[i].in);
    }
    close(v->stop_fd);
    *ret = v->counts;
    free(v->executed);
    free(v->ignored);
    free(v->flood);
    free(v);
}
