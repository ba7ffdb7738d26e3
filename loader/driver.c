#include "loader/driver.h"

#include "lib/memory.h"
#include "loader/clients.h"
#include "loader/limits.h"
#include "loader/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 64 };
/* What epoll calls the cancellation; replicas are called by their index. */
#define EVENT_CANCEL UINT32_MAX
#define EVENT_TIMER (UINT32_MAX - 1)
/* A sleeping thread wakes up that late, at worst: the rest is spun. */
#define SPIN_NS (100 * NS_PER_US)

struct driver {
    struct driver_config config;
    int epoll_fd;
    struct peers peers;
    struct queue queue;
    struct schedule schedule;
    struct client *clients; /* of this slice */
    uint32_t clients_count;
    struct line due;     /* in flight: waiting or sent */
    struct line pausing; /* after an overload */
    struct line idle;    /* open loop: free to take what is due */
    struct arrivals arrivals;
    struct arrival next; /* what will be due next, if there is */
    bool more;
    int timer_fd;
    struct record *record; /* NULL until driver_run */
    struct instant start;
    struct instant drain_until; /* NEVER unless interrupted */
    uint64_t now_ns;            /* of this turn, since the start */
    uint64_t flush_ns;          /* of this writev */
    uint32_t refusals;          /* one after the other */
    bool interrupted;
    struct error why; /* of what is lost; here because clearing 4 kB in every turn costs */
    struct iovec vectors[LOADER_IOVECS_MAX];
};

/* ---- requests ---- */

/* In the whole pool. */
static uint32_t pool_index(const struct driver *d, uint32_t index) {
    return index * d->config.threads + d->config.thread;
}

/* The client in this slice that has the id, or NULL. */
static struct client *find_client(const struct driver *d, uint64_t id, uint32_t *ret_index) {
    int64_t index = workload_client_index(d->config.workload, id);
    if (index < 0 || (uint32_t)index % d->config.threads != d->config.thread)
        return NULL;
    *ret_index = (uint32_t)index / d->config.threads;
    return &d->clients[*ret_index];
}

static bool is_open(const struct driver *d) {
    return d->config.arrivals != NULL;
}

static bool in_queue(const struct driver *d, const struct client *c) {
    return c->queued && queue_waits(&d->queue, c->ticket);
}

/* The load has nothing for it now. */
static void rest(struct driver *d, uint32_t index) {
    struct client *c = &d->clients[index];
    if (in_queue(d, c))
        queue_drop(&d->queue, c->ticket);
    c->state = CLIENT_IDLE;
    if (is_open(d))
        line_append(&d->idle, d->clients, index);
}

static void give(struct driver *d, uint32_t index, struct schedule_entry entry,
                 uint64_t intended_ns) {
    struct client *c = &d->clients[index];
    struct wire_request request;
    entry.client = pool_index(d, index);
    workload_request(d->config.workload, &entry, &request);
    if (in_queue(d, c))
        queue_replace(&d->queue, c->ticket, &request);
    else
        c->ticket = queue_push(&d->queue, &request, index);
    c->queued = true;
    c->number = entry.number;
    c->intended_ns = intended_ns;
    c->state = CLIENT_WAITING;
    line_append(&d->due, d->clients, index);
}

/* The client is free now. In the closed loop, its next request is due now. */
static void give_next(struct driver *d, uint32_t index) {
    struct schedule_entry entry;
    if (is_open(d) || d->interrupted || d->now_ns >= d->config.end_ns ||
        !schedule_next(&d->schedule, index, &entry))
        rest(d, index);
    else
        give(d, index, entry, d->now_ns);
}

static int finish(struct driver *d, uint32_t index, enum outcome outcome, struct error *err) {
    struct client *c = &d->clients[index];
    bool sent = c->state == CLIENT_SENT;
    const struct duration one = {
        .client = pool_index(d, index),
        .number = c->number,
        .intended_ns = c->intended_ns,
        .sent = sent,
        .send_delay_ns = sent ? c->sent_ns - c->intended_ns : 0,
        .latency_ns = d->now_ns - c->intended_ns,
        .outcome = outcome,
    };
    line_remove(&d->due, d->clients, index);
    if (record_outcome(d->record, &one, err) < 0)
        return -1;
    if (outcome == OUTCOME_OVERLOADED && !d->interrupted) {
        c->state = CLIENT_PAUSING;
        c->intended_ns = d->now_ns + LOADER_OVERLOAD_PAUSE_NS;
        line_append(&d->pausing, d->clients, index);
        return 0;
    }
    give_next(d, index);
    return 0;
}

