/* The histogram against its definition, and against sorted arrays of the same values. */

#include "lib/histogram.h"

#include "lib/cleanup.h"
#include "lib/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* xorshift64*: a fixed seed, so that a failure comes back. */
static uint64_t random_next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/* Spread over all magnitudes below 2^bits, as latencies are. */
static uint64_t random_value(uint64_t *state, unsigned bits) {
    return random_next(state) >> (64 - bits + random_next(state) % bits);
}

static int by_value(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void assert_near(double got, double want, double share) {
    if (fabs(got - want) > share * fabs(want))
        fail_msg("%.17g is not %.17g within %g", got, want, share);
}

static void an_empty_histogram_says_zero(void **state) {
    (void)state;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, HISTOGRAM_HOUR_NS);
    assert_int_equal(h.count, 0);
    assert_int_equal(histogram_min(&h), 0);
    assert_int_equal(histogram_max(&h), 0);
    assert_true(histogram_mean(&h) == 0);
    assert_int_equal(histogram_percentile(&h, 99.9), 0);
    struct histogram_cursor at = HISTOGRAM_CURSOR_NULL;
    assert_false(histogram_next(&h, &at));
}

/* The figures of HdrHistogram's own tests (equivalent values with three digits). */
static void equivalent_values_are_those_of_hdrhistogram(void **state) {
    (void)state;
    assert_int_equal(histogram_lowest_equivalent(10007), 10000);
    assert_int_equal(histogram_lowest_equivalent(10009), 10008);
    assert_int_equal(histogram_highest_equivalent(8180), 8183);
    assert_int_equal(histogram_highest_equivalent(8187), 8187);
    assert_int_equal(histogram_highest_equivalent(8191), 8191);
    assert_int_equal(histogram_highest_equivalent(8193), 8199);
    assert_int_equal(histogram_highest_equivalent(9995), 9999);
    assert_int_equal(histogram_highest_equivalent(10007), 10007);
    assert_int_equal(histogram_highest_equivalent(10008), 10015);
    assert_int_equal(histogram_median_equivalent(4), 4);
    assert_int_equal(histogram_median_equivalent(4000), 4001);
    assert_int_equal(histogram_median_equivalent(8000), 8002);
    assert_int_equal(histogram_median_equivalent(10007), 10004);
}

static void every_value_is_found_within_a_thousandth(void **state) {
    (void)state;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, UINT64_C(1) << 62);
    uint64_t seed = 0x9e3779b97f4a7c15;
    size_t before = 0;
    for (uint64_t value = 0; value < 70000; value++) { /* no hole and no overlap between buckets */
        size_t index = histogram_index(value);
        assert_true(index == before || index == before + 1);
        before = index;
    }
    for (int i = 0; i < 200000; i++) {
        uint64_t value = random_value(&seed, 62);
        uint64_t lowest = histogram_lowest_equivalent(value);
        uint64_t highest = histogram_highest_equivalent(value);
        assert_true(lowest <= value && value <= highest);
        assert_true(highest - lowest <= value / 1000);
        assert_int_equal(histogram_index(lowest), histogram_index(highest));
        assert_true(histogram_index(highest) < h.counts_size);
        assert_int_equal(histogram_index(highest + 1), histogram_index(value) + 1);
    }
}

static void check_against_sorted(const uint64_t *sorted, size_t count, const struct histogram *h) {
    static const double percentiles[] = {1e-9, 1,    10,    25,     50,      75, 90,
                                         99,   99.9, 99.99, 99.999, 99.9999, 100};
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++) {
        double rank = ceil(nextafter(percentiles[i], 0) * (double)count / 100.0);
        size_t nth = rank < 1 ? 1 : (size_t)rank;
        assert_int_equal(histogram_percentile(h, percentiles[i]),
                         histogram_highest_equivalent(sorted[nth - 1]));
    }
    assert_int_equal(histogram_percentile(h, 0), histogram_lowest_equivalent(sorted[0]));
    assert_int_equal(histogram_min(h), histogram_lowest_equivalent(sorted[0]));
    assert_int_equal(histogram_max(h), histogram_highest_equivalent(sorted[count - 1]));
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)sorted[i];
    assert_near(histogram_mean(h), sum / (double)count, 0.0005);
}

static void percentiles_are_those_of_the_sorted_values(void **state) {
    (void)state;
    static const size_t counts[] = {1, 2, 3, 10, 99, 100, 101, 1000, 9999, 100000};
    for (size_t n = 0; n < sizeof counts / sizeof *counts; n++) {
        uint64_t seed = 42 + n;
        size_t count = counts[n];
        cleanup_free uint64_t *values = mem_new_array(uint64_t, count);
        cleanup(histogram_deinit) struct histogram h;
        histogram_init(&h, HISTOGRAM_HOUR_NS);
        for (size_t i = 0; i < count; i++) {
            values[i] = random_value(&seed, 41);
            histogram_record(&h, values[i]);
        }
        qsort(values, count, sizeof *values, by_value);
        check_against_sorted(values, count, &h);
        assert_int_equal(h.clamped, 0);
        assert_int_equal(histogram_count_to(&h, UINT64_MAX), count);
    }
}

