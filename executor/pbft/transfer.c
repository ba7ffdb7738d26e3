/*
 * State transfer (TOCS '02, "State Transfer"): blocks that the others have and do not keep messages
 * for any more. Where the chain is going, f + 1 equal CHECKPOINTs say; it is fetched in parts whose
 * last digest f + 1 replicas say alike, so that no wrong block is ever stored, and each part from
 * one of them. A part that does not arrive, or does not fit, is fetched from the next one.
 */

#include "executor/pbft/state.h"

enum {
    PATIENCE_PAUSES = 10, /* of STATUS, between two blocks of a part */
    DOUBLINGS_MAX = 3
};

/* Twice as long with each attempt: where all are slow, going from one to the next would make it
 * slower, for the blocks of those who were asked before come as well. */
static uint64_t patience_ns(const struct pbft *core) {
    uint32_t attempts = core->transfer.attempts;
    return PATIENCE_PAUSES * core->config.status_ns
           << (attempts < DOUBLINGS_MAX ? attempts : DOUBLINGS_MAX);
}

/* ---- whether ---- */

/* The highest that f + 1 others have. That of our view they have, even if one of them, which is
 * faulty, has said something else in a CHECKPOINT. */
static bool find_target(const struct pbft *core, struct pbft_checkpoint *ret) {
    bool found = core->begun.seq > core->committed;
    if (found)
        *ret = core->begun;
    for (uint16_t i = 0; i < core->config.n; i++)
        for (size_t k = 0; i != core->config.replica && k < PBFT_CHECKPOINTS_MAX; k++) {
            const struct pbft_checkpoint *c = &core->peers[i].checkpoints[k];
            if (c->seq > core->committed && (!found || c->seq > ret->seq) &&
                checkpoint_count_equal(core, c) > core->f) {
                *ret = *c;
                found = true;
            }
        }
    return found;
}

/* What is in the window may still come by itself; it has as long as it makes progress. */
static bool is_due(const struct pbft *core, const struct pbft_checkpoint *target,
                   struct pbft_update *update) {
    uint64_t until_ns = core->progress_ns + 2 * core->config.status_ns;
    if (!in_window(core, target->seq) || core->now_ns >= until_ns)
        return true;
    wake_at(update, until_ns);
    return false;
}

/* ---- a part ---- */

static void begin_part(struct pbft *core, struct pbft_update *update) {
    struct transfer *t = &core->transfer;
    t->from = core->stored + 1;
    t->to = t->from + PBFT_TRANSFER_MAX - 1;
    if (t->to >= t->target.height)
        t->to = t->target.height;
    t->agreed = t->to == t->target.height;
    t->received = 0;
    t->asked_ns = 0;
    memset(t->have, 0, sizeof t->have);
    if (t->agreed) {
        memcpy(t->digest, t->target.digest, PBFT_DIGEST_SIZE);
        return;
    }
    for (uint16_t i = 0; i < core->config.n; i++)
        core->peers[i].answered = false;
    emit_message(update, PBFT_ALL, PBFT_ASK_DIGEST)->height = t->to;
    t->asked_ns = core->now_ns;
}

static uint16_t next_source(const struct pbft *core, uint16_t after) {
    for (uint16_t k = 1; k <= core->config.n; k++) {
        uint16_t i = (uint16_t)((after + k) % core->config.n);
        if (i != core->config.replica && core->peers[i].up)
            return i;
    }
    return core->config.replica; /* nobody is there */
}

static void drop_blocks(struct transfer *t, struct pbft_update *update) {
    for (size_t i = 0; i < PBFT_TRANSFER_MAX; i++)
        if (t->have[i])
            emit_release(update, t->blocks[i].handle);
    memset(t->have, 0, sizeof t->have);
    t->received = 0;
}

static void ask(struct pbft *core, struct pbft_update *update) {
    struct transfer *t = &core->transfer;
    drop_blocks(t, update);
    t->attempts += t->asked_ns != 0;
    t->source = next_source(core, t->source);
    t->asked_ns = core->now_ns;
    if (t->source == core->config.replica)
        return;
    struct pbft_message *m = emit_message(update, t->source, PBFT_ASK_BLOCKS);
    m->height = t->from;
    m->count = (uint32_t)(t->to - t->from + 1);
}

static bool part_fits(const struct pbft *core) {
    const struct transfer *t = &core->transfer;
    const uint8_t *parent = flight_of(core, core->stored)->digest;
    for (uint32_t i = 0; i < t->received; i++) {
        if (!digest_equal(t->blocks[i].parent, parent))
            return false;
        parent = t->blocks[i].digest;
    }
    return digest_equal(parent, t->digest);
}

