#include "executor/transport/transport.h"

#include "executor/transport/limits.h"
#include "executor/transport/links.h"

#include "lib/memory.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

void transport_note(struct transport *t, bool warning, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    t->events.note(t->events.context, warning, text);
}

/* ---- links ---- */

static struct link *link_of(struct connection *c) {
    return (struct link *)c;
}

uint64_t link_origin(const struct link *link) {
    return (uint64_t)link->transport->links[link->index].generation << 32 | link->index;
}

static void link_ready(struct watch *watch, uint32_t events);

/* One of those who have not proven who they are goes; in turns, so that each has had about as long
 * as there is time for. False: they all have. */
static bool make_room(struct transport *t) {
    for (uint32_t i = 0; i < TRANSPORT_CONNECTIONS_MAX; i++) {
        struct link *link = t->links[t->turn++ % TRANSPORT_CONNECTIONS_MAX].link;
        if (!link || (link->state != LINK_STRANGER && link->state != LINK_PROVING &&
                      link->state != LINK_CLOSING))
            continue;
        link_close(link, "it made room for another, before it has proven who it is");
        return true;
    }
    return false;
}

struct link *link_new(struct transport *t, int fd, enum link_state state, uint32_t events) {
    struct error err = ERROR_NULL;
    cleanup_close int owned = fd;
    if (t->free_count == 0 && !make_room(t))
        return NULL;
    struct link *link = mem_new(struct link);
    connection_init(&link->connection, take_fd(&owned));
    link->connection.watch.ready = link_ready;
    link->connection.body_max = TRANSPORT_HELLO_BODY_MAX;
    link->transport = t;
    link->state = state;
    link->opened = clock_instant();
    if (loop_watch(t->loop, &link->connection.watch, events, &err) < 0) {
        connection_deinit(&link->connection, &t->room);
        free(link);
        return NULL;
    }
    link->index = t->free_slots[--t->free_count];
    t->links[link->index].link = link;
    t->link_count++;
    t->due = instant_earlier(t->due, instant_after(link->opened, t->config.hello_ms * NS_PER_MS));
    return link;
}

void link_forget_handshake(struct link *link) {
    if (!link->handshake)
        return;
    handshake_deinit(link->handshake);
    free(take_ptr(link->handshake));
}

static void note_unsent(struct link *link, uint64_t bytes) {
    link->transport->unsent += bytes - link->unsent;
    link->unsent = bytes;
}

/* Out of reach at once, freed at the end of the round: events for it may still be on their way. */
static void link_remove(struct link *link) {
    struct transport *t = link->transport;
    loop_unwatch(t->loop, &link->connection.watch);
    note_unsent(link, 0);
    connection_deinit(&link->connection, &t->room);
    link_forget_handshake(link);
    t->links[link->index].link = NULL;
    t->links[link->index].generation++;
    t->free_slots[t->free_count++] = link->index;
    t->link_count--;
    t->dead[t->dead_count++] = link;
}

void link_close(struct link *link, const char *why) {
    struct transport *t = link->transport;
    if (t->links[link->index].link != link)
        return; /* closed already, in this round */
    enum link_state state = link->state;
    if (why)
        transport_note(t, state != LINK_CLIENT, "%s: %s", link->where, why);
    link_remove(link);
    if (state != LINK_PEER && state != LINK_CONNECTING && state != LINK_GREETING &&
        state != LINK_PROVEN)
        return;
    if (t->dials[link->peer].link == link) {
        t->dials[link->peer].link = NULL;
        if (link->peer < t->config.replica)
            dial_later(t, link->peer);
        if (state == LINK_PEER)
            t->events.peer_down(t->events.context, link->peer);
    }
}

void link_up(struct link *link) {
    struct transport *t = link->transport;
    struct dial *dial = &t->dials[link->peer];
    snprintf(link->where, sizeof link->where, "replica %u", link->peer);
    if (dial->link && dial->link != link)
        link_close(dial->link, "replaced by a new connection");
    dial->link = link;
    dial->pause_ms = TRANSPORT_RETRY_MS_MIN;
    dial->noted = false;
    link->state = LINK_PEER;
    link->connection.has_room = true;
    t->events.peer_up(t->events.context, link->peer);
}

