/*
 * When is the primary to be replaced? (OSDI '99, section 4.4; TOCS '02, "View Changes".) A replica
 * watches the first of what waits to be ordered: a request that it has, else the first number that
 * is proposed and not committed. What it watches may take `request_timeout_ns`, doubled with each
 * view change that brought nothing.
 *
 * One more step than the papers have: who runs out of patience first says so in its STATUS, and
 * goes into the view change when f + 1 say so. A replica that alone is cut off would otherwise
 * leave a view in which all others go on, and could not come back into it. With f + 1 there is a
 * correct one that asks for a view change, as in the papers; and when the primary is faulty, every
 * correct replica runs out of patience, for clients send to all (docs/decisions/0024).
 */

#include "executor/pbft/state.h"

enum { DOUBLINGS_MAX = 6 };

static uint64_t patience_ns(const struct pbft *core) {
    uint32_t doublings = core->attempts < DOUBLINGS_MAX ? core->attempts : DOUBLINGS_MAX;
    return core->config.request_timeout_ns << doublings;
}

static void watch(struct pbft *core, uint64_t client, uint64_t number, uint64_t seq) {
    bool same = core->watching && core->watched_client == client &&
                core->watched_number == number && core->watched_seq == seq;
    if (!same) {
        core->watch_ns = core->now_ns;
        core->suspects = VIEW_NONE;
    }
    core->watching = true;
    core->watched_client = client;
    core->watched_number = number;
    core->watched_seq = seq;
}

/* No primary can help a replica that fetches blocks, or whose window checkpoints do not move on. */
static bool held_up(const struct pbft *core) {
    return core->transfer.active || !in_window(core, core->committed + 1);
}

static void choose_watch(struct pbft *core) {
    if (held_up(core)) {
        core->watching = false;
    } else if (core->first != NOBODY) {
        const struct client *client = &core->clients[core->first];
        watch(core, client->client, client->waiting.number, 0);
    } else if (core->proposed > core->committed) {
        watch(core, 0, 0, core->committed + 1);
    } else {
        core->watching = false;
    }
}

/* Who has left the view, is through with its primary. */
static bool doubts(const struct pbft *core, const struct peer *p) {
    uint64_t change = p->change.m.view;
    return p->suspects == core->view || (p->reported && p->view > core->view) ||
           (change != VIEW_NONE && change > core->view);
}

static bool enough_suspect(const struct pbft *core) {
    unsigned count = core->suspects == core->view;
    for (uint16_t i = 0; i < core->config.n; i++)
        count += i != core->config.replica && doubts(core, &core->peers[i]);
    return count > core->f;
}

static void advance_active(struct pbft *core, struct pbft_update *update) {
    choose_watch(core);
    if (core->suspects != core->view && core->watching && !is_primary(core)) {
        uint64_t until_ns = core->watch_ns + patience_ns(core);
        if (core->now_ns < until_ns) {
            wake_at(update, until_ns);
            return;
        }
        core->suspects = core->view;
        emit_note(update, PBFT_NOTE_SUSPECT, primary_of(core, core->view), core->view, 0);
        status_send(core, PBFT_ALL, update);
    }
    if (core->suspects == core->view && !core->watching)
        core->suspects = VIEW_NONE; /* it was served after all */
    if (core->suspects == core->view && enough_suspect(core))
        view_change_start(core, core->view + 1, update);
}

void advance_suspicion(struct pbft *core, struct pbft_update *update) {
    if (is_out(core) || !update_has_room(update, 8))
        return;
    if (core->active) {
        advance_active(core, update);
        return;
    }
    if (core->change_ns == UINT64_MAX)
        return; /* nobody has to answer yet */
    uint64_t until_ns = core->change_ns + patience_ns(core);
    if (core->now_ns >= until_ns)
        view_change_start(core, core->view + 1, update);
    else
        wake_at(update, until_ns);
}
