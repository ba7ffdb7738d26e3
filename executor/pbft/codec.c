#include "executor/pbft/codec.h"

#include "lib/bytes.h"
#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>

enum {
    CHECKPOINT_SIZE = 2 * 8 + PBFT_DIGEST_SIZE,
    CERTIFICATE_SIZE = 2 * 8 + PBFT_DIGEST_SIZE,
    CHANGE_FIELDS_SIZE = 2 + 2 * 8 + 3 * 4,
    PREPARED_MAX = PBFT_WINDOW_MAX,
    PROPOSED_MAX = PBFT_WINDOW_MAX * PBFT_PROPOSALS_MAX,
    CHANGE_SIZE_MAX = CHANGE_FIELDS_SIZE + PBFT_CHECKPOINTS_MAX * CHECKPOINT_SIZE +
                      (PREPARED_MAX + PROPOSED_MAX) * CERTIFICATE_SIZE + PBFT_SIGNATURE_SIZE,
    NEW_VIEW_FIELDS_SIZE = 8 + 4 + PBFT_SIGNATURE_SIZE,
};

_Static_assert((int)PBFT_FORWARD >= (int)WIRE_REPLICA_FIRST, "types of replicas begin there");
_Static_assert((int)CODEC_END <= UINT8_MAX, "a type is a byte");
_Static_assert(NEW_VIEW_FIELDS_SIZE + PBFT_REPLICAS_MAX * CHANGE_SIZE_MAX <= (int)WIRE_BODY_MAX,
               "NEW-VIEW is one frame");
_Static_assert((int)WIRE_REQUEST_HEAD_SIZE_MAX + (int)CODEC_HEAD_SIZE_MAX <=
                   (int)WIRE_BODY_MAX - (int)WIRE_PAYLOAD_MAX,
               "what goes before a request fits into its frame");
_Static_assert((int)CODEC_BLOCK_FIELDS_SIZE + (int)CODEC_PIECE_MAX <= (int)WIRE_BODY_MAX, "");

struct codec_room {
    struct pbft_view_change changes[PBFT_REPLICAS_MAX];
    const uint8_t *bytes[PBFT_REPLICAS_MAX];
    size_t sizes[PBFT_REPLICAS_MAX];
    const uint8_t *view_bytes;
    size_t view_size;
    struct pbft_checkpoint checkpoints[PBFT_REPLICAS_MAX][PBFT_CHECKPOINTS_MAX];
    struct pbft_certificate prepared[PBFT_REPLICAS_MAX][PREPARED_MAX];
    struct pbft_certificate proposed[PBFT_REPLICAS_MAX][PROPOSED_MAX];
};

struct codec_room *codec_room_new(void) {
    return mem_new(struct codec_room);
}

void codec_room_free(struct codec_room *room) {
    free(room);
}

const uint8_t *codec_signed_bytes(const struct codec_room *room, uint32_t i, size_t *ret_size) {
    *ret_size = room->sizes[i];
    return room->bytes[i];
}

const uint8_t *codec_signed_view(const struct codec_room *room, size_t *ret_size) {
    *ret_size = room->view_size;
    return room->view_bytes;
}

/* ---- VIEW-CHANGE ---- */

static void put_certificates(struct byte_writer *w, const struct pbft_certificate *c,
                             uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        bytes_put_u64(w, c[i].seq);
        bytes_put_u64(w, c[i].view);
        bytes_put(w, c[i].digest, PBFT_DIGEST_SIZE);
    }
}

static void put_change(struct byte_writer *w, const struct pbft_view_change *c) {
    bytes_put_u16(w, c->replica);
    bytes_put_u64(w, c->view);
    bytes_put_u64(w, c->stable);
    bytes_put_u32(w, c->checkpoint_count);
    bytes_put_u32(w, c->prepared_count);
    bytes_put_u32(w, c->proposed_count);
    for (uint32_t i = 0; i < c->checkpoint_count; i++) {
        bytes_put_u64(w, c->checkpoints[i].seq);
        bytes_put_u64(w, c->checkpoints[i].height);
        bytes_put(w, c->checkpoints[i].digest, PBFT_DIGEST_SIZE);
    }
    put_certificates(w, c->prepared, c->prepared_count);
    put_certificates(w, c->proposed, c->proposed_count);
}

