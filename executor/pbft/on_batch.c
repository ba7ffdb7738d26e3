/* ASK_BATCH, and BATCH: requests of a proposal whose digest a new view has decided. */

#include "executor/pbft/state.h"

static struct proposal *find(struct slot *slot, const uint8_t digest[PBFT_DIGEST_SIZE]) {
    for (int i = 0; i < PBFT_PROPOSALS_MAX; i++)
        if (slot->proposals[i].used && digest_equal(slot->proposals[i].digest, digest))
            return &slot->proposals[i];
    return NULL;
}

void on_ask_batch(struct pbft *core, uint16_t peer, const struct pbft_message *m,
                  struct pbft_update *update) {
    struct slot *slot = slot_of(core, m->seq);
    const struct proposal *p = slot ? find(slot, m->digest) : NULL;
    if (!p || !p->known || !batch_may_go(core, peer, slot))
        return;
    struct pbft_message *answer = emit_message(update, peer, PBFT_BATCH);
    answer->seq = m->seq;
    answer->count = p->count;
    answer->requests = p->requests;
}

void on_batch(struct pbft *core, const struct pbft_message *m, struct pbft_update *update) {
    uint8_t digest[PBFT_DIGEST_SIZE];
    struct slot *slot = slot_of(core, m->seq);
    pbft_batch_digest(&core->config, m->requests, m->count, digest);
    struct proposal *p = slot ? find(slot, digest) : NULL;
    if (!p || p->known) {
        emit_release_all(update, m->requests, m->count);
        return;
    }
    proposal_fill(p, m->requests, m->count);
    slot_advance(core, slot, update);
}
