/*
 * Checkpoints, their certificates, and what is forgotten when one is stable (OSDI '99, section 4.3;
 * TOCS '02, "Garbage Collection").
 */

#include "executor/pbft/state.h"

static bool equal(const struct pbft_checkpoint *a, const struct pbft_checkpoint *b) {
    return a->seq == b->seq && a->height == b->height && digest_equal(a->digest, b->digest);
}

static struct pbft_checkpoint *place_of(struct pbft *core, uint16_t peer, uint64_t seq) {
    uint64_t index = seq / core->config.checkpoint_interval;
    return &core->peers[peer].checkpoints[index % PBFT_CHECKPOINTS_MAX];
}

void checkpoint_note(struct pbft *core, uint16_t peer, const struct pbft_checkpoint *c) {
    struct pbft_checkpoint *place = place_of(core, peer, c->seq);
    if (c->seq % core->config.checkpoint_interval == 0 && c->seq > place->seq)
        *place = *c;
}

void on_checkpoint(struct pbft *core, uint16_t peer, const struct pbft_message *m) {
    struct pbft_checkpoint c = {.seq = m->seq, .height = m->height};
    memcpy(c.digest, m->digest, sizeof c.digest);
    checkpoint_note(core, peer, &c);
}

unsigned checkpoint_count_equal(const struct pbft *core, const struct pbft_checkpoint *c) {
    unsigned count = 0;
    for (uint16_t i = 0; i < core->config.n; i++)
        for (size_t k = 0; i != core->config.replica && k < PBFT_CHECKPOINTS_MAX; k++)
            count += equal(&core->peers[i].checkpoints[k], c);
    return count;
}

static void persist(const struct pbft_checkpoint *c, enum pbft_record_type type,
                    struct pbft_update *update) {
    struct pbft_record *record = emit_record(update, type);
    record->seq = c->seq;
    record->height = c->height;
    memcpy(record->digest, c->digest, PBFT_DIGEST_SIZE);
}

void checkpoint_take(struct pbft *core, uint64_t seq, uint64_t height, struct pbft_update *update) {
    assert(core->checkpoint_count < PBFT_CHECKPOINTS_MAX);
    struct pbft_checkpoint *c = &core->checkpoints[core->checkpoint_count++];
    c->seq = seq;
    c->height = height;
    memcpy(c->digest, flight_of(core, height)->digest, PBFT_DIGEST_SIZE);
    persist(c, PBFT_RECORD_CHECKPOINT, update);
    struct pbft_message *m = emit_message(update, PBFT_ALL, PBFT_CHECKPOINT);
    m->seq = c->seq;
    m->height = c->height;
    memcpy(m->digest, c->digest, PBFT_DIGEST_SIZE);
}

void checkpoint_stabilise(struct pbft *core, const struct pbft_checkpoint *c,
                          struct pbft_update *update) {
    struct pbft_checkpoint now = *c; /* it may be one of those that move */
    uint32_t kept = 1;
    for (uint32_t i = 0; i < core->checkpoint_count; i++)
        if (core->checkpoints[i].seq > now.seq)
            core->checkpoints[kept++] = core->checkpoints[i];
    core->checkpoints[0] = now;
    core->checkpoint_count = kept;
    persist(&now, PBFT_RECORD_STABLE, update);
}

/* f + 1 say alike what is not ours: at least one of them is correct. */
static bool others_agree_on_another(const struct pbft *core, const struct pbft_checkpoint *c) {
    for (uint16_t i = 0; i < core->config.n; i++)
        for (size_t k = 0; i != core->config.replica && k < PBFT_CHECKPOINTS_MAX; k++) {
            const struct pbft_checkpoint *other = &core->peers[i].checkpoints[k];
            if (other->seq == c->seq && !equal(other, c) &&
                checkpoint_count_equal(core, other) >= core->f + 1u)
                return true;
        }
    return false;
}

void advance_stable(struct pbft *core, struct pbft_update *update) {
    for (uint32_t i = core->checkpoint_count; i-- > 1 && !core->diverged;) {
        const struct pbft_checkpoint *c = &core->checkpoints[i];
        if (!update_has_room(update, 2))
            return;
        if (checkpoint_count_equal(core, c) + 1u >= core->quorum) {
            checkpoint_stabilise(core, c, update);
            return;
        }
        if (others_agree_on_another(core, c)) {
            core->diverged = true;
            emit_note(update, PBFT_NOTE_DIVERGED, core->config.replica, c->seq, c->height);
        }
    }
}
