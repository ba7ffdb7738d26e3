/* The V2 encoding: byte by byte where it matters, there and back, and against hostile bytes. */

#include "lib/hdr_encoding.h"

#include "lib/cleanup.h"
#include "lib/deflate.h"
#include "lib/memory.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* xorshift64*: a fixed seed, so that a failure comes back. */
static uint64_t random_next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static void assert_same(const struct histogram *a, const struct histogram *b) {
    assert_int_equal(a->count, b->count);
    assert_int_equal(histogram_min(a), histogram_min(b));
    assert_int_equal(histogram_max(a), histogram_max(b));
    assert_int_equal(a->counts_size, b->counts_size);
    assert_memory_equal(a->counts, b->counts, a->counts_size * sizeof *a->counts);
}

static void put_u32(struct buffer *out, uint32_t number) {
    number = htobe32(number);
    buffer_append(out, &number, sizeof number);
}

static void put_u64(struct buffer *out, uint64_t number) {
    number = htobe64(number);
    buffer_append(out, &number, sizeof number);
}

/* A header as any writer may make it, in front of `size` bytes of counts. */
static void put(struct buffer *out, uint32_t digits, uint64_t lowest, uint64_t highest,
                const void *counts, size_t size) {
    buffer_init(out, HDR_ENCODED_SIZE_MAX);
    put_u32(out, 0x1c849313);
    put_u32(out, (uint32_t)size);
    put_u32(out, 0);
    put_u32(out, digits);
    put_u64(out, lowest);
    put_u64(out, highest);
    put_u64(out, UINT64_C(0x3ff0000000000000));
    buffer_append(out, counts, size);
}

static void refuse(const void *data, size_t size, enum error_kind kind, const char *text) {
    struct error err = ERROR_NULL;
    cleanup(histogram_deinit) struct histogram into, before;
    histogram_init(&into, HISTOGRAM_HOUR_NS);
    histogram_init(&before, HISTOGRAM_HOUR_NS);
    histogram_record(&into, 7);
    histogram_record(&before, 7);
    assert_int_equal(hdr_decode(data, size, &into, &err), -1);
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, text))
        fail_msg("'%s' does not say '%s'", err.text, text);
    assert_same(&into, &before);
}

static void refuse_put(uint32_t digits, uint64_t lowest, uint64_t highest, const void *counts,
                       size_t size, enum error_kind kind, const char *text) {
    cleanup(buffer_deinit) struct buffer encoded;
    put(&encoded, digits, lowest, highest, counts, size);
    refuse(encoded.data, encoded.size, kind, text);
}

static void a_small_histogram_is_encoded_byte_by_byte(void **state) {
    (void)state;
    /* clang-format off */
    static const unsigned char wanted[] = {
        0x1c, 0x84, 0x93, 0x13, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 3, /* cookie, size, offset, digits */
        0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0xe8, /* from 1 to 1,000 */
        0x3f, 0xf0, 0, 0, 0, 0, 0, 0, /* times 1.0 */
        0, 2, 7, 0x80, 1, 4, /* 0, 1, four zeros, 64, 2 */
    };
    /* clang-format on */
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, 1000);
    histogram_record_many(&h, 1, 1);
    histogram_record_many(&h, 6, 64);
    histogram_record_many(&h, 7, 2);
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, HDR_ENCODED_SIZE_MAX);
    hdr_encode(&h, &out);
    assert_int_equal(out.size, sizeof wanted);
    assert_memory_equal(out.data, wanted, sizeof wanted);
}

static void check_round_trip(const struct histogram *h) {
    for (int compressed = 0; compressed < 2; compressed++) {
        struct error err = ERROR_NULL;
        cleanup(buffer_deinit) struct buffer out;
        buffer_init(&out, HDR_ENCODED_SIZE_MAX);
        (compressed ? hdr_encode_compressed : hdr_encode)(h, &out);
        assert_false(out.overflowed);
        cleanup(histogram_deinit) struct histogram again;
        histogram_init(&again, h->value_max);
        if (hdr_decode(out.data, out.size, &again, &err) < 0)
            fail_msg("%s", err.text);
        assert_same(h, &again);
        assert_int_equal(again.clamped, 0);
    }
}

static void what_is_encoded_comes_out_again(void **state) {
    (void)state;
    static const uint64_t maxima[] = {2, 1000, 2048, 4095, HISTOGRAM_HOUR_NS, UINT64_C(1) << 62};
    uint64_t seed = 99;
    for (size_t m = 0; m < sizeof maxima / sizeof *maxima; m++) {
        cleanup(histogram_deinit) struct histogram h;
        histogram_init(&h, maxima[m]);
        check_round_trip(&h);
        for (int i = 0; i < 3000; i++) {
            uint64_t value = random_next(&seed) >> (random_next(&seed) % 64);
            histogram_record_many(&h, value % (maxima[m] + 1), 1 + random_next(&seed) % 200);
        }
        check_round_trip(&h);
        histogram_record_many(&h, maxima[m], INT64_MAX - h.count); /* a count of nine bytes */
        check_round_trip(&h);
    }
}

