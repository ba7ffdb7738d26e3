/*
 * Byzantine replicas: a correct core whose words are twisted on their way out, differently for
 * every receiver. So it always knows enough to be dangerous. It has no keys but its own: what
 * others have signed it can only leave out or hold back.
 */

#include "tests/sim/pbft/cluster.h"

#include <string.h>

static void other_digest(struct sim *s, uint16_t from, uint8_t digest[PBFT_DIGEST_SIZE]) {
    const struct replica *r = &s->replicas[from];
    size_t count = r->forged_count < FORGED_MAX ? r->forged_count : FORGED_MAX;
    if (count > 0 && chance(s, 500))
        memcpy(digest, r->forged[roll(s, count)].digest, PBFT_DIGEST_SIZE);
    else
        digest[roll(s, PBFT_DIGEST_SIZE)] ^= 1;
}

static void remember_forged(struct sim *s, const struct packet *p) {
    struct replica *r = &s->replicas[p->from];
    struct pbft_certificate *c = &r->forged[r->forged_count++ % FORGED_MAX];
    c->seq = p->m.seq;
    c->view = p->m.view;
    pbft_batch_digest(&s->config, p->requests, p->m.count, c->digest);
}

/* Of those that it has proposed for this number, one. */
static const struct pbft_certificate *find_forged(const struct sim *s, uint16_t from,
                                                  uint64_t seq) {
    const struct replica *r = &s->replicas[from];
    for (size_t i = 0; i < FORGED_MAX && i < r->forged_count; i++)
        if (r->forged[i].seq == seq)
            return &r->forged[i];
    return NULL;
}

/* Another batch for the same number: one request less, another order, or one that nobody made. */
static void twist_batch(struct sim *s, struct packet *p) {
    uint32_t last = p->m.count - 1;
    if (p->m.count > 1 && chance(s, 400)) {
        p->m.count--;
    } else if (p->m.count > 1 && chance(s, 500)) {
        struct pbft_request first = p->requests[0];
        p->requests[0] = p->requests[last];
        p->requests[last] = first;
    } else if (chance(s, 500)) {
        p->requests[last] = make_request(roll(s, s->clients), 1 + roll(s, 200), true);
    } else {
        p->requests[last] = p->requests[0];
    }
}

static void twist_certificates(struct sim *s, uint16_t from, struct pbft_certificate *list,
                               uint32_t *count, uint64_t view) {
    for (uint32_t i = 0; i < *count; i++) {
        const struct pbft_certificate *forged = find_forged(s, from, list[i].seq);
        if (forged && chance(s, 700)) {
            memcpy(list[i].digest, forged->digest, PBFT_DIGEST_SIZE);
            list[i].view = view - 1;
        } else if (chance(s, 200)) {
            other_digest(s, from, list[i].digest);
        }
        if (view > 0 && chance(s, 200))
            list[i].view = roll(s, view);
    }
    if (*count > 0 && chance(s, 300))
        *count = (uint32_t)roll(s, *count);
}

/* Claims that a batch was prepared which it has proposed to some. There is room for one more. */
static void claim_forged(const struct sim *s, uint16_t from, struct pbft_view_change *c) {
    struct pbft_certificate *list = (struct pbft_certificate *)(uintptr_t)c->prepared;
    uint32_t at = c->prepared_count;
    for (uint64_t seq = c->stable + 1; seq <= c->stable + s->config.window; seq++) {
        const struct pbft_certificate *forged = find_forged(s, from, seq);
        bool known = false;
        for (uint32_t i = 0; i < c->prepared_count; i++)
            known = known || list[i].seq == seq;
        if (!forged || known || forged->view >= c->view)
            continue;
        for (; at > 0 && list[at - 1].seq > seq; at--)
            list[at] = list[at - 1];
        list[at] = *forged;
        list[at].view = c->view - 1;
        c->prepared_count++;
        return;
    }
}

/* Its own VIEW-CHANGE, signed, with whatever claims suit it. */
static void twist_change(struct sim *s, uint16_t from, struct pbft_view_change *c) {
    if (c->replica != from)
        return;
    twist_certificates(s, from, (struct pbft_certificate *)(uintptr_t)c->prepared,
                       &c->prepared_count, c->view);
    twist_certificates(s, from, (struct pbft_certificate *)(uintptr_t)c->proposed,
                       &c->proposed_count, c->view);
    if (chance(s, 500) && c->prepared_count < s->config.window)
        claim_forged(s, from, c);
    struct pbft_checkpoint *checkpoints = (struct pbft_checkpoint *)(uintptr_t)c->checkpoints;
    if (chance(s, 100) && c->checkpoint_count > 0)
        checkpoints[c->checkpoint_count - 1].digest[0] ^= 1;
}

