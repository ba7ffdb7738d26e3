/* NEW-VIEW: what a backup makes of it, and how a view is entered (TOCS '02, "View Changes"). */

#include "executor/pbft/state.h"

/* ---- entering ---- */

static void remember_proposed(struct pbft *core, const struct proposal *p) {
    for (uint32_t i = 0; i < p->count; i++) {
        struct client *client = client_find(core, p->requests[i].client);
        if (!client)
            continue;
        if (client->proposed_view != core->view || client->proposed < p->requests[i].number)
            client->proposed = p->requests[i].number;
        client->proposed_view = core->view;
    }
}

void new_view_propose(struct pbft *core, struct slot *slot, struct pbft_update *update) {
    /* From before a crash we know only how far it went (choice_first is 0). */
    if (core->choice_first == 0 || slot->seq < core->choice_first || slot->seq > core->choice_last)
        return;
    const struct pbft_certificate *c = &core->choice[slot->seq - core->choice_first];
    int i = slot_propose(slot, c->digest, core->view, update);
    if (i < 0)
        return;
    struct proposal *p = &slot->proposals[i];
    if (digest_equal(c->digest, core->null_digest) && !p->known)
        proposal_fill(p, NULL, 0);
    slot->current = i;
    slot->vouched = true; /* by A2 */
    remember_proposed(core, p);
}

/* Those of our view's NEW-VIEW, in core->changes. */
static uint32_t shown(struct pbft *core) {
    uint32_t count = 0;
    for (uint16_t i = 0; i < core->config.n; i++)
        if (core->peers[i].shown.m.view == core->view)
            core->changes[count++] = core->peers[i].shown.m;
    return count;
}

void new_view_send(struct pbft *core, uint16_t peer, struct pbft_update *update) {
    struct pbft_message *m = emit_message(update, peer, PBFT_NEW_VIEW);
    m->view = core->view;
    m->count = shown(core);
    m->changes = core->changes;
    memcpy(m->signature, core->shown_signature, PBFT_SIGNATURE_SIZE);
}

void new_view_choose(struct pbft *core, const struct pbft_checkpoint *from, uint64_t last) {
    struct pbft_certificate *found = core->found;
    core->found = core->choice;
    core->choice = found;
    core->choice_first = from->seq + 1;
    core->choice_last = last;
    core->begun = *from;
}

void new_view_enter(struct pbft *core, uint64_t view, const struct pbft_checkpoint *from,
                    uint64_t last, struct pbft_update *update) {
    core->view = view;
    core->active = true;
    core->watching = false;
    core->progress_ns = core->now_ns;
    struct pbft_record *record = emit_record(update, PBFT_RECORD_VIEW);
    record->view = view;
    record->active = true;
    record->changes = core->changes;
    record->count = shown(core);
    memcpy(record->signature, core->shown_signature, PBFT_SIGNATURE_SIZE);
    emit_note(update, PBFT_NOTE_NEW_VIEW, primary_of(core, view), view, from->seq);
    for (uint64_t seq = core->low + 1; seq <= core->low + core->config.window; seq++)
        slot_restart(slot_of(core, seq), core->config.n);
    new_view_choose(core, from, last);
    core->proposed = last > core->committed ? last : core->committed;
    core->sweep = core->low + 1;
}

/* ---- judging ---- */

static bool shows_a_quorum(const struct pbft *core, const struct pbft_message *m) {
    uint32_t seen = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct pbft_view_change *c = &m->changes[i];
        if (c->view != m->view || !change_is_sane(core, c) || (seen & UINT32_C(1) << c->replica))
            return false;
        seen |= UINT32_C(1) << c->replica;
    }
    return m->count >= core->quorum;
}

/* The checkpoint that the view begins at is one that f + 1 vouch for: where we are behind it, that
 * is where the others' blocks are to be had from. */
void new_view_keep(struct pbft *core, uint64_t view, const struct pbft_view_change *changes,
                   uint32_t count, const uint8_t *signature) {
    static const uint8_t none[PBFT_SIGNATURE_SIZE];
    for (uint16_t i = 0; i < core->config.n; i++)
        core->peers[i].shown.m.view = VIEW_NONE;
    for (uint32_t i = 0; i < count; i++) {
        const struct pbft_view_change *c = &changes[i];
        change_copy(core, &core->peers[c->replica].shown, c);
        for (uint32_t k = 0; c->replica != core->config.replica && k < c->checkpoint_count; k++)
            checkpoint_note(core, c->replica, &c->checkpoints[k]);
    }
    core->shown_view = view;
    memcpy(core->shown_signature, signature ? signature : none, PBFT_SIGNATURE_SIZE);
}

void on_new_view(struct pbft *core, uint16_t peer, const struct pbft_message *m,
                 struct pbft_update *update) {
    struct pbft_checkpoint from;
    uint64_t last;
    if (is_out(core) || m->view < core->view || (core->active && m->view == core->view))
        return;
    /* Whoever passes it on: the signatures say that it is right, and that its primary has chosen
     * it, which a quorum of VIEW-CHANGEs alone does not: others have collected others. */
    if (m->view == 0 || !shows_a_quorum(core, m) ||
        !choose(core, m->changes, m->count, &from, &last)) {
        emit_violation(update, peer, m->view);
        return;
    }
    new_view_keep(core, m->view, m->changes, m->count, m->signature);
    new_view_enter(core, m->view, &from, last, update);
}
