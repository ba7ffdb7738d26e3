#include "executor/ahead.h"

#include "lib/crypto.h"
#include "lib/keyed_hash.h"
#include "lib/memory.h"

#include <stdlib.h>
#include <string.h>

enum { NOBODY = UINT16_MAX };
#define NEVER UINT64_MAX

/* What a replica says that the execution gives. */
struct vote {
    bool there, verified;
    struct execution execution;
    uint8_t signature[AUTH_SIGNATURE_SIZE];
};

/* A request that we collect for. */
struct collection {
    struct request *request;
    struct entry *entry;
    uint64_t view;
    uint64_t due_ns; /* NEVER: as long as it is executed here */
    struct collection *next, *previous;
    struct vote votes[]; /* by replica */
};

enum state { IDLE, RUNNING, DONE };

/* The last request of a client that is or was executed here. */
struct entry {
    uint64_t client, number;
    uint8_t request[SHA256_SIZE];
    enum state state;
    struct execution execution; /* DONE */
    uint8_t signature[AUTH_SIGNATURE_SIZE];
    uint16_t asked_by;     /* who is to be told */
    uint64_t ordered_view; /* in which we have ordered it; NEVER */
    struct collection *collection;
};

struct ahead {
    struct ahead_config config;
    struct entry **table; /* open addressing, at most half full */
    uint64_t mask;
    struct keyed_hash hash; /* loaders choose the ids of their clients */
    uint32_t entries, collections;
    uint64_t collected_bytes, executing_bytes;
    struct collection *first;
    uint64_t soonest_ns; /* nothing is due before */
};

struct ahead *ahead_new(const struct ahead_config *config) {
    struct ahead *a = mem_new(struct ahead);
    uint64_t slots = 16;
    while (slots < 2 * (uint64_t)config->clients_max)
        slots *= 2;
    a->config = *config;
    a->mask = slots - 1;
    random_bytes(a->hash.secret, sizeof a->hash.secret);
    a->soonest_ns = NEVER;
    a->table = mem_new_array(struct entry *, slots);
    return a;
}

static void end_collection(struct ahead *a, struct collection *c) {
    if (c->previous)
        c->previous->next = c->next;
    else
        a->first = c->next;
    if (c->next)
        c->next->previous = c->previous;
    c->entry->collection = NULL;
    a->collections--;
    a->collected_bytes -= c->request->payload_size;
    free(c);
}

static void drop_collection(struct ahead *a, struct collection *c) {
    struct request *request = c->request;
    end_collection(a, c);
    request_unref(request);
}

void ahead_free(struct ahead *a) {
    while (a->first)
        drop_collection(a, a->first);
    for (uint64_t i = 0; i <= a->mask; i++)
        free(a->table[i]);
    free(a->table);
    free(a);
}

/* ---- clients ---- */

static struct entry **probe(const struct ahead *a, uint64_t client) {
    uint64_t i = keyed_hash_of(&a->hash, &client, sizeof client) & a->mask;
    while (a->table[i] && a->table[i]->client != client)
        i = (i + 1) & a->mask;
    return &a->table[i];
}

/* NULL: there are too many. */
static struct entry *ensure(struct ahead *a, uint64_t client) {
    struct entry **place = probe(a, client);
    if (*place)
        return *place;
    if (a->entries == a->config.clients_max)
        return NULL;
    a->entries++;
    *place = mem_new(struct entry);
    (*place)->client = client;
    (*place)->asked_by = NOBODY;
    (*place)->ordered_view = NEVER;
    return *place;
}

static bool is_of(const struct entry *e, const struct request *request) {
    return e && e->number == request->command.number &&
           memcmp(e->request, request->digest, sizeof e->request) == 0;
}

/* The client has a new one: what was before is given up, as the client has done. */
static void begin_entry(struct ahead *a, struct entry *e, const struct request *request) {
    if (e->collection)
        drop_collection(a, e->collection);
    e->number = request->command.number;
    memcpy(e->request, request->digest, sizeof e->request);
    e->state = IDLE;
    e->asked_by = NOBODY;
    e->ordered_view = NEVER;
}