static void mark_dirty(struct link *link) {
    if (link->dirty)
        return;
    assert(link->transport->dirty_count < 2 * TRANSPORT_CONNECTIONS_MAX);
    link->dirty = true;
    link->transport->dirty[link->transport->dirty_count++] = link->index;
}

void link_send(struct link *link, const void *frame, size_t size) {
    connection_queue(&link->connection, frame, size, NULL, 0);
    mark_dirty(link);
}

/* It is closed when all others have been flushed. */
static void doom(struct link *link, const char *why) {
    snprintf(link->doom, sizeof link->doom, "%s", why);
    mark_dirty(link);
}

static int on_frame(struct connection *c, const struct frame *frame, struct error *err) {
    struct link *link = link_of(c);
    struct transport *t = link->transport;
    if (link->doom[0])
        return error_set(err, ERROR_INVALID, "%s", link->doom);
    if (link->state == LINK_CLIENT || link->state == LINK_MONITOR)
        return t->events.client_frame(t->events.context, link_origin(link),
                                      link->state == LINK_CLIENT ? link->peer : TRANSPORT_MONITOR,
                                      frame, err);
    if (link->state == LINK_PEER)
        return t->events.peer_frame(t->events.context, link->peer, frame, err);
    return greeting_frame(link, frame, err);
}

static void flush(struct link *link) {
    struct error err;
    struct connection *c = &link->connection;
    error_init(&err);
    if (link->state == LINK_CONNECTING)
        return;
    int r = connection_flush(c, &err);
    note_unsent(link, link->state == LINK_PEER ? 0 : c->queued_bytes);
    uint64_t queue_max = link->state == LINK_PEER ? (uint64_t)TRANSPORT_PEER_QUEUE_MAX
                                                  : (uint64_t)TRANSPORT_CLIENT_QUEUE_MAX;
    if (r > 0 && c->queued_bytes > queue_max)
        r = error_set(&err, ERROR_LIMIT, "it does not read what it asked for");
    if (r >= 0)
        r = loop_watch(link->transport->loop, &c->watch, r > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN,
                       &err);
    if (r < 0 && link->state == LINK_PEER)
        doom(link, err.text);
    else if (r < 0)
        link_close(link, err.text);
    else if (link->state == LINK_CLOSING && c->segment_count == 0)
        link_close(link, NULL);
}

static bool is_client(const struct link *link) {
    return link->state == LINK_CLIENT || link->state == LINK_MONITOR;
}

static bool is_open(const struct link *link) {
    return is_client(link) || link->state == LINK_PEER;
}

static void link_ready(struct watch *watch, uint32_t events) {
    struct error err;
    struct link *link = (struct link *)watch;
    struct transport *t = link->transport;
    error_init(&err);
    if (link->state == LINK_CONNECTING) {
        dial_connected(link);
        return;
    }
    t->room.now = t->loop->now;
    if (events & EPOLLIN && connection_receive(&link->connection, &t->room, on_frame, &err) < 0) {
        link_close(link, err.kind == ERROR_UNREACHABLE && is_client(link) ? NULL : err.text);
        return;
    }
    /* Not at once: what was queued in this round may have to wait for the disk first. */
    if (events & EPOLLOUT && t->links[link->index].link == link)
        mark_dirty(link);
}

/* ---- listening ---- */

static void name_stranger(struct link *link, const struct sockaddr_storage *address) {
    char host[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        port = ntohs(in->sin_port);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        port = ntohs(in->sin6_port);
    }
    snprintf(link->where, sizeof link->where, "%s:%u", host, port);
}

static void stop_accepting(struct transport *t) {
    loop_unwatch(t->loop, &t->listener);
    t->accept_again = instant_after(clock_instant(), 100 * NS_PER_MS);
    t->due = instant_earlier(t->due, t->accept_again);
}