static void adopt(struct pbft *core, const struct pbft_block *block, struct pbft_update *update) {
    const struct pbft_request as_request = {.client = block->client, .number = block->number};
    core->head++;
    client_execute(core, &as_request, core->head);
    *flight_of(core, core->head) = (struct flight){
        .client = block->client, .number = block->number, .seq = block->seq, .adopted = true};
    emit_adopt(update, block);
    emit_release(update, block->handle);
}

static void finish_part(struct pbft *core, struct pbft_update *update) {
    struct transfer *t = &core->transfer;
    if (!part_fits(core)) {
        emit_note(update, PBFT_NOTE_BAD_BLOCKS, t->source, t->from, t->to);
        ask(core, update);
        return;
    }
    for (uint32_t i = 0; i < t->received; i++)
        adopt(core, &t->blocks[i], update);
    memset(t->have, 0, sizeof t->have);
    t->received = 0;
    t->attempts = 0;
    t->to = 0; /* the next part begins once this one is stored */
}

/* ---- answers ---- */

void on_block_digest(struct pbft *core, uint16_t peer, const struct pbft_message *m) {
    struct transfer *t = &core->transfer;
    unsigned equal = 0;
    if (!t->active || t->agreed || m->height != t->to || core->peers[peer].answered)
        return;
    core->peers[peer].answered = true;
    memcpy(core->peers[peer].answer, m->digest, PBFT_DIGEST_SIZE);
    for (uint16_t i = 0; i < core->config.n; i++)
        equal += core->peers[i].answered && digest_equal(core->peers[i].answer, m->digest);
    if (equal <= core->f)
        return;
    t->agreed = true;
    t->asked_ns = 0;
    memcpy(t->digest, m->digest, PBFT_DIGEST_SIZE);
}

void on_block(struct pbft *core, uint16_t peer, const struct pbft_message *m,
              struct pbft_update *update) {
    struct transfer *t = &core->transfer;
    uint64_t i = m->block.height - t->from;
    if (!t->active || !t->agreed || t->to == 0 || peer != t->source || m->block.height < t->from ||
        m->block.height > t->to || t->have[i]) {
        emit_release(update, m->block.handle);
        return;
    }
    t->have[i] = true;
    t->blocks[i] = m->block;
    t->received++;
    t->asked_ns = core->now_ns;
    if (t->received == t->to - t->from + 1)
        finish_part(core, update);
}

void on_ask_blocks(uint16_t peer, const struct pbft_message *m, struct pbft_update *update) {
    bool digest_only = m->type == PBFT_ASK_DIGEST;
    if (m->height > 0 && (digest_only || (m->count > 0 && m->count <= PBFT_TRANSFER_MAX)))
        emit_serve(update, peer, m->height, digest_only ? 0 : m->count);
    else
        emit_violation(update, peer, m->height);
}

/* ---- from beginning to end ---- */

static void finish(struct pbft *core, struct pbft_update *update) {
    struct transfer *t = &core->transfer;
    t->active = false;
    /* What we have beyond the target, from before a crash, stays. */
    if (!digest_equal(flight_of(core, t->target.height)->digest, t->target.digest)) {
        core->diverged = true;
        emit_note(update, PBFT_NOTE_DIVERGED, core->config.replica, t->target.seq, core->stored);
        return;
    }
    core->committed = t->target.seq;
    core->executed = 0;
    if (core->proposed < core->committed)
        core->proposed = core->committed;
    core->progress_ns = core->now_ns;
    checkpoint_stabilise(core, &t->target, update);
    status_send(core, PBFT_ALL, update); /* what came after it is to be had now */
    emit_note(update, PBFT_NOTE_TRANSFERRED, core->config.replica, core->stored, core->committed);
}

static void begin(struct pbft *core, struct pbft_update *update) {
    struct pbft_checkpoint target = {.seq = 0};
    if (core->stored < core->head || !find_target(core, &target) || !is_due(core, &target, update))
        return;
    core->transfer.active = true;
    core->transfer.target = target;
    core->transfer.to = 0;
    core->transfer.attempts = 0;
    emit_note(update, PBFT_NOTE_TRANSFER, core->config.replica, core->stored, target.height);
}

void advance_transfer(struct pbft *core, struct pbft_update *update) {
    struct transfer *t = &core->transfer;
    if (is_out(core) || core->config.n == 1 || !update_has_room(update, 2 * PBFT_TRANSFER_MAX))
        return;
    if (!t->active)
        begin(core, update);
    if (!t->active || core->stored < core->head)
        return;
    if (t->to == 0 && core->stored >= t->target.height) {
        finish(core, update);
        return;
    }
    if (t->to == 0)
        begin_part(core, update);
    uint64_t until_ns = t->asked_ns + patience_ns(core);
    if (t->agreed && (t->asked_ns == 0 || core->now_ns >= until_ns))
        ask(core, update);
    else if (!t->agreed && core->now_ns >= until_ns)
        begin_part(core, update);
    wake_at(update, t->asked_ns + patience_ns(core));
}
