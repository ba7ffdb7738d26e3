#include "executor/core/codec.h"

#include "lib/bytes.h"
#include "lib/wire.h"

_Static_assert((int)CORE_JOIN >= (int)WIRE_REPLICA_FIRST, "types of replicas begin there");
_Static_assert((int)CODEC_HEAD_SIZE_MAX == (int)WIRE_HEADER_SIZE + 8 + (int)CORE_DIGEST_SIZE, "");

size_t codec_encode(const struct core_message *m, uint8_t out[CODEC_HEAD_SIZE_MAX]) {
    struct byte_writer w = byte_writer(out, CODEC_HEAD_SIZE_MAX);
    w.at += WIRE_HEADER_SIZE;
    bytes_put_u64(&w, m->height);
    size_t behind = 0;
    if (m->type == CORE_JOIN || m->type == CORE_ACK) {
        bytes_put(&w, m->digest, sizeof m->digest);
    } else if (m->type == CORE_APPEND) {
        bytes_put_u8(&w, m->request.pre_executed);
        behind = m->request.size_bytes;
    }
    wire_header_encode((uint8_t)m->type, bytes_written(&w) - WIRE_HEADER_SIZE + behind, out);
    return bytes_written(&w);
}

int codec_decode(uint8_t type, const uint8_t *body, size_t size, struct core_message *ret,
                 size_t *ret_request_offset, struct error *err) {
    if (type < CORE_JOIN || type >= CORE_MESSAGE_END)
        return error_set(err, ERROR_INVALID, "unknown message type %u of a replica", type);
    struct byte_reader r = byte_reader(body, size);
    struct core_message m = {.type = (enum core_message_type)type};
    m.height = bytes_get_u64(&r);
    if (m.type == CORE_JOIN || m.type == CORE_ACK) {
        bytes_get(&r, m.digest, sizeof m.digest);
    } else if (m.type == CORE_APPEND) {
        uint8_t pre_executed = bytes_get_u8(&r);
        m.request.pre_executed = pre_executed;
        if (pre_executed > 1)
            r.failed = true;
    }
    size_t rest = bytes_left(&r);
    if (r.failed || (m.type == CORE_APPEND ? rest == 0 : rest != 0))
        return error_set(err, ERROR_INVALID, "malformed message of a replica (type %u, %zu bytes)",
                         type, size);
    *ret = m;
    *ret_request_offset = size - rest;
    return 0;
}
