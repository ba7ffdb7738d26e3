/* APPEND from the primary, at a backup. */

#include "executor/core/state.h"

void on_append(struct core *core, uint16_t peer, const struct core_message *message,
               struct core_update *update) {
    uint64_t height = message->height;
    bool next = height == core->head + 1 && height - core->stored <= core->config.log_slots;
    bool seen = height <= core->head; /* sent again after a reconnect */
    if (is_primary(core) || peer != CORE_PRIMARY || !(next || seen)) {
        violation(core, peer, height, update);
    } else if (next && !core->store_failed) {
        core->behind = false;
        core->head = height;
        emit_store(update, height, &message->request);
    }
    emit_release(update, &message->request);
}
