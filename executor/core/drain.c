/*
 * A clean stop. When all replicas are told to stop at the same time they must all end with the same
 * chain: the primary stays until everybody who is connected has what it has ordered; a backup asks
 * the primary, whose answer stands behind all APPENDs on the same ordered connection.
 *
 * "The same time" is not one instant: the primary may hear of it later than a backup, and order
 * more until then. So it answers when it has been told to stop itself and orders nothing any more,
 * or when `drain_together_ns` have passed: then it is only that backup who stops.
 */

#include "executor/core/state.h"

void on_drain(struct core *core) {
    if (core->draining)
        return;
    core->draining = true;
    core->drain_until_ns = core->now_ns + core->config.drain_ns;
}

void on_ask_drain(struct core *core, uint16_t peer) {
    struct peer *p = &core->peers[peer];
    p->drain_asked = true;
    p->drain_asked_ns = core->now_ns;
    p->drain_height = 0;
}

void on_drained(struct core *core, const struct core_message *message) {
    core->drain_answered = true;
    core->drain_upto = message->height;
}

static bool store_is_done(const struct core *core) {
    return core->store_failed || core->stored == core->head;
}

static bool primary_is_drained(const struct core *core) {
    if (!store_is_done(core) || pending_count(core) > 0)
        return false;
    for (uint16_t i = 0; i < core->config.n; i++)
        if (core->peers[i].joined && core->peers[i].acked < core->head)
            return false;
    return true;
}

static bool backup_is_drained(const struct core *core) {
    if (!store_is_done(core))
        return false;
    if (!core->peers[CORE_PRIMARY].up || core->behind)
        return true;
    return core->drain_answered && core->head >= core->drain_upto;
}

/* Nothing will be ordered any more, or the others do not stop with that backup. */
static bool may_answer(const struct core *core, const struct peer *p, struct core_update *update) {
    uint64_t until_ns = p->drain_asked_ns + core->config.drain_together_ns;
    if ((core->draining && pending_count(core) == 0) || core->now_ns >= until_ns)
        return true;
    if (until_ns < update->timer_ns)
        update->timer_ns = until_ns;
    return false;
}

static bool has_what_it_asked(const struct core *core, struct peer *p, struct core_update *update) {
    if (p->drain_height == 0 && !may_answer(core, p, update))
        return false;
    if (p->drain_height == 0)
        p->drain_height = core->head;
    return p->next > p->drain_height;
}

/* Primary: answers each backup that stops, once it has been sent everything that it asked for. */
static void answer_drains(struct core *core, struct core_update *update) {
    for (uint16_t i = 0; i < core->config.n && update_has_room(update, 1); i++) {
        struct peer *p = &core->peers[i];
        if (!p->drain_asked || (p->joined && !has_what_it_asked(core, p, update)))
            continue;
        p->drain_asked = false;
        emit_message(update, i, CORE_DRAINED, p->joined ? p->drain_height : 0, NULL);
    }
}

void advance_drain(struct core *core, struct core_update *update) {
    if (is_primary(core))
        answer_drains(core, update);
    if (!core->draining || update->more)
        return;
    if (!is_primary(core) && core->peers[CORE_PRIMARY].up && !core->drain_sent) {
        core->drain_sent = true;
        emit_message(update, CORE_PRIMARY, CORE_ASK_DRAIN, core->stored, NULL);
    }
    if (is_primary(core) ? primary_is_drained(core) : backup_is_drained(core)) {
        update->drained = true;
    } else if (core->now_ns >= core->drain_until_ns) {
        if (!core->drain_late)
            emit_note(update, CORE_NOTE_DRAIN_LATE, core->config.replica, core->stored, core->head);
        core->drain_late = true;
        update->drained = true;
    } else if (core->drain_until_ns < update->timer_ns) {
        update->timer_ns = core->drain_until_ns;
    }
}
