/* What other replicas say. What is not as it should be ends the connection. */

#include "executor/shell.h"

#include "lib/log.h"

void on_peer_up(void *context, uint16_t peer) {
    log_info("transport", "replica %u is connected", peer);
    step(context, &(struct pbft_event){.type = PBFT_PEER_UP, .peer = peer});
}

void on_peer_down(void *context, uint16_t peer) {
    struct replica *r = context;
    log_info("transport", "replica %u is gone", peer);
    drop_gathered(r, peer);
    transfer_peer_down(r->transfer, peer);
    step(r, &(struct pbft_event){.type = PBFT_PEER_DOWN, .peer = peer});
}

/* ---- requests ---- */

void drop_gathered(struct replica *r, uint16_t peer) {
    struct gathered *g = &r->gathered[peer];
    for (uint32_t i = 0; i < g->count; i++)
        request_unref(request_of(&g->requests[i]));
    g->count = 0;
    g->bytes = 0;
}

/* A correct replica passes on what it can execute, and what is not plainly forged. */
static int take_request(struct replica *r, const struct codec_message *m, const struct frame *frame,
                        struct request **ret, struct error *err) {
    struct request *request;
    if (request_new(frame, m->offset, &r->hash, &r->checker, &request, err) < 0)
        return -1;
    int good = request_reads(request)
                   ? error_set(err, ERROR_REFUSED, "read-only requests are not ordered")
               : request->authentic == REQUEST_FORGED
                   ? error_set(err, ERROR_REFUSED, "it is not authentic: %s", request->doubt)
               : (m->ahead_size > 0 || m->type == CODEC_EXECUTE) &&
                       !(request->flags & WIRE_REQUEST_PRE_EXECUTE)
                   ? error_set(err, ERROR_REFUSED, "its client does not want pre-execution")
                   : request_check(request, handler_of(r), err);
    if (good == 0 && m->ahead_size > 0)
        good = take_endorsed(r, request, m->ahead, m->ahead_size, err);
    if (good < 0) {
        request_unref(request);
        return error_wrap(err, "it passed on a request that it should have refused");
    }
    r->counts.from_replicas++;
    *ret = request;
    return 0;
}

static int gather(struct replica *r, uint16_t peer, const struct codec_message *m,
                  const struct frame *frame, struct error *err) {
    struct gathered *g = &r->gathered[peer];
    struct request *request;
    if (take_request(r, m, frame, &request, err) < 0)
        return -1;
    struct pbft_request q = request_for_core(request);
    if (g->count == PBFT_BATCH_MAX ||
        (g->count > 0 && g->bytes + q.size_bytes > r->config.batch_bytes_max)) {
        request_unref(request);
        return error_set(err, ERROR_LIMIT, "a batch of more than %d requests or %u bytes",
                         PBFT_BATCH_MAX, r->config.batch_bytes_max);
    }
    g->requests[g->count++] = q;
    g->bytes += q.size_bytes;
    return 0;
}

static int on_batch(struct replica *r, uint16_t peer, struct pbft_event *event, struct error *err) {
    struct gathered *g = &r->gathered[peer];
    if (g->count != event->message.count)
        return error_set(err, ERROR_INVALID, "a batch of %u requests, of which %u came",
                         event->message.count, g->count);
    g->count = 0; /* the core has them now */
    g->bytes = 0;
    event->message.requests = g->requests;
    step(r, event);
    return 0;
}

/* A client has asked the other one, too. */
static int on_forward(struct replica *r, const struct codec_message *m, const struct frame *frame,
                      struct pbft_event *event, struct error *err) {
    struct request *request;
    if (take_request(r, m, frame, &request, err) < 0)
        return -1;
    if (request->authentic == REQUEST_AUTHENTIC && execute_ahead(r, request))
        return 0;
    struct pbft_request q = request_for_core(request);
    event->message.count = 1;
    event->message.requests = &q;
    step(r, event);
    return 0;
}

/* Whoever is the primary here may ask that; who is not may think so. */
static int on_execute(struct replica *r, uint16_t peer, const struct codec_message *m,
                      const struct frame *frame, struct error *err) {
    struct request *request;
    struct pbft_status status;
    if (take_request(r, m, frame, &request, err) < 0)
        return -1;
    pbft_get_status(r->core, &status);
    if (request->authentic == REQUEST_AUTHENTIC && status.active && status.primary == peer)
        ahead_asked(r->ahead, peer, request);
    else
        request_unref(request);
    return 0;
}

/* ---- VIEW-CHANGEs and blocks ---- */

/* A primary makes up its mind once: any quorum of VIEW-CHANGEs would be a NEW-VIEW otherwise. */
static int check_view(struct replica *r, const struct pbft_message *m, struct error *err) {
    uint16_t primary = (uint16_t)(m->view % r->place->n);
    size_t size;
    const uint8_t *bytes = codec_signed_view(r->room, &size);
    if (!auth_verify(&r->auth, primary, "new-view", bytes, size, m->signature))
        return error_set(err, ERROR_INVALID, "replica %u has not signed that NEW-VIEW", primary);
    return 0;
}

static int on_changes(struct replica *r, struct pbft_event *event, struct error *err) {
    if (event->message.type == PBFT_NEW_VIEW && check_view(r, &event->message, err) < 0)
        return -1;
    for (uint32_t i = 0; i < event->message.count; i++) {
        const struct pbft_view_change *c = &event->message.changes[i];
        size_t size;
        const uint8_t *bytes = codec_signed_bytes(r->room, i, &size);
        if (c->replica >= r->place->n ||
            !auth_verify(&r->auth, c->replica, "view-change", bytes, size, c->signature))
            return error_set(err, ERROR_INVALID, "replica %u has not signed that VIEW-CHANGE",
                             c->replica);
    }
    step(r, event);
    return 0;
}

static int on_piece(struct replica *r, uint16_t peer, const struct codec_message *m,
                    const struct frame *frame, struct pbft_event *event, struct error *err) {
    int got = transfer_receive(r->transfer, peer, m, frame, &event->message.block, err);
    if (got > 0)
        step(r, event);
    return got < 0 ? -1 : 0;
}

int on_peer_frame(void *context, uint16_t peer, const struct frame *frame, struct error *err) {
    struct replica *r = context;
    struct codec_message m;
    if (codec_decode(frame->type, frame->body, frame->size, r->room, &m, err) < 0)
        return -1;
    struct pbft_event event = {.type = PBFT_MESSAGE, .peer = peer, .message = m.message};
    if (m.type < PBFT_MESSAGE_END)
        r->counts.messages_received[m.type - PBFT_FORWARD]++;
    switch (m.type) {
    case CODEC_REQUEST: return gather(r, peer, &m, frame, err);
    case CODEC_EXECUTE: return on_execute(r, peer, &m, frame, err);
    case CODEC_EXECUTED: ahead_told(r->ahead, peer, &m.execution); return 0;
    case PBFT_PRE_PREPARE:
    case PBFT_BATCH: return on_batch(r, peer, &event, err);
    case PBFT_FORWARD: return on_forward(r, &m, frame, &event, err);
    case PBFT_VIEW_CHANGE:
    case PBFT_NEW_VIEW: return on_changes(r, &event, err);
    case PBFT_BLOCK: return on_piece(r, peer, &m, frame, &event, err);
    default: break;
    }
    step(r, &event);
    return 0;
}
