#include "tests/sim/core_sim.h"

#include "executor/core/core.h"

#include "lib/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REPLICAS_MAX = 7,
    CLIENTS_MAX = 12,
    REQUESTS_MAX = 100 * 1000,
    HEIGHT_MAX = 20 * 1000,
    LINK_MESSAGES_MAX = 4096,
    EVENTS_MAX = 1 << 16,
};

#define MS UINT64_C(1000000)
#define FAULTS_UNTIL (2000 * MS)
#define SETTLED (3000 * MS)         /* crashed ones and links are back */
#define PROGRESS_UNTIL (30000 * MS) /* the longest back-off and laggard time are far below */
#define STOP_UNTIL (60000 * MS)
#define PROGRESS_REQUESTS 20 /* each client must get so many answers after the faults */

enum kind {
    KIND_DELIVER,    /* the next message of a link */
    KIND_STORED,     /* a store has finished what it can */
    KIND_TICK,       /* a core's timer */
    KIND_CLIENT,     /* a client sends, or sends again */
    KIND_REPLY,      /* reaches its client */
    KIND_LINK_BREAK, /* faults */
    KIND_LINK_BACK,
    KIND_CRASH,
    KIND_RESTART,
    KIND_DRAIN,
};

struct event {
    uint64_t at_ns;
    uint64_t order; /* equal times keep it */
    enum kind kind;
    uint32_t a, b;
    uint64_t number;
    uint64_t epoch; /* of the replica or link when it was planned: stale ones do nothing */
    enum core_reply_status status;
};

struct request {
    uint64_t client, number;
    int references;
};

struct block {
    uint64_t client, number;
    uint8_t digest[CORE_DIGEST_SIZE];
};

struct message {
    struct core_message message;
    bool carries; /* an APPEND */
};

struct link { /* one direction */
    bool up;
    bool closing; /* the sender has ended; down after the last message */
    uint64_t epoch;
    uint64_t last_ns; /* the next message comes no earlier */
    struct message *queue;
    uint64_t first, end;
};

struct replica {
    bool running;
    bool drained;
    uint64_t epoch;
    void *memory;
    struct core *core;
    struct block *disk; /* by height - 1: survives a crash */
    uint64_t disk_height;
    uint64_t disk_height_ever; /* an acknowledgement was true when it was sent */
    struct block *ordered;     /* CORE_STORE actions that are not done */
    uint64_t ordered_height;   /* of the last one */
    bool storing;
    uint64_t store_slowness;
};

struct client {
    uint64_t number; /* of its request under way, or the last one */
    bool waiting;
    uint64_t answered;
    uint64_t answered_at_faults_end;
};

struct sim {
    uint64_t rng;
    uint64_t now_ns;
    uint64_t order;
    bool verbose;
    bool faults;
    bool stopping;
    bool stuck;     /* too many backups are left behind for anything to be answered */
    bool in_memory; /* a crash takes the blocks too */
    uint16_t n, f;
    uint32_t clients;
    struct core_config config;
    struct replica replicas[REPLICAS_MAX];
    struct link links[REPLICAS_MAX][REPLICAS_MAX];
    struct client client[CLIENTS_MAX];
    struct request *requests; /* by handle */
    uint64_t request_count;
    struct block *truth; /* what the first replica stored at each height */
    uint64_t truth_height;
    struct event *heap;
    size_t heap_count;
    struct core_update update;
    struct sim_result *result;
};

__attribute__((format(printf, 2, 3))) static void violation(struct sim *s, const char *format,
                                                            ...) {
    if (s->result->violation[0])
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(s->result->violation, sizeof s->result->violation, format, args);
    va_end(args);
}

static uint64_t roll(struct sim *s, uint64_t below) {
    s->rng ^= s->rng << 13;
    s->rng ^= s->rng >> 7;
    s->rng ^= s->rng << 17;
    return below ? (s->rng >> 11) % below : 0;
}

/* ---- the queue of events ---- */

