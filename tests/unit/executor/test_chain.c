/* Write sets are the same bytes everywhere and cannot be compressed; blocks hold together. */

#include "executor/chain/block.h"
#include "executor/chain/pee.h"
#include "executor/chain/read_set.h"
#include "executor/chain/write_set.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN_EXPANSION "2099edbac6c218272fbf04070e7a449e56580ac862ef9103922714b49c18e4e4"

static const struct command default_shape = {
    .client = 1, .number = 1, .key_count = 31, .key_size = 118, .value_size = 2841};

static uint8_t *expand(const struct command *command, size_t *ret_size) {
    *ret_size = pee_write_set_size(command);
    uint8_t *set = mem_alloc(*ret_size + 1);
    pee_expand(command, set);
    return set;
}

static void hex_of_sha256(const uint8_t *data, size_t size, char out[2 * SHA256_SIZE + 1]) {
    uint8_t digest[SHA256_SIZE];
    sha256_of(data, size, digest);
    text_hex(digest, sizeof digest, out);
}

/* All replicas of all builds must make these bytes: a change of this digest is a change of the
 * protocol. */
static void a_write_set_is_the_same_bytes_everywhere(void **state) {
    (void)state;
    size_t size;
    char hex[2 * SHA256_SIZE + 1];
    cleanup_free uint8_t *set = expand(&default_shape, &size);
    assert_int_equal(size, 31 * (8 + 118 + 2841));
    hex_of_sha256(set, size, hex);
    assert_string_equal(hex, GOLDEN_EXPANSION);
}

static void every_request_writes_something_else(void **state) {
    (void)state;
    struct command others[] = {default_shape, default_shape, default_shape};
    others[0].client++;
    others[1].number++;
    others[2].value_size++;
    size_t size, other_size;
    cleanup_free uint8_t *set = expand(&default_shape, &size);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        cleanup_free uint8_t *other = expand(&others[i], &other_size);
        assert_memory_not_equal(set + 8, other + 8, 118);
    }
}

/* The entries of a write set of a key space. */
static size_t entries_of(const uint8_t *set, size_t size, struct write_set_entry *out) {
    struct byte_reader r = byte_reader(set, size);
    size_t count = 0;
    while (write_set_next(&r, &out[count]))
        count++;
    assert_false(r.failed);
    return count;
}

static const struct command shared_shape = {.client = 1,
                                            .number = 1,
                                            .key_count = 5,
                                            .key_size = 21,
                                            .value_size = 30,
                                            .key_space = 1000,
                                            .first_key = 996};

static void keys_of_a_key_space_are_the_same_for_everybody(void **state) {
    (void)state;
    struct command other = shared_shape;
    struct write_set_entry a[8], b[8];
    uint8_t key[21];
    size_t size;
    other.client = 2;
    other.value_size = 7;
    other.key_space = UINT64_C(1) << 40; /* the same keys, further on: 997 to 1001 */
    other.first_key = 997;
    cleanup_free uint8_t *set = expand(&shared_shape, &size);
    assert_int_equal(entries_of(set, size, a), 5);
    cleanup_free uint8_t *other_set = expand(&other, &size);
    assert_int_equal(entries_of(other_set, size, b), 5);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(a[i + 1].key, b[i].key, 21); /* 997, 998, 999 */
    assert_memory_not_equal(a[4].key, b[3].key, 21);     /* 0, and 1000 */
    other = shared_shape;
    other.first_key = 0;
    pee_key(&other, 0, key);
    assert_memory_equal(a[4].key, key, 21); /* after the last comes the first */
    for (uint32_t i = 0; i < 5; i++) {
        pee_key(&shared_shape, i, key);
        assert_memory_equal(a[i].key, key, 21);
    }
}