static void listener_ready(struct watch *watch, uint32_t events) {
    struct transport *t =
        (struct transport *)(void *)((char *)watch - offsetof(struct transport, listener));
    (void)events;
    for (int i = 0; i < 64; i++) { /* the others want their turn too */
        struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
        socklen_t size = sizeof address;
        int fd =
            accept4(watch->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                transport_note(t, true, "no more connections for now: %s", strerror(errno));
                stop_accepting(t);
            }
            return;
        }
        socket_options(fd);
        struct link *link = link_new(t, fd, LINK_STRANGER, EPOLLIN);
        if (link)
            name_stranger(link, &address);
        else
            transport_note(t, true, "a connection was refused: there are %u already",
                           t->link_count);
    }
}

static int bind_and_listen(int fd, const struct addrinfo *a, const struct transport_config *config,
                           struct error *err) {
    uint16_t port = config->addresses[config->replica].port;
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, TRANSPORT_BACKLOG) == 0)
        return 0;
    int problem = errno;
    error_set_os(err, problem == EADDRINUSE ? ERROR_CONFLICT : ERROR_IO, problem,
                 "listen on %s port %u", config->listen_host, port);
    if (problem == EADDRINUSE)
        return error_hint(err,
                          "another process has that port (ss -ltnp 'sport = :%u' names it); stop "
                          "it, or choose another first port in x-seatrial.ports",
                          port);
    if (problem == EADDRNOTAVAIL)
        return error_hint(err, "this machine does not have that address; --listen 0.0.0.0 listens "
                               "on all that it has");
    return -1;
}

static int listen_on(struct transport *t, struct error *err) {
    const struct transport_config *config = &t->config;
    struct addrinfo *list = NULL;
    if (address_resolve(config->listen_host, config->addresses[config->replica].port, true, &list,
                        err) < 0)
        return -1;
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    int r = fd < 0 ? error_set_os(err, ERROR_IO, errno, "create a socket")
                   : bind_and_listen(fd, list, config, err);
    freeaddrinfo(list);
    t->listener = (struct watch){.fd = fd, .ready = listener_ready};
    if (r < 0)
        return -1;
    return loop_watch(t->loop, &t->listener, EPOLLIN, err);
}

