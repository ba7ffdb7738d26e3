/* zlib's door: what is packed comes out again; what is broken or too large does not. */

#include "lib/deflate.h"

#include "lib/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 200000 };

static unsigned char plain[SIZE];

static void fill(void) {
    uint32_t seed = 1;
    for (size_t i = 0; i < SIZE; i++) {
        seed = seed * 1664525 + 1013904223;
        plain[i] = (unsigned char)(seed >> 28);
    }
}

static void refuse(const void *data, size_t size, size_t size_max, enum error_kind kind,
                   const char *text) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, size_max);
    assert_int_equal(deflate_unpack(data, size, &out, &err), -1);
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, text))
        fail_msg("'%s' does not say '%s'", err.text, text);
}

static void what_is_packed_comes_out_again(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 16383, 16384, 16385, SIZE};
    fill();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct error err = ERROR_NULL;
        cleanup(buffer_deinit) struct buffer packed, out;
        buffer_init(&packed, SIZE);
        buffer_init(&out, sizes[i] + 3); /* exactly as large as it must be */
        buffer_text(&packed, "in front");
        buffer_text(&out, "abc");
        deflate_pack(plain, sizes[i], &packed);
        assert_false(packed.overflowed);
        assert_int_equal(deflate_unpack(packed.data + 8, packed.size - 8, &out, &err), 0);
        assert_int_equal(out.size, sizes[i] + 3);
        assert_memory_equal(out.data + 3, plain, sizes[i]);
    }
}

static void output_stays_within_the_buffer(void **state) {
    (void)state;
    fill();
    struct buffer packed, small;
    buffer_init(&packed, SIZE);
    buffer_init(&small, 1000);
    deflate_pack(plain, SIZE, &small);
    assert_true(small.overflowed);
    deflate_pack(plain, SIZE, &packed);
    refuse(packed.data, packed.size, SIZE - 1, ERROR_LIMIT, "more than 199999 bytes");
    refuse(packed.data, packed.size, 0, ERROR_LIMIT, "more than 0 bytes");
    buffer_deinit(&packed);
    buffer_deinit(&small);
}

static void every_cut_and_any_rest_is_found(void **state) {
    (void)state;
    fill();
    struct buffer packed;
    buffer_init(&packed, SIZE);
    deflate_pack(plain, 300, &packed);
    for (size_t size = 0; size < packed.size; size++) {
        refuse(packed.data, size, 300, ERROR_INVALID, "compressed data is");
        refuse(packed.data, size, 1000, ERROR_INVALID, "cut off");
    }
    packed.data[packed.size - 1] ^= 1;
    refuse(packed.data, packed.size, 300, ERROR_INVALID, "damaged");
    refuse(packed.data, packed.size, 1000, ERROR_INVALID, "incorrect data check");
    packed.data[packed.size - 1] ^= 1;
    buffer_text(&packed, "rest");
    refuse(packed.data, packed.size, 1000, ERROR_INVALID, "4 bytes follow");
    refuse("not compressed", 14, 1000, ERROR_INVALID, "damaged");
    buffer_deinit(&packed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_comes_out_again),
        cmocka_unit_test(output_stays_within_the_buffer),
        cmocka_unit_test(every_cut_and_any_rest_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
