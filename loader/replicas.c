#include "loader/replicas.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "loader/limits.h"
#include "loader/line.h"
#include "loader/queue.h"
#include "loader/votes.h"

#include <assert.h>
#include <stdlib.h>

/* Backups are given this long after the primary is there. */
#define SETTLE_NS (500 * NS_PER_MS)

/* What a client has under way. */
enum flight_state { FLIGHT_NONE, FLIGHT_WAITING, FLIGHT_SENT };

/* A read that is not answered by a quorum at all is asked so often before it is ordered: whoever is
 * only slow will be there. */
enum { READS_MAX = 8 };

struct flight {
    enum flight_state state;
    uint32_t ticket;    /* in the queue */
    bool queued;        /* its last request was not begun, so that the ticket may still be good */
    bool ordered;       /* a read that is ordered, because no quorum said the same */
    uint8_t asked;      /* how often it was sent again */
    uint64_t number;    /* of its request, or of its last one */
    uint64_t sent_ns;   /* first */
    uint64_t resend_ns; /* voting: since when its answers are waited for */
};

/* Where answers are compared: what it takes to do so, and to send a request to all. */
struct voting {
    size_t answers;      /* equal ones that are needed; 1: no voting, and nothing below is used */
    size_t read_answers; /* of reads, which nobody orders: a quorum */
    uint64_t *votes;     /* by client and replica */
    struct link
        *links; /* by client: the line of those whose answers are waited for, by resend_ns */
    struct line waiting;
    struct queue *queues; /* by replica; the primary's is the one of all requests */
    struct retry retry;
};

