#include "executor/pbft/state.h"

/* ---- memory ---- */

/* Hands out parts of one piece of memory; from NULL it only counts. */
struct arena {
    uint8_t *base;
    size_t used;
};

static void *take(struct arena *arena, size_t count, size_t size) {
    void *part = arena->base ? arena->base + arena->used : NULL;
    arena->used += (count * size + 63) & ~(size_t)63;
    return part;
}

static bool power_of_two(uint64_t x) {
    return x != 0 && (x & (x - 1)) == 0;
}

static uint64_t power_above(uint64_t x) {
    uint64_t power = 16;
    while (power < x)
        power *= 2;
    return power;
}

/* Those who were executed, and as many who only wait: at most half full. */
static uint64_t client_slots(const struct pbft_config *config) {
    return power_above(4 * (uint64_t)config->clients_max);
}

/* Blocks that are handed over and not stored: all of a window, or those of a transfer. */
static uint64_t flight_slots(const struct pbft_config *config) {
    return power_above((uint64_t)config->window * PBFT_BATCH_MAX + PBFT_TRANSFER_MAX);
}

static void take_change(struct arena *arena, const struct pbft_config *config, struct change *c) {
    struct change change = {
        .m = {.view = VIEW_NONE},
        .checkpoints = take(arena, PBFT_CHECKPOINTS_MAX, sizeof *c->checkpoints),
        .prepared = take(arena, config->window, sizeof *c->prepared),
        .proposed = take(arena, (size_t)config->window * PBFT_PROPOSALS_MAX, sizeof *c->proposed),
    };
    if (arena->base)
        *c = change;
}

static void take_slot(struct arena *arena, const struct pbft_config *config, struct slot *slot) {
    struct vote *prepares = take(arena, config->n, sizeof *prepares);
    struct vote *commits = take(arena, config->n, sizeof *commits);
    struct sent *sent = take(arena, config->n, sizeof *sent);
    for (int i = 0; i < PBFT_PROPOSALS_MAX; i++) {
        struct pbft_request *requests = take(arena, PBFT_BATCH_MAX, sizeof *requests);
        if (arena->base)
            slot->proposals[i].requests = requests;
    }
    if (!arena->base)
        return;
    slot->prepares = prepares;
    slot->commits = commits;
    slot->sent = sent;
    slot_clear(slot, config->n, NULL);
}

static void lay_out(struct arena *arena, const struct pbft_config *config, struct pbft *core) {
    take(arena, 1, sizeof *core);
    core->slots = take(arena, config->window, sizeof *core->slots);
    core->client_slots = client_slots(config);
    core->clients = take(arena, core->client_slots, sizeof *core->clients);
    core->flight_slots = flight_slots(config);
    core->flights = take(arena, core->flight_slots, sizeof *core->flights);
    core->changes = take(arena, config->n, sizeof *core->changes);
    core->choice = take(arena, config->window, sizeof *core->choice);
    core->found = take(arena, config->window, sizeof *core->found);
    for (uint16_t i = 0; i < config->n; i++) {
        take_change(arena, config, &core->peers[i].change);
        take_change(arena, config, &core->peers[i].shown);
    }
    for (uint32_t i = 0; i < config->window; i++)
        take_slot(arena, config, arena->base ? &core->slots[i] : NULL);
}

size_t pbft_size(const struct pbft_config *config) {
    struct arena arena = {.base = NULL};
    struct pbft nothing;
    lay_out(&arena, config, &nothing);
    return arena.used;
}

static void check(const struct pbft_config *c) {
    assert(c->n >= 1 && c->n <= PBFT_REPLICAS_MAX && c->replica < c->n);
    assert(power_of_two(c->window) && c->window <= PBFT_WINDOW_MAX);
    assert(c->checkpoint_interval > 0 && c->window % c->checkpoint_interval == 0);
    assert(c->window / c->checkpoint_interval >= 2);
    assert(c->window / c->checkpoint_interval + 2 <= PBFT_CHECKPOINTS_MAX);
    assert(c->batch_max >= 1 && c->batch_max <= PBFT_BATCH_MAX && c->pipeline_max >= 1);
    assert(c->hash);
}