static uint32_t connections_max(struct transport *t) {
    struct rlimit limit;
    if (t->config.connections_max) {
        assert(t->config.connections_max <= TRANSPORT_CONNECTIONS_MAX);
        return t->config.connections_max;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return TRANSPORT_CONNECTIONS_MAX;
    uint64_t files = limit.rlim_cur, left = TRANSPORT_FILES_LEFT;
    uint64_t most = files / 2 > left ? files - left : files / 2;
    if (most >= TRANSPORT_CONNECTIONS_MAX)
        return TRANSPORT_CONNECTIONS_MAX;
    transport_note(t, false, "at most %u connections, of %llu descriptors", (unsigned)most,
                   (unsigned long long)files);
    return (uint32_t)most;
}

int transport_open(struct loop *loop, const struct transport_config *config,
                   const struct transport_events *events, struct transport **ret,
                   struct error *err) {
    cleanup(transport_freep) struct transport *t = mem_new(struct transport);
    t->loop = loop;
    t->config = *config;
    if (t->config.hello_ms == 0)
        t->config.hello_ms = TRANSPORT_HELLO_MS;
    t->events = *events;
    t->listener.fd = -1;
    t->accept_again = INSTANT_NEVER; /* everything else is due at once */
    t->random = clock_instant().ns ^ config->replica;
    receive_room_init(&t->room);
    t->links = mem_new_array(struct slot, TRANSPORT_CONNECTIONS_MAX);
    t->free_slots = mem_new_array(uint32_t, TRANSPORT_CONNECTIONS_MAX);
    t->dirty = mem_new_array(uint32_t, 2 * TRANSPORT_CONNECTIONS_MAX);
    t->dead = mem_new_array(struct link *, 2 * TRANSPORT_CONNECTIONS_MAX);
    for (uint32_t i = connections_max(t); i > 0; i--)
        t->free_slots[t->free_count++] = i - 1;
    t->dials = mem_new_array(struct dial, config->n);
    for (uint16_t i = 0; i < config->n; i++)
        t->dials[i].pause_ms = TRANSPORT_RETRY_MS_MIN;
    if (listen_on(t, err) < 0)
        return -1;
    *ret = take_ptr(t);
    return 0;
}

static void free_dead(struct transport *t) {
    for (uint32_t i = 0; i < t->dead_count; i++)
        free(t->dead[i]);
    t->dead_count = 0;
}

void transport_free(struct transport *t) {
    for (uint32_t i = 0; t->links && i < TRANSPORT_CONNECTIONS_MAX; i++)
        if (t->links[i].link)
            link_remove(t->links[i].link);
    free_dead(t);
    if (t->listener.fd >= 0) {
        loop_unwatch(t->loop, &t->listener);
        close(t->listener.fd);
    }
    receive_room_deinit(&t->room);
    free(t->links);
    free(t->free_slots);
    free(t->dirty);
    free(t->dead);
    free(t->dials);
    free(t);
}

/* ---- the round ---- */

static struct link *dirty_link(const struct transport *t, uint32_t i) {
    struct link *link = t->links[t->dirty[i]].link;
    return link && link->dirty ? link : NULL;
}

/* Those who have most go first: whoever reads has nothing to fear. */
static void close_unread(struct transport *t) {
    while (t->unsent > TRANSPORT_CLIENTS_QUEUE_MAX) {
        struct link *most = NULL;
        for (uint32_t i = 0; i < TRANSPORT_CONNECTIONS_MAX; i++) {
            struct link *link = t->links[i].link;
            if (link && (!most || link->unsent > most->unsent))
                most = link;
        }
        link_close(most, "it does not read, and all clients together leave too much unread");
    }
}

/* Who is doomed ends behind all others: what the owner says to that waits for the next round, since
 * it may have to be on a disk first. */
static void flush_dirty(struct transport *t) {
    uint32_t count = t->dirty_count;
    for (uint32_t i = 0; i < count; i++) {
        struct link *link = dirty_link(t, i);
        if (!link || link->doom[0])
            continue;
        link->dirty = false;
        flush(link);
    }
    close_unread(t);
    count = t->dirty_count;
    for (uint32_t i = 0; i < count; i++) {
        struct link *link = dirty_link(t, i);
        if (link && link->doom[0])
            link_close(link, link->doom);
    }
    t->dirty_count -= count;
    memmove(t->dirty, t->dirty + count, t->dirty_count * sizeof *t->dirty);
}

/* When the link is closed if nothing happens. */
static struct instant link_deadline(const struct link *link) {
    struct instant deadline =
        instant_after(link->connection.frame_since, TRANSPORT_FRAME_MS * NS_PER_MS);
    if (!is_open(link))
        deadline = instant_earlier(
            deadline, instant_after(link->opened, link->transport->config.hello_ms * NS_PER_MS));
    return deadline;
}

static void close_late(struct transport *t, struct instant now) {
    for (uint32_t i = 0; i < TRANSPORT_CONNECTIONS_MAX; i++) {
        struct link *link = t->links[i].link;
        if (!link)
            continue;
        struct instant deadline = link_deadline(link);
        if (!instant_passed(deadline, now)) {
            t->due = instant_earlier(t->due, deadline);
            continue;
        }
        link_close(link, link->state == LINK_STRANGER ? "it connected and did not say HELLO in time"
                         : link->state == LINK_PROVING    ? "it did not prove who it is in time"
                         : link->state == LINK_GREETING   ? "it did not answer HELLO in time"
                         : link->state == LINK_PROVEN     ? "it did not say WELCOME in time"
                         : link->state == LINK_CONNECTING ? "no answer to the connection attempt"
                                                          : "a frame was not completed in time");
    }
}

static void do_due(struct transport *t, struct instant now) {
    struct error err = ERROR_NULL;
    /* Frames that begin later have deadlines too; noticing them a second late is soon enough. */
    t->due = t->link_count > 0 ? instant_after(now, NS_PER_SEC) : INSTANT_NEVER;
    close_late(t, now);
    dial_due(t, now);
    if (t->accept_again.ns == INSTANT_NEVER.ns)
        return;
    if (!instant_passed(t->accept_again, now)) {
        t->due = instant_earlier(t->due, t->accept_again);
    } else if (loop_watch(t->loop, &t->listener, EPOLLIN, &err) < 0) {
        transport_note(t, true, "%s", err.text);
    } else {
        t->accept_again = INSTANT_NEVER;
    }
}

struct instant transport_round(struct transport *t) {
    flush_dirty(t);
    struct instant now = clock_instant();
    if (instant_passed(t->due, now))
        do_due(t, now);
    free_dead(t);
    return t->dirty_count > 0 ? now : t->due;
}

void transport_send_peer(struct transport *t, uint16_t peer, const void *head, size_t head_size,
                         struct blob *blob, size_t offset) {
    struct link *link = t->dials[peer].link;
    if (!link || link->state != LINK_PEER)
        return;
    connection_queue(&link->connection, head, head_size, blob, offset);
    mark_dirty(link);
}

/* NULL: it has gone. */
static struct link *client_at(struct transport *t, uint64_t origin) {
    const struct slot *slot = &t->links[(uint32_t)origin];
    assert((uint32_t)origin < TRANSPORT_CONNECTIONS_MAX);
    bool there = slot->link && slot->generation == origin >> 32 && is_client(slot->link);
    return there ? slot->link : NULL;
}

void transport_send_client(struct transport *t, uint64_t origin, const void *frame, size_t size) {
    transport_send_client_blob(t, origin, frame, size, NULL);
}

void transport_send_client_blob(struct transport *t, uint64_t origin, const void *head,
                                size_t head_size, struct blob *blob) {
    struct link *link = client_at(t, origin);
    if (!link)
        return;
    connection_queue(&link->connection, head, head_size, blob, 0);
    mark_dirty(link);
}

void transport_dismiss_client(struct transport *t, uint64_t origin, const char *why) {
    struct link *link = client_at(t, origin);
    if (!link)
        return;
    transport_note(t, true, "%s is dismissed: %s", link->where, why);
    link->state = LINK_CLOSING;
    mark_dirty(link);
}

void transport_disconnect_peer(struct transport *t, uint16_t peer, const char *why) {
    struct link *link = t->dials[peer].link;
    if (!link || link->state != LINK_PEER)
        return;
    /* Not at once: the wish may come out of one of its own frames. */
    doom(link, why);
}

uint64_t transport_queued(const struct transport *t, uint16_t peer) {
    const struct link *link = t->dials[peer].link;
    return link ? link->connection.queued_bytes : 0;
}

void transport_get_stats(const struct transport *t, struct transport_stats *ret) {
    *ret = (struct transport_stats){.partial_bytes = t->room.partial_bytes};
    for (uint32_t i = 0; i < TRANSPORT_CONNECTIONS_MAX; i++) {
        const struct link *link = t->links[i].link;
        if (!link)
            continue;
        bool peer = link->state == LINK_PEER, client = is_client(link);
        ret->peers += peer;
        ret->clients += client;
        ret->strangers += !peer && !client;
        *(peer ? &ret->peer_bytes : &ret->client_bytes) += link->connection.queued_bytes;
    }
}

bool transport_unsent(const struct transport *t) {
    for (uint32_t i = 0; i < TRANSPORT_CONNECTIONS_MAX; i++)
        if (t->links[i].link && t->links[i].link->connection.segment_count > 0)
            return true;
    return false;
}
