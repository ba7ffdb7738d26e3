/* Logs of several loads, put together: every value that was recorded is still there. */

#include "loader/logs.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/hdr_log.h"
#include "lib/hdr_merge.h"
#include "lib/text.h"
#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const int64_t epoch = INT64_C(1763650000000000000);

/* A log of `seconds` intervals from `start_ms` after the epoch: in each, `value` of each tag. */
static char *write_log(const struct folder *f, const char *name, int64_t start_ms, int seconds,
                       uint64_t value, const char *const *tags) {
    struct hdr_log_writer w;
    struct error err = ERROR_NULL;
    char *path = text_format("%s/%s", f->path, name);
    cleanup_fclose FILE *file = fopen(path, "we");
    hdr_log_writer_init(&w, hdr_log_file(file));
    int64_t start = epoch + start_ms * (int64_t)NS_PER_MS;
    assert_int_equal(hdr_log_begin(&w, NULL, (struct wall_time){start}, &err), 0);
    for (int s = 0; s < seconds; s++) {
        cleanup(histogram_deinit) struct histogram h;
        histogram_init(&h, HISTOGRAM_HOUR_NS);
        histogram_record(&h, value + (uint64_t)s);
        const struct wall_time from = {start + s * (int64_t)NS_PER_SEC};
        const struct wall_time to = {from.ns + (int64_t)NS_PER_SEC};
        for (int i = 0; tags[i]; i++)
            assert_int_equal(hdr_log_interval(&w, *tags[i] ? tags[i] : NULL, from, to, &h, &err),
                             0);
    }
    hdr_log_writer_deinit(&w);
    return path;
}

static struct hdr_log_sum sum_of(const char *path, const char *tag, struct histogram *ret) {
    struct hdr_log_sum sum = HDR_LOG_SUM_NULL;
    struct error err = ERROR_NULL;
    histogram_init(ret, HISTOGRAM_HOUR_NS);
    if (hdr_log_add(&sum, path, tag, ret, &err) < 0)
        fail_msg("%s", err.text);
    return sum;
}

static const char *const two_tags[] = {"", "from-send", NULL};

static void a_merged_log_has_all_values_second_by_second(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    cleanup_free char *a = write_log(&f, "a", 0, 3, 1000, two_tags);
    cleanup_free char *b = write_log(&f, "b", 400, 4, 500, two_tags);
    cleanup_free char *out = text_format("%s/out", f.path);
    assert_int_equal(logs_merge((const char *const[]){a, b}, 2, out, &err), 0);
    assert_false(folder_has(&f, "out.part"));
    for (int i = 0; two_tags[i]; i++) {
        cleanup(histogram_deinit) struct histogram h;
        struct hdr_log_sum sum = sum_of(out, *two_tags[i] ? two_tags[i] : NULL, &h);
        assert_int_equal(sum.intervals, 4); /* three of both, one of b alone */
        assert_int_equal(sum.start.ns, epoch);
        assert_int_equal(sum.end.ns, epoch + 4400 * (int64_t)NS_PER_MS);
        assert_int_equal(h.count, 7);
        assert_int_equal(histogram_min(&h), 500);
        assert_int_equal(histogram_percentile(&h, 50), 503);
        assert_int_equal(histogram_max(&h), 1002);
    }
}

static void refuse(void *context, const char *text) {
    (void)context;
    fail_msg("%s", text);
}

/* The hosts' clocks are ten seconds apart; what happened in one second is put into one. */
static void logs_by_different_clocks_are_shifted_before_they_are_merged(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    cleanup_free char *a = write_log(&f, "a", 0, 3, 1000, two_tags);
    cleanup_free char *b = write_log(&f, "b", 10000, 3, 500, two_tags);
    cleanup_free char *out = text_format("%s/out", f.path);
    const struct hdr_merge_log list[] = {{.path = a},
                                         {.path = b, .shift_ns = -10 * (int64_t)NS_PER_SEC}};
    const struct hdr_merge merge = {.logs = list, .count = 2, .warn = refuse};
    assert_int_equal(hdr_merge_write(&merge, "x", out, &err), 0);
    cleanup(histogram_deinit) struct histogram h;
    struct hdr_log_sum sum = sum_of(out, NULL, &h);
    assert_int_equal(sum.intervals, 3);
    assert_int_equal(sum.start.ns, epoch);
    assert_int_equal(h.count, 6);
}

/* Of one interval at that time, with the histogram of another log. */
static char *write_at(const struct folder *f, const char *name, const char *comment,
                      const char *times) {
    cleanup_free char *other = write_log(f, "other", 0, 1, 1000, (const char *const[]){"", NULL});
    cleanup_free char *text = folder_read(f, "other");
    cleanup_free char *log = text_format("%s%s,1.000,%s", comment, times, strrchr(text, ',') + 1);
    assert_non_null(other);
    folder_write(f, name, log);
    return text_format("%s/%s", f->path, name);
}