/* False: too much is under way. */
static bool run(struct ahead *a, struct entry *e, struct request *request) {
    if (e->state != IDLE)
        return true;
    if (a->executing_bytes + request->payload_size > AHEAD_BYTES_MAX)
        return false;
    if (!a->config.ops.execute(a->config.ops.context, request_ref(request))) {
        request_unref(request);
        return false;
    }
    a->executing_bytes += request->payload_size;
    e->state = RUNNING;
    return true;
}

/* ---- the primary ---- */

/* Ordered with what enough replicas have endorsed; NULL: without. */
static void conclude(struct ahead *a, struct collection *c, const struct endorsed *endorsed) {
    const struct ahead_ops *ops = &a->config.ops;
    struct request *request = c->request;
    bool leads = ops->leads(ops->context, c->view);
    c->entry->ordered_view = c->view;
    end_collection(a, c);
    if (endorsed && leads)
        request_endorse(request, endorsed);
    ops->order(ops->context, request);
}

/* False: it is not what that replica has signed; it has no vote any more. */
static bool verify(struct ahead *a, const struct collection *c, struct vote *vote, uint16_t i) {
    const struct ahead_ops *ops = &a->config.ops;
    if (!vote->verified && i != a->config.replica &&
        !execution_verify(a->config.auth, i, c->request->digest, &vote->execution,
                          vote->signature)) {
        vote->there = false;
        ops->blame(ops->context, i, "it has not signed what it says an execution gives");
        return false;
    }
    vote->verified = true;
    return true;
}

/* f + 1 that say the same as `like`, of which all signatures are right. */
static bool endorse_like(struct ahead *a, struct collection *c, const struct execution *like,
                         struct endorsed *ret) {
    unsigned equal = 0;
    for (uint16_t i = 0; i < a->config.n; i++)
        equal += c->votes[i].there && execution_equal(&c->votes[i].execution, like);
    if (equal <= a->config.f)
        return false;
    *ret = (struct endorsed){.execution = *like};
    for (uint16_t i = 0; i < a->config.n && ret->count <= a->config.f; i++) {
        struct vote *vote = &c->votes[i];
        if (!vote->there || !execution_equal(&vote->execution, like) || !verify(a, c, vote, i))
            continue;
        struct endorsement *by = &ret->by[ret->count++];
        by->replica = i;
        memcpy(by->signature, vote->signature, sizeof by->signature);
    }
    return ret->count > a->config.f;
}

static void try_to_conclude(struct ahead *a, struct collection *c) {
    unsigned there = 0;
    for (uint16_t i = 0; i < a->config.n; i++) {
        struct endorsed endorsed;
        if (!c->votes[i].there)
            continue;
        const struct execution like = c->votes[i].execution;
        if (endorse_like(a, c, &like, &endorsed)) {
            conclude(a, c, &endorsed);
            return;
        }
        there += c->votes[i].there;
    }
    if (there == a->config.n) /* and no f + 1 of them agree */
        conclude(a, c, NULL);
}

static void vote(struct collection *c, uint16_t replica, const struct execution *execution,
                 const uint8_t signature[AUTH_SIGNATURE_SIZE]) {
    struct vote *v = &c->votes[replica];
    if (v->there)
        return;
    v->there = true;
    v->execution = *execution;
    memcpy(v->signature, signature, sizeof v->signature);
}

static struct collection *new_collection(struct ahead *a, struct entry *e, struct request *request,
                                         uint64_t view) {
    struct collection *c = mem_zero(1, sizeof *c + (size_t)a->config.n * sizeof c->votes[0]);
    c->request = request;
    c->entry = e;
    c->view = view;
    c->due_ns = NEVER;
    c->next = a->first;
    if (a->first)
        a->first->previous = c;
    a->first = c;
    a->collections++;
    a->collected_bytes += request->payload_size;
    e->collection = c;
    return c;
}

/* The others have so long from now on. */
static void set_due(struct ahead *a, struct collection *c, uint64_t now_ns) {
    uint64_t execution_ns = c->request->command.execution_ms * UINT64_C(1000000);
    c->due_ns = now_ns + execution_ns + AHEAD_PATIENCE_NS;
    if (c->due_ns < a->soonest_ns)
        a->soonest_ns = c->due_ns;
}

