/*
 * Messages get lost with connections and crashes. Nobody keeps what was sent: a replica that makes
 * no progress tells the others where it is, and gets from each what it lacks (TOCS '02, "Message
 * Retransmission").
 */

#include "executor/pbft/state.h"

enum {
    RESENT_MAX = 16,  /* numbers of which the messages are sent again for one STATUS */
    IDLE_PAUSES = 10, /* where nothing is waited for, STATUS is so much rarer */
    /* A batch is under way for so long, and each time that it is sent again for twice as long: what
     * is slow to arrive must not be made slower. */
    BATCH_PAUSES = 4,
    DOUBLINGS_MAX = 6,
    /* So often the pause between two STATUS is doubled while there is no progress. */
    STATUS_DOUBLINGS_MAX = 3,
};

void status_send(struct pbft *core, uint16_t peer, struct pbft_update *update) {
    struct pbft_message *m = emit_message(update, peer, PBFT_STATUS);
    m->view = core->view;
    m->report = (struct pbft_report){
        .active = core->active,
        .suspects = core->suspects == core->view,
        .draining = core->draining,
        .busy = is_busy(core),
        .stable = stable(core)->seq,
        .committed = core->committed,
        .proposed = core->proposed,
        .stored = core->stored,
    };
    for (uint16_t i = 0; i < core->config.n; i++)
        if (core->peers[i].change.m.view == core->view)
            m->report.changes |= UINT32_C(1) << i;
    if (peer == PBFT_ALL)
        core->status_sent_ns = core->now_ns;
}

/* ---- answering ---- */

static void send_checkpoints(const struct pbft *core, uint16_t peer, uint64_t above,
                             struct pbft_update *update) {
    for (uint32_t i = 0; i < core->checkpoint_count; i++) {
        const struct pbft_checkpoint *c = &core->checkpoints[i];
        if (c->seq <= above)
            continue;
        struct pbft_message *m = emit_message(update, peer, PBFT_CHECKPOINT);
        m->seq = c->seq;
        m->height = c->height;
        memcpy(m->digest, c->digest, PBFT_DIGEST_SIZE);
    }
}

/* A connection loses nothing while it stands. */
static bool is_under_way(const struct pbft *core, uint16_t peer, const struct sent *sent) {
    uint64_t patience_ns = BATCH_PAUSES * core->config.status_ns << sent->again;
    return sent->ns > 0 && sent->ns >= core->peers[peer].up_ns &&
           core->now_ns < sent->ns + patience_ns;
}

bool batch_may_go(const struct pbft *core, uint16_t peer, struct slot *slot) {
    struct sent *sent = &slot->sent[peer];
    if (is_under_way(core, peer, sent))
        return false;
    sent->again = (uint8_t)(sent->again + (sent->ns > 0 && sent->again < DOUBLINGS_MAX));
    sent->ns = core->now_ns;
    return true;
}

static void send_slot(const struct pbft *core, uint16_t peer, struct slot *slot,
                      struct pbft_update *update) {
    const struct proposal *p = &slot->proposals[slot->current];
    if (is_primary(core) && p->known && p->count > 0 && batch_may_go(core, peer, slot)) {
        struct pbft_message *m = emit_message(update, peer, PBFT_PRE_PREPARE);
        m->view = core->view;
        m->seq = slot->seq;
        m->count = p->count;
        m->requests = p->requests;
    } else if (slot->prepare_sent && !is_primary(core)) {
        emit_batch_message(update, peer, PBFT_PREPARE, core->view, slot->seq, p->digest);
    }
    if (slot->prepared)
        emit_batch_message(update, peer, PBFT_COMMIT, core->view, slot->seq, p->digest);
}

static void send_slots(struct pbft *core, uint16_t peer, uint64_t above,
                       struct pbft_update *update) {
    uint64_t first = above < core->low ? core->low + 1 : above + 1;
    for (uint64_t seq = first; seq < first + RESENT_MAX && in_window(core, seq); seq++) {
        struct slot *slot = slot_of(core, seq);
        if (slot->current >= 0 && slot->prepare_sent)
            send_slot(core, peer, slot, update);
    }
}

void on_status(struct pbft *core, uint16_t peer, const struct pbft_message *m,
               struct pbft_update *update) {
    struct peer *p = &core->peers[peer];
    p->reported = true;
    p->view = m->view;
    p->report = m->report;
    p->suspects = m->report.suspects ? m->view : VIEW_NONE;
    if (is_out(core))
        return;
    send_checkpoints(core, peer, m->report.stable, update);
    bool same = m->view == core->view && m->report.active && core->active;
    bool has_ours = m->report.changes & UINT32_C(1) << core->config.replica;
    if (same)
        send_slots(core, peer, m->report.committed, update);
    else if (core->active && m->view > core->view)
        send_slots(core, peer, m->report.committed, update); /* it has left; our COMMITs count */
    else if (m->view < core->view ||
             (m->view == core->view && !m->report.active && (core->active || !has_ours)))
        view_send(core, peer, update);
}

/* ---- asking ---- */

static bool others_are_ahead(const struct pbft *core) {
    for (uint16_t i = 0; i < core->config.n; i++) {
        const struct peer *p = &core->peers[i];
        if (p->up && p->reported && (p->report.committed > core->committed || p->view > core->view))
            return true;
    }
    return false;
}

static bool is_waiting(const struct pbft *core) {
    return !core->active || core->transfer.active || core->first != NOBODY ||
           core->proposed > core->committed || core->checkpoint_count > 1 || others_are_ahead(core);
}

/* For batches of which we know only the digest. */
static void ask_again(struct pbft *core, struct pbft_update *update) {
    const struct slot *next = slot_of(core, core->committed + 1);
    const struct proposal *p = next && next->decided >= 0 ? &next->proposals[next->decided] : NULL;
    if (p && !p->known)
        emit_batch_message(update, PBFT_ALL, PBFT_ASK_BATCH, core->view, next->seq, p->digest);
    if (core->active && core->proposed > core->committed && core->sweep == 0)
        core->sweep = core->low + 1;
}

void advance_status(struct pbft *core, struct pbft_update *update) {
    if (core->config.n == 1 || is_out(core))
        return;
    bool waiting = is_waiting(core);
    if (!waiting || core->status_progress_ns != core->progress_ns)
        core->statuses = 0;
    core->status_progress_ns = core->progress_ns;
    uint64_t pause_ns =
        waiting ? core->config.status_ns << core->statuses : core->config.status_ns * IDLE_PAUSES;
    uint64_t since_ns =
        core->status_sent_ns > core->progress_ns ? core->status_sent_ns : core->progress_ns;
    if (core->now_ns < since_ns + pause_ns) {
        wake_at(update, since_ns + pause_ns);
        return;
    }
    if (!update_has_room(update, 2))
        return;
    status_send(core, PBFT_ALL, update);
    core->statuses += waiting && core->statuses < STATUS_DOUBLINGS_MAX;
    ask_again(core, update);
    wake_at(update, core->now_ns + pause_ns);
}