/* It counts from its own start, and so has no clock that could go wrong. */
static void a_log_without_a_date_is_not_shifted_before_1970(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    cleanup_free char *a = write_at(&f, "a", "", "0.000,1.000");
    cleanup_free char *out = text_format("%s/out", f.path);
    const struct hdr_merge_log list[] = {{.path = a, .shift_ns = -5 * (int64_t)NS_PER_MS}};
    const struct hdr_merge merge = {.logs = list, .count = 1, .warn = refuse};
    assert_int_equal(hdr_merge_write(&merge, "x", out, &err), 0);
    cleanup(histogram_deinit) struct histogram h;
    struct hdr_log_sum sum = sum_of(out, NULL, &h);
    assert_int_equal(sum.start.ns, 0);
    assert_int_equal(h.count, 1);
}

static void a_log_at_the_end_of_all_time_is_an_error(void **state) {
    (void)state;
    static const struct {
        const char *base, *times;
        int64_t shift_ns;
    } rows[] = {
        {"#[BaseTime: 5000000000.000 (seconds since epoch)]\n", "4223372036.854,0.000775", 0},
        {"", "9223372030.000,1.000", 10 * (int64_t)NS_PER_SEC}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleanup(folder_remove) struct folder f = folder_make();
        struct error err = ERROR_NULL;
        cleanup_free char *a = write_at(&f, "a", rows[i].base, rows[i].times);
        cleanup_free char *out = text_format("%s/out", f.path);
        const struct hdr_merge_log list[] = {{.path = a, .shift_ns = rows[i].shift_ns}};
        const struct hdr_merge merge = {.logs = list, .count = 1, .warn = refuse};
        assert_int_equal(hdr_merge_write(&merge, "x", out, &err), -1);
        assert_int_equal(err.kind, ERROR_LIMIT);
        assert_non_null(strstr(err.text, a));
    }
}

static void a_log_that_was_cut_counts_as_far_as_it_goes(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    cleanup(histogram_deinit) struct histogram h;
    cleanup_free char *a = write_log(&f, "a", 0, 3, 1000, two_tags);
    assert_non_null(a);
    cleanup_free char *text = folder_read(&f, "a");
    folder_write_mode(&f, "cut", text, strlen(text) - 20, 0644);
    cleanup_free char *cut = text_format("%s/cut", f.path);
    cleanup_free char *out = text_format("%s/out", f.path);
    assert_int_equal(logs_merge((const char *const[]){cut}, 1, out, &err), 0);
    assert_int_equal(sum_of(out, "from-send", &h).intervals, 2);
}

static void what_is_no_log_is_an_error_and_leaves_nothing(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    cleanup_free char *a = write_log(&f, "a", 0, 3, 1000, two_tags);
    cleanup_free char *bad = text_format("%s/bad", f.path);
    cleanup_free char *out = text_format("%s/out", f.path);
    folder_write(&f, "bad", "1.0,1.0,1.0,HISTgarbage\n2.0,1.0,1.0,HISTgarbage\n");
    assert_int_equal(logs_merge((const char *const[]){a, bad}, 2, out, &err), -1);
    assert_non_null(strstr(err.text, bad));
    assert_false(folder_has(&f, "out"));
    assert_false(folder_has(&f, "out.part"));
    err = ERROR_NULL;
    assert_int_equal(logs_merge((const char *const[]){a, "/nowhere/log"}, 2, out, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

static void too_many_tags_are_refused(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    const char *tags[HDR_TAGS_MAX + 2] = {NULL};
    char names[HDR_TAGS_MAX + 1][8];
    for (int i = 0; i <= HDR_TAGS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        tags[i] = names[i];
    }
    cleanup_free char *a = write_log(&f, "a", 0, 1, 1000, tags);
    assert_int_equal(logs_summarize((const char *const[]){a}, 1, stderr, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
}

static void a_summary_says_what_is_in_all_of_them(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    cleanup_free char *a = write_log(&f, "a", 0, 3, 1000, two_tags);
    cleanup_free char *b = write_log(&f, "b", 400, 4, 500, two_tags);
    assert_int_equal(logs_summarize((const char *const[]){a, b}, 2, to, &err), 0);
    fclose(to);
    const char *expected = "(no tag): 7 values in 7 intervals, 4.400 s from "
                           "2025-11-20T14:46:40.000000000Z\n"
                           "  min               500 ns\n"
                           "  p50               503 ns\n"
                           "  p90               1.0 µs\n"
                           "  p99               1.0 µs\n"
                           "  p99.9             1.0 µs\n"
                           "  p99.99            1.0 µs\n"
                           "  max               1.0 µs\n"
                           "  mean              715 ns\n"
                           "from-send: 7 values";
    if (!text_starts(text, expected))
        fail_msg("%s", text);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_merged_log_has_all_values_second_by_second),
        cmocka_unit_test(logs_by_different_clocks_are_shifted_before_they_are_merged),
        cmocka_unit_test(a_log_without_a_date_is_not_shifted_before_1970),
        cmocka_unit_test(a_log_at_the_end_of_all_time_is_an_error),
        cmocka_unit_test(a_log_that_was_cut_counts_as_far_as_it_goes),
        cmocka_unit_test(what_is_no_log_is_an_error_and_leaves_nothing),
        cmocka_unit_test(too_many_tags_are_refused),
        cmocka_unit_test(a_summary_says_what_is_in_all_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
