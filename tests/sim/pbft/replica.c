/* A replica's shell: disk, clock, and what is done with its core's actions. */

#include "tests/sim/pbft/cluster.h"

#include "lib/memory.h"

#include <stdlib.h>
#include <string.h>

void sim_hash(void *context, const void *data, size_t size, uint8_t out[PBFT_DIGEST_SIZE]) {
    uint64_t h[4] = {1, 2, 3, 4};
    const uint8_t *bytes = data;
    (void)context;
    for (size_t i = 0; i < size; i++) {
        h[i % 4] = (h[i % 4] ^ bytes[i]) * UINT64_C(0x100000001b3) + h[(i + 1) % 4];
        h[i % 4] ^= h[i % 4] >> 31;
    }
    for (int i = 0; i < 8; i++)
        h[i % 4] = (h[i % 4] ^ h[(i + 1) % 4] ^ size) * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(out, h, PBFT_DIGEST_SIZE);
}

uint64_t change_checksum(const struct pbft_view_change *c) {
    uint8_t out[PBFT_DIGEST_SIZE];
    uint64_t sum = c->replica * UINT64_C(31) + c->view * UINT64_C(1000003) + c->stable, part;
    const struct {
        const void *data;
        size_t size;
    } parts[] = {{c->checkpoints, c->checkpoint_count * sizeof *c->checkpoints},
                 {c->prepared, c->prepared_count * sizeof *c->prepared},
                 {c->proposed, c->proposed_count * sizeof *c->proposed}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        sim_hash(NULL, parts[i].data, parts[i].size, out);
        memcpy(&part, out, sizeof part);
        sum = sum * UINT64_C(0x9e3779b97f4a7c15) + part;
    }
    return sum;
}

uint64_t view_checksum(const struct pbft_message *m) {
    uint64_t sum = m->view;
    for (uint32_t i = 0; i < m->count; i++)
        sum = sum * UINT64_C(0x9e3779b97f4a7c15) + change_checksum(&m->changes[i]);
    return sum;
}

bool has_signed(const struct replica *r, uint64_t sum) {
    for (size_t i = 0; i < SIGNED_MAX && i < r->signed_count; i++)
        if (r->signed_sums[i] == sum)
            return true;
    return false;
}

/* ---- requests ---- */

struct pbft_request make_request(uint64_t client, uint64_t number, bool forged) {
    struct pbft_request r = {.size_bytes = (uint32_t)(50 + (client * 31 + number * 17) % 200),
                             .client = client,
                             .number = number,
                             .origin = forged ? UINT64_MAX : client};
    uint64_t words[3] = {client, number, forged};
    sim_hash(NULL, words, sizeof words, r.digest);
    return r;
}

uint64_t handle_new(struct sim *s, uint16_t replica, uint64_t client, uint64_t number,
                    bool forged) {
    if (s->handle_count == HANDLES_MAX) {
        violation(s, "too many requests for the simulator");
        s->handle_count--;
    }
    uint64_t handle = s->handle_count++;
    s->handles[handle].issued = (struct issued){client, number, forged};
    s->handles[handle].replica = replica;
    s->handles[handle].references = 1;
    return handle;
}

static void release(void *context, uint64_t handle) {
    struct sim *s = context;
    if (--s->handles[handle].references < 0)
        violation(s, "handle %llu of replica %u was released twice", (unsigned long long)handle,
                  s->handles[handle].replica);
}

/* ---- the disk ---- */

static void plan_store(struct sim *s, uint16_t at) {
    struct replica *r = &s->replicas[at];
    if (r->storing || r->store_failed || r->ordered_height <= r->disk_height)
        return;
    r->storing = true;
    plan(s, (1 + roll(s, r->store_slowness)) * MS / 10,
         &(struct event){.kind = KIND_STORED, .a = at, .epoch = r->epoch});
}

static bool next_height(struct sim *s, uint16_t at, uint64_t height) {
    struct replica *r = &s->replicas[at];
    if (height != r->ordered_height + 1 || height > HEIGHT_MAX) {
        violation(s, "replica %u orders block %llu after %llu", at, (unsigned long long)height,
                  (unsigned long long)r->ordered_height);
        return false;
    }
    r->ordered_height = height;
    return true;
}

static void do_store(struct sim *s, uint16_t at, const struct pbft_action *action) {
    struct replica *r = &s->replicas[at];
    if (!next_height(s, at, action->height))
        return;
    struct block *b = &r->ordered[action->height - 1];
    const struct issued *issued = &s->handles[action->request.handle].issued;
    uint64_t words[4] = {issued->client, issued->number, action->seq, issued->forged};
    uint8_t both[2 * PBFT_DIGEST_SIZE] = {0};
    *b = (struct block){.client = issued->client, .number = issued->number, .seq = action->seq};
    if (action->height > 1)
        memcpy(b->parent, r->ordered[action->height - 2].digest, PBFT_DIGEST_SIZE);
    memcpy(both, b->parent, PBFT_DIGEST_SIZE);
    memcpy(both + PBFT_DIGEST_SIZE, words, sizeof words);
    sim_hash(NULL, both, sizeof both, b->digest);
    if (issued->forged && !is_bad(s, at))
        violation(s, "replica %u executes a request that no client has made", at);
    plan_store(s, at);
}

