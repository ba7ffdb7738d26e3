/*
 * What is done with sequence numbers: the primary proposes them, what is committed is executed in
 * their order, and what lies behind the stable checkpoint is forgotten.
 */

#include "executor/pbft/state.h"

/* ---- the window ---- */

/* The low water mark follows the stable checkpoint, a number at a time: each may hold three batches
 * to be released. Nothing is forgotten that has to be executed here. */
void advance_window(struct pbft *core, struct pbft_update *update) {
    for (; core->low < stable(core)->seq && core->low < core->committed; core->low++) {
        struct slot *slot = &core->slots[(core->low + 1) & (core->config.window - 1)];
        if (slot->seq == 0)
            continue;
        if (!update_has_room(update, PBFT_PROPOSALS_MAX * PBFT_BATCH_MAX))
            return;
        slot_clear(slot, core->config.n, update);
    }
}

/* ---- execution ---- */

static bool hand_over(struct pbft *core, uint64_t seq, const struct pbft_request *request,
                      struct pbft_update *update) {
    if (!update_has_room(update, 3))
        return false;
    if (client_execute(core, request, core->head + 1)) {
        core->head++;
        *flight_of(core, core->head) =
            (struct flight){.client = request->client, .number = request->number, .seq = seq};
        emit_store(update, core->head, seq, request);
    }
    struct client *client = client_find(core, request->client);
    if (client)
        client_served(core, client, request->number, update);
    return true;
}

/* The last block of what is executed up to `seq`. After a crash, later ones may be there already.
 */
static uint64_t end_height(const struct pbft *core, uint64_t seq) {
    uint64_t height = core->head;
    while (height > 0 && core->head - height < core->flight_slots &&
           flight_of(core, height)->seq > seq)
        height--;
    return height;
}

/* A checkpoint can be told of as soon as everything up to it is in the store. */
static void take_checkpoints(struct pbft *core, struct pbft_update *update) {
    for (;;) {
        uint64_t seq =
            core->checkpoints[core->checkpoint_count - 1].seq + core->config.checkpoint_interval;
        const struct slot *slot = seq <= core->committed ? slot_of(core, seq) : NULL;
        if (!slot || slot->end_height > core->stored || !update_has_room(update, 2))
            return;
        checkpoint_take(core, seq, slot->end_height, update);
    }
}

void advance_execution(struct pbft *core, struct pbft_update *update) {
    while (!is_out(core) && !core->transfer.active) {
        struct slot *slot = slot_of(core, core->committed + 1);
        if (!slot || slot->decided < 0 || !slot->proposals[slot->decided].known)
            break;
        const struct proposal *p = &slot->proposals[slot->decided];
        for (; core->executed < p->count; core->executed++)
            if (!hand_over(core, slot->seq, &p->requests[core->executed], update))
                return;
        slot->end_height = end_height(core, slot->seq);
        core->committed++;
        core->executed = 0;
        core->attempts = 0;
        core->progress_ns = core->now_ns;
    }
    take_checkpoints(core, update);
}

static void store_one(struct pbft *core, const uint8_t digest[PBFT_DIGEST_SIZE],
                      struct pbft_update *update) {
    uint64_t height = ++core->stored;
    struct flight *flight = flight_of(core, height);
    struct client *client = client_find(core, flight->client);
    memcpy(flight->digest, digest, PBFT_DIGEST_SIZE);
    if (client && client->number == flight->number) {
        memcpy(client->digest, digest, PBFT_DIGEST_SIZE);
        if (!flight->adopted)
            emit_answer(core, update, client);
    }
}

void on_stored(struct pbft *core, const struct pbft_event *event, struct pbft_update *update) {
    assert(event->stored.height == core->stored + 1);
    assert(event->stored.count <= core->head - core->stored);
    for (uint32_t i = 0; i < event->stored.count; i++)
        store_one(core, event->stored.digests[i], update);
}

/* ---- proposals ---- */

static bool may_propose(const struct pbft *core) {
    return core->flush && core->active && is_primary(core) && !is_out(core) &&
           !core->transfer.active && in_window(core, core->proposed + 1) &&
           core->proposed - core->committed < core->config.pipeline_max;
}

static uint32_t fill_batch(struct pbft *core, struct proposal *p) {
    uint64_t bytes = 0;
    uint32_t count = 0;
    uint32_t next = core->first;
    while (next != NOBODY && count < core->config.batch_max) {
        struct client *client = &core->clients[next];
        const struct pbft_request *request = &client->waiting;
        next = client->next;
        if (client->proposed_view == core->view && request->number <= client->proposed)
            continue; /* the new view has it already */
        if (count > 0 && bytes + request->size_bytes > core->config.batch_bytes_max)
            break;
        bytes += request->size_bytes;
        p->requests[count++] = *request;
        client_served(core, client, request->number, NULL); /* the batch has its handle now */
    }
    p->known = p->used = count > 0;
    p->count = count;
    return count;
}

static void send_pre_prepare(struct pbft *core, struct slot *slot, const struct proposal *p,
                             struct pbft_update *update) {
    for (uint16_t i = 0; i < core->config.n; i++)
        slot->sent[i] = (struct sent){.ns = core->now_ns};
    struct pbft_message *m = emit_message(update, PBFT_ALL, PBFT_PRE_PREPARE);
    m->view = core->view;
    m->seq = slot->seq;
    m->count = p->count;
    m->requests = p->requests;
}

/* TOCS '02, "Request Batching": while batches are under way, requests gather for the next. */
void advance_proposals(struct pbft *core, struct pbft_update *update) {
    while (may_propose(core) && core->waiting_count > 0) {
        struct slot *slot = slot_of(core, core->proposed + 1);
        if (!update_has_room(update, PBFT_BATCH_MAX + SLOT_ACTIONS + 1))
            return;
        int free = slot_make_room(slot, update);
        if (free < 0)
            return;
        struct proposal *p = &slot->proposals[free];
        if (fill_batch(core, p) == 0)
            return;
        pbft_batch_digest(&core->config, p->requests, p->count, p->digest);
        p->view = core->view;
        slot->current = free;
        slot->vouched = true;
        core->proposed = slot->seq;
        size_t before = update->count;
        slot_advance(core, slot, update);
        assert(update->count > before && update->actions[before].type == PBFT_PERSIST);
        send_pre_prepare(core, slot, p, update);
        if (slot->decided >= 0)
            update->more = true; /* alone: no message will come to execute it by */
    }
}

/* ---- after a new view: all numbers of the window again ---- */

void advance_sweep(struct pbft *core, struct pbft_update *update) {
    while (core->sweep != 0) {
        struct slot *slot = slot_of(core, core->sweep);
        if (core->sweep <= core->low) {
            core->sweep = core->low + 1;
            continue;
        }
        if (!slot || core->sweep > core->proposed) {
            core->sweep = 0;
            return;
        }
        if (!update_has_room(update, PBFT_BATCH_MAX + SLOT_ACTIONS + 1))
            return;
        if (slot->current < 0)
            new_view_propose(core, slot, update);
        if (slot->current >= 0 && !slot->proposals[slot->current].known)
            emit_batch_message(update, PBFT_ALL, PBFT_ASK_BATCH, core->view, slot->seq,
                               slot->proposals[slot->current].digest);
        slot_advance(core, slot, update);
        core->sweep++;
    }
}