static void even_the_fullest_histogram_fits(void **state) {
    (void)state;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, UINT64_C(1) << 62);
    uint64_t seed = 5;
    struct histogram_cursor at = HISTOGRAM_CURSOR_NULL;
    for (uint64_t value = 0; value <= h.value_max; value = histogram_highest_equivalent(value) + 1)
        histogram_record_many(&h, value, random_next(&seed) >> 18);
    assert_true(histogram_next(&h, &at));
    check_round_trip(&h);
}

static void decoding_adds_and_clamps_as_a_sum_does(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(histogram_deinit) struct histogram wide, sum;
    histogram_init(&wide, HISTOGRAM_HOUR_NS);
    histogram_init(&sum, 1000000);
    histogram_record(&sum, 10);
    histogram_record(&wide, 10);
    histogram_record_many(&wide, 5000000, 3);
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, HDR_ENCODED_SIZE_MAX);
    hdr_encode_compressed(&wide, &out);
    assert_int_equal(hdr_decode(out.data, out.size, &sum, &err), 0);
    assert_int_equal(sum.count, 5);
    assert_int_equal(sum.clamped, 3);
    assert_int_equal(histogram_count_to(&sum, 10), 2);
    assert_int_equal(histogram_max(&sum), histogram_highest_equivalent(1000000));
}

static void other_layouts_are_read_where_nothing_is_blurred(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, HISTOGRAM_HOUR_NS);
    cleanup(buffer_deinit) struct buffer encoded;

    /* Two digits: single values up to 255, and then pairs. 255 zeros, and a 1: value 255. */
    put(&encoded, 2, 1, 1000000, "\xfd\x03\x02", 3);
    assert_int_equal(hdr_decode(encoded.data, encoded.size, &h, &err), 0);
    assert_int_equal(histogram_max(&h), 255);
    refuse_put(2, 1, 1000000, "\xff\x03\x02", 3, ERROR_INVALID, "cannot tell 256 from 257");
    buffer_deinit(&encoded);

    /* A resolution of 1,024 blurs what is small, and nothing above two million. */
    refuse_put(3, 1024, HISTOGRAM_HOUR_NS, "\x00\x02", 2, ERROR_INVALID,
               "cannot tell 1024 from 2047");
    put(&encoded, 3, 1024, HISTOGRAM_HOUR_NS, "\xff\x0f\x02", 3); /* 1,024 zeros */
    assert_int_equal(hdr_decode(encoded.data, encoded.size, &h, &err), 0);
    assert_int_equal(histogram_max(&h), 1024 * 1024 + 1023);
    buffer_deinit(&encoded);

    /* Five digits know 200,000 from 200,001; ours does not, and counts both. */
    put(&encoded, 5, 1, HISTOGRAM_HOUR_NS, "\xff\xb4\x18\x02\x02", 5);
    histogram_clear(&h);
    assert_int_equal(hdr_decode(encoded.data, encoded.size, &h, &err), 0);
    assert_int_equal(h.count, 2);
    assert_int_equal(histogram_min(&h), histogram_lowest_equivalent(200000));
    assert_int_equal(histogram_max(&h), histogram_highest_equivalent(200001));
}

/* The last index of the widest range that the format can say. */
static void the_ends_of_a_range_are_exact(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, UINT64_C(1) << 62);
    cleanup(buffer_deinit) struct buffer encoded;
    /* (53 + 1) * 1,024 counts: all but one are zero. */
    put(&encoded, 3, 1, INT64_MAX, "\xfd\xdf\x06\x02", 4);
    assert_int_equal(hdr_decode(encoded.data, encoded.size, &h, &err), 0);
    assert_int_equal(h.clamped, 1);
    refuse_put(3, 1, INT64_MAX, "\xff\xdf\x06\x02", 4, ERROR_INVALID, "more counts than its range");
    refuse_put(3, 1, INT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9, ERROR_INVALID,
               "more counts than its range");
}

static void headers_that_cannot_be_are_refused(void **state) {
    (void)state;
    refuse_put(6, 1, 1000, "", 0, ERROR_INVALID, "6 significant digits");
    refuse_put(3, 0, 1000, "", 0, ERROR_INVALID, "from 0 to 1000: not a range");
    refuse_put(3, 600, 1000, "", 0, ERROR_INVALID, "not a range");
    refuse_put(3, 1, UINT64_C(1) << 63, "", 0, ERROR_INVALID, "not a range");
    refuse_put(3, UINT64_C(1) << 52, INT64_MAX, "", 0, ERROR_INVALID, "no room for 3 significant");
    refuse("", 0, ERROR_INVALID, "cut off");
    refuse("\x1c\x84\x93\x13\0\0\0\0", 8, ERROR_INVALID, "cut off");

    cleanup(buffer_deinit) struct buffer encoded;
    put(&encoded, 3, 1, 1000, "\x02", 1);
    refuse(encoded.data, encoded.size - 1, ERROR_INVALID,
           "0 bytes of counts that claims to have 1");
    encoded.data[32] = 0x40;
    refuse(encoded.data, encoded.size, ERROR_INVALID, "scaled");
}

