/*
 * Certificates of one sequence number (TOCS '02, "Quorums and Certificates", "Normal-Case
 * Operation"; OSDI '99, section 4.2): pre-prepared, prepared, committed.
 */

#include "executor/pbft/state.h"

struct slot *slot_of(const struct pbft *core, uint64_t seq) {
    if (!in_window(core, seq))
        return NULL;
    struct slot *slot = &core->slots[seq & (core->config.window - 1)];
    assert(slot->seq == 0 || slot->seq == seq);
    slot->seq = seq;
    return slot;
}

bool all_authentic(const struct pbft_request *requests, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (requests[i].authentic != PBFT_AUTHENTIC)
            return false;
    return true;
}

/* ---- proposals ---- */

static int find_proposal(const struct slot *slot, const uint8_t digest[PBFT_DIGEST_SIZE]) {
    for (int i = 0; i < PBFT_PROPOSALS_MAX; i++)
        if (slot->proposals[i].used && digest_equal(slot->proposals[i].digest, digest))
            return i;
    return -1;
}

static bool is_needed(const struct slot *slot, int i) {
    return i == slot->current || i == slot->decided ||
           (slot->prepared_view != VIEW_NONE &&
            digest_equal(slot->prepared_digest, slot->proposals[i].digest));
}

/* Of an older view than the others, and prepared nowhere as far as we know. That it is missing in Q
 * can delay a view change, not make it wrong. */
static int least_needed(const struct slot *slot) {
    int found = -1;
    for (int i = 0; i < PBFT_PROPOSALS_MAX; i++)
        if (!is_needed(slot, i) &&
            (found < 0 || slot->proposals[i].view < slot->proposals[found].view))
            found = i;
    return found;
}

static void forget(struct proposal *p, struct pbft_update *update) {
    if (p->used && p->known)
        emit_release_all(update, p->requests, p->count);
    *p = (struct proposal){.requests = p->requests};
}

int slot_make_room(struct slot *slot, struct pbft_update *update) {
    for (int i = 0; i < PBFT_PROPOSALS_MAX; i++)
        if (!slot->proposals[i].used)
            return i;
    int found = least_needed(slot);
    if (found >= 0)
        forget(&slot->proposals[found], update);
    return found;
}

int slot_propose(struct slot *slot, const uint8_t digest[PBFT_DIGEST_SIZE], uint64_t view,
                 struct pbft_update *update) {
    int found = find_proposal(slot, digest);
    if (found >= 0) {
        struct proposal *p = &slot->proposals[found];
        p->view = view > p->view ? view : p->view;
        return found;
    }
    found = slot_make_room(slot, update);
    if (found < 0)
        return -1;
    struct proposal *p = &slot->proposals[found];
    p->used = true;
    p->view = view;
    memcpy(p->digest, digest, PBFT_DIGEST_SIZE);
    return found;
}

void proposal_fill(struct proposal *p, const struct pbft_request *requests, uint32_t count) {
    assert(!p->known && count <= PBFT_BATCH_MAX);
    p->known = true;
    p->count = count;
    if (count > 0)
        memcpy(p->requests, requests, count * sizeof *requests);
}

void slot_restart(struct slot *slot, uint16_t n) {
    slot->current = -1;
    slot->vouched = slot->prepare_sent = slot->prepared = false;
    for (uint16_t i = 0; i < n; i++)
        slot->sent[i] = (struct sent){.ns = 0};
}

void slot_clear(struct slot *slot, uint16_t n, struct pbft_update *update) {
    for (int i = 0; i < PBFT_PROPOSALS_MAX; i++)
        forget(&slot->proposals[i], update);
    slot_restart(slot, n);
    slot->seq = 0;
    slot->decided = -1;
    slot->prepared_view = VIEW_NONE;
    slot->end_height = 0;
    for (uint16_t i = 0; i < n; i++)
        slot->prepares[i].view = slot->commits[i].view = VIEW_NONE;
}

/* ---- votes ---- */

