/* The core's messages as frames: what one side writes the other reads, and nothing else is read. */

#include "executor/pbft/codec.h"

#include "lib/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct pbft_checkpoint checkpoints[] = {{.seq = 64, .height = 7, .digest = {1}},
                                                     {.seq = 128, .height = 9, .digest = {2}}};
static const struct pbft_certificate prepared[] = {{.seq = 65, .view = 2, .digest = {3}}};
static const struct pbft_certificate proposed[] = {{.seq = 65, .view = 2, .digest = {3}},
                                                   {.seq = 66, .view = 1, .digest = {4}}};

static struct pbft_view_change a_change(uint16_t replica) {
    return (struct pbft_view_change){.replica = replica,
                                     .view = 3,
                                     .stable = 64,
                                     .checkpoint_count = 2,
                                     .prepared_count = 1,
                                     .proposed_count = 2,
                                     .checkpoints = checkpoints,
                                     .prepared = prepared,
                                     .proposed = proposed,
                                     .signature = {9, 8, 7}};
}

static struct pbft_view_change changes[2];

/* Each field of its own value, where the type has it. */
static struct pbft_message a_message(enum pbft_message_type type) {
    struct pbft_message m = {.type = type, .view = 3, .seq = 65, .height = 8, .count = 2};
    memset(m.digest, 5, sizeof m.digest);
    memset(m.signature, 6, sizeof m.signature);
    changes[0] = a_change(1);
    changes[1] = a_change(2);
    if (type == PBFT_VIEW_CHANGE)
        m.count = 1;
    if (type == PBFT_VIEW_CHANGE || type == PBFT_NEW_VIEW)
        m.changes = changes;
    if (type == PBFT_STATUS)
        m.report = (struct pbft_report){.active = true,
                                        .draining = true,
                                        .stable = 1,
                                        .committed = 2,
                                        .proposed = 3,
                                        .stored = 4,
                                        .changes = 5};
    return m;
}

static bool has_own_head(int type) {
    return type == PBFT_FORWARD || type == PBFT_BLOCK || type == CODEC_REQUEST;
}

static void assert_same_change(const struct pbft_view_change *a, const struct pbft_view_change *b) {
    assert_int_equal(a->replica, b->replica);
    assert_int_equal(a->view, b->view);
    assert_int_equal(a->stable, b->stable);
    assert_int_equal(a->checkpoint_count, b->checkpoint_count);
    assert_int_equal(a->prepared_count, b->prepared_count);
    assert_int_equal(a->proposed_count, b->proposed_count);
    assert_memory_equal(a->checkpoints, b->checkpoints, sizeof checkpoints);
    assert_memory_equal(a->prepared, b->prepared, sizeof prepared);
    assert_memory_equal(a->proposed, b->proposed, sizeof proposed);
    assert_memory_equal(a->signature, b->signature, sizeof a->signature);
}

static void every_message_arrives_as_it_was_sent(void **state) {
    (void)state;
    cleanup(codec_room_freep) struct codec_room *room = codec_room_new();
    for (int type = PBFT_FORWARD; type < PBFT_MESSAGE_END; type++) {
        struct error err = ERROR_NULL;
        struct codec_message got;
        struct wire_header header;
        if (has_own_head(type))
            continue;
        struct pbft_message m = a_message((enum pbft_message_type)type);
        size_t size = codec_size(&m);
        cleanup_free uint8_t *frame = mem_alloc(size), *again = mem_alloc(size);
        codec_encode(&m, frame);
        assert_int_equal(wire_header_decode(frame, &header, &err), 0);
        assert_int_equal(header.type, type);
        assert_int_equal(header.body_size, size - WIRE_HEADER_SIZE);
        assert_int_equal(
            codec_decode(header.type, frame + WIRE_HEADER_SIZE, header.body_size, room, &got, &err),
            0);
        assert_int_equal(got.message.type, type);
        assert_int_equal(codec_size(&got.message), size);
        codec_encode(&got.message, again);
        assert_memory_equal(again, frame, size);
        if (type == PBFT_NEW_VIEW)
            assert_same_change(&got.message.changes[1], &changes[1]);
    }
}

static void what_a_view_change_signs_is_all_of_it(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct codec_message got;
    struct pbft_message m = a_message(PBFT_VIEW_CHANGE);
    cleanup(codec_room_freep) struct codec_room *room = codec_room_new();
    size_t size = codec_size(&m), signed_size, own_size = codec_change_size(&changes[0]);
    cleanup_free uint8_t *frame = mem_alloc(size), *own = mem_alloc(own_size);
    codec_encode(&m, frame);
    codec_encode_change(&changes[0], own);
    assert_int_equal(codec_decode(PBFT_VIEW_CHANGE, frame + WIRE_HEADER_SIZE,
                                  size - WIRE_HEADER_SIZE, room, &got, &err),
                     0);
    const uint8_t *bytes = codec_signed_bytes(room, 0, &signed_size);
    assert_int_equal(signed_size, own_size);
    assert_memory_equal(bytes, own, own_size);
    assert_int_equal(size, WIRE_HEADER_SIZE + own_size + PBFT_SIGNATURE_SIZE);
}