static void other_encodings_are_refused_by_name(void **state) {
    (void)state;
    refuse("\x1c\x84\x93\x08\0\0\0\0", 8, ERROR_INVALID, "in V0 encoding");
    refuse("\x1c\x84\x93\x29\0\0\0\0", 8, ERROR_INVALID, "in V0 encoding");
    refuse("\x1c\x84\x93\x01\0\0\0\0", 8, ERROR_INVALID, "in V1 encoding");
    refuse("\x1c\x84\x93\x42\0\0\0\0", 8, ERROR_INVALID, "in V1 encoding");
    refuse("\x0c\x72\x12\x4e\0\0\0\0", 8, ERROR_INVALID, "DoubleHistogram");
    refuse("\x0c\x72\x12\x4f\0\0\0\0", 8, ERROR_INVALID, "DoubleHistogram");
    refuse("a picture", 9, ERROR_INVALID, "begins with 61207069");
}

static void counts_that_cannot_be_are_refused(void **state) {
    (void)state;
    refuse_put(3, 1, 1000, "\x02\x80", 2, ERROR_INVALID, "counts of a histogram are cut off");
    refuse_put(3, 1, 1000, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, ERROR_INVALID, "cut off");
    /* 2^63 - 1, and three times 2^62 - 1; one more record is in the histogram already. */
    refuse_put(3, 1, 1000, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff", 9, ERROR_LIMIT, "2^63 - 1");
#define BIG "\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"
    refuse_put(3, 1, 1000, BIG BIG BIG, 27, ERROR_LIMIT, "2^63 - 1");
#undef BIG
}

static void a_bomb_in_a_compressed_histogram_is_refused(void **state) {
    (void)state;
    cleanup_free char *zeros = mem_zero(1, HDR_ENCODED_SIZE_MAX + 1);
    cleanup(buffer_deinit) struct buffer stream, out;
    buffer_init(&stream, HDR_ENCODED_SIZE_MAX);
    buffer_init(&out, HDR_ENCODED_SIZE_MAX);
    deflate_pack(zeros, HDR_ENCODED_SIZE_MAX + 1, &stream);
    put_u32(&out, 0x1c849314);
    put_u32(&out, (uint32_t)stream.size);
    buffer_append(&out, stream.data, stream.size);
    refuse(out.data, out.size, ERROR_LIMIT, "more than 4194304 bytes");
    out.data[7]++;
    refuse(out.data, out.size, ERROR_INVALID, "claims to have");
}

static void a_damaged_histogram_never_adds_a_part(void **state) {
    (void)state;
    uint64_t seed = 1234;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, HISTOGRAM_HOUR_NS);
    for (int i = 0; i < 1000; i++)
        histogram_record(&h, random_next(&seed) >> 24);
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, HDR_ENCODED_SIZE_MAX);
    hdr_encode_compressed(&h, &out);
    for (size_t i = 0; i < out.size; i++) {
        refuse(out.data, i, ERROR_INVALID, "");
        char kept = out.data[i];
        out.data[i] = (char)(kept ^ (1 << (i % 8)));
        struct error err = ERROR_NULL;
        cleanup(histogram_deinit) struct histogram into;
        histogram_init(&into, HISTOGRAM_HOUR_NS);
        if (hdr_decode(out.data, out.size, &into, &err) == 0) /* unused bits, the word size */
            assert_same(&h, &into);
        else
            assert_int_equal(into.count, 0);
        out.data[i] = kept;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_histogram_is_encoded_byte_by_byte),
        cmocka_unit_test(what_is_encoded_comes_out_again),
        cmocka_unit_test(even_the_fullest_histogram_fits),
        cmocka_unit_test(decoding_adds_and_clamps_as_a_sum_does),
        cmocka_unit_test(other_layouts_are_read_where_nothing_is_blurred),
        cmocka_unit_test(the_ends_of_a_range_are_exact),
        cmocka_unit_test(headers_that_cannot_be_are_refused),
        cmocka_unit_test(other_encodings_are_refused_by_name),
        cmocka_unit_test(counts_that_cannot_be_are_refused),
        cmocka_unit_test(a_bomb_in_a_compressed_histogram_is_refused),
        cmocka_unit_test(a_damaged_histogram_never_adds_a_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
