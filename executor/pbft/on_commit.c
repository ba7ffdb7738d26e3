/*
 * COMMIT of a replica (OSDI '99, section 4.2). A quorum of them for one batch is proof enough that
 * it is committed, in whatever view we are: f + 1 correct replicas have prepared it. So one who has
 * left the view that the others stayed in, or who was away, still executes what they do.
 */

#include "executor/pbft/state.h"

void on_commit(struct pbft *core, uint16_t peer, const struct pbft_message *m,
               struct pbft_update *update) {
    struct slot *slot = slot_of(core, m->seq);
    if (m->view == VIEW_NONE) { /* it would look like those who have said nothing yet */
        emit_violation(update, peer, m->seq);
        return;
    }
    if (!slot)
        return;
    struct vote *vote = &slot->commits[peer];
    if (vote->view != VIEW_NONE && vote->view >= m->view)
        return;
    vote->view = m->view;
    memcpy(vote->digest, m->digest, PBFT_DIGEST_SIZE);
    slot_advance(core, slot, update);
    slot_decide(core, slot, vote, update);
}
