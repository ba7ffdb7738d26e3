/*
 * JOIN of a backup, at the primary: it says what it has, and is fed from there. The counterpart
 * BEHIND, at a backup: the primary cannot.
 */

#include "executor/core/state.h"

#include <string.h>

void leave_ahead(struct core *core, uint16_t peer, uint64_t height, struct core_update *update) {
    /* Answered requests may be among its blocks: whoever ordered others in their place would lie.
     */
    if (height > core->ahead)
        core->ahead = height;
    core->peers[peer].joined = false;
    emit_note(update, CORE_NOTE_PEER_AHEAD, peer, height, core->head);
}

void on_join(struct core *core, uint16_t peer, const struct core_message *message,
             struct core_update *update) {
    struct peer *p = &core->peers[peer];
    if (!is_primary(core)) {
        violation(core, peer, message->height, update);
        return;
    }
    p->joined = false;
    if (message->height > core->head) {
        leave_ahead(core, peer, message->height, update);
        return;
    }
    if (message->height + 1 < core->low) {
        emit_note(update, CORE_NOTE_PEER_BEHIND, peer, message->height + 1, core->low);
        emit_message(update, peer, CORE_BEHIND, core->low, NULL);
        return;
    }
    p->joined = true;
    p->next = message->height + 1;
    p->acked = 0; /* it may have lost what it had acknowledged */
    p->claimed = message->height;
    memcpy(p->claimed_digest, message->digest, CORE_DIGEST_SIZE);
    p->progress_ns = core->now_ns;
    emit_note(update, CORE_NOTE_PEER_JOINED, peer, message->height, core->head);
    verify_claim(core, peer, update);
}

void on_behind(struct core *core, uint16_t peer, const struct core_message *message,
               struct core_update *update) {
    if (is_primary(core) || peer != CORE_PRIMARY) {
        violation(core, peer, message->height, update);
        return;
    }
    core->behind = true;
    emit_note(update, CORE_NOTE_WE_ARE_BEHIND, peer, core->stored + 1, message->height);
}
