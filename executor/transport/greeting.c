#include "executor/transport/limits.h"
#include "executor/transport/links.h"

#include "lib/memory.h"
#include "lib/request_auth.h"

#include <stdio.h>
#include <string.h>

/* ---- to a replica that we have connected to ---- */

void greeting_begin(struct link *link) {
    struct transport *t = link->transport;
    struct wire_hello hello = {.role = WIRE_ROLE_REPLICA, .id = t->config.replica};
    snprintf(hello.run, sizeof hello.run, "%s", t->config.run);
    uint8_t frame[WIRE_HELLO_SIZE_MAX];
    link->state = LINK_GREETING;
    link->handshake = mem_new(struct handshake);
    link_send(link, frame,
              handshake_begin(link->handshake, t->config.identity, link->peer, &hello, frame));
}

static void become_peer(struct link *link) {
    link_forget_handshake(link);
    link->connection.body_max = WIRE_BODY_MAX;
    link_up(link);
}

static int on_hello_answer(struct link *link, const struct frame *frame, struct error *err) {
    struct transport *t = link->transport;
    struct wire_hello_answer answer;
    struct seal_keys keys;
    uint8_t proof[WIRE_HELLO_PROOF_SIZE];
    if (frame->type != WIRE_HELLO_ANSWER)
        return error_set(err, ERROR_INVALID, "it did not answer HELLO");
    int r = handshake_take_answer(link->handshake, frame->body, frame->size, &answer, proof, &keys,
                                  err);
    if (r < 0)
        return -1;
    if (answer.n != t->config.n)
        return error_set(err, ERROR_CONFLICT, "replica %u of %u answers there, not of %u",
                         answer.replica, answer.n, t->config.n);
    if (r == 0) {
        become_peer(link);
        return 0;
    }
    link_send(link, proof, sizeof proof);
    connection_seal(&link->connection, &keys);
    link->state = LINK_PROVEN;
    return 0;
}

static int on_welcome(struct link *link, const struct frame *frame, struct error *err) {
    if (frame->type != WIRE_WELCOME || frame->size != 0)
        return error_set(err, ERROR_INVALID, "it did not say WELCOME");
    become_peer(link);
    return 0;
}

/* ---- to whoever has connected to us ---- */

static bool has_own_clients(const struct wire_hello *hello) {
    const struct wire_clients *c = &hello->clients;
    uint64_t last = c->first + (uint64_t)c->step * (c->count - UINT64_C(1));
    return c->count == 0 ||
           (request_principal(c->first) == hello->id && request_principal(last) == hello->id);
}

/* Why this HELLO is not accepted; NULL if it is. */
static const char *reason_to_refuse(const struct transport *t, const struct wire_hello *hello) {
    if (strcmp(hello->run, t->config.run) != 0)
        return "this replica belongs to another run";
    if (hello->role == WIRE_ROLE_CLIENT)
        return t->config.identity && !has_own_clients(hello) ? "it names clients of another loader"
                                                             : NULL;
    if (hello->id >= t->config.n)
        return "there is no replica of that index in this cluster";
    if (hello->role == WIRE_ROLE_REPLICA && hello->id <= t->config.replica)
        return "replicas connect to those of a lower index";
    return NULL;
}

static int answer(struct link *link, const char *refusal, struct error *err) {
    struct transport *t = link->transport;
    struct wire_hello_answer answer = {
        .accepted = !refusal, .replica = t->config.replica, .n = t->config.n};
    t->events.hello(t->events.context, &answer);
    if (refusal)
        snprintf(answer.text, sizeof answer.text, "%s", refusal);
    uint8_t frame[WIRE_HELLO_ANSWER_SIZE_MAX];
    size_t size;
    if (handshake_answer(link->handshake, &answer, frame, &size, err) < 0)
        return -1;
    link_send(link, frame, size);
    return 0;
}

/* It is who it said, as far as that is asked for. */
static void accept_link(struct link *link) {
    link_forget_handshake(link);
    link->connection.body_max = WIRE_BODY_MAX;
    if (link->role == WIRE_ROLE_REPLICA) {
        link_up(link);
        return;
    }
    link->state = link->role == WIRE_ROLE_CLIENT ? LINK_CLIENT : LINK_MONITOR;
    if (link->transport->config.identity && link->role == WIRE_ROLE_CLIENT) {
        char where[sizeof link->where];
        memcpy(where, link->where, sizeof where);
        snprintf(link->where, sizeof link->where, "loader %u at %.40s", link->peer, where);
    }
    if (link->role == WIRE_ROLE_CLIENT)
        link->transport->events.client_up(link->transport->events.context, link_origin(link),
                                          &link->clients);
}

static int on_hello(struct link *link, const struct frame *frame, struct error *err) {
    struct transport *t = link->transport;
    struct wire_hello hello;
    const char *refusal;
    if (frame->type != WIRE_HELLO)
        return error_set(err, ERROR_INVALID, "it said something else (type %u) before HELLO",
                         frame->type);
    link->handshake = mem_new(struct handshake);
    int r = handshake_take_hello(link->handshake, t->config.identity, frame->body, frame->size,
                                 &hello, &refusal, err);
    if (r < 0)
        return -1;
    if (r == 0)
        refusal = reason_to_refuse(t, &hello);
    if (answer(link, refusal, err) < 0)
        return -1;
    if (refusal) {
        transport_note(t, true, "%s was refused: %s", link->where, refusal);
        link->state = LINK_CLOSING;
        return 0;
    }
    link->role = hello.role;
    link->clients = hello.clients;
    if (t->config.identity || hello.role != WIRE_ROLE_CLIENT)
        link->peer = (uint16_t)hello.id; /* else it may be any number */
    if (t->config.identity)
        link->state = LINK_PROVING;
    else
        accept_link(link);
    return 0;
}

static int on_proof(struct link *link, const struct frame *frame, struct error *err) {
    struct seal_keys keys;
    uint8_t welcome[WIRE_WELCOME_SIZE];
    if (frame->type != WIRE_HELLO_PROOF)
        return error_set(err, ERROR_INVALID, "it did not prove who it is");
    if (handshake_take_proof(link->handshake, frame->body, frame->size, &keys, err) < 0)
        return -1;
    connection_seal(&link->connection, &keys);
    link_send(link, welcome, wire_welcome_encode(welcome));
    accept_link(link);
    return 0;
}

int greeting_frame(struct link *link, const struct frame *frame, struct error *err) {
    switch (link->state) {
    case LINK_GREETING: return on_hello_answer(link, frame, err);
    case LINK_PROVEN: return on_welcome(link, frame, err);
    case LINK_STRANGER: return on_hello(link, frame, err);
    case LINK_PROVING: return on_proof(link, frame, err);
    case LINK_CLOSING: return 0; /* whatever it still says */
    default: return error_set(err, ERROR_INVALID, "it spoke out of turn");
    }
}