static void begun(void *context, uint32_t index) {
    struct driver *d = context;
    struct client *c = &d->clients[index];
    assert(c->state == CLIENT_WAITING);
    c->state = CLIENT_SENT;
    c->queued = false;
    c->sent_ns = d->flush_ns;
    record_sent(d->record, c->sent_ns);
    if (is_open(d))
        record_lateness(d->record, c->intended_ns, c->sent_ns);
}

static uint64_t since_start(const struct driver *d) {
    return instant_ns_between(d->start, clock_instant());
}

/* For the reason in `why`. */
static void lost(struct driver *d, size_t peer) {
    peers_lost(&d->peers, peer, &d->why, instant_after(d->start, d->now_ns));
}

/* All that was sent on it has failed; what was not waits for the next one. */
static int lose_primary(struct driver *d, struct error *err) {
    lost(d, (size_t)d->peers.primary);
    queue_restart(&d->queue);
    uint64_t count = d->due.count;
    for (uint32_t at = d->due.first, after; count > 0; count--, at = after) {
        after = d->clients[at].after;
        if (d->clients[at].state == CLIENT_SENT && finish(d, at, OUTCOME_FAILED, err) < 0)
            return -1;
    }
    return 0;
}

/* Hands over all requests that are ready. */
static int flush(struct driver *d, struct error *err) {
    struct connection *primary = peers_primary(&d->peers);
    bool full = false;
    while (primary && !full && !queue_empty(&d->queue)) {
        size_t bytes = 0, written;
        int count = queue_vectors(&d->queue, d->vectors, LOADER_IOVECS_MAX);
        for (int i = 0; i < count; i++)
            bytes += d->vectors[i].iov_len;
        d->flush_ns = since_start(d);
        if (connection_write(primary, d->vectors, count, &written, &d->why) < 0)
            return lose_primary(d, err);
        queue_written(&d->queue, written, begun, d);
        full = written < bytes;
    }
    if (primary)
        peers_want_write(&d->peers, full);
    return 0;
}

/* ---- replies ---- */

/* A cluster that refuses everything will go on doing so. */
static int refused(struct driver *d, const struct wire_reply *reply, struct error *err) {
    struct error why = ERROR_NULL;
    error_set(&why, ERROR_REFUSED, "replica %u refuses our requests: %s", reply->replica,
              reply->text);
    if (d->refusals == 0)
        d->config.note(d->config.note_context, why.text);
    if (++d->refusals < LOADER_REFUSALS_MAX)
        return 0;
    return error_set(err, ERROR_REFUSED, "%s", why.text);
}

/* 0; 1 for what no replica may say, described in d->why; or a fault. */
static int take_reply(struct driver *d, const struct wire_reply *reply, struct error *err) {
    uint32_t index;
    struct client *c = find_client(d, reply->client, &index);
    if (!c || reply->number > c->number ||
        (reply->number == c->number && c->state == CLIENT_WAITING)) {
        error_set(&d->why, ERROR_INVALID, "it answered a request that was not sent");
        return 1;
    }
    if (reply->number < c->number || c->state != CLIENT_SENT) {
        record_late(d->record);
        return 0;
    }
    peers_answered(&d->peers);
    switch (reply->status) {
    case WIRE_REPLY_OK: d->refusals = 0; return finish(d, index, OUTCOME_ACKNOWLEDGED, err);
    case WIRE_REPLY_OVERLOADED: d->refusals = 0; return finish(d, index, OUTCOME_OVERLOADED, err);
    case WIRE_REPLY_REFUSED: break;
    }
    if (finish(d, index, OUTCOME_FAILED, err) < 0)
        return -1;
    return refused(d, reply, err);
}

/* As take_reply, for all frames that were read. */
static int take_frames(struct driver *d, struct connection *c, struct error *err) {
    struct wire_header header;
    const uint8_t *body;
    int r;
    while ((r = connection_frame(c, &header, &body, &d->why)) > 0) {
        struct wire_reply reply;
        if (header.type != WIRE_REPLY) {
            error_set(&d->why, ERROR_INVALID, "it sent a frame of type %u where replies belong",
                      header.type);
            return 1;
        }
        if (wire_reply_decode(body, header.body_size, &reply, &d->why) < 0) {
            error_wrap(&d->why, "its reply");
            return 1;
        }
        r = take_reply(d, &reply, err);
        if (r != 0)
            return r;
    }
    return r < 0 ? 1 : 0;
}

