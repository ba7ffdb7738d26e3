/* Where reading a container's output goes on after a break. */

#include "lib/clock.h"
#include "runner/collect/log_mark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define AT(s) "2026-11-20T13:22:" s "Z"

static void timestamps_are_read_as_engines_write_them(void **state) {
    (void)state;
    const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"1970-01-01T00:00:01.000000002Z", 1000000002},
        {"1970-01-01T00:00:01Z", 1000000000},
        {"1970-01-01T00:00:01.5Z", 1500000000},
        {"1970-01-01T02:00:01.5+02:00", 1500000000},
        {"1969-12-31T23:00:01-01:00", 0},
        {"1970-01-01T00:00:01", 0},
        {"1970-01-01T00:00:01.5Zx", 0},
        {"1970-01-01T00:00:01+2", 0},
        {"yesterday", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(log_timestamp_ns(cases[i].text), cases[i].ns);
}

static void what_comes_again_is_dropped_and_what_is_new_is_taken(void **state) {
    (void)state;
    struct log_mark marks[2] = {{0}, {0}};
    assert_true(log_mark_take(&marks[0], AT("01.1")));
    assert_true(log_mark_take(&marks[0], AT("02.5")));
    assert_true(log_mark_take(&marks[0], AT("02.5"))); /* two lines within one nanosecond */
    log_marks_again(marks);
    assert_false(log_mark_take(&marks[0], AT("01.1")));
    assert_false(log_mark_take(&marks[0], AT("02.5")));
    assert_false(log_mark_take(&marks[0], AT("02.5")));
    assert_true(log_mark_take(&marks[0], AT("02.5"))); /* a third one */
    assert_true(log_mark_take(&marks[0], AT("03")));
    assert_true(log_mark_take(&marks[1], AT("01"))); /* the other stream never had a line */
}

static void a_second_break_starts_from_where_the_first_one_led_to(void **state) {
    (void)state;
    struct log_mark marks[2] = {{0}, {0}};
    assert_true(log_mark_take(&marks[0], AT("01")));
    log_marks_again(marks);
    assert_false(log_mark_take(&marks[0], AT("01")));
    log_marks_again(marks); /* broke again before anything new came */
    assert_false(log_mark_take(&marks[0], AT("01")));
    assert_true(log_mark_take(&marks[0], AT("01")));
    log_marks_again(marks);
    assert_false(log_mark_take(&marks[0], AT("01")));
    assert_false(log_mark_take(&marks[0], AT("01")));
    assert_true(log_mark_take(&marks[0], AT("04")));
}

static void lines_are_asked_for_from_before_the_earlier_mark(void **state) {
    (void)state;
    struct log_mark marks[2] = {{0}, {0}};
    assert_int_equal(log_marks_since(marks, NS_PER_SEC), 0);
    log_mark_take(&marks[1], AT("09"));
    assert_int_equal(log_marks_since(marks, NS_PER_SEC), log_timestamp_ns(AT("08")));
    log_mark_take(&marks[0], AT("05"));
    assert_int_equal(log_marks_since(marks, NS_PER_SEC), log_timestamp_ns(AT("04")));
}

static void without_timestamps_all_is_asked_for_and_counted(void **state) {
    (void)state;
    struct log_mark marks[2] = {{0}, {0}};
    assert_true(log_mark_take(&marks[0], ""));
    assert_true(log_mark_take(&marks[0], ""));
    assert_int_equal(log_marks_since(marks, NS_PER_SEC), 0);
    log_marks_again(marks);
    assert_false(log_mark_take(&marks[0], ""));
    assert_false(log_mark_take(&marks[0], ""));
    assert_true(log_mark_take(&marks[0], ""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timestamps_are_read_as_engines_write_them),
        cmocka_unit_test(what_comes_again_is_dropped_and_what_is_new_is_taken),
        cmocka_unit_test(a_second_break_starts_from_where_the_first_one_led_to),
        cmocka_unit_test(lines_are_asked_for_from_before_the_earlier_mark),
        cmocka_unit_test(without_timestamps_all_is_asked_for_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