static void what_is_written_to_a_shared_key_depends_on_request_and_key(void **state) {
    (void)state;
    struct command others[] = {shared_shape, shared_shape, shared_shape};
    struct write_set_entry a[8], b[8];
    size_t size, again_size;
    others[0].client++;
    others[1].number++;
    others[2].first_key--;
    cleanup_free uint8_t *set = expand(&shared_shape, &size);
    cleanup_free uint8_t *again = expand(&shared_shape, &again_size);
    assert_memory_equal(set, again, size);
    entries_of(set, size, a);
    for (size_t i = 1; i < 5; i++)
        assert_memory_not_equal(a[0].value, a[i].value, 30);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        cleanup_free uint8_t *other = expand(&others[i], &again_size);
        entries_of(other, again_size, b);
        for (size_t k = 0; k < 5; k++)
            assert_memory_not_equal(a[k].value, b[k].value, 30);
    }
}

static void reads_are_told_apart_by_what_they_read(void **state) {
    (void)state;
    static const uint8_t one[] = "one", two[] = "two";
    uint8_t digests[6][SHA256_SIZE];
    struct read_digest d;
    read_digest_init(&d);
    for (int i = 0; i < 6; i++) {
        read_digest_begin(&d);
        if (i == 1 || i == 3)
            read_digest_absent(&d);
        if (i != 1)
            read_digest_value(&d, i == 4 ? two : one, i == 5 ? 2 : 3);
        if (i == 2)
            read_digest_absent(&d);
        read_digest_end(&d, digests[i]);
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(digests[i], digests[k], SHA256_SIZE);
    }
    read_digest_begin(&d);
    read_digest_value(&d, one, 3);
    read_digest_end(&d, digests[1]);
    assert_memory_equal(digests[0], digests[1], SHA256_SIZE);
    read_digest_deinit(&d);
}

static void expect_refused(const struct command *command, enum error_kind kind, const char *text) {
    struct error err = ERROR_NULL;
    assert_int_equal(pee_check(command, &err), -1);
    assert_int_equal(err.kind, kind);
    assert_string_equal(err.text, text);
}

static void reads_need_a_key_space_and_are_limited_as_writes_are(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct command command = shared_shape;
    command.read_only = true;
    command.value_size = UINT32_MAX; /* means nothing */
    assert_int_equal(pee_check(&command, &err), 0);
    assert_int_equal(pee_read_count(&command), command.key_count);
    command.key_count = 1001;
    expect_refused(&command, ERROR_LIMIT, "1001 keys of a key space of 1000");
    command.key_space = 0;
    expect_refused(&command, ERROR_REFUSED, "a read-only request needs a key space");
    command = shared_shape;
    command.read_only = true;
    command.key_size = 7;
    expect_refused(&command, ERROR_LIMIT, "keys of 7 bytes, only 8 to 4096");
}

static void a_write_may_read_keys_of_its_key_space_before(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    uint8_t read[COMMAND_KEY_SIZE_MAX], written[COMMAND_KEY_SIZE_MAX];
    struct command command = shared_shape;
    assert_int_equal(pee_read_count(&command), 0);
    command.read_count = 1000;
    assert_int_equal(pee_check(&command, &err), 0);
    assert_int_equal(pee_read_count(&command), 1000);
    assert_int_equal(pee_read_key(&command, 1, read), command.key_size);
    pee_key(&command, 1, written);
    assert_memory_equal(read, written, command.key_size);
    command.read_count = 1001;
    expect_refused(&command, ERROR_LIMIT, "1001 keys of a key space of 1000");
    command.key_space = UINT64_C(1) << 40;
    command.read_count = PEE_KEYS_MAX + 1;
    expect_refused(&command, ERROR_LIMIT, "10001 keys, at most 10000");
    command.read_count = 1;
    command.key_count = 0; /* nothing is written: the size of its keys counts all the same */
    command.key_size = 4097;
    expect_refused(&command, ERROR_LIMIT, "keys of 4097 bytes, only 8 to 4096");
    command = shared_shape;
    command.key_space = command.first_key = 0;
    command.read_count = 1;
    expect_refused(&command, ERROR_REFUSED,
                   "a request that reads before it writes needs a key space");
}

static int compare_keys(const void *a, const void *b) {
    return memcmp(a, b, 8);
}

