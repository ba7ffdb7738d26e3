#include "loader/peers.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "loader/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>

void peers_init(struct peers *p, const struct targets *targets, int epoll_fd,
                uint64_t connect_timeout_ns, const struct peers_self *self, loader_note *note,
                void *note_context) {
    *p = (struct peers){
        .count = targets->count,
        .epoll_fd = epoll_fd,
        .connect_timeout_ns = connect_timeout_ns,
        .primary = PEERS_NOBODY,
        .leader = PEERS_NOBODY,
        .give_up = INSTANT_NEVER,
        .note = note,
        .note_context = note_context,
    };
    p->list = mem_new_array(struct peer, p->count);
    for (size_t i = 0; i < p->count; i++) {
        struct peer *peer = &p->list[i];
        connection_init(&peer->connection, &targets->replicas[i], (uint16_t)i, targets->run,
                        self->id, &self->clients, self->identity);
        peer->until = peer->next = INSTANT_NEVER;
        peer->failure = mem_new(struct error);
    }
}

void peers_deinit(struct peers *p) {
    for (size_t i = 0; i < p->count; i++) {
        connection_deinit(&p->list[i].connection);
        free(p->list[i].failure);
    }
    free(p->list);
    *p = PEERS_NULL;
}

void peers_start(struct peers *p, struct instant now) {
    p->give_up = instant_after(now, p->connect_timeout_ns);
    for (size_t i = 0; i < p->count; i++)
        p->list[i].next = now;
}

struct connection *peers_primary(const struct peers *p) {
    return p->primary == PEERS_NOBODY ? NULL : &p->list[p->primary].connection;
}

/* Level-triggered: one read that did not fill its buffer ends a turn (edge-triggered needs another
 * until EAGAIN), and room to write is watched only while the kernel refuses bytes. */
static void watch(struct peers *p, struct peer *peer, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.u32 = (uint32_t)(peer - p->list)};
    peer->events = events;
    int r = epoll_ctl(p->epoll_fd, operation, peer->connection.fd, &event);
    assert(r == 0); /* a fresh descriptor of ours, or one that is there */
}

static void watch_other(struct peers *p, struct peer *peer, uint32_t events) {
    if (events != peer->events)
        watch(p, peer, events, EPOLL_CTL_MOD);
}

static void note(const struct peers *p, const struct error *err) {
    p->note(p->note_context, err->text);
}

/* Plans another attempt where one makes sense. */
static void failed(struct peers *p, struct peer *peer, const struct error *why,
                   struct instant now) {
    connection_close(&peer->connection);
    *peer->failure = *why;
    peer->until = peer->next = INSTANT_NEVER;
    peer->dead = !error_retryable(why->kind);
    if (p->primary != PEERS_NOBODY && peer->pause_ns == 0)
        note(p, why);
    if ((p->primary != PEERS_NOBODY && !p->everyone) || peer->dead)
        return;
    uint64_t pause = peer->answered   ? 0
                     : peer->pause_ns ? 2 * peer->pause_ns
                                      : LOADER_RETRY_FIRST_NS;
    peer->pause_ns = pause < LOADER_RETRY_LAST_NS ? pause : LOADER_RETRY_LAST_NS;
    peer->next = instant_after(now, peer->pause_ns);
    peer->answered = false;
}

static void begin_attempt(struct peers *p, struct peer *peer, struct instant now) {
    struct error err = ERROR_NULL;
    peer->next = INSTANT_NEVER;
    peer->until = instant_after(now, LOADER_ATTEMPT_NS);
    if (p->primary == PEERS_NOBODY)
        peer->until = instant_earlier(peer->until, p->give_up);
    if (connection_open(&peer->connection, &err) < 0)
        failed(p, peer, &err, now);
    else
        watch(p, peer, connection_greeting_events(&peer->connection), EPOLL_CTL_ADD);
}

/* A primary: nobody else is needed, but who is being greeted may come to the end of it. */
static void follow(struct peers *p, size_t index) {
    p->primary = (int)index;
    for (size_t i = 0; i < p->count; i++) {
        struct peer *peer = &p->list[i];
        if (peer->connection.state == CONNECTION_CLOSED && peer->failure->kind != ERROR_NONE)
            note(p, peer->failure);
        if (!p->everyone)
            peer->next = INSTANT_NEVER;
    }
}