static int read_primary(struct driver *d, struct connection *c, struct error *err) {
    int r = connection_read(c, &d->why);
    d->now_ns = since_start(d); /* when the replies were there */
    record_advance(d->record, d->now_ns);
    r = r < 0 ? 1 : take_frames(d, c, err);
    return r > 0 ? lose_primary(d, err) : r;
}

/* Somebody who has nothing to say to us now: read only to notice that it went. */
static void read_idle(struct driver *d, size_t index) {
    struct connection *c = &d->peers.list[index].connection;
    struct wire_header header = {0};
    const uint8_t *body;
    int r = connection_read(c, &d->why);
    if (r == 0)
        r = connection_frame(c, &header, &body, &d->why);
    if (r > 0)
        error_set(&d->why, ERROR_INVALID, "it sent a frame of type %u unasked", header.type);
    if (r != 0)
        lost(d, index);
}

/* ---- the loop ---- */

static int handle(struct driver *d, const struct epoll_event *event, struct error *err) {
    uint32_t index = event->data.u32;
    if (index == EVENT_CANCEL || index == EVENT_TIMER)
        return 0; /* looked at in every turn */
    struct connection *c = &d->peers.list[index].connection;
    if (c->state == CONNECTION_CLOSED)
        return 0; /* by an event before this one */
    if (c->state != CONNECTION_READY) {
        peers_greet(&d->peers, index, clock_instant());
        return 0;
    }
    if ((int)index != d->peers.primary || !d->record) {
        read_idle(d, index);
        return 0;
    }
    if (event->events & ~(uint32_t)EPOLLOUT)
        return read_primary(d, c, err);
    return 0; /* room to write: flushed at the end of the turn */
}

/* Wakes epoll_wait up to the microsecond; edge-triggered, so that nobody has to read it. */
static void arm(const struct driver *d, struct instant at) {
    const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at.ns / NS_PER_SEC),
                                                 .tv_nsec = (long)(at.ns % NS_PER_SEC)}};
    int r = timerfd_settime(d->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    assert(r == 0);
}

/* How long epoll_wait may take; what is finer than a millisecond is left to the timer. */
static int wait_ms(const struct driver *d, struct instant due) {
    enum { WAIT_MS_MAX = 1000 };
    struct instant now = clock_instant();
    if (!is_open(d) || !d->record) {
        int ms = instant_poll_ms(due, now, WAIT_MS_MAX);
        return ms < 0 ? WAIT_MS_MAX : ms;
    }
    uint64_t early_ns = d->config.spin ? SPIN_NS : 0;
    if (instant_ns_between(now, due) <= early_ns)
        return 0;
    due.ns -= early_ns;
    arm(d, due);
    return WAIT_MS_MAX;
}

static int wait_until(struct driver *d, struct instant due, struct error *err) {
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(d->epoll_fd, events, EVENTS_MAX, wait_ms(d, due));
    if (count < 0 && errno != EINTR)
        return error_set_os(err, ERROR_IO, errno, "epoll_wait");
    d->now_ns = since_start(d);
    if (d->record)
        record_advance(d->record, d->now_ns);
    for (int i = 0; i < count; i++)
        if (handle(d, &events[i], err) < 0)
            return -1;
    return 0;
}

/* ---- open loop ---- */

static void look_ahead(struct driver *d) {
    d->more = arrivals_next(&d->arrivals, &d->next);
}

/* It was due so long ago that it would time out at once: nobody was free to send it. */
static int give_up_next(struct driver *d, struct error *err) {
    const struct duration one = {.client = d->config.thread,
                                 .intended_ns = d->next.intended_ns,
                                 .latency_ns = d->now_ns - d->next.intended_ns,
                                 .outcome = OUTCOME_UNSENT};
    return record_outcome(d->record, &one, err);
}

static bool can_take(const struct driver *d) {
    return d->idle.first != NOBODY && d->due.count < d->config.in_flight_max;
}