static void do_adopt(struct sim *s, uint16_t at, const struct pbft_action *action) {
    struct replica *r = &s->replicas[at];
    const struct pbft_block *from = &action->block;
    if (!next_height(s, at, from->height))
        return;
    struct block *b = &r->ordered[from->height - 1];
    *b = (struct block){.client = from->client, .number = from->number, .seq = from->seq};
    memcpy(b->parent, from->parent, PBFT_DIGEST_SIZE);
    memcpy(b->digest, from->digest, PBFT_DIGEST_SIZE);
    plan_store(s, at);
}

void on_store_done(struct sim *s, const struct event *e) {
    struct replica *r = &s->replicas[e->a];
    uint8_t digests[PBFT_STORED_MAX][PBFT_DIGEST_SIZE];
    struct pbft_event event = {.type = PBFT_STORED};
    if (!r->running || r->epoch != e->epoch)
        return;
    r->storing = false;
    uint64_t count = r->ordered_height - r->disk_height;
    count = 1 + roll(s, count < PBFT_STORED_MAX ? count : PBFT_STORED_MAX);
    event.stored.height = r->disk_height + 1;
    event.stored.count = (uint32_t)count;
    event.stored.digests = (const uint8_t(*)[PBFT_DIGEST_SIZE])digests;
    for (uint64_t i = 0; i < count; i++) {
        const struct block *b = &r->ordered[r->disk_height];
        r->disk[r->disk_height++] = *b;
        memcpy(digests[i], b->digest, PBFT_DIGEST_SIZE);
        if (!is_bad(s, e->a))
            check_stored(s, e->a, r->disk_height, b);
    }
    replica_step(s, e->a, &event);
    plan_store(s, e->a);
}

static void do_persist(struct sim *s, uint16_t at, const struct pbft_action *action) {
    struct replica *r = &s->replicas[at];
    if (r->log_count == RECORDS_MAX) {
        violation(s, "the log of replica %u is not bounded", at);
        return;
    }
    struct logged *l = &r->log[r->log_count++];
    *l = (struct logged){.record = action->record};
    l->requests = mem_zero(action->record.count + 1, sizeof *l->requests);
    if (action->record.type == PBFT_RECORD_VIEW) {
        const struct pbft_message m = {.type = PBFT_NEW_VIEW,
                                       .count = action->record.count,
                                       .changes = action->record.changes};
        l->changes = packet_new(at, at, &m);
        l->record.changes = l->changes->changes;
    } else if (action->record.count > 0) {
        memcpy(l->requests, action->record.requests, action->record.count * sizeof *l->requests);
    }
}

void log_cut(struct replica *r, size_t count) {
    while (r->log_count > count) {
        struct logged *l = &r->log[--r->log_count];
        free(l->requests);
        if (l->changes)
            packet_free(l->changes);
    }
}

/* ---- what others see ---- */

static void do_serve(struct sim *s, uint16_t at, const struct pbft_action *action) {
    const struct replica *r = &s->replicas[at];
    uint64_t count = action->count ? action->count : 1;
    for (uint64_t h = action->height; h < action->height + count && h <= r->disk_height; h++) {
        const struct block *b = &r->disk[h - 1];
        struct pbft_message m = {.type = action->count ? PBFT_BLOCK : PBFT_BLOCK_DIGEST,
                                 .height = h};
        memcpy(m.digest, b->digest, PBFT_DIGEST_SIZE);
        if (action->count) {
            m.block = (struct pbft_block){
                .height = h, .seq = b->seq, .client = b->client, .number = b->number};
            memcpy(m.block.parent, b->parent, PBFT_DIGEST_SIZE);
            memcpy(m.block.digest, b->digest, PBFT_DIGEST_SIZE);
        }
        if (is_byzantine(s, at) && chance(s, 300))
            (action->count ? m.block.digest : m.digest)[0] ^= 1;
        send_one(s, at, action->peer, &m);
    }
}

static void do_reply(struct sim *s, uint16_t at, const struct pbft_action *action) {
    struct reply reply = {.client = (uint32_t)action->request.client,
                          .replica = at,
                          .number = action->request.number,
                          .view = action->view,
                          .height = action->height,
                          .status = action->status};
    memcpy(reply.digest, action->digest, PBFT_DIGEST_SIZE);
    if (is_byzantine(s, at))
        byzantine_reply(s, &reply);
    if (s->faults && chance(s, 50))
        return;
    plan(s, MS / 10 + roll(s, 2 * MS), &(struct event){.kind = KIND_REPLY, .reply = reply});
}

