#include "loader/replicas.h"

#include "lib/memory.h"
#include "loader/limits.h"
#include "loader/queue.h"

#include <assert.h>
#include <stdlib.h>

/* Backups are given this long after the primary is there. */
#define SETTLE_NS (500 * NS_PER_MS)

/* What a client has under way. */
enum flight_state { FLIGHT_NONE, FLIGHT_WAITING, FLIGHT_SENT };

struct flight {
    enum flight_state state;
    uint32_t ticket; /* in the queue */
    bool queued;     /* its last request was not begun, so that the ticket may still be good */
    uint64_t number; /* of its request, or of its last one */
};

struct replicas {
    struct carrier carrier; /* first: it is what others see */
    const struct replicas_config *config;
    struct carrier_slice slice;
    struct peers peers;
    struct queue queue;
    struct flight *flights; /* by client */
    struct instant settle;  /* NEVER until there is a primary */
    uint64_t flush_ns;      /* of this writev */
    uint32_t refusals;      /* one after the other */
    struct error why;       /* of what is lost; here because clearing 4 kB in every turn costs */
    struct iovec vectors[LOADER_IOVECS_MAX];
};

static struct replicas *of(struct carrier *c) {
    return (struct replicas *)c;
}

static const struct replicas *of_const(const struct carrier *c) {
    return (const struct replicas *)c;
}

/* ---- requests ---- */

static bool in_queue(const struct replicas *r, const struct flight *f) {
    return f->queued && queue_waits(&r->queue, f->ticket);
}

static void submit(struct carrier *c, uint32_t client, uint64_t number) {
    struct replicas *r = of(c);
    struct flight *f = &r->flights[client];
    struct wire_request request;
    const struct schedule_entry entry = {.client = client * r->slice.threads + r->slice.thread,
                                         .number = number};
    workload_request(r->config->workload, &entry, &request);
    if (in_queue(r, f))
        queue_replace(&r->queue, f->ticket, &request);
    else
        f->ticket = queue_push(&r->queue, &request, client);
    f->queued = true;
    f->number = number;
    f->state = FLIGHT_WAITING;
}

/* Its place stays, for the client's next request, until all before it are gone. */
static void withdraw(struct carrier *c, uint32_t client) {
    struct replicas *r = of(c);
    struct flight *f = &r->flights[client];
    if (f->state == FLIGHT_WAITING && in_queue(r, f))
        queue_drop(&r->queue, f->ticket);
    f->state = FLIGHT_NONE;
}

static int end(struct replicas *r, uint32_t client, enum outcome outcome, struct error *err) {
    r->flights[client].state = FLIGHT_NONE;
    return r->carrier.owner.ended(r->carrier.owner.context, client, outcome, err);
}

static void begun(void *context, uint32_t client) {
    struct replicas *r = context;
    struct flight *f = &r->flights[client];
    assert(f->state == FLIGHT_WAITING);
    f->state = FLIGHT_SENT;
    f->queued = false;
    r->carrier.owner.begun(r->carrier.owner.context, client, r->flush_ns);
}

/* All that was sent on it has failed; what was not waits for the next one. */
static int lose_primary(struct replicas *r, struct error *err) {
    peers_lost(&r->peers, (size_t)r->peers.primary, &r->why, clock_instant());
    queue_restart(&r->queue);
    for (uint32_t i = 0; i < r->slice.clients; i++)
        if (r->flights[i].state == FLIGHT_SENT && end(r, i, OUTCOME_FAILED, err) < 0)
            return -1;
    return 0;
}

static int flush(struct carrier *c, struct error *err) {
    struct replicas *r = of(c);
    struct connection *primary = peers_primary(&r->peers);
    bool full = false;
    while (primary && !full && !queue_empty(&r->queue)) {
        size_t bytes = 0, written;
        int count = queue_vectors(&r->queue, r->vectors, LOADER_IOVECS_MAX);
        for (int i = 0; i < count; i++)
            bytes += r->vectors[i].iov_len;
        r->flush_ns = c->owner.now(c->owner.context);
        if (connection_write(primary, r->vectors, count, &written, &r->why) < 0)
            return lose_primary(r, err);
        queue_written(&r->queue, written, begun, r);
        full = written < bytes;
    }
    if (primary)
        peers_want_write(&r->peers, full);
    return 0;
}

/* ---- replies ---- */

/* A cluster that refuses everything will go on doing so. */
static int refused(struct replicas *r, const struct wire_reply *reply, struct error *err) {
    struct error why = ERROR_NULL;
    error_set(&why, ERROR_REFUSED, "replica %u refuses our requests: %s", reply->replica,
              reply->text);
    if (r->refusals == 0)
        r->carrier.owner.note(r->carrier.owner.context, why.text);
    if (++r->refusals < LOADER_REFUSALS_MAX)
        return 0;
    return error_set(err, ERROR_REFUSED, "%s", why.text);
}

/* What the client of the id has under way, or NULL: it is none of this slice. */
static struct flight *find(const struct replicas *r, uint64_t id, uint32_t *ret_client) {
    int64_t index = workload_client_index(r->config->workload, id);
    if (index < 0 || (uint32_t)index % r->slice.threads != r->slice.thread)
        return NULL;
    *ret_client = (uint32_t)index / r->slice.threads;
    return &r->flights[*ret_client];
}