/* What is due finds a client, or waits until there is one. */
static int take_due(struct driver *d, struct error *err) {
    while (d->more && d->next.intended_ns <= d->now_ns) {
        if (d->now_ns - d->next.intended_ns >= d->config.request_timeout_ns) {
            if (give_up_next(d, err) < 0)
                return -1;
        } else if (can_take(d)) {
            uint32_t index = d->idle.first;
            struct schedule_entry entry;
            line_remove(&d->idle, d->clients, index);
            bool given = schedule_next(&d->schedule, index, &entry);
            assert(given);
            give(d, index, entry, d->next.intended_ns);
        } else {
            return 0;
        }
        record_due(d->record);
        look_ahead(d);
    }
    return 0;
}

static uint64_t next_send_ns(const struct driver *d) {
    if (!d->more)
        return UINT64_MAX;
    return can_take(d) ? d->next.intended_ns : d->next.intended_ns + d->config.request_timeout_ns;
}

/* ---- turns ---- */

static enum outcome timed_out(const struct driver *d) {
    return d->clients[d->due.first].state == CLIENT_SENT ? OUTCOME_TIMED_OUT : OUTCOME_UNSENT;
}

/* What is due by time. */
static int expire(struct driver *d, struct error *err) {
    uint64_t timeout_ns = d->config.request_timeout_ns;
    while (d->due.first != NOBODY && d->clients[d->due.first].intended_ns + timeout_ns <= d->now_ns)
        if (finish(d, d->due.first, timed_out(d), err) < 0)
            return -1;
    while (d->pausing.first != NOBODY && d->clients[d->pausing.first].intended_ns <= d->now_ns) {
        uint32_t index = d->pausing.first;
        line_remove(&d->pausing, d->clients, index);
        give_next(d, index);
    }
    return 0;
}

static struct instant next_due(const struct driver *d) {
    uint64_t due_ns = (d->now_ns / NS_PER_SEC + 1) * NS_PER_SEC; /* the record wants to know it */
    if (d->due.first != NOBODY) {
        uint64_t t = d->clients[d->due.first].intended_ns + d->config.request_timeout_ns;
        due_ns = t < due_ns ? t : due_ns;
    }
    if (d->pausing.first != NOBODY) {
        uint64_t t = d->clients[d->pausing.first].intended_ns;
        due_ns = t < due_ns ? t : due_ns;
    }
    uint64_t send_ns = next_send_ns(d);
    struct instant due = instant_after(d->start, send_ns < due_ns ? send_ns : due_ns);
    return instant_earlier(due, d->interrupted ? d->drain_until : peers_due(&d->peers));
}

/* What was due until now was asked for, even if nobody sends it any more. */
static void stop_arrivals(struct driver *d) {
    for (; d->more && d->next.intended_ns <= d->now_ns; look_ahead(d))
        record_due(d->record);
    d->more = false;
}

/* No more requests: those not begun go back unsent, those sent may still be answered. */
static void interrupt(struct driver *d) {
    d->interrupted = true;
    d->drain_until = instant_after(clock_instant(), LOADER_DRAIN_NS);
    stop_arrivals(d);
    for (uint32_t at = d->due.first, after; at != NOBODY; at = after) {
        struct client *c = &d->clients[at];
        after = c->after;
        if (c->state != CLIENT_WAITING)
            continue;
        line_remove(&d->due, d->clients, at);
        queue_drop(&d->queue, c->ticket);
        c->state = CLIENT_IDLE;
    }
    while (d->pausing.first != NOBODY) {
        d->clients[d->pausing.first].state = CLIENT_IDLE;
        line_remove(&d->pausing, d->clients, d->pausing.first);
    }
}

/* What was sent and will not be waited for any longer. */
static int abandon(struct driver *d, struct error *err) {
    for (uint32_t at = d->due.first, after; at != NOBODY; at = after) {
        after = d->clients[at].after;
        if (d->clients[at].state == CLIENT_SENT && finish(d, at, OUTCOME_FAILED, err) < 0)
            return -1;
    }
    return 0;
}

static int turn(struct driver *d, struct error *err) {
    if (wait_until(d, next_due(d), err) < 0)
        return -1;
    if (!d->interrupted && cancel_level(d->config.cancel) > 0)
        interrupt(d);
    if (expire(d, err) < 0 || take_due(d, err) < 0 || flush(d, err) < 0)
        return -1;
    if (!d->interrupted && peers_tick(&d->peers, clock_instant(), err) < 0)
        return -1;
    return 0;
}

static bool drained(const struct driver *d) {
    return d->interrupted && (instant_passed(d->drain_until, clock_instant()) ||
                              cancel_level(d->config.cancel) > 1 || !peers_primary(&d->peers));
}

