/*
 * A clean stop. When all replicas are told to stop at the same time they must all end with the same
 * chain: each takes no new requests, and stays until nothing is under way here and everybody who is
 * connected says the same of itself and has stored as much. "The same time" is not one instant: who
 * sees after `drain_together_ns` that some are not stopping is the only one to stop, and ends when
 * it has done what it had begun.
 */

#include "executor/pbft/state.h"

#define PAUSE_NS UINT64_C(10000000) /* between two STATUS while others are waited for */

void on_drain(struct pbft *core, struct pbft_update *update) {
    if (core->draining)
        return;
    core->draining = true;
    core->drain_since_ns = core->now_ns;
    status_send(core, PBFT_ALL, update);
}

/* A primary that stops orders what it has taken. */
bool is_busy(const struct pbft *core) {
    return core->proposed > core->committed || core->transfer.active ||
           (core->active && is_primary(core) && core->first != NOBODY);
}

static bool is_done_with(const struct pbft *core, const struct peer *p, bool together) {
    if (!p->up)
        return true;
    if (!p->reported || !p->report.draining)
        return !together;
    return p->report.stored == core->stored && p->report.committed == core->committed &&
           !p->report.busy;
}

static bool is_drained(const struct pbft *core) {
    bool together = core->now_ns < core->drain_since_ns + core->config.drain_together_ns;
    if (is_out(core))
        return core->store_failed || core->stored == core->head;
    if (core->stored < core->head || is_busy(core))
        return false;
    for (uint16_t i = 0; i < core->config.n; i++)
        if (i != core->config.replica && !is_done_with(core, &core->peers[i], together))
            return false;
    return true;
}

void advance_drain(struct pbft *core, struct pbft_update *update) {
    if (!core->draining || update->more)
        return;
    uint64_t until_ns = core->drain_since_ns + core->config.drain_ns;
    if (is_drained(core)) {
        status_send(core, PBFT_ALL, update); /* the others wait for it */
        update->drained = true;
    } else if (core->now_ns >= until_ns) {
        if (!core->drain_late)
            emit_note(update, PBFT_NOTE_DRAIN_LATE, core->config.replica, core->stored,
                      core->proposed);
        core->drain_late = true;
        update->drained = true;
    } else {
        if (core->now_ns >= core->status_sent_ns + PAUSE_NS)
            status_send(core, PBFT_ALL, update);
        wake_at(update, core->now_ns + PAUSE_NS);
        wake_at(update, until_ns);
    }
}
