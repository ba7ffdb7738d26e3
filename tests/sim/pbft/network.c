/* What happens to messages on their way. */

#include "tests/sim/pbft/cluster.h"

#include "lib/memory.h"

#include <stdlib.h>
#include <string.h>

static void *copy(const void *data, size_t count, size_t size) {
    void *to = mem_zero(count + 1, size);
    if (count > 0)
        memcpy(to, data, count * size);
    return to;
}

static bool carries_requests(const struct pbft_message *m) {
    return m->type == PBFT_FORWARD || m->type == PBFT_PRE_PREPARE || m->type == PBFT_BATCH;
}

static bool carries_changes(const struct pbft_message *m) {
    return m->type == PBFT_VIEW_CHANGE || m->type == PBFT_NEW_VIEW;
}

struct packet *packet_new(uint16_t from, uint16_t to, const struct pbft_message *m) {
    struct packet *p = mem_new(struct packet);
    p->from = from;
    p->to = to;
    p->m = *m;
    if (carries_requests(m))
        p->m.requests = p->requests = copy(m->requests, m->count, sizeof *m->requests);
    if (!carries_changes(m))
        return p;
    p->m.changes = p->changes = copy(m->changes, m->count, sizeof *m->changes);
    for (uint32_t i = 0; i < m->count; i++) {
        struct pbft_view_change *c = &p->changes[i];
        c->checkpoints = copy(c->checkpoints, c->checkpoint_count, sizeof *c->checkpoints);
        c->prepared = copy(c->prepared, c->prepared_count, sizeof *c->prepared);
        c->proposed = copy(c->proposed, c->proposed_count, sizeof *c->proposed);
    }
    return p;
}

void packet_free(struct packet *p) {
    for (uint32_t i = 0; p->changes && i < p->m.count; i++) {
        free((void *)(uintptr_t)p->changes[i].checkpoints);
        free((void *)(uintptr_t)p->changes[i].prepared);
        free((void *)(uintptr_t)p->changes[i].proposed);
    }
    free(p->requests);
    free(p->changes);
    free(p);
}

static uint64_t delay_ns(struct sim *s) {
    if (s->faults && chance(s, s->slow_per_mille))
        return roll(s, 300 * MS);
    return MS / 10 + roll(s, 2 * MS);
}

static void launch(struct sim *s, struct packet *p) {
    plan(s, delay_ns(s), &(struct event){.kind = KIND_DELIVER, .packet = p});
}

void send_one(struct sim *s, uint16_t from, uint16_t to, const struct pbft_message *m) {
    if (s->cut[from][to] || !s->replicas[to].running || (s->faults && chance(s, s->loss_per_mille)))
        return;
    launch(s, packet_new(from, to, m));
    if (s->faults && chance(s, s->double_per_mille))
        launch(s, packet_new(from, to, m));
}

void send(struct sim *s, uint16_t from, uint16_t to, const struct pbft_message *m) {
    if (to != PBFT_ALL) {
        send_one(s, from, to, m);
        return;
    }
    for (uint16_t i = 0; i < s->n; i++)
        if (i != from)
            send_one(s, from, i, m);
}

/* ---- what the receiving shell does ---- */

/* A signature is right if the replica has signed just that. */
static bool is_signed(const struct sim *s, uint16_t by, uint64_t sum) {
    return by < s->n && (is_byzantine(s, by) || has_signed(&s->replicas[by], sum));
}

static bool signatures_are_right(const struct sim *s, const struct packet *p) {
    if (p->m.type == PBFT_NEW_VIEW &&
        !is_signed(s, (uint16_t)(p->m.view % s->n), view_checksum(&p->m)))
        return false;
    for (uint32_t i = 0; i < p->m.count; i++)
        if (!is_signed(s, p->changes[i].replica, change_checksum(&p->changes[i])))
            return false;
    return true;
}

/* Authentication of requests: a forged one is refused, or cannot be told from one whose client is
 * not known here. */
static bool take_requests(struct sim *s, struct packet *p) {
    for (uint32_t i = 0; i < p->m.count; i++)
        if (p->requests[i].origin == UINT64_MAX && chance(s, 500))
            return false;
    for (uint32_t i = 0; i < p->m.count; i++) {
        struct pbft_request *r = &p->requests[i];
        bool forged = r->origin == UINT64_MAX;
        r->authentic =
            forged || (s->faults && chance(s, 20)) ? PBFT_AUTHENTIC_UNKNOWN : PBFT_AUTHENTIC;
        r->handle = handle_new(s, p->to, r->client, r->number, forged);
    }
    return true;
}

void on_deliver(struct sim *s, const struct event *e) {
    struct packet *p = e->packet;
    struct replica *to = &s->replicas[p->to];
    bool arrives = to->running && !s->cut[p->from][p->to] &&
                   (!carries_changes(&p->m) || signatures_are_right(s, p)) &&
                   (!carries_requests(&p->m) || take_requests(s, p));
    if (arrives) {
        struct pbft_event event = {.type = PBFT_MESSAGE, .peer = p->from, .message = p->m};
        if (is_byzantine(s, p->to))
            byzantine_hear(s, p->to, p->from, &p->m);
        if (p->m.type == PBFT_BLOCK)
            event.message.block.handle = handle_new(s, p->to, 0, 0, false);
        replica_step(s, p->to, &event);
    }
    packet_free(p);
}

void set_link(struct sim *s, uint16_t a, uint16_t b, bool up) {
    uint16_t ends[2] = {a, b};
    if (s->link[a][b] == up)
        return;
    s->link[a][b] = s->link[b][a] = up;
    for (int i = 0; i < 2; i++)
        if (s->replicas[ends[i]].running)
            replica_step(s, ends[i],
                         &(struct pbft_event){.type = up ? PBFT_PEER_UP : PBFT_PEER_DOWN,
                                              .peer = ends[1 - i]});
}