/* Requests are under way, or will be. */
static bool goes_on(const struct driver *d) {
    return d->due.count > 0 || d->more || (!is_open(d) && d->pausing.count > 0);
}

static int load(struct driver *d, struct error *err) {
    if (is_open(d))
        look_ahead(d);
    for (uint32_t i = 0; i < d->clients_count; i++)
        give_next(d, i);
    int r = flush(d, err);
    while (r == 0 && goes_on(d) && !drained(d))
        r = turn(d, err);
    return r;
}

static void sleep_until(struct instant t) {
    const struct timespec at = {.tv_sec = (time_t)(t.ns / NS_PER_SEC),
                                .tv_nsec = (long)(t.ns % NS_PER_SEC)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

int driver_run(struct driver *d, struct instant start, struct record *record, struct error *err) {
    d->record = record;
    d->start = start;
    sleep_until(start);
    d->now_ns = since_start(d);
    int r = load(d, err);
    struct error abandoned = ERROR_NULL; /* the first fault counts */
    d->interrupted |= r < 0;             /* nobody is given another request */
    d->now_ns = since_start(d);
    if (abandon(d, r < 0 ? &abandoned : err) < 0)
        r = -1;
    record_advance(record, d->now_ns);
    if (r < 0)
        return -1;
    return d->interrupted ? DRIVER_INTERRUPTED : DRIVER_DONE;
}

/* Backups are given this long after the primary is there. */
#define SETTLE_NS (500 * NS_PER_MS)

int driver_connect(struct driver *d, struct error *err) {
    struct instant settle = INSTANT_NEVER;
    d->start = clock_instant();
    peers_start(&d->peers, d->start);
    for (;;) {
        struct instant now = clock_instant();
        if (cancel_level(d->config.cancel) > 0)
            return DRIVER_INTERRUPTED;
        if (peers_tick(&d->peers, now, err) < 0)
            return -1;
        bool primary = peers_primary(&d->peers) != NULL;
        if (primary && settle.ns == INSTANT_NEVER.ns)
            settle = instant_after(now, SETTLE_NS);
        else if (!primary)
            settle = INSTANT_NEVER;
        if (primary && (peers_settled(&d->peers) || instant_passed(settle, now)))
            return DRIVER_DONE;
        if (wait_until(d, instant_earlier(settle, peers_due(&d->peers)), err) < 0)
            return -1;
    }
}

static int watch(const struct driver *d, int fd, uint32_t name, struct error *err) {
    /* Edge-triggered: it stays readable for ever, and each raise is an edge. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = name};
    if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return error_set_os(err, ERROR_IO, errno, "watch a descriptor");
    return 0;
}

static int open_descriptors(struct driver *d, struct error *err) {
    d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    d->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (d->epoll_fd < 0 || d->timer_fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create an epoll and a timer");
    return watch(d, d->config.cancel->event_fd, EVENT_CANCEL, err) < 0 ||
                   watch(d, d->timer_fd, EVENT_TIMER, err) < 0
               ? -1
               : 0;
}

int driver_new(const struct driver_config *config, struct driver **ret, struct error *err) {
    cleanup(driver_freep) struct driver *d = mem_new(struct driver);
    uint32_t clients = slice_clients(config->workload->clients, config->thread, config->threads);
    d->config = *config;
    d->clients_count = clients;
    d->due = d->pausing = d->idle = LINE_EMPTY;
    d->drain_until = INSTANT_NEVER;
    d->clients = mem_new_array(struct client, clients);
    queue_init(&d->queue, clients + 1);
    schedule_init(&d->schedule, config->arrivals ? UINT64_MAX : config->requests, clients);
    if (config->arrivals)
        arrivals_init(&d->arrivals, config->arrivals, config->thread, config->threads);
    if (open_descriptors(d, err) < 0)
        return -1;
    peers_init(&d->peers, config->targets, d->epoll_fd, config->connect_timeout_ns,
               config->workload->client_base + config->thread, config->note, config->note_context);
    *ret = take_ptr(d);
    return 0;
}

void driver_free(struct driver *d) {
    peers_deinit(&d->peers);
    queue_deinit(&d->queue);
    schedule_deinit(&d->schedule);
    free(d->clients);
    if (d->epoll_fd >= 0)
        close(d->epoll_fd);
    if (d->timer_fd >= 0)
        close(d->timer_fd);
    free(d);
}