static bool before(const struct event *a, const struct event *b) {
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void plan(struct sim *s, uint64_t delay_ns, struct event event) {
    if (s->heap_count == EVENTS_MAX) {
        violation(s, "the simulator's queue is full");
        return;
    }
    event.at_ns = s->now_ns + delay_ns;
    event.order = s->order++;
    size_t i = s->heap_count++;
    for (; i > 0 && before(&event, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = event;
}

static struct event next_event(struct sim *s) {
    struct event first = s->heap[0], last = s->heap[--s->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->heap_count)
            break;
        if (child + 1 < s->heap_count && before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!before(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return first;
}

/* ---- requests and their references ---- */

static struct core_request new_request(struct sim *s, uint64_t client, uint64_t number) {
    if (s->request_count == REQUESTS_MAX) {
        violation(s, "too many requests for the simulator");
        s->request_count--;
    }
    uint64_t handle = s->request_count++;
    s->requests[handle] = (struct request){client, number, 1};
    struct core_request r = {.handle = handle,
                             .size_bytes = (uint32_t)(50 + (client * 31 + number * 17) % 200),
                             .client = client,
                             .number = number,
                             .origin = client};
    memcpy(r.digest, &client, sizeof client);
    memcpy(r.digest + 8, &number, sizeof number);
    return r;
}

static void release(struct sim *s, uint64_t handle) {
    if (--s->requests[handle].references < 0)
        violation(s, "request %llu was released twice", (unsigned long long)handle);
}

static struct sim *dropping; /* core_drop's callback has no context */
static void drop_request(const struct core_request *request) {
    release(dropping, request->handle);
}

/* ---- checkers ---- */

/* Agreement and at-most-once: whatever is stored at a height is the same everywhere. */
static void check_stored(struct sim *s, uint16_t replica, uint64_t height,
                         const struct block *block) {
    if (height > s->truth_height) {
        if (height != s->truth_height + 1)
            violation(s, "replica %u stored block %llu before anybody stored %llu", replica,
                      (unsigned long long)height, (unsigned long long)s->truth_height + 1);
        for (uint64_t h = 1; h < height; h++)
            if (s->truth[h - 1].client == block->client && s->truth[h - 1].number == block->number)
                violation(s, "request (%llu, %llu) is executed twice",
                          (unsigned long long)block->client, (unsigned long long)block->number);
        s->truth[height - 1] = *block;
        s->truth_height = height;
    } else if (memcmp(s->truth[height - 1].digest, block->digest, CORE_DIGEST_SIZE) != 0) {
        violation(s, "replica %u stored another block %llu", replica, (unsigned long long)height);
    }
}

static void check_answer(struct sim *s, const struct core_action *action) {
    unsigned holders = 0;
    const struct block *block = &s->truth[action->height ? action->height - 1 : 0];
    bool right = action->height > 0 && action->height <= s->truth_height &&
                 block->client == action->request.client &&
                 block->number == action->request.number &&
                 memcmp(block->digest, action->digest, CORE_DIGEST_SIZE) == 0;
    for (uint16_t i = 0; i < s->n; i++)
        holders += right && s->replicas[i].disk_height_ever >= action->height;
    if (holders < s->f + 1u)
        violation(s, "(%llu, %llu) was answered, and %u replicas have it at height %llu",
                  (unsigned long long)action->request.client,
                  (unsigned long long)action->request.number, holders,
                  (unsigned long long)action->height);
}

/* ---- carrying out what cores want ---- */

static void step(struct sim *s, uint16_t at, struct core_event *event);

static void chain_block(const struct replica *r, uint64_t height, struct block *block,
                        const struct core_request *request) {
    uint64_t words[4] = {0, 0, 0, 0}, parent[4] = {0, 0, 0, 0};
    const struct block *before_it = NULL;
    if (height > r->disk_height + 1)
        before_it = &r->ordered[height - 2];
    else if (height > 1)
        before_it = &r->disk[height - 2];
    if (before_it)
        memcpy(parent, before_it->digest, sizeof parent);
    for (size_t i = 0; i < 4; i++) {
        words[i] = (parent[i] ^ (request->client << 32) ^ request->number ^ (i << 60)) *
                   UINT64_C(0x9e3779b97f4a7c15);
        words[i] ^= (words[i] >> 29) + parent[(i + 1) % 4] + height;
    }
    block->client = request->client;
    block->number = request->number;
    memcpy(block->digest, words, sizeof words);
}

static void plan_store(struct sim *s, uint16_t at) {
    struct replica *r = &s->replicas[at];
    if (r->storing || r->ordered_height <= r->disk_height)
        return;
    r->storing = true;
    plan(s, (1 + roll(s, r->store_slowness)) * MS / 10,
         (struct event){.kind = KIND_STORED, .a = at, .epoch = r->epoch});
}

static void do_store(struct sim *s, uint16_t at, const struct core_action *action) {
    struct replica *r = &s->replicas[at];
    if (action->height != r->ordered_height + 1 || action->height > HEIGHT_MAX) {
        violation(s, "replica %u orders block %llu after %llu", at,
                  (unsigned long long)action->height, (unsigned long long)r->ordered_height);
        return;
    }
    chain_block(r, action->height, &r->ordered[action->height - 1], &action->request);
    r->ordered_height = action->height;
    plan_store(s, at);
}

static uint64_t delay(struct sim *s) {
    return roll(s, 20) == 0 ? roll(s, 50 * MS) : roll(s, 2 * MS);
}

static void do_send(struct sim *s, uint16_t from, const struct core_action *action) {
    struct link *link = &s->links[from][action->peer];
    if (!link->up)
        return;
    if (link->end - link->first == LINK_MESSAGES_MAX) {
        violation(s, "the link from %u to %u is not bounded", from, action->peer);
        return;
    }
    struct message *m = &link->queue[link->end++ % LINK_MESSAGES_MAX];
    m->message = action->message;
    m->carries = action->message.type == CORE_APPEND;
    uint64_t at_ns = s->now_ns + delay(s);
    if (at_ns < link->last_ns)
        at_ns = link->last_ns;
    link->last_ns = at_ns;
    plan(s, at_ns - s->now_ns,
         (struct event){.kind = KIND_DELIVER, .a = from, .b = action->peer, .epoch = link->epoch});
}

static void break_link(struct sim *s, uint16_t a, uint16_t b, bool plan_return) {
    for (int direction = 0; direction < 2; direction++) {
        struct link *link = direction ? &s->links[b][a] : &s->links[a][b];
        if (!link->up)
            return;
        link->up = false;
        link->epoch++;
        link->first = link->end;
    }
    uint16_t ends[2] = {a, b};
    for (int i = 0; i < 2; i++)
        if (s->replicas[ends[i]].running)
            step(s, ends[i], &(struct core_event){.type = CORE_PEER_DOWN, .peer = ends[1 - i]});
    if (plan_return)
        plan(s, roll(s, 300 * MS), (struct event){.kind = KIND_LINK_BACK, .a = a, .b = b});
}

static void do_reply(struct sim *s, uint16_t at, const struct core_action *action) {
    if (action->status == CORE_REPLY_OK)
        check_answer(s, action);
    if (at != 0 && action->status == CORE_REPLY_OK)
        violation(s, "backup %u answers", at);
    if (s->faults && roll(s, 20) == 0)
        return; /* the client's connection broke */
    plan(s, delay(s),
         (struct event){.kind = KIND_REPLY,
                        .a = (uint32_t)action->request.origin,
                        .number = action->request.number,
                        .status = action->status});
}

static void carry_out(struct sim *s, uint16_t at, const struct core_action *action) {
    switch (action->type) {
    case CORE_STORE: do_store(s, at, action); return;
    case CORE_SEND: do_send(s, at, action); return;
    case CORE_REPLY: do_reply(s, at, action); return;
    case CORE_RELEASE: release(s, action->request.handle); return;
    case CORE_DISCONNECT:
        violation(s, "replica %u disconnects %u: nobody broke the protocol here", at, action->peer);
        return;
    case CORE_NOTE:
        if (s->verbose)
            printf("%8.1f ms  replica %u notes %d about %u: %llu %llu\n", (double)s->now_ns / 1e6,
                   at, action->note, action->peer, (unsigned long long)action->height,
                   (unsigned long long)action->other_height);
        if (action->note == CORE_NOTE_PEER_DIVERGED || action->note == CORE_NOTE_PEER_AHEAD ||
            action->note == CORE_NOTE_VIOLATION ||
            (action->note == CORE_NOTE_DRAIN_LATE && !s->stuck))
            violation(s, "replica %u notes %d about replica %u", at, action->note, action->peer);
        s->result->left_behind += action->note == CORE_NOTE_PEER_BEHIND;
        return;
    }
}

static void step(struct sim *s, uint16_t at, struct core_event *event) {
    struct replica *r = &s->replicas[at];
    uint64_t timer_ns;
    do {
        event->now_ns = s->now_ns;
        core_step(r->core, event, &s->update);
        for (size_t i = 0; i < s->update.count; i++)
            carry_out(s, at, &s->update.actions[i]);
        event->type = CORE_TICK;
        timer_ns = s->update.timer_ns;
        r->drained = r->drained || s->update.drained;
    } while (s->update.more && !s->result->violation[0]);
    if (timer_ns != UINT64_MAX)
        plan(s, timer_ns > s->now_ns ? timer_ns - s->now_ns : 0,
             (struct event){.kind = KIND_TICK, .a = at, .epoch = r->epoch});
}

/* ---- events ---- */

static void start(struct sim *s, uint16_t at) {
    struct replica *r = &s->replicas[at];
    struct core_config config = s->config;
    config.replica = at;
    memset(r->memory, 0, core_size(&config));
    r->core = core_init(r->memory, &config);
    r->running = true;
    r->storing = false;
    r->epoch++;
    r->ordered_height = r->disk_height;
    for (uint64_t h = 1; h <= r->disk_height; h++)
        if (!core_recover(r->core, r->disk[h - 1].client, r->disk[h - 1].number, h,
                          r->disk[h - 1].digest))
            violation(s, "replica %u cannot recover", at);
}

/* The last of what an ended process had sent is there. */
static void hang_up(struct sim *s, uint16_t from, uint16_t to) {
    struct link *link = &s->links[from][to];
    link->up = link->closing = false;
    link->epoch++;
    if (s->replicas[to].running)
        step(s, to, &(struct core_event){.type = CORE_PEER_DOWN, .peer = from});
}

static void on_deliver(struct sim *s, const struct event *e) {
    struct link *link = &s->links[e->a][e->b];
    if (!link->up || link->epoch != e->epoch || link->first == link->end)
        return;
    if (!s->replicas[e->b].running) {
        hang_up(s, (uint16_t)e->a, (uint16_t)e->b);
        return;
    }
    struct message *m = &link->queue[link->first++ % LINK_MESSAGES_MAX];
    struct core_event event = {.type = CORE_MESSAGE, .peer = (uint16_t)e->a, .message = m->message};
    if (m->carries)
        event.message.request =
            new_request(s, m->message.request.client, m->message.request.number);
    step(s, (uint16_t)e->b, &event);
    if (link->closing && link->first == link->end)
        hang_up(s, (uint16_t)e->a, (uint16_t)e->b);
}

static void on_stored(struct sim *s, const struct event *e) {
    struct replica *r = &s->replicas[e->a];
    uint8_t digests[CORE_STORED_MAX][CORE_DIGEST_SIZE];
    if (!r->running || r->epoch != e->epoch)
        return;
    uint32_t count = 1 + (uint32_t)roll(s, 8);
    if (count > r->ordered_height - r->disk_height)
        count = (uint32_t)(r->ordered_height - r->disk_height);
    struct core_event event = {.type = CORE_STORED};
    event.stored.height = r->disk_height + 1;
    event.stored.count = count;
    event.stored.digests = (const uint8_t(*)[CORE_DIGEST_SIZE])digests;
    for (uint32_t i = 0; i < count; i++) {
        const struct block *block = &r->ordered[r->disk_height];
        r->disk[r->disk_height++] = *block;
        check_stored(s, (uint16_t)e->a, r->disk_height, block);
        memcpy(digests[i], block->digest, CORE_DIGEST_SIZE);
    }
    if (r->disk_height_ever < r->disk_height)
        r->disk_height_ever = r->disk_height;
    r->storing = false;
    plan_store(s, (uint16_t)e->a);
    step(s, (uint16_t)e->a, &event);
}

static void on_client(struct sim *s, const struct event *e) {
    struct client *c = &s->client[e->a];
    if (s->stopping)
        return;
    if (!c->waiting) {
        c->waiting = true;
        c->number += 1 + roll(s, 3); /* rising, with gaps */
    } else if (c->number != e->number) {
        return; /* the time limit of an earlier request */
    }
    plan(s, (20 + roll(s, 100)) * MS,
         (struct event){.kind = KIND_CLIENT, .a = e->a, .number = c->number});
    uint16_t to = roll(s, 30) == 0 ? (uint16_t)roll(s, s->n) : 0;
    if (!s->replicas[to].running || s->replicas[to].drained)
        return;
    struct core_event event = {.type = CORE_REQUEST,
                               .request = new_request(s, 1000 + e->a, c->number)};
    event.request.origin = e->a;
    step(s, to, &event);
}

static void on_reply(struct sim *s, const struct event *e) {
    struct client *c = &s->client[e->a];
    if (!c->waiting || e->number != c->number || e->status != CORE_REPLY_OK)
        return; /* of an earlier try; refused or overloaded ones are tried again in time */
    c->waiting = false;
    c->answered++;
    s->result->answered++;
    plan(s, roll(s, 5 * MS), (struct event){.kind = KIND_CLIENT, .a = e->a});
}

static void on_link_back(struct sim *s, const struct event *e) {
    if (s->links[e->a][e->b].up || !s->replicas[e->a].running || !s->replicas[e->b].running)
        return; /* a restart brings its links back itself */
    s->links[e->a][e->b].up = s->links[e->b][e->a].up = true;
    s->links[e->a][e->b].epoch++;
    s->links[e->b][e->a].epoch++;
    step(s, (uint16_t)e->a, &(struct core_event){.type = CORE_PEER_UP, .peer = (uint16_t)e->b});
    step(s, (uint16_t)e->b, &(struct core_event){.type = CORE_PEER_UP, .peer = (uint16_t)e->a});
}

static void on_crash(struct sim *s, const struct event *e) {
    struct replica *r = &s->replicas[e->a];
    if (!r->running)
        return;
    r->running = false;
    r->epoch++;
    if (s->in_memory)
        r->disk_height = 0;
    for (uint16_t i = 0; i < s->n; i++)
        if (i != e->a)
            break_link(s, (uint16_t)e->a, i, false);
    dropping = s;
    core_drop(r->core, drop_request);
    plan(s, roll(s, 200 * MS), (struct event){.kind = KIND_RESTART, .a = e->a});
}

static void on_restart(struct sim *s, const struct event *e) {
    start(s, (uint16_t)e->a);
    for (uint32_t i = 0; i < s->n; i++)
        if (i != e->a)
            plan(s, roll(s, 50 * MS), (struct event){.kind = KIND_LINK_BACK, .a = e->a, .b = i});
}

static void handle(struct sim *s, const struct event *e) {
    switch (e->kind) {
    case KIND_DELIVER: on_deliver(s, e); return;
    case KIND_STORED: on_stored(s, e); return;
    case KIND_TICK:
        if (s->replicas[e->a].running && s->replicas[e->a].epoch == e->epoch)
            step(s, (uint16_t)e->a, &(struct core_event){.type = CORE_TICK});
        return;
    case KIND_CLIENT: on_client(s, e); return;
    case KIND_REPLY: on_reply(s, e); return;
    case KIND_LINK_BREAK:
        if (s->faults)
            break_link(s, (uint16_t)e->a, (uint16_t)e->b, true);
        return;
    case KIND_LINK_BACK: on_link_back(s, e); return;
    case KIND_CRASH:
        if (s->faults)
            on_crash(s, e);
        return;
    case KIND_RESTART: on_restart(s, e); return;
    case KIND_DRAIN: step(s, (uint16_t)e->a, &(struct core_event){.type = CORE_DRAIN}); return;
    }
}

/* ---- phases ---- */

/* A process that has drained ends. What it sent is still delivered, unless the other side's unread
 * bytes made TCP reset the connection; what was sent to it is lost. */
static void end_process(struct sim *s, uint16_t at) {
    struct replica *r = &s->replicas[at];
    r->running = false;
    for (uint16_t i = 0; i < s->n; i++) {
        struct link *to = &s->links[at][i], *from = &s->links[i][at];
        if (i == at || !from->up)
            continue;
        from->up = false;
        from->epoch++;
        from->first = from->end;
        if (roll(s, 2) == 0)
            to->first = to->end;
        to->closing = true;
        if (to->first == to->end)
            hang_up(s, at, i);
    }
    dropping = s;
    core_drop(r->core, drop_request);
}

static void end_drained(struct sim *s) {
    for (uint16_t i = 0; i < s->n; i++)
        if (s->replicas[i].running && s->replicas[i].drained)
            end_process(s, i);
}

static void run_until(struct sim *s, uint64_t until_ns) {
    while (s->heap_count > 0 && s->heap[0].at_ns <= until_ns && !s->result->violation[0]) {
        struct event e = next_event(s);
        s->now_ns = e.at_ns;
        s->result->events++;
        handle(s, &e);
        end_drained(s);
    }
    s->now_ns = until_ns;
}

static void plan_faults(struct sim *s) {
    uint64_t breaks = roll(s, 20), crashes = roll(s, 6);
    for (uint64_t i = 0; i < breaks && s->n > 1; i++) {
        uint32_t a = (uint32_t)roll(s, s->n), b = (uint32_t)roll(s, s->n);
        if (a != b)
            plan(s, roll(s, FAULTS_UNTIL), (struct event){.kind = KIND_LINK_BREAK, .a = a, .b = b});
    }
    for (uint64_t i = 0; i < crashes && s->n > 1; i++)
        plan(s, roll(s, FAULTS_UNTIL),
             (struct event){.kind = KIND_CRASH, .a = 1 + (uint32_t)roll(s, s->n - 1u)});
}

static void set_up(struct sim *s) {
    static const uint16_t sizes[] = {1, 2, 4, 4, 4, 5, 7};
    s->n = sizes[roll(s, sizeof sizes / sizeof *sizes)];
    s->f = (uint16_t)((s->n - 1) / 3);
    s->clients = 1 + (uint32_t)roll(s, CLIENTS_MAX);
    s->in_memory = roll(s, 3) == 0;
    bool small = roll(s, 3) == 0; /* windows that are often full */
    s->config = (struct core_config){
        .n = s->n,
        .log_slots = small ? 16 : 1024,
        .pipeline_max = small ? 6 : 200,
        .pending_max = small ? 4 : 64,
        .clients_max = CLIENTS_MAX,
        .bytes_max = small ? 2000 : 1 << 20,
        .laggard_ns = 500 * MS,
        .drain_ns = 5000 * MS,
        .drain_together_ns = 1000 * MS,
    };
    s->requests = mem_new_array(struct request, REQUESTS_MAX);
    s->truth = mem_new_array(struct block, HEIGHT_MAX);
    s->heap = mem_new_array(struct event, EVENTS_MAX);
    for (uint16_t i = 0; i < s->n; i++) {
        struct replica *r = &s->replicas[i];
        r->memory = mem_zero(1, core_size(&s->config));
        r->disk = mem_new_array(struct block, HEIGHT_MAX);
        r->ordered = mem_new_array(struct block, HEIGHT_MAX);
        r->store_slowness = 1 + roll(s, roll(s, 4) == 0 ? 200 : 10);
        for (uint16_t j = 0; j < s->n; j++)
            s->links[i][j].queue = mem_new_array(struct message, LINK_MESSAGES_MAX);
        start(s, i);
    }
    for (uint32_t a = 0; a < s->n; a++)
        for (uint32_t b = 0; b < a; b++)
            plan(s, roll(s, 20 * MS), (struct event){.kind = KIND_LINK_BACK, .a = a, .b = b});
    for (uint32_t i = 0; i < s->clients; i++)
        plan(s, roll(s, 20 * MS), (struct event){.kind = KIND_CLIENT, .a = i});
}

static void tear_down(struct sim *s) {
    dropping = s;
    for (uint16_t i = 0; i < s->n; i++) {
        struct replica *r = &s->replicas[i];
        if (r->running)
            core_drop(r->core, drop_request);
        free(r->memory);
        free(r->disk);
        free(r->ordered);
        for (uint16_t j = 0; j < s->n; j++)
            free(s->links[i][j].queue);
    }
    for (uint64_t i = 0; i < s->request_count; i++)
        if (s->requests[i].references > 0)
            violation(s, "request %llu was never released", (unsigned long long)i);
    free(s->requests);
    free(s->truth);
    free(s->heap);
}

/* Enough backups are still fed: those that fell out of the window cannot return yet. */
static bool can_progress(const struct sim *s) {
    struct core_status status;
    core_get_status(s->replicas[0].core, &status);
    return status.peers_joined >= s->f;
}

/* The client that has got the fewest answers since the faults ended. */
static uint32_t slowest_client(const struct sim *s, uint64_t *ret_answers) {
    uint32_t slowest = 0;
    *ret_answers = UINT64_MAX;
    for (uint32_t i = 0; i < s->clients; i++) {
        uint64_t answers = s->client[i].answered - s->client[i].answered_at_faults_end;
        if (answers < *ret_answers) {
            *ret_answers = answers;
            slowest = i;
        }
    }
    return slowest;
}

/* Without faults every client gets on. Those that are back need not be there from the start. */
static void demand_progress(struct sim *s) {
    uint64_t answers = 0;
    uint32_t slowest = 0;
    for (uint64_t until_ns = FAULTS_UNTIL; until_ns <= PROGRESS_UNTIL; until_ns += 100 * MS) {
        run_until(s, until_ns);
        slowest = slowest_client(s, &answers);
        if (s->result->violation[0] || (answers >= PROGRESS_REQUESTS && s->now_ns > SETTLED))
            return;
    }
    if (can_progress(s))
        violation(s, "client %u got only %llu answers after the faults had ended", slowest,
                  (unsigned long long)answers);
}

/* All that were fed when they were told to stop have drained, and are equal. */
static void check_end(struct sim *s, const bool fed[REPLICAS_MAX]) {
    for (uint16_t i = 0; i < s->n; i++) {
        const struct replica *r = &s->replicas[i];
        if (!r->drained)
            violation(s, "replica %u has not drained", i);
        else if (fed[i] && r->disk_height != s->replicas[0].disk_height)
            violation(s, "replica %u stopped at %llu, the primary at %llu", i,
                      (unsigned long long)r->disk_height,
                      (unsigned long long)s->replicas[0].disk_height);
    }
}

static void stop_all(struct sim *s) {
    s->stopping = true; /* clients say no more; what they have said is still under way */
    bool fed[REPLICAS_MAX] = {true};
    struct core_status status;
    core_get_status(s->replicas[0].core, &status);
    for (uint16_t i = 1; i < s->n; i++) {
        core_get_status(s->replicas[i].core, &status);
        fed[i] = !status.behind && s->links[0][i].up;
    }
    core_get_status(s->replicas[0].core, &status);
    if (status.peers_joined + 1u < s->n)
        memset(fed + 1, 0, sizeof fed - 1); /* somebody is left behind; who, only it knows */
    s->stuck = !can_progress(s);
    for (uint32_t i = 0; i < s->n; i++)
        plan(s, roll(s, 30 * MS), (struct event){.kind = KIND_DRAIN, .a = i});
    run_until(s, STOP_UNTIL);
    check_end(s, fed);
}

void sim_run(const struct sim_options *options, struct sim_result *ret) {
    struct sim *s = mem_new(struct sim);
    *ret = (struct sim_result){.events = 0};
    s->result = ret;
    s->verbose = options->verbose;
    s->rng = options->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < 8; i++)
        roll(s, 2);
    set_up(s);
    plan_faults(s);
    s->faults = true;
    run_until(s, FAULTS_UNTIL);
    s->faults = false;
    for (uint32_t i = 0; i < s->clients; i++)
        s->client[i].answered_at_faults_end = s->client[i].answered;
    demand_progress(s);
    if (!ret->violation[0])
        stop_all(s);
    ret->height = s->truth_height;
    tear_down(s);
    free(s);
}
