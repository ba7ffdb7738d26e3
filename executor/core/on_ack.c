/* ACK of a backup, at the primary: it has stored blocks. */

#include "executor/core/state.h"

#include <string.h>

void on_ack(struct core *core, uint16_t peer, const struct core_message *message,
            struct core_update *update) {
    struct peer *p = &core->peers[peer];
    if (!is_primary(core)) {
        violation(core, peer, message->height, update);
        return;
    }
    if (!p->joined || message->height <= p->claimed)
        return; /* one that we do not feed may know more than we do */
    if (message->height > core->head) {
        leave_ahead(core, peer, message->height, update);
        return;
    }
    if (p->next <= message->height)
        p->next = message->height + 1; /* it still had them under way when it joined */
    p->claimed = message->height;
    memcpy(p->claimed_digest, message->digest, CORE_DIGEST_SIZE);
    verify_claim(core, peer, update);
}
