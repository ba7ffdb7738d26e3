/* Clients: one request at a time, to the primary first and then to all, done by f + 1 equal
 * answers. */

#include "tests/sim/pbft/cluster.h"

#include <string.h>

#define RETRY_NS (150 * MS)
#define GIVE_UP_NS (8000 * MS)

static void request_to(struct sim *s, uint16_t replica, uint32_t client) {
    struct replica *r = &s->replicas[replica];
    struct pbft_event event = {.type = PBFT_REQUEST};
    if (!r->running || (s->faults && chance(s, s->loss_per_mille)))
        return;
    event.request = make_request(client, s->client[client].number, false);
    event.request.handle = handle_new(s, replica, client, s->client[client].number, false);
    replica_step(s, replica, &event);
}

static void begin(struct sim *s, uint32_t client) {
    struct client *c = &s->client[client];
    c->number++;
    if (c->number >= NUMBERS_MAX) {
        violation(s, "too many requests of a client for the simulator");
        return;
    }
    c->waiting = true;
    c->sent_ns = s->now_ns;
    memset(c->voted, 0, sizeof c->voted);
}

/* Sends its request, or sends it again. */
void on_client(struct sim *s, const struct event *e) {
    struct client *c = &s->client[e->a];
    bool again = c->waiting;
    if (s->stopping)
        return;
    if (again && s->now_ns > c->sent_ns + GIVE_UP_NS)
        c->waiting = again = false; /* it may be executed all the same, but at most once */
    if (!again && s->quiet)
        return;
    if (!again)
        begin(s, e->a);
    for (uint16_t i = 0; i < s->n; i++)
        if (again || i == c->view % s->n)
            request_to(s, i, e->a);
    plan(s, RETRY_NS, &(struct event){.kind = KIND_CLIENT, .a = e->a, .epoch = c->number});
}

void on_reply(struct sim *s, const struct event *e) {
    const struct reply *r = &e->reply;
    if (r->client >= s->clients)
        return;
    struct client *c = &s->client[r->client];
    unsigned equal = 0;
    if (!c->waiting || r->number != c->number || r->status != PBFT_REPLY_OK)
        return;
    c->votes[r->replica] = *r;
    c->voted[r->replica] = true;
    for (uint16_t i = 0; i < s->n; i++)
        equal += c->voted[i] && c->votes[i].height == r->height &&
                 memcmp(c->votes[i].digest, r->digest, PBFT_DIGEST_SIZE) == 0;
    if (equal <= s->f)
        return;
    check_acknowledged(s, r->client, r->number, r->height, r->digest);
    c->waiting = false;
    c->answered++;
    s->result->acknowledged++;
    if (!is_bad(s, r->replica))
        c->view = r->view;
    if (!s->stopping)
        plan(s, roll(s, 20 * MS),
             &(struct event){.kind = KIND_CLIENT, .a = (uint16_t)r->client, .epoch = c->number});
}