/* The primary is lost, or none was found yet: whoever comes after it and is connected. */
static void stand_in(struct peers *p, size_t after) {
    for (size_t i = 1; i <= p->count && p->primary == PEERS_NOBODY; i++) {
        size_t index = (after + i) % p->count;
        if (p->list[index].connection.state == CONNECTION_READY)
            p->primary = (int)index;
    }
}

/* Another was named. It may be connected, and have named somebody else: then it is asked again. */
static void seek(struct peers *p, size_t index, struct instant now) {
    struct peer *named = &p->list[index];
    struct error err = ERROR_NULL;
    if (named->connection.state == CONNECTION_READY) {
        error_set(&err, ERROR_UNREACHABLE, "it says that the primary is replica %u",
                  named->connection.answer.primary);
        connection_error(&named->connection, &err);
        failed(p, named, &err, now);
    } else if (named->connection.state == CONNECTION_CLOSED && !named->dead &&
               named->next.ns == INSTANT_NEVER.ns) {
        named->next = now;
    }
}

/* One that has been away may not know yet that it leads no more, and one that is faulty says what
 * it likes. */
static bool names_itself(const struct peers *p, size_t index) {
    return p->everyone && p->views > 0 ? (p->views - 1) % p->count == index
                                       : p->list[index].connection.answer.primary == index;
}

/* f + 1: one of them is correct. */
static size_t enough(const struct peers *p) {
    return (p->count - 1) / 3 + 1;
}

/* Whoever was not needed until now is. */
static void take_answers(struct peers *p, size_t answers, struct instant now) {
    size_t wanted = answers < enough(p) ? answers : enough(p);
    bool before = p->everyone;
    p->answers = wanted > p->answers ? wanted : p->answers;
    p->everyone = p->answers > 1;
    for (size_t i = 0; p->everyone && !before && i < p->count; i++) {
        struct peer *peer = &p->list[i];
        if (peer->connection.state == CONNECTION_CLOSED && !peer->dead &&
            peer->next.ns == INSTANT_NEVER.ns)
            peer->next = now;
    }
}

void peers_greet(struct peers *p, size_t index, struct instant now) {
    struct peer *peer = &p->list[index];
    struct error err = ERROR_NULL;
    if (connection_ready(&peer->connection, &err) < 0) {
        failed(p, peer, &err, now);
        return;
    }
    if (peer->connection.state != CONNECTION_READY) {
        watch_other(p, peer, connection_greeting_events(&peer->connection));
        return;
    }
    const struct wire_hello_answer *answer = &peer->connection.answer;
    if (answer->n != p->count) {
        error_set(&err, ERROR_INVALID, "it is one of %u replicas, but the cluster file names %zu",
                  answer->n, p->count);
        connection_error(&peer->connection, &err);
        failed(p, peer, &err, now);
        return;
    }
    peer->until = INSTANT_NEVER;
    take_answers(p, answer->answers, now);
    bool leads = names_itself(p, index);
    if (p->everyone && leads)
        p->leader = (int)index; /* who stands in goes on until peers_turn */
    if (p->primary != PEERS_NOBODY)
        return;
    if (leads)
        follow(p, index);
    else if (!p->everyone || p->list[answer->primary].connection.state != CONNECTION_READY)
        seek(p, answer->primary, now);
}

void peers_lost(struct peers *p, size_t index, const struct error *why, struct instant now) {
    struct peer *peer = &p->list[index];
    struct error err = *why;
    connection_error(&peer->connection, &err);
    if (p->primary == (int)index) {
        note(p, &err);
        p->primary = PEERS_NOBODY;
        if (peer->answered)
            p->give_up = instant_after(now, p->connect_timeout_ns);
    }
    failed(p, peer, &err, now);
    if (p->everyone)
        stand_in(p, index);
}