struct pbft *pbft_init(void *memory, const struct pbft_config *config) {
    check(config);
    struct arena arena = {.base = memory};
    struct pbft *core = memory;
    lay_out(&arena, config, core);
    core->config = *config;
    core->f = (uint16_t)((config->n - 1) / 3);
    /* Two of them have more than f replicas in common; of n = 3f + 1 it is 2f + 1. */
    core->quorum = (uint16_t)((config->n + core->f) / 2 + 1);
    core->active = true;
    core->checkpoint_count = 1; /* that of the empty chain */
    core->suspects = core->shown_view = VIEW_NONE;
    core->change_ns = UINT64_MAX;
    core->first = core->last = NOBODY;
    for (uint16_t i = 0; i < config->n; i++)
        core->peers[i].suspects = VIEW_NONE;
    pbft_batch_digest(config, NULL, 0, core->null_digest);
    return core;
}

void pbft_batch_digest(const struct pbft_config *config, const struct pbft_request *requests,
                       uint32_t count, uint8_t out[PBFT_DIGEST_SIZE]) {
    uint8_t digests[PBFT_BATCH_MAX][PBFT_DIGEST_SIZE];
    assert(count <= PBFT_BATCH_MAX);
    for (uint32_t i = 0; i < count; i++)
        memcpy(digests[i], requests[i].digest, PBFT_DIGEST_SIZE);
    config->hash(config->hash_context, digests, (size_t)count * PBFT_DIGEST_SIZE, out);
}

/* ---- after a crash ---- */

bool pbft_recover_block(struct pbft *core, const struct pbft_block *block) {
    const struct pbft_request as_request = {.client = block->client, .number = block->number};
    assert(block->height == core->head + 1);
    if (block->number == 0 || !client_execute(core, &as_request, block->height))
        return false;
    core->head = core->stored = block->height;
    memcpy(client_find(core, block->client)->digest, block->digest, PBFT_DIGEST_SIZE);
    struct flight *flight = flight_of(core, block->height);
    *flight = (struct flight){
        .client = block->client, .number = block->number, .seq = block->seq, .adopted = true};
    memcpy(flight->digest, block->digest, PBFT_DIGEST_SIZE);
    return true;
}

static struct pbft_checkpoint checkpoint_of(const struct pbft_record *record) {
    struct pbft_checkpoint c = {.seq = record->seq, .height = record->height};
    memcpy(c.digest, record->digest, PBFT_DIGEST_SIZE);
    return c;
}

/* What comes after it is executed once more; blocks that are there already are left out. */
static void recover_stable(struct pbft *core, const struct pbft_record *record) {
    assert(record->height <= core->stored);
    core->checkpoints[0] = checkpoint_of(record);
    core->low = core->committed = core->proposed = record->seq;
}

static void recover_checkpoint(struct pbft *core, const struct pbft_record *record) {
    uint64_t last = core->checkpoints[core->checkpoint_count - 1].seq;
    if (record->seq != last + core->config.checkpoint_interval || record->height > core->stored ||
        core->checkpoint_count == PBFT_CHECKPOINTS_MAX)
        return;
    core->checkpoints[core->checkpoint_count++] = checkpoint_of(record);
    core->committed = record->seq;
    if (core->proposed < core->committed)
        core->proposed = core->committed;
}

