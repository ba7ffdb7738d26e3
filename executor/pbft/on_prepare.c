/* PREPARE of a backup (OSDI '99, section 4.2). One that comes before its PRE-PREPARE, or before we
 * are in its view, is kept. */

#include "executor/pbft/state.h"

void on_prepare(struct pbft *core, uint16_t peer, const struct pbft_message *m,
                struct pbft_update *update) {
    struct slot *slot = slot_of(core, m->seq);
    if (!slot || m->view < core->view || peer == primary_of(core, m->view))
        return;
    struct vote *vote = &slot->prepares[peer];
    /* The first one of a view counts; a faulty replica gains nothing by saying two things. */
    if (vote->view != VIEW_NONE && vote->view >= m->view)
        return;
    vote->view = m->view;
    memcpy(vote->digest, m->digest, PBFT_DIGEST_SIZE);
    slot_advance(core, slot, update);
}