size_t codec_change_size(const struct pbft_view_change *c) {
    return CHANGE_FIELDS_SIZE + c->checkpoint_count * (size_t)CHECKPOINT_SIZE +
           (c->prepared_count + (size_t)c->proposed_count) * CERTIFICATE_SIZE;
}

void codec_encode_change(const struct pbft_view_change *c, uint8_t *out) {
    struct byte_writer w = byte_writer(out, codec_change_size(c));
    put_change(&w, c);
}

static void get_certificates(struct byte_reader *r, struct pbft_certificate *c, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        c[i].seq = bytes_get_u64(r);
        c[i].view = bytes_get_u64(r);
        bytes_get(r, c[i].digest, PBFT_DIGEST_SIZE);
    }
}

/* Into place i of the room. */
static void get_change(struct byte_reader *r, struct codec_room *room, uint32_t i) {
    const uint8_t *begin = r->at;
    struct pbft_view_change c = {.replica = bytes_get_u16(r),
                                 .checkpoints = room->checkpoints[i],
                                 .prepared = room->prepared[i],
                                 .proposed = room->proposed[i]};
    c.view = bytes_get_u64(r);
    c.stable = bytes_get_u64(r);
    c.checkpoint_count = bytes_get_u32(r);
    c.prepared_count = bytes_get_u32(r);
    c.proposed_count = bytes_get_u32(r);
    if (c.replica >= PBFT_REPLICAS_MAX || c.checkpoint_count > PBFT_CHECKPOINTS_MAX ||
        c.prepared_count > PREPARED_MAX || c.proposed_count > PROPOSED_MAX) {
        r->failed = true;
        return;
    }
    for (uint32_t k = 0; k < c.checkpoint_count; k++) {
        struct pbft_checkpoint *to = &room->checkpoints[i][k];
        to->seq = bytes_get_u64(r);
        to->height = bytes_get_u64(r);
        bytes_get(r, to->digest, PBFT_DIGEST_SIZE);
    }
    get_certificates(r, room->prepared[i], c.prepared_count);
    get_certificates(r, room->proposed[i], c.proposed_count);
    room->bytes[i] = begin;
    room->sizes[i] = (size_t)(r->at - begin);
    bytes_get(r, c.signature, sizeof c.signature);
    room->changes[i] = c;
}

/* ---- STATUS ---- */

enum { STATUS_ACTIVE = 1, STATUS_SUSPECTS = 2, STATUS_DRAINING = 4, STATUS_BUSY = 8 };
enum { STATUS_FLAGS = 15, STATUS_SIZE = 8 + 1 + 4 * 8 + 4 };

static void put_status(struct byte_writer *w, const struct pbft_message *m) {
    const struct pbft_report *s = &m->report;
    bytes_put_u64(w, m->view);
    bytes_put_u8(w,
                 (uint8_t)((s->active ? STATUS_ACTIVE : 0) | (s->suspects ? STATUS_SUSPECTS : 0) |
                           (s->draining ? STATUS_DRAINING : 0) | (s->busy ? STATUS_BUSY : 0)));
    bytes_put_u64(w, s->stable);
    bytes_put_u64(w, s->committed);
    bytes_put_u64(w, s->proposed);
    bytes_put_u64(w, s->stored);
    bytes_put_u32(w, s->changes);
}

static void get_status(struct byte_reader *r, struct pbft_message *m) {
    m->view = bytes_get_u64(r);
    uint8_t flags = bytes_get_u8(r);
    m->report = (struct pbft_report){.active = flags & STATUS_ACTIVE,
                                     .suspects = flags & STATUS_SUSPECTS,
                                     .draining = flags & STATUS_DRAINING,
                                     .busy = flags & STATUS_BUSY};
    m->report.stable = bytes_get_u64(r);
    m->report.committed = bytes_get_u64(r);
    m->report.proposed = bytes_get_u64(r);
    m->report.stored = bytes_get_u64(r);
    m->report.changes = bytes_get_u32(r);
    if (flags & ~STATUS_FLAGS)
        r->failed = true;
}