struct replicas {
    struct carrier carrier; /* first: it is what others see */
    const struct replicas_config *config;
    struct carrier_slice slice;
    struct peers peers;
    struct request_prover prover;
    struct queue queue;
    struct flight *flights; /* by client */
    struct voting voting;
    struct instant settle; /* NEVER until there is a primary */
    uint64_t flush_ns;     /* of this writev */
    uint32_t refusals;     /* one after the other */
    struct error why;      /* of what is lost; here because clearing 4 kB in every turn costs */
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

static bool votes(const struct replicas *r) {
    return r->voting.answers > 1;
}

static bool reads(const struct replicas *r, uint32_t client, uint64_t number) {
    const struct workload *w = r->config->workload;
    uint32_t index = client * r->slice.threads + r->slice.thread;
    return w->mix.shapes[workload_shape(w, index, number)].read_only;
}

/* A request as it is sent. */
struct load {
    struct wire_request request;
    const uint8_t *payload_hash;
};

/* The same keys are read before nothing is written. */
static void order_read(struct wire_request *request) {
    request->flags &= (uint8_t)~WIRE_REQUEST_READ_ONLY;
    request->read_count = request->key_count;
    request->key_count = 0;
}

static void make_request(const struct replicas *r, uint32_t client, uint64_t number,
                         struct load *ret) {
    const struct schedule_entry entry = {.client = client * r->slice.threads + r->slice.thread,
                                         .number = number};
    workload_request(r->config->workload, &entry, &ret->request);
    if (r->flights[client].ordered)
        order_read(&ret->request);
    ret->payload_hash = workload_payload_hash(r->config->workload, &entry);
}

static void enqueue(struct replicas *r, uint32_t client, const struct load *load) {
    struct flight *f = &r->flights[client];
    if (in_queue(r, f))
        queue_replace(&r->queue, f->ticket, &load->request, load->payload_hash);
    else
        f->ticket = queue_push(&r->queue, &load->request, load->payload_hash, client);
    f->queued = true;
}

static void submit(struct carrier *c, uint32_t client, uint64_t number) {
    struct replicas *r = of(c);
    struct flight *f = &r->flights[client];
    struct load load;
    f->ordered = false;
    f->asked = 0;
    make_request(r, client, number, &load);
    enqueue(r, client, &load);
    f->number = number;
    f->state = FLIGHT_WAITING;
    if (votes(r))
        votes_clear(&r->voting.votes[client * r->peers.count], r->peers.count);
}

/* Nothing is waited for any longer. */
static void land(struct replicas *r, uint32_t client) {
    struct flight *f = &r->flights[client];
    if (votes(r) && f->state == FLIGHT_SENT)
        line_remove(&r->voting.waiting, r->voting.links, client);
    f->state = FLIGHT_NONE;
}

/* Its place stays, for the client's next request, until all before it are gone. */
static void withdraw(struct carrier *c, uint32_t client) {
    struct replicas *r = of(c);
    struct flight *f = &r->flights[client];
    if (in_queue(r, f))
        queue_drop(&r->queue, f->ticket);
    land(r, client);
}

static int end(struct replicas *r, uint32_t client, enum outcome outcome, struct error *err) {
    if (votes(r) && in_queue(r, &r->flights[client])) /* to be sent again: no more */
        queue_drop(&r->queue, r->flights[client].ticket);
    land(r, client);
    return r->carrier.owner.ended(r->carrier.owner.context, client, outcome, err);
}

/* A replica whose queue is full has enough to do. */
static void send_to_backups(struct replicas *r, uint32_t client, const struct load *load) {
    for (size_t i = 0; i < r->peers.count; i++) {
        struct queue *queue = &r->voting.queues[i];
        if ((int)i != r->peers.primary && r->peers.list[i].connection.state == CONNECTION_READY &&
            !queue_full(queue))
            queue_push(queue, &load->request, load->payload_hash, client);
    }
}

/* Nobody orders a read, so nobody else would answer it. */
static void ask_backups(struct replicas *r, uint32_t client) {
    struct load load;
    if (!reads(r, client, r->flights[client].number))
        return;
    make_request(r, client, r->flights[client].number, &load);
    send_to_backups(r, client, &load);
}

static void begun(void *context, uint32_t client) {
    struct replicas *r = context;
    struct flight *f = &r->flights[client];
    f->queued = false;
    if (f->state == FLIGHT_SENT && votes(r))
        return; /* again */
    assert(f->state == FLIGHT_WAITING);
    f->state = FLIGHT_SENT;
    f->sent_ns = f->resend_ns = r->flush_ns;
    if (votes(r)) {
        line_append(&r->voting.waiting, r->voting.links, client);
        ask_backups(r, client);
    }
    r->carrier.owner.begun(r->carrier.owner.context, client, r->flush_ns);
}

/* Where nobody else can answer, all that was sent on it has failed; what was not waits for the next
 * one. */
static int lose(struct replicas *r, size_t index, struct error *err) {
    bool primary = (int)index == r->peers.primary;
    if (votes(r))
        queue_clear(&r->voting.queues[index]);
    if (primary)
        queue_restart(&r->queue);
    peers_lost(&r->peers, index, &r->why, clock_instant());
    for (uint32_t i = 0; primary && !votes(r) && i < r->slice.clients; i++)
        if (r->flights[i].state == FLIGHT_SENT && end(r, i, OUTCOME_FAILED, err) < 0)
            return -1;
    return 0;
}

static void ignore_begun(void *context, uint32_t client) {
    (void)context;
    (void)client;
}

static int flush_to(struct replicas *r, size_t index, struct queue *queue, queue_begun *on_begun,
                    struct error *err) {
    struct connection *to = &r->peers.list[index].connection;
    bool full = false;
    while (!full && !queue_empty(queue)) {
        size_t bytes = 0, written;
        int count = queue_vectors(queue, &to->seal, r->vectors, LOADER_IOVECS_MAX);
        for (int i = 0; i < count; i++)
            bytes += r->vectors[i].iov_len;
        r->flush_ns = r->carrier.owner.now(r->carrier.owner.context);
        if (connection_write(to, r->vectors, count, &written, &r->why) < 0)
            return lose(r, index, err);
        queue_written(queue, &to->seal, written, on_begun, r);
        full = written < bytes;
    }
    peers_want_write(&r->peers, index, full);
    return 0;
}

static int flush_resent(struct replicas *r, struct error *err) {
    for (size_t i = 0; i < r->peers.count; i++)
        if (r->peers.list[i].connection.state == CONNECTION_READY &&
            !queue_empty(&r->voting.queues[i]) &&
            flush_to(r, i, &r->voting.queues[i], ignore_begun, err) < 0)
            return -1;
    return 0;
}

/* Whoever led before may never take the rest of the request that it has a part of. */
static void turn(struct replicas *r) {
    int before = r->peers.primary;
    if (!votes(r) && queue_begun_one(&r->queue))
        return;
    peers_turn(&r->peers);
    if (before != r->peers.primary && queue_begun_one(&r->queue))
        queue_move_begun(&r->queue, &r->voting.queues[before]);
}

static int flush(struct carrier *c, struct error *err) {
    struct replicas *r = of(c);
    if (votes(r) && flush_resent(r, err) < 0)
        return -1;
    turn(r);
    /* Whoever stands in for a primary may have a part of a request that was sent again. */
    if (r->peers.primary == PEERS_NOBODY ||
        (votes(r) && !queue_empty(&r->voting.queues[r->peers.primary])))
        return 0;
    if (flush_to(r, (size_t)r->peers.primary, &r->queue, begun, err) < 0)
        return -1;
    return votes(r) ? flush_resent(r, err) : 0; /* reads go to all at once */
}

/* A quorum has answered and does not agree, or does not answer (OSDI '99, section 4.4: a read-only
 * request is sent again as one that is ordered). What was read may have changed since, so all vote
 * anew. */
static void read_again(struct replicas *r, uint32_t client) {
    struct flight *f = &r->flights[client];
    uint64_t *votes = &r->voting.votes[client * r->peers.count];
    bool answered = votes_count(votes, r->peers.count) >= r->voting.read_answers;
    if (!f->ordered && (answered || f->asked == READS_MAX)) {
        f->ordered = true;
        r->carrier.owner.ordered(r->carrier.owner.context);
    }
    f->asked++;
    votes_clear(votes, r->peers.count);
}

/* To all, once more. */
static void resend(struct replicas *r, uint32_t client, uint64_t now_ns) {
    struct flight *f = &r->flights[client];
    struct load load;
    if (reads(r, client, f->number))
        read_again(r, client);
    make_request(r, client, f->number, &load);
    if (r->peers.primary != PEERS_NOBODY)
        enqueue(r, client, &load);
    send_to_backups(r, client, &load);
    f->resend_ns = now_ns;
    retry_expired(&r->voting.retry, now_ns);
    line_remove(&r->voting.waiting, r->voting.links, client);
    line_append(&r->voting.waiting, r->voting.links, client);
}

static uint64_t next_resend_ns(const struct replicas *r) {
    uint32_t first = r->voting.waiting.first;
    return votes(r) && first != NOBODY
               ? r->flights[first].resend_ns + retry_limit_ns(&r->voting.retry)
               : UINT64_MAX;
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

static int conclude(struct replicas *r, uint32_t client, const struct wire_reply *reply,
                    struct error *err) {
    if (reply->status != WIRE_REPLY_REFUSED)
        r->refusals = 0;
    switch (reply->status) {
    case WIRE_REPLY_OK: return end(r, client, OUTCOME_ACKNOWLEDGED, err);
    case WIRE_REPLY_OVERLOADED: return end(r, client, OUTCOME_OVERLOADED, err);
    case WIRE_REPLY_REFUSED: break;
    }
    if (end(r, client, OUTCOME_FAILED, err) < 0)
        return -1;
    return refused(r, reply, err);
}

/* Whether the answer is the last one that was needed. Replicas that read the same may do so at
 * different heights. Of a read that is ordered, answers from before may still come: so a quorum has
 * to agree on those, too. */
static bool is_decided(struct replicas *r, uint32_t client, const struct wire_reply *reply) {
    if (!votes(r))
        return true;
    struct wire_reply vote = *reply;
    bool read = reads(r, client, reply->number);
    if (read)
        vote.height = 0;
    /* Whether there is room for it is the primary's to say; the others do not know. */
    if (reply->status == WIRE_REPLY_OVERLOADED && reply->replica == r->peers.primary)
        return true;
    if (votes_add(&r->voting.votes[client * r->peers.count], r->peers.count, &vote) <
        (read ? r->voting.read_answers : r->voting.answers))
        return false;
    uint64_t now_ns = r->carrier.owner.now(r->carrier.owner.context);
    retry_sample(&r->voting.retry, now_ns - r->flights[client].sent_ns);
    return true;
}

/* 0; 1 for what no replica may say, described in r->why; or a fault. */
static int take_reply(struct replicas *r, size_t from, const struct wire_reply *reply,
                      struct error *err) {
    uint32_t client;
    struct flight *f = find(r, reply->client, &client);
    if (reply->replica != from) {
        error_set(&r->why, ERROR_INVALID, "it answers as replica %u", reply->replica);
        return 1;
    }
    if (!f || reply->number == 0 || reply->number > f->number ||
        (reply->number == f->number && f->state == FLIGHT_WAITING)) {
        error_set(&r->why, ERROR_INVALID, "it answered a request that was not sent");
        return 1;
    }
    if (reply->number < f->number || f->state != FLIGHT_SENT) {
        if (!votes(r)) /* there, more answers come than are needed */
            r->carrier.owner.late(r->carrier.owner.context);
        return 0;
    }
    peers_answered(&r->peers, from, reply->view);
    return is_decided(r, client, reply) ? conclude(r, client, reply, err) : 0;
}

/* As take_reply, for all frames that were read. */
static int take_frames(struct replicas *r, size_t index, struct error *err) {
    struct connection *from = &r->peers.list[index].connection;
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
        got = take_reply(r, index, &reply, err);
        if (got != 0)
            return got;
    }
    return got < 0 ? 1 : 0;
}

static int read_replies(struct replicas *r, size_t index, struct error *err) {
    int got = connection_read(&r->peers.list[index].connection, &r->why);
    r->carrier.owner.now(r->carrier.owner.context); /* when the replies were there */
    got = got < 0 ? 1 : take_frames(r, index, err);
    return got > 0 ? lose(r, index, err) : got;
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
    else if ((int)index != r->peers.primary && !votes(r))
        read_idle(r, index);
    else if (event->events & ~(uint32_t)EPOLLOUT)
        return read_replies(r, index, err);
    return 0; /* room to write: flushed at the end of the turn */
}

/* ---- connections ---- */

static void start(struct carrier *c, struct instant now) {
    peers_start(&of(c)->peers, now);
}

static void begin_voting(struct replicas *r, size_t answers) {
    struct voting *v = &r->voting;
    size_t n = r->peers.count, quorum = (n + (n - 1) / 3) / 2 + 1;
    v->answers = answers;
    v->read_answers = quorum > answers ? quorum : answers;
    if (!votes(r))
        return;
    v->votes = mem_new_array(uint64_t, (size_t)r->slice.clients * r->peers.count);
    v->links = mem_new_array(struct link, r->slice.clients);
    v->queues = mem_new_array(struct queue, r->peers.count);
    for (size_t i = 0; i < r->peers.count; i++)
        queue_init(&v->queues[i], &r->prover, LOADER_RESENT_MAX);
    retry_init(&v->retry, &r->config->retry);
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
    begin_voting(r, r->peers.answers);
    return true;
}

static bool alive(const struct carrier *c) {
    return peers_primary(&of_const(c)->peers) != NULL;
}

static int tick(struct carrier *c, struct instant now, struct error *err) {
    struct replicas *r = of(c);
    if (next_resend_ns(r) != UINT64_MAX) {
        uint64_t now_ns = c->owner.now(c->owner.context);
        for (uint64_t n = r->voting.waiting.count; n > 0 && next_resend_ns(r) <= now_ns; n--)
            resend(r, r->voting.waiting.first, now_ns);
        if (flush(c, err) < 0)
            return -1;
    }
    return peers_tick(&r->peers, now, err);
}

static struct instant due(const struct carrier *c) {
    const struct replicas *r = of_const(c);
    struct instant at = instant_earlier(r->settle, peers_due(&r->peers));
    uint64_t resend_ns = next_resend_ns(r);
    return resend_ns == UINT64_MAX ? at
                                   : instant_earlier(at, c->owner.at(c->owner.context, resend_ns));
}

static void replicas_free(struct carrier *c) {
    struct replicas *r = of(c);
    peers_deinit(&r->peers);
    request_prover_deinit(&r->prover);
    queue_deinit(&r->queue);
    for (size_t i = 0; r->voting.queues && i < r->config->targets->count; i++)
        queue_deinit(&r->voting.queues[i]);
    free(r->voting.queues);
    free(r->voting.votes);
    free(r->voting.links);
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
    const struct identity *identity = config->identity;
    struct error err = ERROR_NULL;
    struct replicas *r = mem_new(struct replicas);
    if (request_prover_init(&r->prover, identity, config->targets->run, config->client_auth, &err) <
        0)
        abort(); /* replicas_check has tried it */
    r->carrier = (struct carrier){.kind = &kind, .owner = *owner, .epoll_fd = slice->epoll_fd};
    r->config = config;
    r->slice = *slice;
    r->settle = INSTANT_NEVER;
    r->voting = (struct voting){.answers = 1, .waiting = LINE_EMPTY};
    r->flights = mem_new_array(struct flight, slice->clients);
    queue_init(&r->queue, &r->prover, slice->clients + 1);
    const struct peers_self self = {
        .id = identity ? identity_self(identity).index
                       : config->workload->client_base + slice->thread,
        .clients = {.first = config->workload->client_base + slice->thread,
                    .step = slice->threads,
                    .count = slice->clients},
        .identity = identity,
    };
    peers_init(&r->peers, config->targets, slice->epoll_fd, config->connect_timeout_ns, &self,
               owner->note, owner->context);
    return &r->carrier;
}

int replicas_check(const struct replicas_config *config, struct error *err) {
    cleanup(request_prover_deinit) struct request_prover prover = REQUEST_PROVER_NULL;
    return request_prover_init(&prover, config->identity, config->targets->run, config->client_auth,
                               err);
}

struct carrier_maker replicas_maker(const struct replicas_config *config) {
    return (struct carrier_maker){.make = make, .context = config};
}
