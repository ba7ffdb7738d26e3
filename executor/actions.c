/* What the core wants (executor/pbft: PBFT_PERSIST ... PBFT_NOTE). */

#include "executor/pbft/trace.h"
#include "executor/shell.h"
#include "executor/words.h"

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACE_MAX = 1024 * 1024 /* NEW-VIEW says most; the log cuts lines anyhow */ };

/* ---- clients ---- */

void send_reply(struct replica *r, uint64_t origin, struct wire_reply *reply) {
    uint8_t frame[WIRE_REPLY_SIZE_MAX];
    uint64_t home = clients_origin(r->clients, reply->client);
    reply->replica = r->place->replica;
    r->counts.replies[reply->status]++;
    if (origin == CLIENTS_NOWHERE)
        origin = home;
    if (origin != CLIENTS_NOWHERE)
        transport_send_client(r->transport, origin, frame, wire_reply_encode(reply, frame));
}

void send_value(struct replica *r, const struct request *request, uint64_t height,
                struct blob *answer) {
    uint64_t home = clients_origin(r->clients, request->command.client);
    uint64_t origin = home != CLIENTS_NOWHERE ? home : request->origin;
    const struct wire_value value = {.client = request->command.client,
                                     .number = request->command.number,
                                     .replica = r->place->replica,
                                     .height = height,
                                     .value = answer->data,
                                     .value_size = answer->size};
    uint8_t head[WIRE_VALUE_HEAD_SIZE];
    wire_value_encode_head(&value, head);
    if (origin != CLIENTS_NOWHERE)
        transport_send_client_blob(r->transport, origin, head, sizeof head, answer);
    blob_unref(answer);
}

/* Where the client is now, wherever its request came from. */
static void do_reply(struct replica *r, const struct pbft_action *action) {
    uint64_t home = clients_origin(r->clients, action->request.client);
    struct wire_reply reply = {
        .client = action->request.client,
        .number = action->request.number,
        .status = words_reply_status(action->status),
        .view = action->view,
        .height = action->height,
    };
    memcpy(reply.digest, action->digest, sizeof reply.digest);
    if (action->reason != PBFT_REASON_NONE)
        snprintf(reply.text, sizeof reply.text, "%s", words_reason(action->reason));
    send_reply(r, home != CLIENTS_NOWHERE ? home : action->request.origin, &reply);
}

/* ---- the store ---- */

static void do_store(struct replica *r, const struct pbft_action *action) {
    struct request *request = request_of(&action->request);
    struct storage_job job = {
        .height = action->height,
        .sequence = action->seq,
        .request = request_ref(request),
        .command = request->command,
        .busy_wait = request->flags & WIRE_REQUEST_BUSY_WAIT,
        .ahead = request->endorsed != NULL,
        .at_ns = r->now_ns,
    };
    if (request->endorsed)
        memcpy(job.read_set, request->endorsed->execution.read_set, sizeof job.read_set);
    request_goes_on(request, STAGE_QUEUE, r->now_ns, r->stages);
    memcpy(job.request_digest, request->digest, sizeof job.request_digest);
    storage_push(r->storage, &job);
}

static void do_adopt(struct replica *r, const struct pbft_action *action) {
    struct blob *block = transfer_block(action->block.handle);
    storage_push_block(r->storage, action->block.height, blob_ref(block), NULL);
}

void release_handle(void *context, uint64_t handle) {
    const struct pbft_request request = {.handle = handle};
    (void)context;
    if (transfer_is_block(handle))
        blob_unref(transfer_block(handle));
    else
        request_unref(request_of(&request));
}

/* ---- the protocol log ---- */

static void do_persist(struct replica *r, const struct pbft_action *action) {
    struct error err;
    error_init(&err);
    if (!r->log || r->log_failed)
        return;
    if (protocol_log_append(r->log, &action->record, &err) < 0) {
        r->log_failed = true;
        storing_failed(r, &err);
    }
}

/* ---- other replicas ---- */

static void send_requests(struct replica *r, uint16_t peer, const struct pbft_message *m) {
    uint8_t head[CODEC_HEAD_SIZE_MAX];
    bool batch = m->type == PBFT_PRE_PREPARE || m->type == PBFT_BATCH;
    for (uint32_t i = 0; (batch || m->type == PBFT_FORWARD) && i < m->count; i++) {
        const struct request *request = request_of(&m->requests[i]);
        uint8_t type = batch ? (uint8_t)CODEC_REQUEST : (uint8_t)PBFT_FORWARD;
        uint8_t ahead[ENDORSED_SIZE_MAX];
        size_t ahead_size =
            batch && request->endorsed ? endorsed_encode(request->endorsed, ahead) : 0;
        size_t size =
            codec_encode_request(type, ahead, ahead_size, m->requests[i].size_bytes, head);
        transport_send_peer(r->transport, peer, head, size, request->blob, request->offset);
    }
}