/* ---- out ---- */

static size_t changes_size(const struct pbft_message *m) {
    size_t size = 0;
    for (uint32_t i = 0; i < m->count; i++)
        size += codec_change_size(&m->changes[i]) + PBFT_SIGNATURE_SIZE;
    return size;
}

size_t codec_size(const struct pbft_message *m) {
    size_t size = WIRE_HEADER_SIZE;
    switch (m->type) {
    case PBFT_PRE_PREPARE: return size + 2 * 8 + 4;
    case PBFT_BATCH: return size + 8 + 4;
    case PBFT_PREPARE:
    case PBFT_COMMIT:
    case PBFT_ASK_BATCH:
    case PBFT_CHECKPOINT: return size + 2 * 8 + PBFT_DIGEST_SIZE;
    case PBFT_VIEW_CHANGE: return size + changes_size(m);
    case PBFT_NEW_VIEW: return size + NEW_VIEW_FIELDS_SIZE + changes_size(m);
    case PBFT_STATUS: return size + STATUS_SIZE;
    case PBFT_ASK_DIGEST: return size + 8;
    case PBFT_BLOCK_DIGEST: return size + 8 + PBFT_DIGEST_SIZE;
    case PBFT_ASK_BLOCKS: return size + 8 + 4;
    case PBFT_FORWARD:
    case PBFT_BLOCK:
    case PBFT_MESSAGE_END: break;
    }
    assert(false && "has a head of its own");
    return 0;
}

static void put_signed_changes(struct byte_writer *w, const struct pbft_message *m) {
    for (uint32_t i = 0; i < m->count; i++) {
        put_change(w, &m->changes[i]);
        bytes_put(w, m->changes[i].signature, PBFT_SIGNATURE_SIZE);
    }
}

static void put_body(struct byte_writer *w, const struct pbft_message *m) {
    switch (m->type) {
    case PBFT_PRE_PREPARE:
        bytes_put_u64(w, m->view);
        bytes_put_u64(w, m->seq);
        bytes_put_u32(w, m->count);
        break;
    case PBFT_BATCH:
        bytes_put_u64(w, m->seq);
        bytes_put_u32(w, m->count);
        break;
    case PBFT_PREPARE:
    case PBFT_COMMIT:
    case PBFT_ASK_BATCH:
        bytes_put_u64(w, m->view);
        bytes_put_u64(w, m->seq);
        bytes_put(w, m->digest, PBFT_DIGEST_SIZE);
        break;
    case PBFT_CHECKPOINT:
        bytes_put_u64(w, m->seq);
        bytes_put_u64(w, m->height);
        bytes_put(w, m->digest, PBFT_DIGEST_SIZE);
        break;
    case PBFT_VIEW_CHANGE: put_signed_changes(w, m); break;
    case PBFT_NEW_VIEW:
        bytes_put_u64(w, m->view);
        bytes_put_u32(w, m->count);
        put_signed_changes(w, m);
        bytes_put(w, m->signature, PBFT_SIGNATURE_SIZE);
        break;
    case PBFT_STATUS: put_status(w, m); break;
    case PBFT_ASK_DIGEST: bytes_put_u64(w, m->height); break;
    case PBFT_BLOCK_DIGEST:
        bytes_put_u64(w, m->height);
        bytes_put(w, m->digest, PBFT_DIGEST_SIZE);
        break;
    case PBFT_ASK_BLOCKS:
        bytes_put_u64(w, m->height);
        bytes_put_u32(w, m->count);
        break;
    case PBFT_FORWARD:
    case PBFT_BLOCK:
    case PBFT_MESSAGE_END: break;
    }
}