static void keys_are_distinct_even_when_they_are_short(void **state) {
    (void)state;
    struct command command = {.key_count = PEE_KEYS_MAX, .key_size = PEE_KEY_SIZE_MIN};
    size_t size, count = 0;
    cleanup_free uint8_t *set = expand(&command, &size);
    cleanup_free uint8_t *keys = mem_alloc(8 * PEE_KEYS_MAX);
    struct byte_reader r = byte_reader(set, size);
    struct write_set_entry entry;
    while (write_set_next(&r, &entry)) {
        assert_int_equal(entry.key_size, 8);
        assert_int_equal(entry.value_size, 0);
        memcpy(keys + 8 * count++, entry.key, 8);
    }
    assert_false(r.failed);
    assert_int_equal(count, PEE_KEYS_MAX);
    qsort(keys, count, 8, compare_keys);
    for (size_t i = 1; i < count; i++)
        assert_memory_not_equal(keys + 8 * (i - 1), keys + 8 * i, 8);
}

/* Byte values as frequent as chance has it, and no eight bytes come twice: nothing to compress. */
static void values_cannot_be_compressed(void **state) {
    (void)state;
    struct command command = {.key_count = 1, .key_size = 8, .value_size = PEE_VALUE_SIZE_MAX};
    size_t size;
    cleanup_free uint8_t *set = expand(&command, &size);
    const uint8_t *value = set + 8 + 8;
    size_t frequency[256] = {0};
    for (size_t i = 0; i < PEE_VALUE_SIZE_MAX; i++)
        frequency[value[i]]++;
    for (size_t i = 0; i < 256; i++)
        assert_in_range(frequency[i], 4096 - 400, 4096 + 400); /* 6 sigma */
    size_t words = PEE_VALUE_SIZE_MAX / 8;
    qsort(set + 16, words, 8, compare_keys);
    for (size_t i = 1; i < words; i++)
        assert_memory_not_equal(set + 16 + 8 * (i - 1), set + 16 + 8 * i, 8);
}

static void nothing_is_written_beyond_the_write_set(void **state) {
    (void)state;
    for (uint32_t value_size = 0; value_size < 200; value_size++) {
        struct command command = {.key_count = 2, .key_size = 9, .value_size = value_size};
        size_t size = pee_write_set_size(&command);
        cleanup_free uint8_t *set = mem_alloc(size + 64);
        memset(set, 0xaa, size + 64);
        pee_expand(&command, set);
        for (size_t i = 0; i < 64; i++)
            assert_int_equal(set[size + i], 0xaa);
    }
}

