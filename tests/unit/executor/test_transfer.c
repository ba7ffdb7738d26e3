/* Blocks from one replica to another: what comes in pieces is the block that was read, and what is
 * no block, or not in its turn, is refused. */

#include "executor/transfer.h"

#include "executor/chain/block.h"
#include "executor/chain/pee.h"
#include "executor/written.h"

#include "lib/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PEER = 2, N = 4 };

static const struct command command = {
    .client = 5, .number = 3, .key_count = 4, .key_size = 20, .value_size = 500};

/* Whose write sets are made again, and whose are hashed. */
static const enum merkle kinds[] = {MERKLE_BASIC, MERKLE_KEYS};

/* Block 1 of a chain. */
static struct blob *a_block(enum merkle merkle) {
    struct error err = ERROR_NULL;
    size_t size = pee_write_set_size(&command);
    struct blob *blob = blob_new(BLOCK_HEADER_SIZE + size);
    struct write_set set;
    struct chain chain;
    const uint8_t request[SHA256_SIZE] = {1};
    pee_expand(&command, blob->data + BLOCK_HEADER_SIZE);
    write_set_init(&set, 16);
    struct block_header h = block_of(&command, request);
    h.maker = written_maker(&handler_pee, merkle);
    assert_int_equal(written_read(&set, h.maker, blob->data + BLOCK_HEADER_SIZE, size, &err), 0);
    h.sequence = 9;
    h.write_set_size = size;
    memcpy(h.write_set, set.digest, sizeof h.write_set);
    chain_init(&chain);
    chain_add(&chain, &h, blob->data);
    chain_deinit(&chain);
    write_set_deinit(&set);
    return blob;
}

/* The bytes [begin, begin + size) as a frame brings them. */
static int give(struct transfer *t, const struct blob *block, uint64_t height, uint32_t begin,
                uint32_t size, struct pbft_block *ret, struct error *err) {
    const struct frame frame = {.body = block->data + begin, .size = size};
    const struct codec_message m = {
        .type = PBFT_BLOCK,
        .piece = {.height = height, .block_size = block->size, .offset = begin}};
    return transfer_receive(t, PEER, &m, &frame, ret, err);
}

static void comes_whole_or_in_pieces(struct transfer *t, const struct blob *block) {
    struct error err = ERROR_NULL;
    struct pbft_block got;
    for (uint32_t piece = 1; piece < 3 * block->size; piece *= 3) {
        int r = 0;
        for (uint32_t at = 0; at < block->size; at += piece) {
            uint32_t left = block->size - at;
            assert_int_equal(r, 0);
            r = give(t, block, 1, at, left < piece ? left : piece, &got, &err);
        }
        assert_int_equal(r, 1);
        assert_int_equal(got.height, 1);
        assert_int_equal(got.seq, 9);
        assert_int_equal(got.client, 5);
        assert_int_equal(got.number, 3);
        assert_true(transfer_is_block(got.handle));
        assert_memory_equal(transfer_block(got.handle)->data, block->data, block->size);
        blob_unref(transfer_block(got.handle));
    }
}

static void a_block_comes_whole_or_in_pieces(void **state) {
    (void)state;
    cleanup(transfer_freep) struct transfer *t = transfer_new(N);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct blob *block = a_block(kinds[i]);
        comes_whole_or_in_pieces(t, block);
        blob_unref(block);
    }
}

static void what_is_no_block_is_refused(void **state) {
    (void)state;
    struct pbft_block got;
    cleanup(transfer_freep) struct transfer *t = transfer_new(N);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct blob *block = a_block(kinds[k]);
        const uint32_t places[] = {0, 10, BLOCK_HEADER_SIZE, BLOCK_HEADER_SIZE + 60,
                                   block->size - 1};
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            struct error err = ERROR_NULL;
            block->data[places[i]] ^= 1;
            assert_int_equal(give(t, block, 1, 0, block->size, &got, &err), -1);
            block->data[places[i]] ^= 1;
        }
        struct error err = ERROR_NULL;
        assert_int_equal(give(t, block, 2, 0, block->size, &got, &err), -1);
        assert_non_null(strstr(err.text, "block 2: its header is of another block"));
        blob_unref(block);
    }
}

static void pieces_out_of_turn_are_refused(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct pbft_block got;
    cleanup(transfer_freep) struct transfer *t = transfer_new(N);
    struct blob *block = a_block(MERKLE_BASIC);
    assert_int_equal(give(t, block, 1, 100, 10, &got, &err), -1); /* before its beginning */
    assert_int_equal(give(t, block, 1, 0, 100, &got, &err), 0);
    assert_int_equal(give(t, block, 1, 200, 100, &got, &err), -1); /* a gap */
    assert_int_equal(give(t, block, 2, 100, 100, &got, &err), -1); /* of another block */
    assert_int_equal(give(t, block, 1, 0, 100, &got, &err), -1);   /* another beginning */
    transfer_peer_down(t, PEER);
    assert_int_equal(give(t, block, 1, 0, block->size, &got, &err), 1); /* all is forgotten */
    blob_unref(transfer_block(got.handle));
    blob_unref(block);
}

static void sizes_beyond_any_block_are_refused(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct pbft_block got;
    cleanup(transfer_freep) struct transfer *t = transfer_new(N);
    const uint8_t byte = 0;
    const struct frame frame = {.body = &byte, .size = 1};
    const uint32_t sizes[] = {1, BLOCK_HEADER_SIZE - 1, LEDGER_BLOCK_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const struct codec_message m = {.type = PBFT_BLOCK,
                                        .piece = {.height = 1, .block_size = sizes[i]}};
        assert_int_equal(transfer_receive(t, PEER, &m, &frame, &got, &err), -1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_comes_whole_or_in_pieces),
        cmocka_unit_test(what_is_no_block_is_refused),
        cmocka_unit_test(pieces_out_of_turn_are_refused),
        cmocka_unit_test(sizes_beyond_any_block_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