/* What it has said as the primary, or of itself. */
static void remember_signature(struct sim *s, uint16_t at, const struct pbft_message *m) {
    struct replica *r = &s->replicas[at];
    bool own_view = m->type == PBFT_NEW_VIEW && m->view % s->n == at;
    if (m->type != PBFT_VIEW_CHANGE && !own_view)
        return;
    uint64_t sum = own_view ? view_checksum(m) : change_checksum(m->changes);
    if (!has_signed(r, sum))
        r->signed_sums[r->signed_count++ % SIGNED_MAX] = sum;
}

static void do_note(struct sim *s, uint16_t at, const struct pbft_action *action) {
    static const char *const names[PBFT_NOTE_COUNT] = {"suspects the primary of view",
                                                       "goes to view",
                                                       "enters view",
                                                       "fetches blocks after",
                                                       "has fetched blocks up to",
                                                       "got bad blocks from",
                                                       "has diverged at",
                                                       "stops late at",
                                                       "says: protocol broken, at"};
    say(s, "replica %u %s %llu (%u, %llu)", at, names[action->note],
        (unsigned long long)action->height, action->peer, (unsigned long long)action->other_height);
    s->result->transfers += action->note == PBFT_NOTE_TRANSFER;
    if (is_bad(s, at))
        return;
    if (action->note == PBFT_NOTE_NEW_VIEW && action->height > s->result->view)
        s->result->view = action->height;
    bool some_bad = false; /* they may keep the others waiting */
    for (uint16_t i = 0; i < s->n; i++)
        some_bad = some_bad || is_bad(s, i);
    if (action->note == PBFT_NOTE_DIVERGED || (action->note == PBFT_NOTE_DRAIN_LATE && !some_bad))
        violation(s, "replica %u %s %llu", at, names[action->note],
                  (unsigned long long)action->height);
    if ((action->note == PBFT_NOTE_VIOLATION || action->note == PBFT_NOTE_BAD_BLOCKS) &&
        action->peer < s->n && !is_bad(s, action->peer))
        violation(s, "replica %u says that %u, which is correct, broke the protocol at %llu", at,
                  action->peer, (unsigned long long)action->height);
}

static void carry_out(struct sim *s, uint16_t at, const struct pbft_action *action) {
    switch (action->type) {
    case PBFT_PERSIST: do_persist(s, at, action); return;
    case PBFT_STORE: do_store(s, at, action); return;
    case PBFT_ADOPT: do_adopt(s, at, action); return;
    case PBFT_SEND:
        remember_signature(s, at, &action->message);
        if (is_byzantine(s, at))
            byzantine_send(s, at, action);
        else
            send(s, at, action->peer, &action->message);
        return;
    case PBFT_SERVE: do_serve(s, at, action); return;
    case PBFT_REPLY: do_reply(s, at, action); return;
    case PBFT_RELEASE: release(s, action->request.handle); return;
    case PBFT_DISCONNECT: return; /* the network here has no connections to break */
    case PBFT_NOTE: do_note(s, at, action); return;
    }
}

static uint64_t local_ns(const struct sim *s, const struct replica *r) {
    return r->clock_offset_ns + s->now_ns * r->clock_rate / 1000;
}

static void plan_tick(struct sim *s, uint16_t at, uint64_t timer_ns) {
    struct replica *r = &s->replicas[at];
    r->tick_ns = timer_ns;
    if (timer_ns == UINT64_MAX)
        return;
    uint64_t now_ns = local_ns(s, r);
    uint64_t delay_ns = timer_ns > now_ns ? (timer_ns - now_ns) * 1000 / r->clock_rate + 1 : 0;
    plan(s, delay_ns, &(struct event){.kind = KIND_TICK, .a = at, .epoch = r->epoch});
}

void replica_step(struct sim *s, uint16_t at, struct pbft_event *event) {
    struct replica *r = &s->replicas[at];
    int rounds = 0;
    /* As the real shell does: a round of the loop ends with PBFT_FLUSH. */
    for (bool flushed = false;; event->type = flushed ? PBFT_TICK : PBFT_FLUSH) {
        event->now_ns = local_ns(s, r);
        flushed = flushed || event->type == PBFT_FLUSH;
        pbft_step(r->core, event, &s->update);
        for (size_t i = 0; i < s->update.count; i++)
            carry_out(s, at, &s->update.actions[i]);
        r->drained = r->drained || s->update.drained;
        if (++rounds > 100 * 1000)
            violation(s, "replica %u never comes to rest", at);
        if (s->result->violation[0] || (flushed && !s->update.more))
            break;
        if (s->update.more)
            flushed = false;
    }
    if (s->update.timer_ns != r->tick_ns)
        plan_tick(s, at, s->update.timer_ns);
    if (r->drained && s->stopping && r->running) {
        say(s, "replica %u stops at height %llu", at, (unsigned long long)r->disk_height);
        replica_crash(s, at);
    }
}