static void what_a_new_view_signs_is_all_of_it(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct codec_message got;
    struct pbft_message m = a_message(PBFT_NEW_VIEW);
    cleanup(codec_room_freep) struct codec_room *room = codec_room_new();
    size_t size = codec_size(&m) - WIRE_HEADER_SIZE, signed_size;
    cleanup_free uint8_t *frame = mem_alloc(WIRE_HEADER_SIZE + size);
    codec_encode(&m, frame);
    assert_int_equal(codec_decode(PBFT_NEW_VIEW, frame + WIRE_HEADER_SIZE, size, room, &got, &err),
                     0);
    assert_ptr_equal(codec_signed_view(room, &signed_size), frame + WIRE_HEADER_SIZE);
    assert_int_equal(signed_size, size - PBFT_SIGNATURE_SIZE);
    assert_memory_equal(got.message.signature, m.signature, PBFT_SIGNATURE_SIZE);
}

static void requests_and_pieces_of_blocks_follow_their_heads(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct codec_message got;
    uint8_t frame[CODEC_HEAD_SIZE_MAX + 3] = {0};
    cleanup(codec_room_freep) struct codec_room *room = codec_room_new();
    size_t head = codec_encode_request(CODEC_REQUEST, "ahead", 5, 3, frame);
    assert_int_equal(codec_decode(CODEC_REQUEST, frame + WIRE_HEADER_SIZE,
                                  head + 3 - WIRE_HEADER_SIZE, room, &got, &err),
                     0);
    assert_int_equal(got.ahead_size, 5);
    assert_memory_equal(got.ahead, "ahead", 5);
    assert_int_equal(got.offset, head - WIRE_HEADER_SIZE);
    const struct codec_piece piece = {.height = 4, .block_size = 10, .offset = 7};
    head = codec_encode_piece(&piece, 3, frame);
    size_t body = head + 3 - WIRE_HEADER_SIZE;
    assert_int_equal(codec_decode(PBFT_BLOCK, frame + WIRE_HEADER_SIZE, body, room, &got, &err), 0);
    assert_int_equal(got.piece.height, 4);
    assert_int_equal(got.piece.block_size, 10);
    assert_int_equal(got.piece.offset, 7);
    /* More than the block has left, and none of it. */
    assert_int_equal(codec_decode(PBFT_BLOCK, frame + WIRE_HEADER_SIZE, body + 1, room, &got, &err),
                     -1);
    assert_int_equal(codec_decode(PBFT_BLOCK, frame + WIRE_HEADER_SIZE, body - 3, room, &got, &err),
                     -1);
}

static void truncated_overlong_and_unknown_messages_are_refused(void **state) {
    (void)state;
    struct codec_message got;
    struct error err = ERROR_NULL;
    cleanup(codec_room_freep) struct codec_room *room = codec_room_new();
    for (int type = PBFT_FORWARD; type < PBFT_MESSAGE_END; type++) {
        if (has_own_head(type))
            continue;
        struct pbft_message m = a_message((enum pbft_message_type)type);
        cleanup_free uint8_t *frame = mem_zero(1, codec_size(&m) + 1);
        size_t full = codec_size(&m) - WIRE_HEADER_SIZE;
        codec_encode(&m, frame);
        for (size_t size = 0; size <= full + 1; size++) {
            uint8_t *exact = calloc(1, size ? size : 1);
            memcpy(exact, frame + WIRE_HEADER_SIZE, size);
            assert_int_equal(codec_decode((uint8_t)type, exact, size, room, &got, &err),
                             size == full ? 0 : -1);
            free(exact);
        }
    }
    uint8_t body[8] = {0};
    assert_int_equal(codec_decode(CODEC_END, body, 8, room, &got, &err), -1);
    assert_int_equal(codec_decode(WIRE_REQUEST, body, 8, room, &got, &err), -1);
}

static void counts_beyond_their_bounds_are_refused(void **state) {
    (void)state;
    struct codec_message got;
    struct error err = ERROR_NULL;
    cleanup(codec_room_freep) struct codec_room *room = codec_room_new();
    struct pbft_message m = a_message(PBFT_PRE_PREPARE);
    uint8_t frame[CODEC_HEAD_SIZE_MAX];
    const uint32_t counts[] = {0, PBFT_BATCH_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        m.count = counts[i];
        codec_encode(&m, frame);
        assert_int_equal(codec_decode(PBFT_PRE_PREPARE, frame + WIRE_HEADER_SIZE,
                                      codec_size(&m) - WIRE_HEADER_SIZE, room, &got, &err),
                         -1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_arrives_as_it_was_sent),
        cmocka_unit_test(what_a_view_change_signs_is_all_of_it),
        cmocka_unit_test(what_a_new_view_signs_is_all_of_it),
        cmocka_unit_test(requests_and_pieces_of_blocks_follow_their_heads),
        cmocka_unit_test(truncated_overlong_and_unknown_messages_are_refused),
        cmocka_unit_test(counts_beyond_their_bounds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
