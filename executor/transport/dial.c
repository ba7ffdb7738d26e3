#include "executor/transport/limits.h"
#include "executor/transport/links.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

int address_resolve(const char *host, uint16_t port, bool passive, struct addrinfo **ret,
                    struct error *err) {
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0)};
    int problem = getaddrinfo(host, service, &hints, ret);
    if (problem)
        return error_set(err, ERROR_CONFIG, "the address '%s': %s", host, gai_strerror(problem));
    return 0;
}

/* Best effort: what cannot be set makes a connection slower, not wrong. */
void socket_options(int fd) {
    const int on = 1, idle_s = 5, interval_s = 2, probes = 3, dead_ms = TRANSPORT_DEAD_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms);
}

void dial_later(struct transport *t, uint16_t peer) {
    struct dial *dial = &t->dials[peer];
    t->random = t->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    /* Between half and the whole of the pause, so that replicas do not knock in step. */
    uint64_t jitter_ms = (t->random >> 33) % (dial->pause_ms / 2 + 1);
    dial->next = instant_after(clock_instant(), (dial->pause_ms - jitter_ms) * NS_PER_MS);
    dial->pause_ms *= 2;
    if (dial->pause_ms > TRANSPORT_RETRY_MS_MAX)
        dial->pause_ms = TRANSPORT_RETRY_MS_MAX;
    t->due = instant_earlier(t->due, dial->next);
}

/* A socket on its way to the first address that takes connect(). */
static int start_connect(const struct addrinfo *list, struct error *err) {
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        cleanup_close int fd =
            socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
        if (fd < 0)
            return error_set_os(err, ERROR_IO, errno, "create a socket");
        socket_options(fd);
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS)
            return take_fd(&fd);
        error_set_os(err, ERROR_UNREACHABLE, errno, "connect");
    }
    return -1;
}

static void note_unreachable(struct transport *t, uint16_t peer, const char *why) {
    if (t->dials[peer].noted)
        return; /* once is enough until it was up again */
    t->dials[peer].noted = true;
    transport_note(t, false, "replica %u at %s:%u is not there yet: %s", peer,
                   t->config.addresses[peer].host, t->config.addresses[peer].port, why);
}

/* Names are resolved each time, since a container's name exists only while it runs. */
static void dial_peer(struct transport *t, uint16_t peer) {
    struct error err = ERROR_NULL;
    const struct transport_address *address = &t->config.addresses[peer];
    struct addrinfo *list = NULL;
    int fd = -1;
    if (address_resolve(address->host, address->port, false, &list, &err) == 0) {
        fd = start_connect(list, &err);
        freeaddrinfo(list);
    }
    struct link *link = fd >= 0 ? link_new(t, fd, LINK_CONNECTING, EPOLLOUT) : NULL;
    if (!link) {
        note_unreachable(t, peer, fd >= 0 ? "too many connections" : err.text);
        dial_later(t, peer);
        return;
    }
    link->peer = peer;
    snprintf(link->where, sizeof link->where, "replica %u", peer);
    t->dials[peer].link = link;
}

void dial_due(struct transport *t, struct instant now) {
    for (uint16_t peer = 0; peer < t->config.replica; peer++) {
        struct dial *dial = &t->dials[peer];
        if (dial->link)
            continue;
        if (instant_passed(dial->next, now))
            dial_peer(t, peer);
        if (!dial->link)
            t->due = instant_earlier(t->due, dial->next);
    }
}

void dial_connected(struct link *link) {
    struct transport *t = link->transport;
    int problem = 0;
    socklen_t size = sizeof problem;
    getsockopt(link->connection.watch.fd, SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem) {
        char reason[128];
        note_unreachable(t, link->peer, strerror_r(problem, reason, sizeof reason));
        link_close(link, NULL);
        return;
    }
    greeting_begin(link);
}