void codec_encode(const struct pbft_message *m, uint8_t *out) {
    size_t size = codec_size(m);
    struct byte_writer w = byte_writer(out, size);
    wire_header_encode((uint8_t)m->type, size - WIRE_HEADER_SIZE, out);
    w.at += WIRE_HEADER_SIZE;
    put_body(&w, m);
    assert(w.at == w.end);
}

static bool has_request(uint8_t type) {
    return type == PBFT_FORWARD || type == CODEC_REQUEST || type == CODEC_EXECUTE;
}

size_t codec_encode_request(uint8_t type, const void *ahead, size_t ahead_size, size_t request_size,
                            uint8_t out[CODEC_HEAD_SIZE_MAX]) {
    struct byte_writer w = byte_writer(out, CODEC_HEAD_SIZE_MAX);
    assert(has_request(type) && ahead_size <= CODEC_AHEAD_SIZE_MAX &&
           (ahead_size == 0 || type == CODEC_REQUEST));
    wire_header_encode(type, 2 + ahead_size + request_size, out);
    w.at += WIRE_HEADER_SIZE;
    bytes_put_u16(&w, (uint16_t)ahead_size);
    bytes_put(&w, ahead, ahead_size);
    return bytes_written(&w);
}

size_t codec_encode_executed(const struct codec_execution *e,
                             uint8_t out[WIRE_HEADER_SIZE + CODEC_EXECUTED_SIZE]) {
    struct byte_writer w = byte_writer(out, (size_t)WIRE_HEADER_SIZE + CODEC_EXECUTED_SIZE);
    wire_header_encode(CODEC_EXECUTED, CODEC_EXECUTED_SIZE, out);
    w.at += WIRE_HEADER_SIZE;
    bytes_put_u64(&w, e->client);
    bytes_put_u64(&w, e->number);
    bytes_put(&w, e->request, PBFT_DIGEST_SIZE);
    bytes_put(&w, e->read_set, PBFT_DIGEST_SIZE);
    bytes_put(&w, e->write_set, PBFT_DIGEST_SIZE);
    bytes_put(&w, e->signature, PBFT_SIGNATURE_SIZE);
    return bytes_written(&w);
}

size_t codec_encode_piece(const struct codec_piece *piece, size_t piece_size,
                          uint8_t out[CODEC_HEAD_SIZE_MAX]) {
    struct byte_writer w = byte_writer(out, CODEC_HEAD_SIZE_MAX);
    wire_header_encode(PBFT_BLOCK, CODEC_BLOCK_FIELDS_SIZE + piece_size, out);
    w.at += WIRE_HEADER_SIZE;
    bytes_put_u64(&w, piece->height);
    bytes_put_u32(&w, piece->block_size);
    bytes_put_u32(&w, piece->offset);
    return bytes_written(&w);
}

/* ---- in ---- */

static void get_batch(struct byte_reader *r, struct pbft_message *m) {
    if (m->type == PBFT_PRE_PREPARE)
        m->view = bytes_get_u64(r);
    m->seq = bytes_get_u64(r);
    m->count = bytes_get_u32(r);
    if (m->count > PBFT_BATCH_MAX || (m->type == PBFT_PRE_PREPARE && m->count == 0))
        r->failed = true;
}

static void get_changes(struct byte_reader *r, struct pbft_message *m, struct codec_room *room) {
    const uint8_t *begin = r->at;
    m->count = 1;
    if (m->type == PBFT_NEW_VIEW) {
        m->view = bytes_get_u64(r);
        m->count = bytes_get_u32(r);
    }
    if (m->count == 0 || m->count > PBFT_REPLICAS_MAX) {
        r->failed = true;
        return;
    }
    for (uint32_t i = 0; i < m->count && !r->failed; i++)
        get_change(r, room, i);
    m->changes = room->changes;
    if (m->type == PBFT_VIEW_CHANGE) {
        m->view = room->changes[0].view;
        return;
    }
    room->view_bytes = begin;
    room->view_size = (size_t)(r->at - begin);
    bytes_get(r, m->signature, PBFT_SIGNATURE_SIZE);
}