static unsigned count_votes(const struct pbft *core, const struct vote *votes, uint16_t without,
                            const uint8_t digest[PBFT_DIGEST_SIZE]) {
    unsigned count = 0;
    for (uint16_t i = 0; i < core->config.n; i++)
        count +=
            i != without && votes[i].view == core->view && digest_equal(votes[i].digest, digest);
    return count;
}

static void vote(const struct pbft *core, struct vote *votes, const uint8_t *digest) {
    votes[core->config.replica].view = core->view;
    memcpy(votes[core->config.replica].digest, digest, PBFT_DIGEST_SIZE);
}

static void persist_proposal(const struct slot *slot, struct proposal *p, uint64_t view,
                             struct pbft_update *update) {
    struct pbft_record *record = emit_record(update, PBFT_RECORD_PROPOSAL);
    record->view = view;
    record->seq = slot->seq;
    record->empty = p->count == 0;
    memcpy(record->digest, p->digest, PBFT_DIGEST_SIZE);
    if (!p->persisted) {
        record->count = p->count;
        record->requests = p->requests;
    }
    p->persisted = p->vouched = true;
}

/* The primary's PRE-PREPARE stands for its PREPARE. Proposals of a new view's primary are in its
 * NEW-VIEW. */
static void send_prepare(struct pbft *core, struct slot *slot, struct proposal *p,
                         struct pbft_update *update) {
    persist_proposal(slot, p, core->view, update);
    slot->prepare_sent = true;
    if (is_primary(core))
        return;
    vote(core, slot->prepares, p->digest);
    emit_batch_message(update, PBFT_ALL, PBFT_PREPARE, core->view, slot->seq, p->digest);
}

static void send_commit(struct pbft *core, struct slot *slot, const struct proposal *p,
                        struct pbft_update *update) {
    struct pbft_record *record = emit_record(update, PBFT_RECORD_PREPARED);
    record->view = core->view;
    record->seq = slot->seq;
    memcpy(record->digest, p->digest, PBFT_DIGEST_SIZE);
    slot->prepared = true;
    slot->prepared_view = core->view;
    memcpy(slot->prepared_digest, p->digest, PBFT_DIGEST_SIZE);
    vote(core, slot->commits, p->digest);
    emit_batch_message(update, PBFT_ALL, PBFT_COMMIT, core->view, slot->seq, p->digest);
}

void slot_advance(struct pbft *core, struct slot *slot, struct pbft_update *update) {
    if (!core->active || is_out(core) || slot->current < 0)
        return;
    struct proposal *p = &slot->proposals[slot->current];
    if (!p->known)
        return;
    uint16_t primary = primary_of(core, core->view);
    unsigned prepares = count_votes(core, slot->prepares, primary, p->digest);
    /* f + 1 who say that its requests are their clients', the primary among them: one is correct
     * (OSDI '99, section 5.2; TOCS '02, "Normal-Case Operation"). */
    if (!slot->prepare_sent && (slot->vouched || prepares + 1u >= core->f + 1u)) {
        send_prepare(core, slot, p, update);
        prepares += !is_primary(core);
    }
    /* The PRE-PREPARE and 2f PREPAREs of different backups. */
    if (slot->prepare_sent && !slot->prepared && prepares + 1u >= core->quorum)
        send_commit(core, slot, p, update);
    if (slot->prepared)
        slot_decide(core, slot, &slot->commits[core->config.replica], update);
}

void slot_decide(const struct pbft *core, struct slot *slot, const struct vote *vote,
                 struct pbft_update *update) {
    unsigned count = 0;
    assert(vote->view != VIEW_NONE);
    for (uint16_t i = 0; i < core->config.n; i++)
        count += slot->commits[i].view == vote->view &&
                 digest_equal(slot->commits[i].digest, vote->digest);
    if (slot->decided >= 0 || count < core->quorum)
        return;
    int i = find_proposal(slot, vote->digest);
    if (i < 0)
        i = slot_propose(slot, vote->digest, 0, update); /* nobody has proposed it to us */
    slot->decided = i;
    if (i >= 0 && !slot->proposals[i].known)
        emit_batch_message(update, PBFT_ALL, PBFT_ASK_BATCH, vote->view, slot->seq, vote->digest);
}
