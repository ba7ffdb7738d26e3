#include "executor/transport/links.h"

#include "executor/transport/limits.h"

#include <stdio.h>
#include <string.h>

void handshake_greet(struct link *link) {
    struct transport *t = link->transport;
    struct wire_hello hello = {.role = WIRE_ROLE_REPLICA, .id = t->config.replica};
    snprintf(hello.run, sizeof hello.run, "%s", t->config.run);
    uint8_t frame[WIRE_HELLO_SIZE_MAX];
    link->state = LINK_GREETING;
    link_send(link, frame, wire_hello_encode(&hello, frame));
}

/* Why this HELLO is not accepted; NULL if it is. */
static const char *reason_to_refuse(const struct transport *t, const struct wire_hello *hello) {
    if (strcmp(hello->run, t->config.run) != 0)
        return "this replica belongs to another run";
    if (hello->role == WIRE_ROLE_CLIENT)
        return NULL;
    if (hello->id >= t->config.n)
        return "there is no replica of that index in this cluster";
    if (hello->id <= t->config.replica)
        return "replicas connect to those of a lower index";
    return NULL;
}

static void answer(struct link *link, const char *refusal) {
    struct transport *t = link->transport;
    struct wire_hello_answer answer = {
        .accepted = !refusal, .replica = t->config.replica, .n = t->config.n};
    t->events.hello(t->events.context, &answer);
    if (refusal)
        snprintf(answer.text, sizeof answer.text, "%s", refusal);
    uint8_t frame[WIRE_HELLO_ANSWER_SIZE_MAX];
    link_send(link, frame, wire_hello_answer_encode(&answer, frame));
}

static int on_hello(struct link *link, const struct frame *frame, struct error *err) {
    struct transport *t = link->transport;
    struct wire_hello hello;
    if (frame->type != WIRE_HELLO)
        return error_set(err, ERROR_INVALID, "it said something else (type %u) before HELLO",
                         frame->type);
    if (wire_hello_decode(frame->body, frame->size, &hello, err) < 0)
        return -1;
    const char *refusal = reason_to_refuse(t, &hello);
    answer(link, refusal);
    if (refusal) {
        transport_note(t, true, "%s was refused: %s", link->where, refusal);
        link->state = LINK_CLOSING;
        return 0;
    }
    link->connection.body_max = WIRE_BODY_MAX;
    if (hello.role == WIRE_ROLE_CLIENT) {
        link->state = LINK_CLIENT;
        return 0;
    }
    link->peer = (uint16_t)hello.id;
    link_up(link);
    return 0;
}

static int on_hello_answer(struct link *link, const struct frame *frame, struct error *err) {
    struct transport *t = link->transport;
    struct wire_hello_answer answer;
    if (frame->type != WIRE_HELLO_ANSWER)
        return error_set(err, ERROR_INVALID, "it did not answer HELLO");
    if (wire_hello_answer_decode(frame->body, frame->size, &answer, err) < 0)
        return -1;
    if (!answer.accepted)
        return error_set(err, ERROR_REFUSED, "it refused us: %s", answer.text);
    if (answer.replica != link->peer || answer.n != t->config.n)
        return error_set(err, ERROR_CONFLICT,
                         "replica %u of %u answers there, not replica %u of %u", answer.replica,
                         answer.n, link->peer, t->config.n);
    link->connection.body_max = WIRE_BODY_MAX;
    link_up(link);
    return 0;
}

int handshake_frame(struct link *link, const struct frame *frame, struct error *err) {
    switch (link->state) {
    case LINK_STRANGER: return on_hello(link, frame, err);
    case LINK_GREETING: return on_hello_answer(link, frame, err);
    case LINK_CLOSING: return 0; /* whatever it still says */
    default: return error_set(err, ERROR_INVALID, "it spoke out of turn");
    }
}
