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

static const struct pee_command default_shape = {
    .client = 1, .number = 1, .key_count = 31, .key_size = 118, .value_size = 2841};

static uint8_t *expand(const struct pee_command *command, size_t *ret_size) {
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
    struct pee_command others[] = {default_shape, default_shape, default_shape};
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

static const struct pee_command shared_shape = {.client = 1,
                                                .number = 1,
                                                .key_count = 5,
                                                .key_size = 21,
                                                .value_size = 30,
                                                .key_space = 1000,
                                                .first_key = 996};

static void keys_of_a_key_space_are_the_same_for_everybody(void **state) {
    (void)state;
    struct pee_command other = shared_shape;
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
    struct pee_command others[] = {shared_shape, shared_shape, shared_shape};
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

static void reads_need_a_key_space_and_are_limited_as_writes_are(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct pee_command command = shared_shape;
    command.value_size = UINT32_MAX; /* means nothing */
    assert_int_equal(pee_check_read(&command, &err), 0);
    command.key_count = 1001;
    assert_int_equal(pee_check_read(&command, &err), -1);
    assert_string_equal(err.text, "1001 keys of a key space of 1000");
    error_clear(&err);
    command.key_space = 0;
    assert_int_equal(pee_check_read(&command, &err), -1);
    assert_int_equal(err.kind, ERROR_REFUSED);
    error_clear(&err);
    command = shared_shape;
    command.key_size = 7;
    assert_int_equal(pee_check_read(&command, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
}

static int compare_keys(const void *a, const void *b) {
    return memcmp(a, b, 8);
}

static void keys_are_distinct_even_when_they_are_short(void **state) {
    (void)state;
    struct pee_command command = {.key_count = PEE_KEYS_MAX, .key_size = PEE_KEY_SIZE_MIN};
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
    struct pee_command command = {.key_count = 1, .key_size = 8, .value_size = PEE_VALUE_SIZE_MAX};
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
        struct pee_command command = {.key_count = 2, .key_size = 9, .value_size = value_size};
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
    const struct pee_command good[] = {
        {.key_count = 0},
        {.key_count = PEE_KEYS_MAX, .key_size = PEE_KEY_SIZE_MIN},
        {.key_count = 1, .key_size = PEE_KEY_SIZE_MAX, .value_size = PEE_VALUE_SIZE_MAX},
        {.execution_ms = PEE_EXECUTION_MS_MAX},
    };
    const struct pee_command bad[] = {
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
    struct pee_command command = {.key_count = 2, .key_size = 8, .value_size = 5};
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

static void any_changed_bit_changes_the_digest_of_a_write_set(void **state) {
    (void)state;
    struct sha256 hash;
    uint8_t digest[SHA256_SIZE], other[SHA256_SIZE], set[200];
    sha256_init(&hash);
    for (size_t i = 0; i < sizeof set; i++)
        set[i] = (uint8_t)i;
    write_set_digest(&hash, set, sizeof set, digest);
    for (size_t bit = 0; bit < 8 * sizeof set; bit++) {
        set[bit / 8] ^= (uint8_t)(1 << bit % 8);
        write_set_digest(&hash, set, sizeof set, other);
        assert_memory_not_equal(digest, other, sizeof digest);
        set[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    write_set_digest(&hash, set, sizeof set - 1, other);
    assert_memory_not_equal(digest, other, sizeof digest);
    for (size_t i = 0; i < 64; i++) { /* two runs of bytes that swap their places */
        uint8_t swapped = set[i];
        set[i] = set[64 + i];
        set[64 + i] = swapped;
    }
    write_set_digest(&hash, set, sizeof set, other);
    assert_memory_not_equal(digest, other, sizeof digest);
    sha256_deinit(&hash);
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
        struct pee_command command = {.client = 9,
                                      .number = i + 1,
                                      .key_count = 1,
                                      .key_size = 8,
                                      .key_space = 100,
                                      .first_key = 10 + i};
        size_t size;
        cleanup_free uint8_t *set = expand(&command, &size);
        chain_add(&chain, &command, request, set, size, headers[i]);
        assert_int_equal(chain.height, i + 1);
        assert_int_equal(chain_follow(&again, headers[i], BLOCK_HEADER_SIZE, &h, &err), 0);
        assert_memory_equal(again.digest, chain.digest, SHA256_SIZE);
        assert_int_equal(h.client, 9);
        assert_int_equal(h.number, i + 1);
        assert_int_equal(h.key_space, 100);
        assert_int_equal(h.first_key, 10 + i);
        assert_int_equal(h.write_set_size, size);
    }
    assert_int_equal(chain_follow(&again, headers[2], BLOCK_HEADER_SIZE, &h, &err), -1);
    chain_deinit(&again);
    chain_deinit(&chain);
}

static void a_changed_block_does_not_fit_any_more(void **state) {
    (void)state;
    uint8_t headers[2][BLOCK_HEADER_SIZE], request[SHA256_SIZE] = {5};
    struct chain chain;
    chain_init(&chain);
    for (uint64_t i = 0; i < 2; i++) {
        struct pee_command command = {.client = 9, .number = i + 1};
        chain_add(&chain, &command, request, NULL, 0, headers[i]);
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
        cmocka_unit_test(keys_are_distinct_even_when_they_are_short),
        cmocka_unit_test(values_cannot_be_compressed),
        cmocka_unit_test(nothing_is_written_beyond_the_write_set),
        cmocka_unit_test(shapes_beyond_the_limits_are_refused),
        cmocka_unit_test(a_damaged_write_set_is_not_read_beyond_its_end),
        cmocka_unit_test(any_changed_bit_changes_the_digest_of_a_write_set),
        cmocka_unit_test(blocks_hold_together),
        cmocka_unit_test(a_changed_block_does_not_fit_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