static bool recover_proposal(struct pbft *core, const struct pbft_record *record,
                             struct pbft_update *update) {
    struct slot *slot = slot_of(core, record->seq);
    int i = slot && record->count <= PBFT_BATCH_MAX
                ? slot_propose(slot, record->digest, record->view, update)
                : -1;
    if (i < 0)
        return false; /* beyond what the store has: the others have it */
    struct proposal *p = &slot->proposals[i];
    bool taken = !p->known && record->count > 0;
    if (taken || record->empty) {
        p->known = false;
        proposal_fill(p, record->requests, record->count);
        p->persisted = true;
    }
    p->vouched = true;
    if (record->view != core->view || !core->active)
        return taken;
    slot->current = i;
    slot->vouched = true;
    if (record->seq > core->proposed)
        core->proposed = record->seq;
    core->sweep = core->low + 1;
    return taken;
}

static void recover_prepared(struct pbft *core, const struct pbft_record *record) {
    struct slot *slot = slot_of(core, record->seq);
    if (!slot)
        return;
    slot->prepared_view = record->view;
    memcpy(slot->prepared_digest, record->digest, PBFT_DIGEST_SIZE);
}

static void recover_new_view(struct pbft *core, const struct pbft_record *record) {
    struct pbft_checkpoint from;
    uint64_t last;
    new_view_keep(core, record->view, record->changes, record->count, record->signature);
    if (!choose(core, record->changes, record->count, &from, &last))
        return;
    new_view_choose(core, &from, last);
    if (core->proposed < last)
        core->proposed = last;
    core->sweep = core->low + 1;
}

bool pbft_recover_record(struct pbft *core, const struct pbft_record *record,
                         struct pbft_update *update) {
    update->count = 0;
    switch (record->type) {
    case PBFT_RECORD_VIEW:
        core->view = record->view;
        core->active = record->active;
        if (record->active && record->count > 0)
            recover_new_view(core, record);
        break;
    case PBFT_RECORD_PROPOSAL: return recover_proposal(core, record, update);
    case PBFT_RECORD_PREPARED: recover_prepared(core, record); break;
    case PBFT_RECORD_CHECKPOINT: recover_checkpoint(core, record); break;
    case PBFT_RECORD_STABLE: recover_stable(core, record); break;
    case PBFT_RECORD_END: break;
    }
    return false;
}

/* ---- a step ---- */

static void on_peer_up(struct pbft *core, uint16_t peer, struct pbft_update *update) {
    core->peers[peer].up = true;
    core->peers[peer].up_ns = core->now_ns;
    core->peers[peer].reported = false;
    status_send(core, peer, update);
}

static void on_peer_down(struct pbft *core, uint16_t peer) {
    core->peers[peer].up = core->peers[peer].reported = false;
    core->peers[peer].suspects = VIEW_NONE;
}

static void on_message(struct pbft *core, uint16_t peer, const struct pbft_message *m,
                       struct pbft_update *update) {
    switch (m->type) {
    case PBFT_FORWARD: on_forward(core, m, update); return;
    case PBFT_PRE_PREPARE: on_pre_prepare(core, peer, m, update); return;
    case PBFT_PREPARE: on_prepare(core, peer, m, update); return;
    case PBFT_COMMIT: on_commit(core, peer, m, update); return;
    case PBFT_CHECKPOINT: on_checkpoint(core, peer, m); return;
    case PBFT_VIEW_CHANGE: on_view_change(core, peer, m, update); return;
    case PBFT_NEW_VIEW: on_new_view(core, peer, m, update); return;
    case PBFT_STATUS: on_status(core, peer, m, update); return;
    case PBFT_ASK_BATCH: on_ask_batch(core, peer, m, update); return;
    case PBFT_BATCH: on_batch(core, m, update); return;
    case PBFT_ASK_DIGEST:
    case PBFT_ASK_BLOCKS: on_ask_blocks(peer, m, update); return;
    case PBFT_BLOCK_DIGEST: on_block_digest(core, peer, m); return;
    case PBFT_BLOCK: on_block(core, peer, m, update); return;
    case PBFT_MESSAGE_END: break;
    }
    assert(false && "a message type that the shell let through");
}