/* ---- life ---- */

static bool recover_record(struct sim *s, uint16_t at, const struct pbft_record *record) {
    bool taken = pbft_recover_record(s->replicas[at].core, record, &s->update);
    for (size_t i = 0; i < s->update.count; i++)
        carry_out(s, at, &s->update.actions[i]);
    return taken;
}

static void recover_log(struct sim *s, uint16_t at, uint64_t stable) {
    struct replica *r = &s->replicas[at];
    for (size_t i = 0; i < r->log_count; i++) {
        struct pbft_record record = r->log[i].record;
        if (record.type == PBFT_RECORD_VIEW || record.type == PBFT_RECORD_STABLE ||
            record.seq <= stable)
            continue;
        for (uint32_t k = 0; k < record.count; k++) {
            struct pbft_request *q = &r->log[i].requests[k];
            q->handle = handle_new(s, at, q->client, q->number, q->origin == UINT64_MAX);
        }
        record.requests = r->log[i].requests;
        if (!recover_record(s, at, &record))
            for (uint32_t k = 0; k < record.count; k++)
                release(s, r->log[i].requests[k].handle);
    }
}

static void recover(struct sim *s, uint16_t at) {
    struct replica *r = &s->replicas[at];
    const struct pbft_record *stable = NULL, *view = NULL;
    for (uint64_t h = 1; h <= r->disk_height; h++) {
        const struct block *b = &r->disk[h - 1];
        struct pbft_block block = {
            .height = h, .seq = b->seq, .client = b->client, .number = b->number};
        memcpy(block.parent, b->parent, PBFT_DIGEST_SIZE);
        memcpy(block.digest, b->digest, PBFT_DIGEST_SIZE);
        if (!pbft_recover_block(r->core, &block))
            violation(s, "replica %u cannot read its chain", at);
    }
    for (size_t i = 0; i < r->log_count; i++) {
        const struct pbft_record *record = &r->log[i].record;
        if (record->type == PBFT_RECORD_STABLE && record->height <= r->disk_height)
            stable = record;
        if (record->type == PBFT_RECORD_VIEW)
            view = record;
    }
    if (stable)
        recover_record(s, at, stable);
    if (view)
        recover_record(s, at, view);
    recover_log(s, at, stable ? stable->seq : 0);
}

void replica_start(struct sim *s, uint16_t at) {
    struct replica *r = &s->replicas[at];
    struct pbft_config config = s->config;
    config.replica = at;
    memset(r->memory, 0, pbft_size(&config));
    r->core = pbft_init(r->memory, &config);
    r->running = true;
    r->storing = false;
    r->epoch++;
    r->tick_ns = 0;
    memcpy(r->ordered, r->disk, r->disk_height * sizeof *r->disk);
    r->ordered_height = r->disk_height;
    recover(s, at);
    say(s, "replica %u starts at height %llu", at, (unsigned long long)r->disk_height);
    for (uint16_t i = 0; i < s->n; i++)
        if (i != at && s->replicas[i].running && !s->cut[at][i]) {
            s->link[at][i] = false;
            s->link[i][at] = false;
            set_link(s, at, i, true);
        }
    replica_step(s, at, &(struct pbft_event){.type = PBFT_TICK});
}

static void forget(struct sim *s, uint16_t at) {
    struct replica *r = &s->replicas[at];
    uint64_t lost = roll(s, r->disk_height + 1);
    if (chance(s, 500))
        r->disk_height -= lost < 20 ? lost : 20;
    uint64_t records = roll(s, 30);
    log_cut(r, r->log_count > records ? r->log_count - records : 0);
}

void replica_crash(struct sim *s, uint16_t at) {
    struct replica *r = &s->replicas[at];
    pbft_drop(r->core, release, s);
    r->core = NULL;
    r->running = false;
    r->epoch++;
    for (uint64_t h = 0; h < s->handle_count; h++)
        if (s->handles[h].replica == at && s->handles[h].references > 0) {
            violation(s, "replica %u has kept a reference to (%llu, %llu)", at,
                      (unsigned long long)s->handles[h].issued.client,
                      (unsigned long long)s->handles[h].issued.number);
            s->handles[h].references = 0;
        }
    if (r->badness == FORGETFUL)
        forget(s, at);
    for (uint16_t i = 0; i < s->n; i++)
        if (i != at)
            set_link(s, at, i, false);
}