/* 99.9 % of 1,000 records is the 999th, although 99.9 is not a binary fraction. */
static void a_percentile_asks_for_no_record_too_many(void **state) {
    (void)state;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, HISTOGRAM_HOUR_NS);
    for (uint64_t i = 1; i <= 1000; i++)
        histogram_record(&h, i);
    assert_int_equal(histogram_percentile(&h, 50), 500);
    assert_int_equal(histogram_percentile(&h, 99.9), 999);
    assert_int_equal(histogram_percentile(&h, 99.99), 1000);
    assert_int_equal(histogram_count_to(&h, 500), 500);
    assert_true(histogram_mean(&h) == 500.5);
}

static void values_above_the_maximum_are_clamped_and_counted(void **state) {
    (void)state;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, 1000);
    histogram_record(&h, 1000);
    assert_int_equal(h.clamped, 0);
    histogram_record(&h, 1001);
    histogram_record(&h, UINT64_MAX);
    assert_int_equal(h.clamped, 2);
    assert_int_equal(h.count, 3);
    assert_int_equal(histogram_max(&h), 1000);
    assert_int_equal(histogram_percentile(&h, 100), 1000);
    histogram_clear(&h);
    assert_int_equal(h.clamped, 0);
    assert_int_equal(histogram_max(&h), 0);
}

static void a_sum_is_the_histogram_of_all_records(void **state) {
    (void)state;
    struct histogram all, sum, parts[3];
    histogram_init(&all, HISTOGRAM_HOUR_NS);
    histogram_init(&sum, HISTOGRAM_HOUR_NS);
    uint64_t seed = 7;
    for (int p = 0; p < 3; p++) {
        histogram_init(&parts[p], p == 1 ? HISTOGRAM_HOUR_NS / 1000 : HISTOGRAM_HOUR_NS);
        for (int i = 0; i < 10000; i++) {
            uint64_t value = random_value(&seed, p == 1 ? 30 : 41);
            histogram_record(&parts[p], value);
            histogram_record(&all, value);
        }
        histogram_add(&sum, &parts[p]);
    }
    assert_int_equal(sum.count, all.count);
    assert_int_equal(sum.clamped, all.clamped);
    assert_int_equal(histogram_min(&sum), histogram_min(&all));
    assert_int_equal(histogram_max(&sum), histogram_max(&all));
    assert_memory_equal(sum.counts, all.counts, all.counts_size * sizeof *all.counts);
    for (int p = 0; p < 3; p++)
        histogram_deinit(&parts[p]);
    histogram_deinit(&sum);
    histogram_deinit(&all);
}

static void adding_a_wider_histogram_clamps_once(void **state) {
    (void)state;
    struct histogram narrow, wide;
    histogram_init(&narrow, 1000);
    histogram_init(&wide, 1000000);
    histogram_record(&wide, 10);
    histogram_record(&wide, 5000);
    histogram_record(&wide, 2000000); /* clamped there already */
    histogram_add(&narrow, &wide);
    assert_int_equal(narrow.count, 3);
    assert_int_equal(narrow.clamped, 2);
    assert_int_equal(histogram_min(&narrow), 10);
    assert_int_equal(histogram_max(&narrow), 1000);
    histogram_deinit(&wide);
    histogram_deinit(&narrow);
}

static void a_walk_meets_every_count_in_order(void **state) {
    (void)state;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, HISTOGRAM_HOUR_NS);
    uint64_t seed = 3, counted = 0, before = 0;
    for (int i = 0; i < 5000; i++)
        histogram_record(&h, random_value(&seed, 41));
    struct histogram_cursor at = HISTOGRAM_CURSOR_NULL;
    while (histogram_next(&h, &at)) {
        assert_true(at.lowest >= before && at.lowest <= at.highest && at.count > 0);
        before = at.highest + 1;
        counted += at.count;
        assert_int_equal(at.count_to, counted);
        assert_int_equal(histogram_count_to(&h, at.lowest), counted);
    }
    assert_int_equal(counted, h.count);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_histogram_says_zero),
        cmocka_unit_test(equivalent_values_are_those_of_hdrhistogram),
        cmocka_unit_test(every_value_is_found_within_a_thousandth),
        cmocka_unit_test(percentiles_are_those_of_the_sorted_values),
        cmocka_unit_test(a_percentile_asks_for_no_record_too_many),
        cmocka_unit_test(values_above_the_maximum_are_clamped_and_counted),
        cmocka_unit_test(a_sum_is_the_histogram_of_all_records),
        cmocka_unit_test(adding_a_wider_histogram_clamps_once),
        cmocka_unit_test(a_walk_meets_every_count_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