static void twist(struct sim *s, struct packet *p) {
    struct pbft_message *m = &p->m;
    switch (m->type) {
    case PBFT_PRE_PREPARE:
    case PBFT_BATCH:
        if (m->count == 0)
            break;
        twist_batch(s, p);
        if (m->type == PBFT_PRE_PREPARE)
            remember_forged(s, p);
        break;
    case PBFT_PREPARE:
    case PBFT_COMMIT:
    case PBFT_CHECKPOINT: other_digest(s, p->from, m->digest); break;
    case PBFT_VIEW_CHANGE:
    case PBFT_NEW_VIEW:
        for (uint32_t i = 0; i < m->count; i++)
            twist_change(s, p->from, &p->changes[i]);
        if (m->type == PBFT_NEW_VIEW && m->count > 1 && chance(s, 300))
            m->count--;
        break;
    case PBFT_STATUS:
        m->report.suspects = chance(s, 500);
        m->report.committed = roll(s, m->report.committed + 3);
        break;
    default: break;
    }
}

/* Votes for what it has not seen prepared: the same COMMIT as its PREPARE, at once. */
static void vote_early(struct sim *s, const struct packet *p) {
    struct pbft_message m = p->m;
    if (m.type != PBFT_PREPARE)
        return;
    m.type = PBFT_COMMIT;
    send_one(s, p->from, p->to, &m);
}

static void send_twisted(struct sim *s, uint16_t from, uint16_t to, const struct pbft_message *m) {
    if (chance(s, 150))
        return;
    struct packet *p = packet_new(from, to, m);
    uint32_t changes = m->count;
    if (chance(s, 400))
        twist(s, p);
    if (chance(s, 200))
        vote_early(s, p);
    send_one(s, from, to, &p->m);
    if (p->changes)
        p->m.count = changes; /* all that are to be freed */
    packet_free(p);
}

/* A primary that falls silent for a while, when some have got its proposals and others have not. */
static bool is_silent(const struct sim *s, enum pbft_message_type type) {
    enum { MOOD_MS = 250, MOODS = 4 };
    return type == PBFT_PRE_PREPARE && s->now_ns / (MOOD_MS * MS) % MOODS == 0;
}

/* A quorum of what it has heard is a NEW-VIEW, though another one than that of the view's primary.
 */
static void show_view(struct sim *s, uint16_t from, uint64_t view) {
    const struct replica *r = &s->replicas[from];
    const uint32_t quorum = (s->n + s->f) / 2u + 1u;
    struct pbft_view_change changes[REPLICAS_MAX];
    struct pbft_message m = {.type = PBFT_NEW_VIEW, .view = view, .changes = changes};
    uint16_t first = (uint16_t)roll(s, s->n);
    for (uint16_t k = 0; k < s->n && m.count < quorum; k++) {
        const struct packet *p = r->heard[(first + k) % s->n];
        if (p && p->m.view == view)
            changes[m.count++] = p->changes[0];
    }
    for (uint16_t i = 0; i < s->n; i++)
        if (i != from && m.count == quorum && chance(s, 500))
            send_one(s, from, i, &m);
}

void byzantine_hear(struct sim *s, uint16_t at, uint16_t from, const struct pbft_message *m) {
    struct packet **heard = &s->replicas[at].heard[from];
    if (m->type != PBFT_VIEW_CHANGE)
        return;
    if (*heard)
        packet_free(*heard);
    *heard = packet_new(from, at, m);
    if (chance(s, 300))
        show_view(s, at, m->view);
}

void byzantine_send(struct sim *s, uint16_t from, const struct pbft_action *action) {
    byzantine_hear(s, from, from, &action->message);
    if (is_silent(s, action->message.type))
        return;
    for (uint16_t i = 0; i < s->n; i++)
        if (i != from && (action->peer == PBFT_ALL || action->peer == i))
            send_twisted(s, from, i, &action->message);
}

void byzantine_reply(struct sim *s, struct reply *reply) {
    if (chance(s, 300))
        reply->digest[0] ^= 1;
    if (chance(s, 100))
        reply->height += 1;
    reply->view = roll(s, reply->view + 3);
}
