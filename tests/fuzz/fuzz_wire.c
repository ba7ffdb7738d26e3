/* Hostile frames: what a decoder accepts is encoded to the same bytes again. The first byte is the
 * type. */

#include "executor/pbft/codec.h"

#include "lib/memory.h"
#include "lib/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The frame that was encoded has this body. */
static void assert_same(const uint8_t *frame, size_t frame_size, const uint8_t *body, size_t size) {
    struct error err = ERROR_NULL;
    struct wire_header header;
    int r = wire_header_decode(frame, &header, &err);
    assert(r == 0 && header.body_size == size && frame_size - WIRE_HEADER_SIZE == size);
    assert(memcmp(frame + WIRE_HEADER_SIZE, body, size) == 0);
}

static void fuzz_hello(const uint8_t *body, size_t size, struct error *err) {
    struct wire_hello m;
    uint8_t frame[WIRE_HELLO_SIZE_MAX];
    if (wire_hello_decode(body, size, &m, err) == 0)
        assert_same(frame, wire_hello_encode(&m, frame), body, size);
}

static void fuzz_hello_answer(const uint8_t *body, size_t size, struct error *err) {
    struct wire_hello_answer m;
    uint8_t frame[WIRE_HELLO_ANSWER_SIZE_MAX];
    if (wire_hello_answer_decode(body, size, &m, err) == 0)
        assert_same(frame, wire_hello_answer_encode(&m, frame), body, size);
}

static void fuzz_hello_proof(const uint8_t *body, size_t size, struct error *err) {
    uint8_t signature[WIRE_SIGNATURE_SIZE], frame[WIRE_HELLO_PROOF_SIZE];
    if (wire_hello_proof_decode(body, size, signature, err) < 0)
        return;
    wire_hello_proof_encode(signature, frame);
    assert_same(frame, sizeof frame, body, size);
}

static void fuzz_request(const uint8_t *body, size_t size, struct error *err) {
    struct wire_request m;
    uint8_t head[WIRE_REQUEST_HEAD_SIZE_MAX];
    if (wire_request_decode(body, size, &m, err) < 0)
        return;
    assert(m.payload + m.payload_size == body + size);
    size_t head_size = wire_request_encode_head(&m, head);
    assert(memcmp(head + WIRE_HEADER_SIZE, body, head_size - WIRE_HEADER_SIZE) == 0);
}

static void fuzz_reply(const uint8_t *body, size_t size, struct error *err) {
    struct wire_reply m;
    uint8_t frame[WIRE_REPLY_SIZE_MAX];
    if (wire_reply_decode(body, size, &m, err) == 0)
        assert_same(frame, wire_reply_encode(&m, frame), body, size);
}

static void fuzz_value(const uint8_t *body, size_t size, struct error *err) {
    struct wire_value m;
    uint8_t head[WIRE_VALUE_HEAD_SIZE];
    if (wire_value_decode(body, size, &m, err) < 0)
        return;
    assert(m.value + m.value_size == body + size);
    wire_value_encode_head(&m, head);
    assert(memcmp(head + WIRE_HEADER_SIZE, body, sizeof head - WIRE_HEADER_SIZE) == 0);
}

static void fuzz_status(const uint8_t *body, size_t size, struct error *err) {
    struct wire_status m;
    uint8_t frame[WIRE_STATUS_SIZE_MAX];
    if (wire_status_decode(body, size, &m, err) == 0)
        assert_same(frame, wire_status_encode(&m, frame), body, size);
}

static size_t encode_head(const struct codec_message *m, size_t size,
                          uint8_t out[CODEC_HEAD_SIZE_MAX]) {
    if (m->type == PBFT_BLOCK)
        return codec_encode_piece(&m->piece, size - m->offset, out);
    return codec_encode_request(m->type, m->ahead, m->ahead_size, size - m->offset, out);
}

static void fuzz_codec(uint8_t type, const uint8_t *body, size_t size, struct error *err) {
    struct codec_message m;
    cleanup(codec_room_freep) struct codec_room *room = codec_room_new();
    if (codec_decode(type, body, size, room, &m, err) < 0)
        return;
    assert(m.offset <= size);
    if (type == CODEC_EXECUTED) {
        uint8_t frame[WIRE_HEADER_SIZE + CODEC_EXECUTED_SIZE];
        assert_same(frame, codec_encode_executed(&m.execution, frame), body, size);
        return;
    }
    if (type == PBFT_BLOCK || type == PBFT_FORWARD || type == CODEC_REQUEST ||
        type == CODEC_EXECUTE) {
        uint8_t head[CODEC_HEAD_SIZE_MAX];
        size_t head_size = encode_head(&m, size, head);
        assert(head_size == WIRE_HEADER_SIZE + m.offset);
        assert(memcmp(head + WIRE_HEADER_SIZE, body, m.offset) == 0);
        return;
    }
    size_t frame_size = codec_size(&m.message);
    uint8_t *frame = mem_alloc(frame_size);
    codec_encode(&m.message, frame);
    assert_same(frame, frame_size, body, size);
    free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    struct wire_header header;
    if (size >= WIRE_HEADER_SIZE) {
        (void)wire_header_decode(data, &header, &err);
        (void)wire_sealed_header_decode(data, &header, &err);
    }
    if (size == 0 || size > WIRE_BODY_MAX)
        return 0;
    uint8_t type = data[0];
    size--;
    uint8_t *body = mem_alloc(size ? size : 1); /* a block of its exact size */
    memcpy(body, data + 1, size);
    switch (type) {
    case WIRE_HELLO: fuzz_hello(body, size, &err); break;
    case WIRE_HELLO_ANSWER: fuzz_hello_answer(body, size, &err); break;
    case WIRE_HELLO_PROOF: fuzz_hello_proof(body, size, &err); break;
    case WIRE_REQUEST: fuzz_request(body, size, &err); break;
    case WIRE_REPLY: fuzz_reply(body, size, &err); break;
    case WIRE_VALUE: fuzz_value(body, size, &err); break;
    case WIRE_STATUS: fuzz_status(body, size, &err); break;
    default: fuzz_codec(type, body, size, &err); break;
    }
    free(body);
    return 0;
}
