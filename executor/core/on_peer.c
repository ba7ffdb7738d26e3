/* Connections between replicas come and go. */

#include "executor/core/state.h"

void on_peer_up(struct core *core, uint16_t peer, struct core_update *update) {
    struct peer *p = &core->peers[peer];
    p->up = true;
    p->joined = false;
    p->drain_asked = false;
    if (is_primary(core) || peer != CORE_PRIMARY)
        return;
    core->behind = false;
    core->drain_sent = false;
    emit_message(update, peer, CORE_JOIN, core->stored, core->digest);
}

void on_peer_down(struct core *core, uint16_t peer) {
    core->peers[peer].up = false;
    core->peers[peer].joined = false;
    core->peers[peer].drain_asked = false;
}