static void shapes_beyond_the_limits_are_refused(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    const struct command good[] = {
        {.key_count = 0},
        {.key_count = PEE_KEYS_MAX, .key_size = PEE_KEY_SIZE_MIN},
        {.key_count = 1, .key_size = PEE_KEY_SIZE_MAX, .value_size = PEE_VALUE_SIZE_MAX},
        {.execution_ms = PEE_EXECUTION_MS_MAX},
    };
    const struct command bad[] = {
        {.key_count = PEE_KEYS_MAX + 1, .key_size = 8},
        {.key_count = 1, .key_size = PEE_KEY_SIZE_MIN - 1},
        {.key_count = 1, .key_size = PEE_KEY_SIZE_MAX + 1},
        {.key_count = 1, .key_size = 8, .value_size = PEE_VALUE_SIZE_MAX + 1},
        {.key_count = 65, .key_size = 8, .value_size = PEE_VALUE_SIZE_MAX},
        {.execution_ms = PEE_EXECUTION_MS_MAX + 1},
        {.key_count = UINT32_MAX, .key_size = UINT32_MAX, .value_size = UINT32_MAX},
        {.key_count = 3, .key_size = 8, .key_space = 2},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(pee_check(&good[i], &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(pee_check(&bad[i], &err), -1);
        assert_int_equal(err.kind, ERROR_LIMIT);
    }
}

static void a_damaged_write_set_is_not_read_beyond_its_end(void **state) {
    (void)state;
    struct command command = {.key_count = 2, .key_size = 8, .value_size = 5};
    size_t full = pee_write_set_size(&command);
    for (size_t size = 0; size < full; size++) {
        cleanup_free uint8_t *set = mem_alloc(full);
        pee_expand(&command, set);
        cleanup_free uint8_t *cut = mem_dup(set, size ? size : 1);
        struct byte_reader r = byte_reader(cut, size);
        struct write_set_entry entry;
        while (write_set_next(&r, &entry))
            ;
        assert_int_equal(r.failed, size != 0 && size != full / 2);
    }
}

static void digest_of(struct write_set *ws, const uint8_t *set, size_t size,
                      uint8_t out[SHA256_SIZE]) {
    struct error err = ERROR_NULL;
    if (write_set_read(ws, set, size, &err) < 0)
        fail_msg("%s", err.text);
    memcpy(out, ws->digest, SHA256_SIZE);
}

/* Bits of keys and values; those of sizes make it another write set, or none. */
static void any_changed_bit_changes_the_digest_of_a_write_set(void **state) {
    (void)state;
    const struct command command = {.key_count = 3, .key_size = 9, .value_size = 70};
    size_t size, entry_size = WRITE_SET_ENTRY_HEAD + 9 + 70;
    uint8_t digest[SHA256_SIZE], other[SHA256_SIZE];
    cleanup_free uint8_t *set = expand(&command, &size);
    cleanup(write_set_deinit) struct write_set ws;
    write_set_init(&ws, 8);
    digest_of(&ws, set, size, digest);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        if (bit / 8 % entry_size < WRITE_SET_ENTRY_HEAD)
            continue;
        set[bit / 8] ^= (uint8_t)(1 << bit % 8);
        digest_of(&ws, set, size, other);
        assert_memory_not_equal(digest, other, sizeof digest);
        set[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    digest_of(&ws, set, size - entry_size, other);
    assert_memory_not_equal(digest, other, sizeof digest);
    for (size_t i = 0; i < entry_size; i++) { /* two entries that swap their places */
        uint8_t swapped = set[i];
        set[i] = set[entry_size + i];
        set[entry_size + i] = swapped;
    }
    digest_of(&ws, set, size, other);
    assert_memory_not_equal(digest, other, sizeof digest);
}

/* A byte that moves from the key to the value, and a key that is deleted. */
static void keys_values_and_deletions_are_told_apart(void **state) {
    (void)state;
    static const uint8_t sets[4][11] = {
        {2, 0, 0, 0, 1, 0, 0, 0, 'a', 'b', 'c'},
        {1, 0, 0, 0, 2, 0, 0, 0, 'a', 'b', 'c'},
        {3, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c'},
        {3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 'a', 'b', 'c'},
    };
    uint8_t digests[4][SHA256_SIZE], expected[SHA256_SIZE];
    cleanup(write_set_deinit) struct write_set ws;
    write_set_init(&ws, 1);
    for (size_t i = 0; i < 4; i++) {
        digest_of(&ws, sets[i], sizeof sets[i], digests[i]);
        assert_int_equal(ws.entries[0].deletes, i == 3);
        sha256_of("abc", ws.entries[0].key_size, expected);
        assert_memory_equal(ws.keys[0], expected, SHA256_SIZE);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(digests[i], digests[k], SHA256_SIZE);
    }
}

static void too_many_keys_and_cut_write_sets_are_refused(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    const struct command command = {.key_count = 3, .key_size = 8, .value_size = 5};
    size_t size;
    cleanup_free uint8_t *set = expand(&command, &size);
    cleanup(write_set_deinit) struct write_set ws;
    write_set_init(&ws, 2);
    assert_int_equal(write_set_read(&ws, set, size, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
    error_clear(&err);
    assert_int_equal(write_set_read(&ws, set, size / 3 * 2 - 1, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
}

static void blocks_hold_together(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct chain chain, again;
    struct block_header h;
    uint8_t headers[3][BLOCK_HEADER_SIZE], request[SHA256_SIZE] = {5};
    chain_init(&chain);
    chain_init(&again);
    for (uint64_t i = 0; i < 3; i++) {
        struct command command = {.client = 9,
                                  .number = i + 1,
                                  .key_count = 1,
                                  .key_size = 8,
                                  .key_space = 100,
                                  .first_key = 10 + i};
        struct block_header block = block_of(&command, request);
        block.sequence = 70 + i;
        block.write_set_size = 100 + i;
        block.write_set[3] = 4;
        block.state[5] = (uint8_t)i;
        chain_add(&chain, &block, headers[i]);
        assert_int_equal(chain.height, i + 1);
        assert_int_equal(chain_follow(&again, headers[i], BLOCK_HEADER_SIZE, &h, &err), 0);
        assert_memory_equal(again.digest, chain.digest, SHA256_SIZE);
        assert_int_equal(h.client, 9);
        assert_int_equal(h.number, i + 1);
        assert_int_equal(h.key_space, 100);
        assert_int_equal(h.first_key, 10 + i);
        assert_int_equal(h.sequence, 70 + i);
        assert_int_equal(h.write_set_size, 100 + i);
        assert_memory_equal(h.write_set, block.write_set, SHA256_SIZE);
        assert_memory_equal(h.state, block.state, SHA256_SIZE);
    }
    assert_int_equal(chain_follow(&again, headers[2], BLOCK_HEADER_SIZE, &h, &err), -1);
    chain_deinit(&again);
    chain_deinit(&chain);
}

static void a_block_of_another_version_is_told_by_it(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct block_header h;
    const uint8_t old[204] = {2};
    assert_int_equal(block_header_decode(old, sizeof old, &h, &err), -1);
    assert_string_equal(err.text, "a block of version 2, this replica knows 5");
}

static void a_changed_block_does_not_fit_any_more(void **state) {
    (void)state;
    uint8_t headers[2][BLOCK_HEADER_SIZE], request[SHA256_SIZE] = {5};
    struct chain chain;
    chain_init(&chain);
    for (uint64_t i = 0; i < 2; i++) {
        struct command command = {.client = 9, .number = i + 1};
        struct block_header block = block_of(&command, request);
        chain_add(&chain, &block, headers[i]);
    }
    for (size_t i = 0; i < BLOCK_HEADER_SIZE; i++) {
        struct error err = ERROR_NULL;
        struct chain again;
        struct block_header h;
        chain_init(&again);
        headers[0][i] ^= 1;
        int r = chain_follow(&again, headers[0], BLOCK_HEADER_SIZE, &h, &err);
        if (r == 0)
            r = chain_follow(&again, headers[1], BLOCK_HEADER_SIZE, &h, &err);
        assert_int_equal(r, -1);
        headers[0][i] ^= 1;
        chain_deinit(&again);
    }
    chain_deinit(&chain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_set_is_the_same_bytes_everywhere),
        cmocka_unit_test(every_request_writes_something_else),
        cmocka_unit_test(keys_of_a_key_space_are_the_same_for_everybody),
        cmocka_unit_test(what_is_written_to_a_shared_key_depends_on_request_and_key),
        cmocka_unit_test(reads_are_told_apart_by_what_they_read),
        cmocka_unit_test(reads_need_a_key_space_and_are_limited_as_writes_are),
        cmocka_unit_test(a_write_may_read_keys_of_its_key_space_before),
        cmocka_unit_test(keys_are_distinct_even_when_they_are_short),
        cmocka_unit_test(values_cannot_be_compressed),
        cmocka_unit_test(nothing_is_written_beyond_the_write_set),
        cmocka_unit_test(shapes_beyond_the_limits_are_refused),
        cmocka_unit_test(a_damaged_write_set_is_not_read_beyond_its_end),
        cmocka_unit_test(any_changed_bit_changes_the_digest_of_a_write_set),
        cmocka_unit_test(keys_values_and_deletions_are_told_apart),
        cmocka_unit_test(too_many_keys_and_cut_write_sets_are_refused),
        cmocka_unit_test(a_block_of_another_version_is_told_by_it),
        cmocka_unit_test(blocks_hold_together),
        cmocka_unit_test(a_changed_block_does_not_fit_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