/* How many views enough of them have come to. */
static uint64_t views_of_enough(const struct peers *p) {
    uint64_t best = 0;
    for (size_t i = 0; i < p->count; i++) {
        size_t reached = 0;
        for (size_t j = 0; j < p->count; j++)
            reached += p->list[j].views >= p->list[i].views;
        if (reached >= enough(p) && p->list[i].views > best)
            best = p->list[i].views;
    }
    return best;
}

void peers_answered(struct peers *p, size_t index, uint64_t view) {
    p->list[index].answered = true;
    p->list[index].pause_ns = 0;
    uint64_t views = view + 1;
    if (views <= p->list[index].views)
        return;
    p->list[index].views = views;
    uint64_t reached = views_of_enough(p);
    if (!p->everyone || reached <= p->views)
        return;
    p->views = reached;
    p->leader = (int)((reached - 1) % p->count);
}

void peers_turn(struct peers *p) {
    if (p->leader != PEERS_NOBODY && p->leader != p->primary &&
        p->list[p->leader].connection.state == CONNECTION_READY)
        p->primary = p->leader;
}

void peers_want_write(struct peers *p, size_t index, bool want) {
    watch_other(p, &p->list[index], EPOLLIN | (want ? (uint32_t)EPOLLOUT : 0U));
}

bool peers_settled(const struct peers *p) {
    for (size_t i = 0; i < p->count; i++)
        if (p->list[i].until.ns != INSTANT_NEVER.ns)
            return false;
    return true;
}

/* All that is known about why there is no primary. */
static int no_primary(const struct peers *p, struct error *err) {
    enum { TEXT_MAX = 3000 };
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, TEXT_MAX);
    enum error_kind kind = ERROR_UNREACHABLE;
    for (size_t i = 0; i < p->count; i++) {
        const struct peer *peer = &p->list[i];
        const char *comma = text.size ? "; " : "";
        if (peer->connection.state == CONNECTION_READY)
            buffer_format(&text, "%sreplica %zu says that the primary is replica %u", comma, i,
                          peer->connection.answer.primary);
        else if (peer->failure->kind != ERROR_NONE)
            buffer_format(&text, "%s%s", comma, peer->failure->text);
        if (peer->dead)
            kind = peer->failure->kind;
    }
    return error_set(err, kind, "there is no primary to load: %s", buffer_string(&text));
}

/* So many will never talk to us that no answer can be believed. */
static bool is_hopeless(const struct peers *p) {
    size_t hopeful = 0;
    for (size_t i = 0; i < p->count; i++)
        hopeful += !p->list[i].dead;
    return p->everyone && hopeful < enough(p);
}

static bool wants_attempts(const struct peers *p) {
    return p->primary == PEERS_NOBODY || p->everyone;
}

int peers_tick(struct peers *p, struct instant now, struct error *err) {
    bool hope = false;
    for (size_t i = 0; i < p->count; i++) {
        struct peer *peer = &p->list[i];
        if (instant_passed(peer->until, now)) {
            struct error slow = ERROR_NULL;
            error_set(&slow, ERROR_TIMEOUT, "%s",
                      peer->connection.state == CONNECTION_CONNECTING
                          ? "the connection is not established in time"
                          : "it does not answer HELLO in time");
            connection_error(&peer->connection, &slow);
            failed(p, peer, &slow, now);
        }
        if (wants_attempts(p) && instant_passed(peer->next, now) &&
            (p->primary != PEERS_NOBODY || !instant_passed(p->give_up, now)))
            begin_attempt(p, peer, now);
        hope |= peer->until.ns != INSTANT_NEVER.ns || peer->next.ns != INSTANT_NEVER.ns;
    }
    if (p->everyone && peers_settled(p))
        stand_in(p, p->count - 1);
    if (is_hopeless(p) ||
        (p->primary == PEERS_NOBODY && (!hope || instant_passed(p->give_up, now))))
        return no_primary(p, err);
    return 0;
}

struct instant peers_due(const struct peers *p) {
    struct instant due = p->primary == PEERS_NOBODY ? p->give_up : INSTANT_NEVER;
    for (size_t i = 0; i < p->count; i++) {
        due = instant_earlier(due, p->list[i].until);
        if (wants_attempts(p))
            due = instant_earlier(due, p->list[i].next);
    }
    return due;
}
