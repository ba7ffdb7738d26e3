/*
 * View changes (TOCS '02, "View Changes"; OSDI '99, section 4.4): going into one, and what the
 * primary of the next view does with the VIEW-CHANGEs that it has.
 */

#include "executor/pbft/state.h"

/* ---- VIEW-CHANGE ---- */

bool change_copy(struct pbft *core, struct change *to, const struct pbft_view_change *from) {
    if (from->checkpoint_count > PBFT_CHECKPOINTS_MAX ||
        from->prepared_count > core->config.window ||
        from->proposed_count > core->config.window * PBFT_PROPOSALS_MAX)
        return false;
    to->m = *from;
    to->m.checkpoints = to->checkpoints;
    to->m.prepared = to->prepared;
    to->m.proposed = to->proposed;
    memcpy(to->checkpoints, from->checkpoints, from->checkpoint_count * sizeof *from->checkpoints);
    if (from->prepared_count > 0)
        memcpy(to->prepared, from->prepared, from->prepared_count * sizeof *from->prepared);
    if (from->proposed_count > 0)
        memcpy(to->proposed, from->proposed, from->proposed_count * sizeof *from->proposed);
    return true;
}

static void add_slot(const struct slot *slot, struct change *c) {
    if (slot->prepared_view != VIEW_NONE) {
        struct pbft_certificate *p = &c->prepared[c->m.prepared_count++];
        p->seq = slot->seq;
        p->view = slot->prepared_view;
        memcpy(p->digest, slot->prepared_digest, PBFT_DIGEST_SIZE);
    }
    for (int i = 0; i < PBFT_PROPOSALS_MAX; i++) {
        const struct proposal *p = &slot->proposals[i];
        if (!p->used || !p->vouched)
            continue;
        struct pbft_certificate *q = &c->proposed[c->m.proposed_count++];
        q->seq = slot->seq;
        q->view = p->view;
        memcpy(q->digest, p->digest, PBFT_DIGEST_SIZE);
    }
}

/* Ours, for core->view: h, C, P and Q. */
static void make_change(struct pbft *core) {
    struct change *c = &core->peers[core->config.replica].change;
    c->m = (struct pbft_view_change){.replica = core->config.replica,
                                     .view = core->view,
                                     .stable = stable(core)->seq,
                                     .checkpoint_count = core->checkpoint_count,
                                     .checkpoints = c->checkpoints,
                                     .prepared = c->prepared,
                                     .proposed = c->proposed};
    memcpy(c->checkpoints, core->checkpoints, core->checkpoint_count * sizeof core->checkpoints[0]);
    for (uint64_t seq = stable(core)->seq + 1; seq <= core->low + core->config.window; seq++) {
        const struct slot *slot = seq > core->low ? slot_of(core, seq) : NULL;
        if (slot)
            add_slot(slot, c);
    }
}

static void send_change(const struct pbft *core, uint16_t peer, struct pbft_update *update) {
    struct pbft_message *m = emit_message(update, peer, PBFT_VIEW_CHANGE);
    m->view = core->view;
    m->count = 1;
    m->changes = &core->peers[core->config.replica].change.m;
}

void view_change_start(struct pbft *core, uint64_t view, struct pbft_update *update) {
    assert(view > core->view || !core->active);
    core->view = view;
    core->active = false;
    core->sweep = 0;
    core->choice_first = core->choice_last = 0;
    core->change_ns = UINT64_MAX;
    core->asked_ns = 0;
    core->progress_ns = core->now_ns;
    core->attempts++;
    core->watching = false;
    make_change(core);
    struct pbft_record *record = emit_record(update, PBFT_RECORD_VIEW);
    record->view = view;
    emit_note(update, PBFT_NOTE_VIEW_CHANGE, primary_of(core, view), view, stable(core)->seq);
    send_change(core, PBFT_ALL, update);
}

void view_send(struct pbft *core, uint16_t peer, struct pbft_update *update) {
    if (!core->active)
        send_change(core, peer, update);
    else if (core->shown_view == core->view) /* not that of view 0: nobody lacks it */
        new_view_send(core, peer, update);
}

/* ---- the next primary ---- */

static uint32_t gather(struct pbft *core) {
    uint32_t count = 0;
    for (uint16_t i = 0; i < core->config.n; i++)
        if (core->peers[i].change.m.view == core->view)
            core->changes[count++] = core->peers[i].change.m;
    return count;
}

/* Condition A3: the primary has what it proposes. It asks for what it lacks, now and then: this is
 * looked at in every step. */
static bool has_batches(struct pbft *core, uint64_t first, uint64_t last,
                        struct pbft_update *update) {
    bool all = true, ask = core->now_ns >= core->asked_ns + core->config.status_ns;
    for (uint64_t seq = first; seq <= last; seq++) {
        const uint8_t *digest = core->found[seq - first].digest;
        struct slot *slot = slot_of(core, seq);
        if (!slot || digest_equal(digest, core->null_digest))
            continue;
        if (!update_has_room(update, PBFT_BATCH_MAX + 1))
            return false;
        int i = slot_propose(slot, digest, core->found[seq - first].view, update);
        if (i >= 0 && slot->proposals[i].known)
            continue;
        all = false;
        if (ask)
            emit_batch_message(update, PBFT_ALL, PBFT_ASK_BATCH, core->view, seq, digest);
    }
    if (ask && !all)
        core->asked_ns = core->now_ns;
    return all;
}

static void try_new_view(struct pbft *core, struct pbft_update *update) {
    struct pbft_checkpoint from;
    uint64_t last;
    uint32_t count = gather(core);
    if (count < core->quorum || !choose(core, core->changes, count, &from, &last) ||
        !has_batches(core, from.seq + 1, last, update))
        return;
    new_view_keep(core, core->view, core->changes, count, NULL);
    new_view_enter(core, core->view, &from, last, update);
    new_view_send(core, PBFT_ALL, update);
}

/* ---- whom to follow ---- */

/* "If a replica receives f + 1 VIEW-CHANGEs for views above its own, it sends one for the smallest
 * of them, even if its timer has not expired": one of them is of a correct replica. */
static uint64_t wanted_by_enough(const struct pbft *core) {
    unsigned count = 0;
    uint64_t least = UINT64_MAX;
    for (uint16_t i = 0; i < core->config.n; i++) {
        uint64_t view = core->peers[i].change.m.view;
        if (i == core->config.replica || view == VIEW_NONE || view <= core->view)
            continue;
        count++;
        least = view < least ? view : least;
    }
    return count > core->f ? least : 0;
}

/* A quorum is on the way to our view: from now on its primary has time to make itself heard. */
static void note_quorum(struct pbft *core) {
    unsigned count = 0;
    for (uint16_t i = 0; i < core->config.n; i++) {
        uint64_t view = core->peers[i].change.m.view;
        count += view != VIEW_NONE && view >= core->view;
    }
    if (count >= core->quorum && core->change_ns == UINT64_MAX)
        core->change_ns = core->now_ns;
}

void advance_view(struct pbft *core, struct pbft_update *update) {
    enum { ACTIONS = 8 };
    if (is_out(core) || !update_has_room(update, ACTIONS + PBFT_BATCH_MAX))
        return;
    uint64_t wanted = wanted_by_enough(core);
    if (wanted > core->view)
        view_change_start(core, wanted, update);
    if (core->active)
        return;
    if (core->peers[core->config.replica].change.m.view != core->view)
        make_change(core); /* after a crash */
    note_quorum(core);
    if (is_primary(core))
        try_new_view(core, update);
}
