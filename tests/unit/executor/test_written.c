/* What binds a write set: hashes, or what makes it. A lie is found either way, also one that fits
 * the checksum. */

#include "executor/written.h"

#include "executor/chain/checksum.h"
#include "executor/chain/pee.h"

#include "lib/cleanup.h"
#include "lib/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PEE = 1 };

static const uint8_t request[SHA256_SIZE] = {7};
static const struct command own_keys = {
    .client = 5, .number = 3, .key_count = 4, .key_size = 20, .value_size = 300};

/* A write set and the header that binds it. */
struct made {
    struct block_header header;
    uint8_t *bytes;
    size_t size;
};

static void made_deinit(struct made *m) {
    free(m->bytes);
}

static struct made make(const struct command *command, enum merkle merkle) {
    struct error err = ERROR_NULL;
    struct made m = {.header = block_of(command, request), .size = pee_write_set_size(command)};
    cleanup(write_set_deinit) struct write_set set;
    write_set_init(&set, 16);
    m.bytes = mem_alloc(m.size ? m.size : 1);
    pee_expand(command, m.bytes);
    m.header.maker = written_maker(&handler_pee, merkle);
    assert_int_equal(written_read(&set, m.header.maker, m.bytes, m.size, &err), 0);
    m.header.write_set_size = m.size;
    memcpy(m.header.write_set, set.digest, SHA256_SIZE);
    return m;
}

static int check(const struct made *m, struct error *err) {
    cleanup(write_set_deinit) struct write_set set;
    write_set_init(&set, 16);
    error_clear(err);
    int r = written_check(&set, &m->header, m->bytes, m->size, err);
    if (r == 0)
        assert_int_equal(set.count, m->header.key_count);
    return r;
}

static void expect_refused(const struct made *m, const char *why) {
    struct error err = ERROR_NULL;
    assert_int_equal(check(m, &err), -1);
    if (!strstr(err.text, why))
        fail_msg("'%s' instead of '%s'", err.text, why);
}

static void only_pee_without_a_tree_has_a_maker(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    const struct handler *kv;
    assert_int_equal(handler_find("kv", &kv, &err), 0);
    assert_int_equal(written_maker(&handler_pee, MERKLE_BASIC), PEE);
    assert_int_equal(written_maker(&handler_pee, MERKLE_BLOCK), 0);
    assert_int_equal(written_maker(&handler_pee, MERKLE_KEYS), 0);
    assert_int_equal(written_maker(kv, MERKLE_BASIC), 0);
    assert_ptr_equal(handler_of_maker(PEE), &handler_pee);
    assert_null(handler_of_maker(0));
    assert_null(handler_of_maker(2));
}

/* Whatever of a request the header does not have, changes nothing of what it writes. */
static void a_header_is_enough_to_make_a_write_set_again(void **state) {
    (void)state;
    static const uint8_t payload[] = "payload";
    struct command commands[] = {own_keys, own_keys, own_keys, own_keys};
    commands[1].key_space = 100;
    commands[1].first_key = 98;
    commands[1].read_count = 4;
    commands[2].execution_ms = 7;
    commands[2].payload = payload;
    commands[2].payload_size = sizeof payload;
    commands[3].key_count = 0;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct error err = ERROR_NULL;
        cleanup(made_deinit) struct made m = make(&commands[i], MERKLE_BASIC);
        const struct command again = block_command(&m.header);
        cleanup_free uint8_t *bytes = mem_alloc(m.size ? m.size : 1);
        assert_int_equal(pee_write_set_size(&again), m.size);
        pee_expand(&again, bytes);
        assert_memory_equal(bytes, m.bytes, m.size);
        if (check(&m, &err) < 0)
            fail_msg("%s", err.text);
    }
}

static void every_changed_bit_is_found(void **state) {
    (void)state;
    static const enum merkle all[] = {MERKLE_BASIC, MERKLE_KEYS};
    for (size_t k = 0; k < 2; k++) {
        struct error err = ERROR_NULL;
        cleanup(made_deinit) struct made m = make(&own_keys, all[k]);
        for (size_t bit = 0; bit < 8 * m.size; bit++) {
            m.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(check(&m, &err), -1);
            m.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t i = 0; i < SHA256_SIZE; i++) {
            m.header.write_set[i] ^= 1;
            expect_refused(&m, "its write set is not the one that its header names");
            m.header.write_set[i] ^= 1;
        }
        m.size -= own_keys.key_size;
        assert_int_equal(check(&m, &err), -1);
    }
}

/* What one lane of the checksum gets more, it gets less in the next step, rotated by 23. */
static void a_lie_that_fits_the_checksum_is_found(void **state) {
    (void)state;
    cleanup(made_deinit) struct made m = make(&own_keys, MERKLE_BASIC);
    uint8_t before[SHA256_SIZE], after[SHA256_SIZE];
    uint64_t a, b;
    size_t at = 64; /* within the first value */
    memcpy(&a, m.bytes + at, sizeof a);
    memcpy(&b, m.bytes + at + 64, sizeof b);
    a += 1;
    b -= UINT64_C(1) << 23;
    checksum_digest(m.bytes, m.size, before);
    memcpy(m.bytes + at, &a, sizeof a);
    memcpy(m.bytes + at + 64, &b, sizeof b);
    checksum_digest(m.bytes, m.size, after);
    assert_memory_equal(before, after, sizeof before);
    expect_refused(&m, "its write set is not the one that its header names");
}

static void a_header_that_nobody_could_have_made_is_refused(void **state) {
    (void)state;
    cleanup(made_deinit) struct made m = make(&own_keys, MERKLE_BASIC);
    const struct block_header good = m.header;
    m.header.maker = 77;
    expect_refused(&m, "its header names handler 77 as its maker, which is not known here");
    m.header = good;
    m.header.key_count = UINT32_MAX;
    expect_refused(&m, "its header: 4294967295 keys, at most 10000");
    m.header = good;
    m.header.value_size = UINT32_MAX;
    expect_refused(&m, "its header: values of 4294967295 bytes");
    m.header = good;
    m.header.key_size = 0;
    expect_refused(&m, "its header: keys of 0 bytes");
    m.header = good;
    m.header.key_count = 3;
    expect_refused(&m, "its write set is not the one that its header names");
    m.header = good;
    m.header.number++;
    expect_refused(&m, "its write set is not the one that its header names");
    m.header = good;
    m.header.maker = 0; /* it says that the checksum is a hash */
    expect_refused(&m, "its write set is not the one that its header names");
}

static void a_chain_with_a_tree_needs_hashes(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(made_deinit) struct made m = make(&own_keys, MERKLE_BASIC);
    assert_int_equal(written_fits(&m.header, MERKLE_BASIC, &err), 0);
    assert_int_equal(written_fits(&m.header, MERKLE_KEYS, &err), -1);
    assert_string_equal(err.text, "its write set is not hashed, as merkle keys needs it");
    m.header.maker = 0;
    error_clear(&err);
    assert_int_equal(written_fits(&m.header, MERKLE_KEYS, &err), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_pee_without_a_tree_has_a_maker),
        cmocka_unit_test(a_header_is_enough_to_make_a_write_set_again),
        cmocka_unit_test(every_changed_bit_is_found),
        cmocka_unit_test(a_lie_that_fits_the_checksum_is_found),
        cmocka_unit_test(a_header_that_nobody_could_have_made_is_refused),
        cmocka_unit_test(a_chain_with_a_tree_needs_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