enum ahead_begun ahead_begin(struct ahead *a, struct request *request, uint64_t view,
                             uint64_t now_ns) {
    struct entry *e = ensure(a, request->command.client);
    if (!e || request->command.number < e->number)
        return AHEAD_ORDER;
    if (request->command.number == e->number) {
        if (e->collection) { /* once more */
            request_unref(request);
            return AHEAD_TAKEN;
        }
        if (e->ordered_view == view || !is_of(e, request))
            return AHEAD_ORDER;
    }
    if (a->collections == AHEAD_COLLECTIONS_MAX ||
        a->collected_bytes + request->payload_size > AHEAD_BYTES_MAX)
        return AHEAD_FULL;
    if (!is_of(e, request))
        begin_entry(a, e, request);
    if (!run(a, e, request))
        return AHEAD_FULL;
    struct collection *c = new_collection(a, e, request, view);
    a->config.ops.fan_out(a->config.ops.context, request);
    if (e->state == DONE) { /* for an earlier primary */
        set_due(a, c, now_ns);
        vote(c, a->config.replica, &e->execution, e->signature);
        try_to_conclude(a, c);
    }
    return AHEAD_TAKEN;
}

void ahead_told(struct ahead *a, uint16_t peer, const struct codec_execution *m) {
    struct entry *e = *probe(a, m->client);
    struct execution execution;
    if (!e || !e->collection || e->number != m->number ||
        memcmp(e->request, m->request, sizeof e->request) != 0)
        return; /* too late, or of somebody who is in another view */
    memcpy(execution.read_set, m->read_set, sizeof execution.read_set);
    memcpy(execution.write_set, m->write_set, sizeof execution.write_set);
    vote(e->collection, peer, &execution, m->signature);
    try_to_conclude(a, e->collection);
}

uint64_t ahead_due(const struct ahead *a) {
    return a->soonest_ns;
}

void ahead_tick(struct ahead *a, uint64_t now_ns) {
    if (now_ns < a->soonest_ns)
        return;
    a->soonest_ns = NEVER;
    for (struct collection *c = a->first, *next; c; c = next) {
        next = c->next;
        if (c->due_ns <= now_ns)
            conclude(a, c, NULL);
        else if (c->due_ns < a->soonest_ns)
            a->soonest_ns = c->due_ns;
    }
}

/* ---- everybody ---- */

static void tell(struct ahead *a, struct entry *e) {
    struct codec_execution m = {.client = e->client, .number = e->number};
    uint16_t peer = e->asked_by;
    if (peer == NOBODY)
        return;
    e->asked_by = NOBODY;
    memcpy(m.request, e->request, sizeof m.request);
    memcpy(m.read_set, e->execution.read_set, sizeof m.read_set);
    memcpy(m.write_set, e->execution.write_set, sizeof m.write_set);
    memcpy(m.signature, e->signature, sizeof m.signature);
    a->config.ops.tell(a->config.ops.context, peer, &m);
}

void ahead_asked(struct ahead *a, uint16_t peer, struct request *request) {
    struct entry *e = ensure(a, request->command.client);
    if (e && request->command.number > e->number)
        begin_entry(a, e, request);
    if (is_of(e, request) && run(a, e, request)) {
        e->asked_by = peer;
        if (e->state == DONE)
            tell(a, e);
    }
    request_unref(request);
}

void ahead_executed(struct ahead *a, struct request *request, const struct execution *execution,
                    const uint8_t *signature, uint64_t now_ns) {
    struct entry *e = *probe(a, request->command.client);
    bool current = is_of(e, request) && e->state == RUNNING;
    a->executing_bytes -= request->payload_size;
    request_unref(request);
    if (!current)
        return; /* its client has gone on */
    e->state = execution ? DONE : IDLE;
    if (e->collection)
        set_due(a, e->collection, now_ns);
    if (!execution)
        return;
    e->execution = *execution;
    memcpy(e->signature, signature, sizeof e->signature);
    tell(a, e);
    if (!e->collection)
        return;
    vote(e->collection, a->config.replica, execution, signature);
    try_to_conclude(a, e->collection);
}

bool ahead_agrees(const struct ahead *a, const struct request *request,
                  const struct execution *execution) {
    const struct entry *e = *probe(a, request->command.client);
    return is_of(e, request) && e->state == DONE && execution_equal(&e->execution, execution);
}
