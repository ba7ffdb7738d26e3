#include "loader/driver.h"

#include "lib/memory.h"
#include "loader/limits.h"
#include "loader/line.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 64 };
/* What epoll calls the cancellation and the timer; all below is the carrier's. */
#define EVENT_CANCEL UINT32_MAX
#define EVENT_TIMER (UINT32_MAX - 1)
/* A sleeping thread wakes up that late, at worst: the rest is spun. */
#define SPIN_NS (100 * NS_PER_US)

enum client_state {
    CLIENT_IDLE,    /* the load has nothing for it now */
    CLIENT_PAUSING, /* until intended_ns, after an overload */
    CLIENT_WAITING, /* its request is not begun */
    CLIENT_SENT,
};

/* Times are ns since the start of the run. */
struct client {
    enum client_state state;
    uint64_t number; /* of its request, or of its last one */
    uint64_t intended_ns;
    uint64_t sent_ns;
};

struct driver {
    struct driver_config config;
    int epoll_fd;
    struct carrier *carrier;
    struct schedule schedule;
    struct client *clients; /* of this slice */
    uint32_t clients_count;
    struct link *links;  /* of the clients */
    struct line due;     /* in flight, by intended time: waiting or sent */
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
    bool interrupted;
};

/* ---- requests ---- */

static bool is_open(const struct driver *d) {
    return d->config.arrivals != NULL;
}

/* The load has nothing for it now. */
static void rest(struct driver *d, uint32_t index) {
    d->clients[index].state = CLIENT_IDLE;
    if (is_open(d))
        line_append(&d->idle, d->links, index);
}

static void give(struct driver *d, uint32_t index, uint64_t number, uint64_t intended_ns) {
    struct client *c = &d->clients[index];
    c->number = number;
    c->intended_ns = intended_ns;
    c->state = CLIENT_WAITING;
    line_append(&d->due, d->links, index);
    d->carrier->kind->submit(d->carrier, index, number);
}

/* The client is free now. In the closed loop, its next request is due now. */
static void give_next(struct driver *d, uint32_t index) {
    struct schedule_entry entry;
    if (is_open(d) || d->interrupted || d->now_ns >= d->config.end_ns ||
        !schedule_next(&d->schedule, index, &entry))
        rest(d, index);
    else
        give(d, index, entry.number, d->now_ns);
}

static int finish(struct driver *d, uint32_t index, enum outcome outcome, struct error *err) {
    struct client *c = &d->clients[index];
    bool sent = c->state == CLIENT_SENT;
    uint32_t client = index * d->config.threads + d->config.thread;
    uint32_t shape = workload_shape(d->config.workload, client, c->number);
    const struct duration one = {
        .client = client,
        .number = c->number,
        .intended_ns = c->intended_ns,
        .sent = sent,
        .read_only = d->config.workload->mix.shapes[shape].read_only,
        .shape = (uint8_t)shape,
        .send_delay_ns = sent ? c->sent_ns - c->intended_ns : 0,
        .latency_ns = d->now_ns - c->intended_ns,
        .outcome = outcome,
    };
    line_remove(&d->due, d->links, index);
    if (record_outcome(d->record, &one, err) < 0)
        return -1;
    if (outcome == OUTCOME_OVERLOADED && !d->interrupted) {
        c->state = CLIENT_PAUSING;
        c->intended_ns = d->now_ns + LOADER_OVERLOAD_PAUSE_NS;
        line_append(&d->pausing, d->links, index);
        return 0;
    }
    give_next(d, index);
    return 0;
}

/* Nobody waits for its answer any longer. */
static int give_up(struct driver *d, uint32_t index, enum outcome outcome, struct error *err) {
    d->carrier->kind->withdraw(d->carrier, index);
    return finish(d, index, outcome, err);
}

/* ---- what the carrier tells ---- */

static uint64_t since_start(const struct driver *d) {
    return instant_ns_between(d->start, clock_instant());
}

static uint64_t look_at_clock(void *context) {
    struct driver *d = context;
    d->now_ns = since_start(d);
    if (d->record)
        record_advance(d->record, d->now_ns);
    return d->now_ns;
}

static struct instant moment_of(const void *context, uint64_t ns) {
    const struct driver *d = context;
    return instant_after(d->start, ns);
}

static void begun(void *context, uint32_t index, uint64_t at_ns) {
    struct driver *d = context;
    struct client *c = &d->clients[index];
    assert(c->state == CLIENT_WAITING);
    c->state = CLIENT_SENT;
    c->sent_ns = at_ns;
    record_sent(d->record, at_ns);
    if (is_open(d))
        record_lateness(d->record, c->intended_ns, at_ns);
}

static int ended(void *context, uint32_t index, enum outcome outcome, struct error *err) {
    return finish(context, index, outcome, err);
}

static void late(void *context) {
    struct driver *d = context;
    record_late(d->record);
}

static void ordered(void *context) {
    struct driver *d = context;
    record_ordered_read(d->record);
}

static void note(void *context, const char *text) {
    struct driver *d = context;
    d->config.note(d->config.note_context, text);
}