/* A request's body, or a part of a block, follows. */
static void get_head(struct byte_reader *r, struct codec_message *m) {
    if (m->type == PBFT_BLOCK) {
        m->piece.height = bytes_get_u64(r);
        m->piece.block_size = bytes_get_u32(r);
        m->piece.offset = bytes_get_u32(r);
        if (m->piece.offset > m->piece.block_size ||
            bytes_left(r) > m->piece.block_size - m->piece.offset ||
            bytes_left(r) > CODEC_PIECE_MAX)
            r->failed = true;
        return;
    }
    m->ahead_size = bytes_get_u16(r);
    m->ahead = bytes_take(r, m->ahead_size);
    if (m->ahead_size > CODEC_AHEAD_SIZE_MAX || (m->ahead_size > 0 && m->type != CODEC_REQUEST))
        r->failed = true;
}

static void get_execution(struct byte_reader *r, struct codec_execution *e) {
    e->client = bytes_get_u64(r);
    e->number = bytes_get_u64(r);
    bytes_get(r, e->request, PBFT_DIGEST_SIZE);
    bytes_get(r, e->read_set, PBFT_DIGEST_SIZE);
    bytes_get(r, e->write_set, PBFT_DIGEST_SIZE);
    bytes_get(r, e->signature, PBFT_SIGNATURE_SIZE);
}

static bool has_bytes(uint8_t type) {
    return has_request(type) || type == PBFT_BLOCK;
}

static void get_body(struct byte_reader *r, struct codec_message *ret, struct codec_room *room) {
    struct pbft_message *m = &ret->message;
    if (has_bytes(ret->type)) {
        get_head(r, ret);
        return;
    }
    if (ret->type == CODEC_EXECUTED) {
        get_execution(r, &ret->execution);
        return;
    }
    switch (m->type) {
    case PBFT_PRE_PREPARE:
    case PBFT_BATCH: get_batch(r, m); break;
    case PBFT_PREPARE:
    case PBFT_COMMIT:
    case PBFT_ASK_BATCH:
        m->view = bytes_get_u64(r);
        m->seq = bytes_get_u64(r);
        bytes_get(r, m->digest, PBFT_DIGEST_SIZE);
        break;
    case PBFT_CHECKPOINT:
        m->seq = bytes_get_u64(r);
        m->height = bytes_get_u64(r);
        bytes_get(r, m->digest, PBFT_DIGEST_SIZE);
        break;
    case PBFT_VIEW_CHANGE:
    case PBFT_NEW_VIEW: get_changes(r, m, room); break;
    case PBFT_STATUS: get_status(r, m); break;
    case PBFT_ASK_DIGEST: m->height = bytes_get_u64(r); break;
    case PBFT_BLOCK_DIGEST:
        m->height = bytes_get_u64(r);
        bytes_get(r, m->digest, PBFT_DIGEST_SIZE);
        break;
    case PBFT_ASK_BLOCKS:
        m->height = bytes_get_u64(r);
        m->count = bytes_get_u32(r);
        break;
    case PBFT_FORWARD:
    case PBFT_BLOCK:
    case PBFT_MESSAGE_END: break;
    }
}

int codec_decode(uint8_t type, const uint8_t *body, size_t size, struct codec_room *room,
                 struct codec_message *ret, struct error *err) {
    if (type < PBFT_FORWARD || type >= CODEC_END)
        return error_set(err, ERROR_INVALID, "unknown message type %u of a replica", type);
    struct byte_reader r = byte_reader(body, size);
    struct codec_message m = {.type = type, .message.type = (enum pbft_message_type)type};
    get_body(&r, &m, room);
    size_t rest = bytes_left(&r);
    if (r.failed || (rest != 0) != has_bytes(type))
        return error_set(err, ERROR_INVALID, "malformed message of a replica (type %u, %zu bytes)",
                         type, size);
    m.offset = size - rest;
    *ret = m;
    return 0;
}