static void dispatch(struct pbft *core, const struct pbft_event *event,
                     struct pbft_update *update) {
    bool of_peer =
        event->type == PBFT_MESSAGE || event->type == PBFT_PEER_UP || event->type == PBFT_PEER_DOWN;
    assert(!of_peer || (event->peer < core->config.n && event->peer != core->config.replica));
    switch (event->type) {
    case PBFT_REQUEST: on_request(core, &event->request, update); return;
    case PBFT_MESSAGE: on_message(core, event->peer, &event->message, update); return;
    case PBFT_STORED: on_stored(core, event, update); return;
    case PBFT_STORE_FAILED: core->store_failed = true; return;
    case PBFT_PEER_UP: on_peer_up(core, event->peer, update); return;
    case PBFT_PEER_DOWN: on_peer_down(core, event->peer); return;
    case PBFT_TICK: return;
    case PBFT_FLUSH: core->flush = true; return;
    case PBFT_DRAIN: on_drain(core, update); return;
    }
}

static void advance(struct pbft *core, struct pbft_update *update) {
    advance_window(core, update);
    advance_sweep(core, update);
    advance_execution(core, update);
    advance_stable(core, update);
    advance_transfer(core, update);
    advance_view(core, update);
    advance_suspicion(core, update);
    advance_proposals(core, update);
    advance_status(core, update);
    advance_drain(core, update);
}

void pbft_step(struct pbft *core, const struct pbft_event *event, struct pbft_update *update) {
    assert(event->now_ns >= core->now_ns);
    core->now_ns = event->now_ns;
    update->more = false;
    update->drained = false;
    update->timer_ns = UINT64_MAX;
    update->count = 0;
    if (event->type != PBFT_TICK)
        core->flush = false;
    dispatch(core, event, update);
    advance(core, update);
}

/* ---- the end, and what is seen from outside ---- */

void pbft_drop(struct pbft *core, void (*release)(void *context, uint64_t handle), void *context) {
    for (uint32_t k = 0; k < core->config.window; k++)
        for (int i = 0; i < PBFT_PROPOSALS_MAX; i++) {
            const struct proposal *p = &core->slots[k].proposals[i];
            for (uint32_t r = 0; p->known && r < p->count; r++)
                release(context, p->requests[r].handle);
        }
    for (uint32_t i = core->first; i != NOBODY; i = core->clients[i].next)
        release(context, core->clients[i].waiting.handle);
    for (size_t i = 0; i < PBFT_TRANSFER_MAX; i++)
        if (core->transfer.have[i])
            release(context, core->transfer.blocks[i].handle);
}

static bool is_healthy(const struct pbft *core) {
    unsigned together = 1;
    if (is_out(core) || core->draining || !core->active || core->transfer.active)
        return false;
    for (uint16_t i = 0; i < core->config.n; i++) {
        const struct peer *p = &core->peers[i];
        together += p->up && p->reported && p->view == core->view && p->report.active;
    }
    const struct peer *primary = &core->peers[primary_of(core, core->view)];
    return together >= core->quorum && (is_primary(core) || primary->up);
}

void pbft_get_status(const struct pbft *core, struct pbft_status *ret) {
    *ret = (struct pbft_status){
        .view = core->view,
        .primary = primary_of(core, core->view),
        .f = core->f,
        .active = core->active,
        .stable = stable(core)->seq,
        .committed = core->committed,
        .proposed = core->proposed,
        .head = core->head,
        .stored = core->stored,
        .waiting = core->waiting_count,
        .waiting_bytes = core->waiting_bytes,
        .store_failed = core->store_failed,
        .transferring = core->transfer.active,
        .diverged = core->diverged,
        .draining = core->draining,
        .healthy = is_healthy(core),
    };
    for (uint16_t i = 0; i < core->config.n; i++)
        ret->peers_up = (uint16_t)(ret->peers_up + core->peers[i].up);
}
