/* Our own store has finished blocks. */

#include "executor/core/state.h"

#include <assert.h>
#include <string.h>

void on_stored(struct core *core, const struct core_event *event, struct core_update *update) {
    uint64_t last = event->stored.height + event->stored.count - 1;
    assert(event->stored.count > 0 && event->stored.count <= CORE_STORED_MAX);
    assert(event->stored.height == core->stored + 1 && last <= core->head);

    if (is_primary(core))
        for (uint32_t i = 0; i < event->stored.count; i++)
            memcpy(slot_of(core, event->stored.height + i)->digest, event->stored.digests[i],
                   CORE_DIGEST_SIZE);
    memcpy(core->digest, event->stored.digests[event->stored.count - 1], CORE_DIGEST_SIZE);
    core->stored = last;
    if (!is_primary(core) && core->peers[CORE_PRIMARY].up)
        emit_message(update, CORE_PRIMARY, CORE_ACK, core->stored, core->digest);
}
