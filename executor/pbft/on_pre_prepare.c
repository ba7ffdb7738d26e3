/* PRE-PREPARE of the primary (OSDI '99, section 4.2). */

#include "executor/pbft/state.h"

static void drop(const struct pbft_message *m, struct pbft_update *update) {
    emit_release_all(update, m->requests, m->count);
}

static void take(struct pbft *core, struct slot *slot, const uint8_t digest[PBFT_DIGEST_SIZE],
                 const struct pbft_message *m, struct pbft_update *update) {
    int i = slot_propose(slot, digest, core->view, update);
    if (i < 0) {
        drop(m, update);
        return;
    }
    struct proposal *p = &slot->proposals[i];
    slot->vouched = all_authentic(m->requests, m->count);
    slot->current = i;
    if (p->known)
        drop(m, update);
    else
        proposal_fill(p, m->requests, m->count);
    if (slot->seq > core->proposed)
        core->proposed = slot->seq;
    slot_advance(core, slot, update);
}

void on_pre_prepare(struct pbft *core, uint16_t peer, const struct pbft_message *m,
                    struct pbft_update *update) {
    struct slot *slot = slot_of(core, m->seq);
    if (!core->active || is_out(core) || m->view != core->view || is_primary(core) ||
        peer != primary_of(core, core->view) || !slot ||
        (slot->current < 0 && m->seq <= core->choice_last)) {
        drop(m, update);
        return;
    }
    uint8_t digest[PBFT_DIGEST_SIZE];
    pbft_batch_digest(&core->config, m->requests, m->count, digest);
    if (slot->current < 0) {
        take(core, slot, digest, m, update);
        return;
    }
    /* "it has not accepted a pre-prepare message for view v and sequence number n containing a
     * different digest": one who sends two is faulty. The same one once more is what we may lack
     * after a new view. */
    struct proposal *p = &slot->proposals[slot->current];
    bool same = digest_equal(p->digest, digest);
    if (same && !p->known) {
        proposal_fill(p, m->requests, m->count);
        slot_advance(core, slot, update);
        return;
    }
    drop(m, update);
    if (!same)
        emit_violation(update, peer, m->seq);
}