/* 0; 1 for what no replica may say, described in r->why; or a fault. */
static int take_reply(struct replicas *r, const struct wire_reply *reply, struct error *err) {
    uint32_t client;
    struct flight *f = find(r, reply->client, &client);
    if (!f || reply->number > f->number ||
        (reply->number == f->number && f->state == FLIGHT_WAITING)) {
        error_set(&r->why, ERROR_INVALID, "it answered a request that was not sent");
        return 1;
    }
    if (reply->number < f->number || f->state != FLIGHT_SENT) {
        r->carrier.owner.late(r->carrier.owner.context);
        return 0;
    }
    peers_answered(&r->peers);
    switch (reply->status) {
    case WIRE_REPLY_OK: r->refusals = 0; return end(r, client, OUTCOME_ACKNOWLEDGED, err);
    case WIRE_REPLY_OVERLOADED: r->refusals = 0; return end(r, client, OUTCOME_OVERLOADED, err);
    case WIRE_REPLY_REFUSED: break;
    }
    if (end(r, client, OUTCOME_FAILED, err) < 0)
        return -1;
    return refused(r, reply, err);
}

/* As take_reply, for all frames that were read. */
static int take_frames(struct replicas *r, struct connection *from, struct error *err) {
    struct wire_header header;
    const uint8_t *body;
    int got;
    while ((got = connection_frame(from, &header, &body, &r->why)) > 0) {
        struct wire_reply reply;
        if (header.type != WIRE_REPLY) {
            error_set(&r->why, ERROR_INVALID, "it sent a frame of type %u where replies belong",
                      header.type);
            return 1;
        }
        if (wire_reply_decode(body, header.body_size, &reply, &r->why) < 0) {
            error_wrap(&r->why, "its reply");
            return 1;
        }
        got = take_reply(r, &reply, err);
        if (got != 0)
            return got;
    }
    return got < 0 ? 1 : 0;
}

static int read_primary(struct replicas *r, struct connection *primary, struct error *err) {
    int got = connection_read(primary, &r->why);
    r->carrier.owner.now(r->carrier.owner.context); /* when the replies were there */
    got = got < 0 ? 1 : take_frames(r, primary, err);
    return got > 0 ? lose_primary(r, err) : got;
}

/* Somebody who has nothing to say to us now: read only to notice that it went. */
static void read_idle(struct replicas *r, size_t index) {
    struct connection *c = &r->peers.list[index].connection;
    struct wire_header header = {0};
    const uint8_t *body;
    int got = connection_read(c, &r->why);
    if (got == 0)
        got = connection_frame(c, &header, &body, &r->why);
    if (got > 0)
        error_set(&r->why, ERROR_INVALID, "it sent a frame of type %u unasked", header.type);
    if (got != 0)
        peers_lost(&r->peers, index, &r->why, clock_instant());
}

static int handle(struct carrier *c, const struct epoll_event *event, struct error *err) {
    struct replicas *r = of(c);
    uint32_t index = event->data.u32;
    struct connection *from = &r->peers.list[index].connection;
    if (from->state == CONNECTION_CLOSED)
        return 0; /* by an event before this one */
    if (from->state != CONNECTION_READY)
        peers_greet(&r->peers, index, clock_instant());
    else if ((int)index != r->peers.primary)
        read_idle(r, index);
    else if (event->events & ~(uint32_t)EPOLLOUT)
        return read_primary(r, from, err);
    return 0; /* room to write: flushed at the end of the turn */
}

/* ---- connections ---- */

static void start(struct carrier *c, struct instant now) {
    peers_start(&of(c)->peers, now);
}

static bool ready(struct carrier *c, struct instant now) {
    struct replicas *r = of(c);
    if (!peers_primary(&r->peers)) {
        r->settle = INSTANT_NEVER;
        return false;
    }
    if (r->settle.ns == INSTANT_NEVER.ns)
        r->settle = instant_after(now, SETTLE_NS);
    if (!peers_settled(&r->peers) && !instant_passed(r->settle, now))
        return false;
    r->settle = INSTANT_NEVER;
    return true;
}

static bool alive(const struct carrier *c) {
    return peers_primary(&of_const(c)->peers) != NULL;
}

static int tick(struct carrier *c, struct instant now, struct error *err) {
    return peers_tick(&of(c)->peers, now, err);
}

static struct instant due(const struct carrier *c) {
    const struct replicas *r = of_const(c);
    return instant_earlier(r->settle, peers_due(&r->peers));
}

static void replicas_free(struct carrier *c) {
    struct replicas *r = of(c);
    peers_deinit(&r->peers);
    queue_deinit(&r->queue);
    free(r->flights);
    free(r);
}

static const struct carrier_kind kind = {
    .start = start,
    .ready = ready,
    .alive = alive,
    .submit = submit,
    .withdraw = withdraw,
    .flush = flush,
    .handle = handle,
    .tick = tick,
    .due = due,
    .free = replicas_free,
};

static struct carrier *make(const void *context, const struct carrier_slice *slice,
                            const struct carrier_owner *owner) {
    const struct replicas_config *config = context;
    struct replicas *r = mem_new(struct replicas);
    r->carrier = (struct carrier){.kind = &kind, .owner = *owner, .epoll_fd = slice->epoll_fd};
    r->config = config;
    r->slice = *slice;
    r->settle = INSTANT_NEVER;
    r->flights = mem_new_array(struct flight, slice->clients);
    queue_init(&r->queue, slice->clients + 1);
    peers_init(&r->peers, config->targets, slice->epoll_fd, config->connect_timeout_ns,
               config->workload->client_base + slice->thread, owner->note, owner->context);
    return &r->carrier;
}

struct carrier_maker replicas_maker(const struct replicas_config *config) {
    return (struct carrier_maker){.make = make, .context = config};
}