/* ---- the loop ---- */

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
    look_at_clock(d);
    for (int i = 0; i < count; i++)
        if (events[i].data.u32 < CARRIER_EVENTS_MAX && /* ours are looked at in every turn */
            d->carrier->kind->handle(d->carrier, &events[i], err) < 0)
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
            line_remove(&d->idle, d->links, index);
            bool given = schedule_next(&d->schedule, index, &entry);
            assert(given);
            give(d, index, entry.number, d->next.intended_ns);
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
        if (give_up(d, d->due.first, timed_out(d), err) < 0)
            return -1;
    while (d->pausing.first != NOBODY && d->clients[d->pausing.first].intended_ns <= d->now_ns) {
        uint32_t index = d->pausing.first;
        line_remove(&d->pausing, d->links, index);
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
    return instant_earlier(due,
                           d->interrupted ? d->drain_until : d->carrier->kind->due(d->carrier));
}

/* What was due until then was asked for, even if nobody sends it any more. */
static int stop_arrivals(struct driver *d, uint64_t until_ns, struct error *err) {
    for (; d->more && d->next.intended_ns <= until_ns; look_ahead(d)) {
        if (give_up_next(d, err) < 0)
            return -1;
        record_due(d->record);
    }
    d->more = false;
    return 0;
}

/* No more requests: those not begun go back unsent, those sent may still be answered. In the closed
 * loop nobody asked for the former yet. */
static int interrupt(struct driver *d, uint64_t until_ns, struct error *err) {
    d->interrupted = true;
    d->drain_until = instant_after(clock_instant(), LOADER_DRAIN_NS);
    if (stop_arrivals(d, until_ns, err) < 0)
        return -1;
    for (uint32_t at = d->due.first, after; at != NOBODY; at = after) {
        struct client *c = &d->clients[at];
        after = d->links[at].after;
        if (c->state != CLIENT_WAITING)
            continue;
        if (is_open(d)) {
            if (give_up(d, at, OUTCOME_UNSENT, err) < 0)
                return -1;
            continue;
        }
        line_remove(&d->due, d->links, at);
        d->carrier->kind->withdraw(d->carrier, at);
        c->state = CLIENT_IDLE;
    }
    while (d->pausing.first != NOBODY) {
        d->clients[d->pausing.first].state = CLIENT_IDLE;
        line_remove(&d->pausing, d->links, d->pausing.first);
    }
    return 0;
}

/* What was sent and will not be waited for any longer. */
static int abandon(struct driver *d, struct error *err) {
    for (uint32_t at = d->due.first, after; at != NOBODY; at = after) {
        after = d->links[at].after;
        if (d->clients[at].state == CLIENT_SENT && give_up(d, at, OUTCOME_FAILED, err) < 0)
            return -1;
    }
    return 0;
}

static int turn(struct driver *d, struct error *err) {
    if (wait_until(d, next_due(d), err) < 0)
        return -1;
    uint64_t until_ns = d->now_ns;
    if (expire(d, err) < 0 || take_due(d, err) < 0 || d->carrier->kind->flush(d->carrier, err) < 0)
        return -1;
    /* only now: what is due has been sent, if it could be */
    if (!d->interrupted && cancel_level(d->config.cancel) > 0 && interrupt(d, until_ns, err) < 0)
        return -1;
    if (!d->interrupted && d->carrier->kind->tick(d->carrier, clock_instant(), err) < 0)
        return -1;
    return 0;
}

static bool drained(const struct driver *d) {
    return d->interrupted &&
           (instant_passed(d->drain_until, clock_instant()) || cancel_level(d->config.cancel) > 1 ||
            !d->carrier->kind->alive(d->carrier));
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
    int r = d->carrier->kind->flush(d->carrier, err);
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
    record->begun_ns = d->now_ns;
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

int driver_connect(struct driver *d, struct error *err) {
    const struct carrier_kind *kind = d->carrier->kind;
    d->start = clock_instant();
    kind->start(d->carrier, d->start);
    for (;;) {
        struct instant now = clock_instant();
        if (cancel_level(d->config.cancel) > 0)
            return DRIVER_INTERRUPTED;
        if (kind->tick(d->carrier, now, err) < 0)
            return -1;
        if (kind->ready(d->carrier, now))
            return DRIVER_DONE;
        if (wait_until(d, kind->due(d->carrier), err) < 0)
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
    uint32_t clients = slice_clients(config->clients, config->thread, config->threads);
    d->config = *config;
    d->clients_count = clients;
    d->due = d->pausing = d->idle = LINE_EMPTY;
    d->drain_until = INSTANT_NEVER;
    d->clients = mem_new_array(struct client, clients);
    d->links = mem_new_array(struct link, clients);
    schedule_init(&d->schedule, config->arrivals ? UINT64_MAX : config->requests, clients);
    if (config->arrivals)
        arrivals_init(&d->arrivals, config->arrivals, config->thread, config->threads);
    if (open_descriptors(d, err) < 0)
        return -1;
    const struct carrier_slice slice = {.thread = config->thread,
                                        .threads = config->threads,
                                        .clients = clients,
                                        .epoll_fd = d->epoll_fd};
    const struct carrier_owner owner = {.context = d,
                                        .now = look_at_clock,
                                        .at = moment_of,
                                        .begun = begun,
                                        .ended = ended,
                                        .late = late,
                                        .ordered = ordered,
                                        .note = note};
    d->carrier = config->maker.make(config->maker.context, &slice, &owner);
    *ret = take_ptr(d);
    return 0;
}

void driver_free(struct driver *d) {
    if (d->carrier)
        d->carrier->kind->free(d->carrier);
    schedule_deinit(&d->schedule);
    free(d->clients);
    free(d->links);
    if (d->epoll_fd >= 0)
        close(d->epoll_fd);
    if (d->timer_fd >= 0)
        close(d->timer_fd);
    free(d);
}
