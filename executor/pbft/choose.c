/*
 * The decision procedure of a new view (TOCS '02, "View Changes", figure "Decision procedure at the
 * primary"): from a set S of VIEW-CHANGEs to a checkpoint and, for each number behind it, the
 * batch that may have committed, or none. A function of S, so that every backup can run it again.
 */

#include "executor/pbft/state.h"

struct decision {
    const struct pbft *core;
    const struct pbft_view_change *s;
    uint32_t count;
};

static bool has_checkpoint(const struct pbft_view_change *m, const struct pbft_checkpoint *c) {
    for (uint32_t i = 0; i < m->checkpoint_count; i++)
        if (m->checkpoints[i].seq == c->seq && m->checkpoints[i].height == c->height &&
            digest_equal(m->checkpoints[i].digest, c->digest))
            return true;
    return false;
}

/* A quorum is not ahead of it, and f + 1 vouch for it. */
static bool checkpoint_is_right(const struct decision *d, const struct pbft_checkpoint *c) {
    unsigned not_ahead = 0, vouching = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        not_ahead += d->s[i].stable <= c->seq;
        vouching += has_checkpoint(&d->s[i], c);
    }
    return not_ahead >= d->core->quorum && vouching > d->core->f;
}

static const struct pbft_checkpoint *choose_checkpoint(const struct decision *d) {
    const struct pbft_checkpoint *best = NULL;
    for (uint32_t i = 0; i < d->count; i++)
        for (uint32_t k = 0; k < d->s[i].checkpoint_count; k++) {
            const struct pbft_checkpoint *c = &d->s[i].checkpoints[k];
            if ((!best || c->seq > best->seq) && checkpoint_is_right(d, c))
                best = c;
        }
    return best;
}

static const struct pbft_certificate *prepared_at(const struct pbft_view_change *m, uint64_t seq) {
    for (uint32_t i = 0; i < m->prepared_count; i++)
        if (m->prepared[i].seq == seq)
            return &m->prepared[i];
    return NULL;
}

/* Condition A1: a quorum cannot have prepared another batch in that view or a later one. */
static bool nothing_newer(const struct decision *d, const struct pbft_certificate *c) {
    unsigned count = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        const struct pbft_certificate *other = prepared_at(&d->s[i], c->seq);
        count += d->s[i].stable < c->seq &&
                 (!other || other->view < c->view ||
                  (other->view == c->view && digest_equal(other->digest, c->digest)));
    }
    return count >= d->core->quorum;
}

static bool has_proposed(const struct pbft_view_change *m, const struct pbft_certificate *c) {
    for (uint32_t i = 0; i < m->proposed_count; i++)
        if (m->proposed[i].seq == c->seq && m->proposed[i].view >= c->view &&
            digest_equal(m->proposed[i].digest, c->digest))
            return true;
    return false;
}

/* Condition A2: f + 1 have pre-prepared it in that view or later, so a correct one has. */
static bool vouched(const struct decision *d, const struct pbft_certificate *c) {
    unsigned count = 0;
    for (uint32_t i = 0; i < d->count; i++)
        count += has_proposed(&d->s[i], c);
    return count > d->core->f;
}

/* Condition B: a quorum has prepared nothing there. */
static bool nothing_prepared(const struct decision *d, uint64_t seq) {
    unsigned count = 0;
    for (uint32_t i = 0; i < d->count; i++)
        count += d->s[i].stable < seq && !prepared_at(&d->s[i], seq);
    return count >= d->core->quorum;
}

static bool choose_number(const struct decision *d, uint64_t seq, struct pbft_certificate *ret) {
    for (uint32_t i = 0; i < d->count; i++) {
        const struct pbft_certificate *c = prepared_at(&d->s[i], seq);
        if (c && nothing_newer(d, c) && vouched(d, c)) {
            *ret = *c;
            return true;
        }
    }
    *ret = (struct pbft_certificate){.seq = seq};
    memcpy(ret->digest, d->core->null_digest, PBFT_DIGEST_SIZE);
    return nothing_prepared(d, seq);
}

static uint64_t last_prepared(const struct decision *d, uint64_t from, uint64_t upto) {
    uint64_t last = from;
    for (uint32_t i = 0; i < d->count; i++)
        for (uint32_t k = 0; k < d->s[i].prepared_count; k++)
            if (d->s[i].prepared[k].seq > last && d->s[i].prepared[k].seq <= upto)
                last = d->s[i].prepared[k].seq;
    return last;
}

bool choose(struct pbft *core, const struct pbft_view_change *changes, uint32_t count,
            struct pbft_checkpoint *ret_checkpoint, uint64_t *ret_last) {
    const struct decision d = {core, changes, count};
    const struct pbft_checkpoint *c = choose_checkpoint(&d);
    if (!c)
        return false;
    uint64_t last = last_prepared(&d, c->seq, c->seq + core->config.window);
    for (uint64_t seq = c->seq + 1; seq <= last; seq++)
        if (!choose_number(&d, seq, &core->found[seq - c->seq - 1]))
            return false;
    *ret_checkpoint = *c;
    *ret_last = last;
    return true;
}
