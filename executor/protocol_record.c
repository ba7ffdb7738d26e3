#include "executor/protocol_record.h"

#include "executor/request.h"

#include "lib/bytes.h"
#include "lib/memory.h"
#include "lib/request_auth.h"

#include <stdlib.h>
#include <string.h>

enum {
    VERSION = 3,
    CHECK_SIZE = 8,
    LENGTH_SIZE = 4,
    FIELDS_SIZE = 2 + 3 * 8 + PBFT_DIGEST_SIZE + 4,
    FLAG_ACTIVE = 1,
    FLAG_EMPTY = 2,
};

#define MAGIC UINT32_C(0x474f4c50) /* "PLOG" */

/* ---- segments ---- */

void protocol_owner_encode(const struct protocol_owner *owner,
                           uint8_t out[PROTOCOL_SEGMENT_HEAD_SIZE]) {
    struct byte_writer w = byte_writer(out, PROTOCOL_SEGMENT_HEAD_SIZE);
    char run[WIRE_RUN_SIZE] = {0};
    memcpy(run, owner->run, strnlen(owner->run, sizeof run - 1));
    bytes_put_u32(&w, MAGIC);
    bytes_put_u32(&w, VERSION);
    bytes_put_u16(&w, owner->replica);
    bytes_put_u16(&w, owner->n);
    bytes_put(&w, run, sizeof run);
}

int protocol_owner_check(const struct protocol_owner *owner,
                         const uint8_t head[PROTOCOL_SEGMENT_HEAD_SIZE], struct error *err) {
    uint8_t expected[PROTOCOL_SEGMENT_HEAD_SIZE];
    protocol_owner_encode(owner, expected);
    if (memcmp(head, expected, 8) != 0)
        return error_set(err, ERROR_INVALID, "no protocol log of this version");
    if (memcmp(head, expected, sizeof expected) == 0)
        return 0;
    error_set(err, ERROR_CONFLICT, "the protocol log of another run, replica, or cluster size");
    return error_hint(err, "give each replica a data folder of its own, empty for a new run");
}

/* ---- out ---- */

static void append_u32(struct buffer *out, uint32_t value) {
    uint8_t bytes[4];
    struct byte_writer w = byte_writer(bytes, sizeof bytes);
    bytes_put_u32(&w, value);
    buffer_append(out, bytes, sizeof bytes);
}

static void append_fields(const struct pbft_record *record, struct buffer *out) {
    uint8_t bytes[FIELDS_SIZE];
    struct byte_writer w = byte_writer(bytes, sizeof bytes);
    bytes_put_u8(&w, (uint8_t)record->type);
    bytes_put_u8(&w,
                 (uint8_t)((record->active ? FLAG_ACTIVE : 0) | (record->empty ? FLAG_EMPTY : 0)));
    bytes_put_u64(&w, record->view);
    bytes_put_u64(&w, record->seq);
    bytes_put_u64(&w, record->height);
    bytes_put(&w, record->digest, sizeof record->digest);
    bytes_put_u32(&w, record->count);
    buffer_append(out, bytes, sizeof bytes);
}

static void append_requests(const struct pbft_record *record, struct buffer *out) {
    for (uint32_t i = 0; i < record->count; i++) {
        const struct request *request = request_of(&record->requests[i]);
        uint8_t ahead[ENDORSED_SIZE_MAX], size[2];
        size_t ahead_size = request->endorsed ? endorsed_encode(request->endorsed, ahead) : 0;
        struct byte_writer w = byte_writer(size, sizeof size);
        bytes_put_u16(&w, (uint16_t)ahead_size);
        append_u32(out, record->requests[i].size_bytes);
        buffer_append(out, request->digest, PBFT_DIGEST_SIZE);
        buffer_append(out, size, sizeof size);
        buffer_append(out, ahead, ahead_size);
    }
}

static void append_changes(const struct pbft_record *record, struct buffer *out) {
    struct pbft_message m = {.type = PBFT_NEW_VIEW,
                             .view = record->view,
                             .count = record->count,
                             .changes = record->changes};
    memcpy(m.signature, record->signature, sizeof m.signature);
    size_t size = codec_size(&m);
    cleanup_free uint8_t *frame = mem_alloc(size);
    codec_encode(&m, frame);
    buffer_append(out, frame + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE);
}

void protocol_record_encode(const struct pbft_record *record, struct buffer *out) {
    static const uint8_t nothing[CHECK_SIZE + LENGTH_SIZE];
    uint8_t hash[SHA256_SIZE];
    size_t begin = out->size;
    buffer_append(out, nothing, sizeof nothing);
    append_fields(record, out);
    if (record->type == PBFT_RECORD_PROPOSAL)
        append_requests(record, out);
    else if (record->type == PBFT_RECORD_VIEW && record->count > 0)
        append_changes(record, out);
    uint8_t *head = (uint8_t *)out->data + begin;
    size_t size = out->size - begin;
    struct byte_writer w = byte_writer(head + CHECK_SIZE, LENGTH_SIZE);
    bytes_put_u32(&w, (uint32_t)size);
    sha256_of(head + CHECK_SIZE, size - CHECK_SIZE, hash);
    memcpy(head, hash, CHECK_SIZE);
}

/* ---- in ---- */