static bool is_unsigned(const struct pbft_view_change *c) {
    static const uint8_t nothing[PBFT_SIGNATURE_SIZE];
    return memcmp(c->signature, nothing, sizeof nothing) == 0;
}

static void sign(struct replica *r, struct pbft_view_change *c) {
    size_t size = codec_change_size(c);
    cleanup_free uint8_t *bytes = mem_alloc(size);
    codec_encode_change(c, bytes);
    auth_sign(&r->auth, "view-change", bytes, size, c->signature);
}

/* As the view's primary. */
static void sign_view(struct replica *r, struct pbft_message *m) {
    size_t size = codec_size(m);
    cleanup_free uint8_t *frame = mem_alloc(size);
    codec_encode(m, frame);
    auth_sign(&r->auth, "new-view", frame + WIRE_HEADER_SIZE,
              size - WIRE_HEADER_SIZE - PBFT_SIGNATURE_SIZE, m->signature);
}

/* The frame of a message with VIEW-CHANGEs, of which ours is signed now, and a NEW-VIEW of ours. */
static struct blob *encode_changes(struct replica *r, const struct pbft_message *m) {
    struct pbft_view_change changes[PBFT_REPLICAS_MAX];
    struct pbft_message copy = *m;
    memcpy(changes, m->changes, m->count * sizeof *changes);
    for (uint32_t i = 0; i < m->count; i++)
        if (changes[i].replica == r->place->replica && is_unsigned(&changes[i]))
            sign(r, &changes[i]);
    copy.changes = changes;
    if (m->type == PBFT_NEW_VIEW && m->view % r->place->n == r->place->replica)
        sign_view(r, &copy);
    struct blob *frame = blob_new(codec_size(&copy));
    codec_encode(&copy, frame->data);
    return frame;
}

static void send_to(struct replica *r, uint16_t peer, const struct pbft_message *m,
                    struct blob *large) {
    uint8_t small[CODEC_HEAD_SIZE_MAX];
    send_requests(r, peer, m);
    if (large) {
        transport_send_peer(r->transport, peer, large->data, WIRE_HEADER_SIZE, large,
                            WIRE_HEADER_SIZE);
    } else if (m->type != PBFT_FORWARD) {
        codec_encode(m, small);
        transport_send_peer(r->transport, peer, small, codec_size(m), NULL, 0);
    }
}

static void do_send(struct replica *r, const struct pbft_action *action) {
    const struct pbft_message *m = &action->message;
    bool changes = m->type == PBFT_VIEW_CHANGE || m->type == PBFT_NEW_VIEW;
    if (r->log_failed)
        return; /* it may depend on what was not written down */
    struct blob *large = changes ? encode_changes(r, m) : NULL;
    for (uint16_t i = 0; i < r->place->n; i++)
        if (i != r->place->replica && (action->peer == PBFT_ALL || action->peer == i)) {
            r->counts.messages_sent[m->type - PBFT_FORWARD]++;
            send_to(r, i, m, large);
        }
    blob_unref(large);
}

/* ---- all of them ---- */

static void do_note(struct replica *r, const struct pbft_action *action) {
    char text[256];
    r->counts.notes[action->note]++;
    bool warning = words_note(action, text, sizeof text);
    log_write("core", warning ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "%s", text);
}

/* As the golden traces have it. */
static void trace(const struct pbft_action *action) {
    cleanup(buffer_deinit) struct buffer line;
    buffer_init(&line, TRACE_MAX);
    trace_action(&line, action);
    log_debug("core", "%s", buffer_string(&line));
}

void carry_out(struct replica *r, const struct pbft_action *action) {
    if (r->traces && action->type != PBFT_RELEASE)
        trace(action);
    switch (action->type) {
    case PBFT_PERSIST: do_persist(r, action); return;
    case PBFT_SEND: do_send(r, action); return;
    case PBFT_STORE: do_store(r, action); return;
    case PBFT_ADOPT: do_adopt(r, action); return;
    case PBFT_REPLY: do_reply(r, action); return;
    case PBFT_RELEASE: release_handle(r, action->request.handle); return;
    case PBFT_SERVE:
        transfer_serve(r->transfer, action->peer, action->height, action->count);
        return;
    case PBFT_DISCONNECT:
        transport_disconnect_peer(r->transport, action->peer, "it broke the protocol");
        return;
    case PBFT_NOTE: do_note(r, action); return;
    }
}
