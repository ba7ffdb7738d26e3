/* VIEW-CHANGE of a replica; the shell has verified its signature. */

#include "executor/pbft/state.h"

static bool certificates_fit(const struct pbft *core, const struct pbft_view_change *c,
                             const struct pbft_certificate *list, uint32_t count,
                             uint32_t each_max) {
    uint32_t same = 0;
    for (uint32_t i = 0; i < count; i++) {
        same = i > 0 && list[i].seq == list[i - 1].seq ? same + 1 : 1;
        if (list[i].seq <= c->stable || list[i].seq - c->stable > 2 * core->config.window ||
            list[i].view >= c->view || same > each_max || (i > 0 && list[i].seq < list[i - 1].seq))
            return false;
    }
    return true;
}

bool change_is_sane(const struct pbft *core, const struct pbft_view_change *c) {
    if (c->replica >= core->config.n || c->view == 0 || c->view == VIEW_NONE ||
        c->checkpoint_count == 0 || c->checkpoint_count > PBFT_CHECKPOINTS_MAX ||
        c->checkpoints[0].seq != c->stable || c->prepared_count > core->config.window ||
        c->proposed_count > core->config.window * PBFT_PROPOSALS_MAX)
        return false;
    for (uint32_t i = 0; i < c->checkpoint_count; i++)
        if (c->checkpoints[i].seq % core->config.checkpoint_interval != 0 ||
            (i > 0 && c->checkpoints[i].seq <= c->checkpoints[i - 1].seq))
            return false;
    return certificates_fit(core, c, c->prepared, c->prepared_count, 1) &&
           certificates_fit(core, c, c->proposed, c->proposed_count, PBFT_PROPOSALS_MAX);
}

void on_view_change(struct pbft *core, uint16_t peer, const struct pbft_message *m,
                    struct pbft_update *update) {
    const struct pbft_view_change *c = m->changes;
    struct change *have = &core->peers[peer].change;
    if (c->replica != peer || !change_is_sane(core, c)) {
        emit_violation(update, peer, c->view);
        return;
    }
    if (c->view < core->view || (have->m.view != VIEW_NONE && c->view <= have->m.view))
        return;
    change_copy(core, have, c);
    for (uint32_t i = 0; i < c->checkpoint_count; i++)
        checkpoint_note(core, peer, &c->checkpoints[i]);
}