void record_reader_init(struct record_reader *r) {
    *r = (struct record_reader){.room = codec_room_new()};
    sha256_init(&r->hash);
}

void record_reader_deinit(struct record_reader *r) {
    codec_room_free(r->room);
    sha256_deinit(&r->hash);
}

static bool get_fields(struct byte_reader *in, struct pbft_record *ret) {
    uint8_t type = bytes_get_u8(in), flags = bytes_get_u8(in);
    *ret = (struct pbft_record){.type = (enum pbft_record_type)type,
                                .active = flags & FLAG_ACTIVE,
                                .empty = flags & FLAG_EMPTY};
    ret->view = bytes_get_u64(in);
    ret->seq = bytes_get_u64(in);
    ret->height = bytes_get_u64(in);
    bytes_get(in, ret->digest, sizeof ret->digest);
    ret->count = bytes_get_u32(in);
    return !in->failed && type < PBFT_RECORD_END && !(flags & ~(FLAG_ACTIVE | FLAG_EMPTY));
}

static bool get_changes(struct record_reader *r, struct byte_reader *in) {
    struct error err = ERROR_NULL;
    struct codec_message m;
    size_t size = bytes_left(in);
    if (r->record.count == 0)
        return size == 0;
    if (codec_decode(PBFT_NEW_VIEW, bytes_take(in, size), size, r->room, &m, &err) < 0 ||
        m.message.count != r->record.count)
        return false;
    r->record.changes = m.message.changes;
    memcpy(r->record.signature, m.message.signature, sizeof r->record.signature);
    return true;
}

/* What the client said, and nothing else. */
static bool is_intact(struct record_reader *r, const uint8_t *bytes, size_t size,
                      const uint8_t *digest) {
    struct error err = ERROR_NULL;
    struct wire_request m;
    uint8_t payload[SHA256_SIZE], all[SHA256_SIZE];
    if (wire_request_decode(bytes, size, &m, &err) < 0)
        return false;
    sha256_of(m.payload, m.payload_size, payload);
    request_digest(&r->hash, m.fields, payload, all);
    return memcmp(all, digest, sizeof all) == 0;
}

/* `head` says what they are, `behind` has them. `*ret_size`: of them all. */
static bool get_requests(struct record_reader *r, struct byte_reader *head,
                         struct byte_reader *behind, size_t *ret_size) {
    const uint8_t *digests[PBFT_BATCH_MAX];
    uint32_t count = r->record.count;
    *ret_size = 0;
    if (count > PBFT_BATCH_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        r->sizes[i] = bytes_get_u32(head);
        digests[i] = bytes_take(head, PBFT_DIGEST_SIZE);
        r->ahead_sizes[i] = bytes_get_u16(head);
        r->ahead[i] = bytes_take(head, r->ahead_sizes[i]);
        *ret_size += r->sizes[i];
    }
    if (!bytes_complete(head)) {
        *ret_size = 0;
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        r->bytes[i] = bytes_take(behind, r->sizes[i]);
        if (!r->bytes[i]) {
            *ret_size = SIZE_MAX;
            return false;
        }
        if (!is_intact(r, r->bytes[i], r->sizes[i], digests[i]))
            return false;
    }
    return true;
}

bool record_reader_read(struct record_reader *r, const uint8_t *data, size_t size,
                        size_t *ret_size) {
    struct byte_reader in = byte_reader(data, size);
    const uint8_t *check = bytes_take(&in, CHECK_SIZE);
    uint32_t head_size = bytes_get_u32(&in);
    uint8_t hash[SHA256_SIZE];
    size_t behind = 0;
    if (in.failed || head_size > size) {
        *ret_size = in.failed || head_size <= PROTOCOL_RECORD_HEAD_MAX ? SIZE_MAX : 0;
        return false;
    }
    *ret_size = 0;
    if (head_size < CHECK_SIZE + LENGTH_SIZE + FIELDS_SIZE)
        return false;
    *ret_size = head_size;
    sha256_of(data + CHECK_SIZE, head_size - CHECK_SIZE, hash);
    if (memcmp(hash, check, CHECK_SIZE) != 0)
        return false;
    struct byte_reader head = byte_reader(in.at, head_size - CHECK_SIZE - LENGTH_SIZE);
    struct byte_reader rest = byte_reader(data + head_size, size - head_size);
    if (!get_fields(&head, &r->record))
        return false;
    bool good = r->record.type == PBFT_RECORD_PROPOSAL ? get_requests(r, &head, &rest, &behind)
                : r->record.type == PBFT_RECORD_VIEW
                    ? get_changes(r, &head)
                    : r->record.count == 0 && bytes_left(&head) == 0;
    *ret_size = behind == SIZE_MAX ? SIZE_MAX : head_size + behind;
    return good;
}

const struct protocol_log_request *record_reader_requests(struct record_reader *r) {
    if (r->record.type != PBFT_RECORD_PROPOSAL)
        return NULL;
    for (uint32_t i = 0; i < r->record.count; i++) {
        struct blob *blob = blob_new(r->sizes[i]);
        memcpy(blob->data, r->bytes[i], r->sizes[i]);
        r->requests[i] = (struct protocol_log_request){
            .blob = blob, .ahead = r->ahead[i], .ahead_size = r->ahead_sizes[i]};
    }
    return r->requests;
}
