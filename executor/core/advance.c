/*
 * What the primary's state allows now: answer what f + 1 replicas have stored, order what waits,
 * feed the backups. Each part stops where the update is full; the next step goes on.
 */

#include "executor/core/state.h"

#include <string.h>

void verify_claim(struct core *core, uint16_t peer, struct core_update *update) {
    struct peer *p = &core->peers[peer];
    if (!p->joined || p->claimed <= p->acked || p->claimed > core->stored)
        return;
    const uint8_t *ours =
        p->claimed >= core->low ? slot_of(core, p->claimed)->digest : core->low_digest;
    if (memcmp(ours, p->claimed_digest, CORE_DIGEST_SIZE) != 0) {
        p->joined = false;
        emit_note(update, CORE_NOTE_PEER_DIVERGED, peer, p->claimed, core->stored);
        return;
    }
    p->acked = p->claimed;
    p->progress_ns = core->now_ns;
}

/* The last height that we and f others have stored with the same digest. */
static uint64_t stored_by_enough(const struct core *core) {
    uint64_t height = core->stored;
    /* The f-th highest of the others: for each, how many are at least as high? */
    uint64_t best = core->f == 0 ? height : 0;
    for (uint16_t i = 0; i < core->config.n && core->f > 0; i++) {
        unsigned as_high = 0;
        for (uint16_t j = 0; j < core->config.n; j++)
            as_high += j != core->config.replica && core->peers[j].acked >= core->peers[i].acked;
        if (i != core->config.replica && as_high >= core->f && core->peers[i].acked > best)
            best = core->peers[i].acked;
    }
    return best < height ? best : height;
}

static void answer(struct core *core, uint64_t height, struct core_update *update) {
    struct slot *slot = slot_of(core, height);
    struct client *entry = client_find(core, slot->request.client);
    if (entry && entry->number == slot->request.number) {
        slot->request.origin = entry->origin; /* it may have asked again from elsewhere */
        memcpy(entry->digest, slot->digest, CORE_DIGEST_SIZE);
    }
    emit_answer(update, &slot->request, height, slot->digest);
    core->flight_bytes -= slot->request.size_bytes;
}

static void advance_answers(struct core *core, struct core_update *update) {
    uint64_t upto = stored_by_enough(core);
    for (; core->answered < upto; core->answered++) {
        if (!update_has_room(update, 1)) {
            update->more = true;
            return;
        }
        answer(core, core->answered + 1, update);
    }
}

/* The lowest height that a backup which we feed still needs. */
static uint64_t lowest_needed(struct core *core) {
    uint64_t lowest = core->head + 1;
    core->held_by = CORE_NOBODY;
    for (uint16_t i = 0; i < core->config.n; i++) {
        if (core->peers[i].joined && core->peers[i].acked + 1 < lowest) {
            lowest = core->peers[i].acked + 1;
            core->held_by = i;
        }
    }
    return lowest;
}

static bool log_has_room(const struct core *core, const struct core_request *request) {
    return core->head + 1 - core->low < core->config.log_slots &&
           (core->low > core->head ||
            core->log_bytes + request->size_bytes <= core->config.bytes_max / 2);
}

static void evict_first(struct core *core, struct core_update *update) {
    struct slot *slot = slot_of(core, core->low);
    core->log_bytes -= slot->request.size_bytes;
    memcpy(core->low_digest, slot->digest, CORE_DIGEST_SIZE);
    emit_release(update, &slot->request);
    core->low++;
}

/* Makes room at the low end. False: it cannot be made now (or `more`: not in this update). */
static bool make_room(struct core *core, const struct core_request *request,
                      struct core_update *update) {
    if (log_has_room(core, request))
        return true;
    uint64_t needed = lowest_needed(core);
    while (!log_has_room(core, request) && core->low <= core->answered && core->low < needed) {
        if (!update_has_room(update, 3)) {
            update->more = true;
            return false;
        }
        evict_first(core, update);
    }
    return log_has_room(core, request);
}

static void order(struct core *core, const struct core_request *request,
                  struct core_update *update) {
    uint64_t height = ++core->head;
    struct slot *slot = slot_of(core, height);
    slot->request = *request;
    core->log_bytes += request->size_bytes;
    struct client *entry = client_find(core, request->client);
    if (entry && entry->number == request->number)
        entry->height = height;
    emit_store(update, height, request);
}

static void advance_order(struct core *core, struct core_update *update) {
    core->held_by = CORE_NOBODY;
    while (pending_count(core) > 0 && !core->store_failed &&
           core->head - core->answered < core->config.pipeline_max) {
        const struct core_request *next =
            &core->pending[core->pending_first & (core->config.pending_max - 1)];
        if (!update_has_room(update, 2)) {
            update->more = true;
            return;
        }
        if (!make_room(core, next, update))
            return;
        core->held_by = CORE_NOBODY;
        order(core, next, update);
        core->pending_first++;
    }
}

/* Nothing that waits will ever be ordered. */
static void refuse_pending(struct core *core, struct core_update *update) {
    for (; pending_count(core) > 0; core->pending_first++) {
        if (!update_has_room(update, 2)) {
            update->more = true;
            return;
        }
        const struct core_request *request =
            &core->pending[core->pending_first & (core->config.pending_max - 1)];
        core->flight_bytes -= request->size_bytes;
        emit_reply(update, request, CORE_REPLY_REFUSED, CORE_REASON_STORE_FAILED);
        emit_release(update, request);
    }
}

static void feed(struct core *core, uint16_t peer, struct core_update *update) {
    struct peer *p = &core->peers[peer];
    if (!p->joined || p->next > core->head)
        return;
    if (p->acked + 1 == p->next)
        p->progress_ns = core->now_ns; /* it had nothing to do until now */
    for (; p->next <= core->head; p->next++) {
        if (!update_has_room(update, 1)) {
            update->more = true;
            return;
        }
        emit_append(update, peer, p->next, &slot_of(core, p->next)->request);
    }
}

/* The window is full, and one backup that makes no progress holds it. */
static void leave_laggard(struct core *core, struct core_update *update) {
    if (core->held_by == CORE_NOBODY)
        return;
    struct peer *p = &core->peers[core->held_by];
    uint64_t until_ns = p->progress_ns + core->config.laggard_ns;
    if (core->now_ns < until_ns) {
        if (until_ns < update->timer_ns)
            update->timer_ns = until_ns;
        return;
    }
    p->joined = false;
    emit_note(update, CORE_NOTE_PEER_LAGGING, core->held_by, p->acked, core->head);
    emit_message(update, core->held_by, CORE_BEHIND, core->head + 1, NULL);
    update->more = true;
}

void advance(struct core *core, struct core_update *update) {
    if (!is_primary(core))
        return;
    for (uint16_t i = 0; i < core->config.n; i++)
        if (update_has_room(update, 1))
            verify_claim(core, i, update);
        else
            update->more = true;
    advance_answers(core, update);
    advance_order(core, update);
    if (core->store_failed)
        refuse_pending(core, update);
    for (uint16_t i = 0; i < core->config.n; i++)
        feed(core, i, update);
    if (update_has_room(update, 2))
        leave_laggard(core, update);
}
