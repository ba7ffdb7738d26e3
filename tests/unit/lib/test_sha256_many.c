/* Hashes made side by side are those that are made one by one. */

#include "lib/sha256_many.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT_MAX = 40, SIZE_BYTES_MAX = 700 };

static uint64_t seed = 88172645463325252ULL;

static uint64_t random_next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void assert_same(const struct sha256_input *in, size_t count) {
    uint8_t out[COUNT_MAX + 1][SHA256_SIZE], expected[SHA256_SIZE];
    memset(out, 0xaa, sizeof out);
    sha256_many(in, count, out);
    for (size_t i = 0; i < count; i++) {
        sha256_of(in[i].data, in[i].size, expected);
        assert_memory_equal(out[i], expected, SHA256_SIZE);
    }
    for (size_t i = 0; i < SHA256_SIZE; i++)
        assert_int_equal(out[count][i], 0xaa);
    sha256_many_plain(in, count, out);
    for (size_t i = 0; i < count; i++) {
        sha256_of(in[i].data, in[i].size, expected);
        assert_memory_equal(out[i], expected, SHA256_SIZE);
    }
}

/* FIPS 180-4's own examples, four of each so that every lane has one. */
static void the_examples_of_the_standard_come_out(void **state) {
    (void)state;
    static const char *const texts[] = {"abc",
                                        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"};
    static const char *const digests[] = {
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"};
    for (size_t i = 0; i < 2; i++) {
        struct sha256_input in[4];
        uint8_t out[4][SHA256_SIZE];
        char hex[2 * SHA256_SIZE + 1];
        for (size_t k = 0; k < 4; k++)
            in[k] = (struct sha256_input){texts[i], strlen(texts[i])};
        sha256_many(in, 4, out);
        for (size_t k = 0; k < 4; k++) {
            text_hex(out[k], SHA256_SIZE, hex);
            assert_string_equal(hex, digests[i]);
        }
    }
}

static void every_size_has_its_hash(void **state) {
    (void)state;
    uint8_t data[SIZE_BYTES_MAX];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)random_next();
    for (size_t size = 0; size + 3 < SIZE_BYTES_MAX; size++) {
        const struct sha256_input in[5] = {
            {data, size}, {data + 1, size}, {data + 2, size + 1}, {data + 3, size}, {NULL, 0}};
        assert_same(in, 5);
    }
}

static void inputs_of_different_sizes_do_not_disturb_one_another(void **state) {
    (void)state;
    uint8_t data[COUNT_MAX][SIZE_BYTES_MAX];
    struct sha256_input in[COUNT_MAX];
    for (size_t i = 0; i < COUNT_MAX; i++)
        for (size_t k = 0; k < SIZE_BYTES_MAX; k++)
            data[i][k] = (uint8_t)random_next();
    for (int round = 0; round < 300; round++) {
        size_t count = random_next() % (COUNT_MAX + 1);
        for (size_t i = 0; i < count; i++)
            in[i] = (struct sha256_input){data[i], random_next() % SIZE_BYTES_MAX};
        assert_same(in, count);
    }
}

static void pairs_are_hashes_of_64_bytes(void **state) {
    (void)state;
    uint8_t in[11][2 * SHA256_SIZE], out[12][SHA256_SIZE], expected[SHA256_SIZE];
    for (size_t count = 0; count <= 11; count++) {
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < sizeof in[i]; k++)
                in[i][k] = (uint8_t)random_next();
        memset(out, 0xaa, sizeof out);
        sha256_pairs((const uint8_t(*)[2 * SHA256_SIZE]) in, count, out);
        for (size_t i = 0; i < count; i++) {
            sha256_of(in[i], sizeof in[i], expected);
            assert_memory_equal(out[i], expected, SHA256_SIZE);
        }
        assert_int_equal(out[count][0], 0xaa);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_standard_come_out),
        cmocka_unit_test(every_size_has_its_hash),
        cmocka_unit_test(inputs_of_different_sizes_do_not_disturb_one_another),
        cmocka_unit_test(pairs_are_hashes_of_64_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
