/* The lines of output.log: times, streams, pieces, gaps. */

#include "lib/clock.h"
#include "runner/collect/log_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define AT "2026-11-20T13:22:00.123456789Z"

static void times_are_read_as_engines_write_them(void **state) {
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
        {"2000-03-01T00:00:00Z", 951868800000000000},
        {"2024-02-29T12:00:00Z", 1709208000000000000},
        {"2026-11-20T13:22:00.1234567891Z", 1795180920123456789},
        {"1970-01-01T00:00:01", 0},
        {"1970-01-01T00:00:01.5Zx", 0},
        {"1970-01-01T00:00:01+2", 0},
        {"2300-01-01T00:00:00Z", 0},
        {"2026-13-01T00:00:00Z", 0},
        {"yesterday", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(log_time_ns(cases[i].text, strlen(cases[i].text)), cases[i].ns);
    for (size_t size = 0; size < strlen(AT); size++)
        assert_int_equal(log_time_ns(AT, size), 0);
}

static void a_record_is_written_as_it_is_read(void **state) {
    (void)state;
    static const struct {
        const char *line;
        enum log_kind kind;
        bool partial;
        const char *text;
    } cases[] = {
        {AT " stdout a line", LOG_STDOUT, false, "a line"},
        {AT " stderr ", LOG_STDERR, false, ""},
        {AT " stdout+ piece", LOG_STDOUT, true, "piece"},
        {AT " stderr+ piece", LOG_STDERR, true, "piece"},
        {AT " gap since " AT ": rotated", LOG_GAP, false, "since " AT ": rotated"},
        {AT " stdout", LOG_FOREIGN, false, AT " stdout"},
        {AT " stdin a line", LOG_FOREIGN, false, AT " stdin a line"},
        {"yesterday stdout a line", LOG_FOREIGN, false, "yesterday stdout a line"},
        {"a line of somebody who wrote into the file, and much longer than a time", LOG_FOREIGN,
         false, "a line of somebody who wrote into the file, and much longer than a time"},
        {"", LOG_FOREIGN, false, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log_record r;
        log_record_parse(cases[i].line, strlen(cases[i].line), &r);
        assert_int_equal(r.kind, cases[i].kind);
        assert_int_equal(r.partial, cases[i].partial);
        assert_int_equal(r.size, strlen(cases[i].text));
        assert_memory_equal(r.text, cases[i].text, r.size);
        if (r.kind == LOG_FOREIGN)
            continue;
        cleanup(buffer_deinit) struct buffer out;
        buffer_init(&out, 1000);
        log_record_append(&out, &r);
        assert_int_equal(out.size, strlen(cases[i].line) + 1);
        assert_memory_equal(out.data, cases[i].line, out.size - 1);
    }
}

static void records_that_differ_in_anything_have_different_hashes(void **state) {
    (void)state;
    static const char *const lines[] = {
        AT " stdout 12345678",
        AT " stdout 12345679",
        AT " stdout 1234567",
        AT " stdout 12345678 ",
        AT " stdout+ 12345678",
        AT " stderr 12345678",
        "2026-11-20T13:22:00.123456780Z stdout 12345678",
        AT " stdout ",
    };
    enum { COUNT = sizeof lines / sizeof *lines };
    uint64_t hashes[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        struct log_record r;
        log_record_parse(lines[i], strlen(lines[i]), &r);
        hashes[i] = log_record_hash(&r);
        assert_int_equal(hashes[i], log_record_hash(&r));
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(hashes[i], hashes[j]);
    }
}

static void a_gap_is_read_as_it_was_written(void **state) {
    (void)state;
    for (int i = 0; i < 2 * LOG_GAP_REASON_COUNT; i++) {
        struct log_gap gap = {1795180920123456789, 1795180921000000000,
                              (enum log_gap_reason)(i / 2), i % 2};
        struct log_gap again;
        struct log_record r;
        cleanup(buffer_deinit) struct buffer line;
        buffer_init(&line, 1000);
        log_gap_append(&line, &gap);
        log_record_parse(line.data, line.size - 1, &r);
        assert_true(log_gap_read(&r, &again));
        assert_int_equal(again.from_ns, gap.from_ns);
        assert_int_equal(again.to_ns, gap.to_ns);
        assert_int_equal(again.reason, gap.reason);
        assert_int_equal(again.perhaps, gap.perhaps);
    }
    static const char *const others[] = {AT " gap ", AT " gap since " AT,
                                         AT " gap since " AT ": whim", AT " gap since x: lost",
                                         AT " stdout since " AT ": lost"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct log_record r;
        struct log_gap gap;
        log_record_parse(others[i], strlen(others[i]), &r);
        assert_false(log_gap_read(&r, &gap));
    }
}

static void a_line_of_the_engine_needs_a_time(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct log_record r;
    struct engine_log_line line = {
        .stream = ENGINE_STDERR, .data = "x", .size = 1, .partial = true, .timestamp = AT};
    assert_int_equal(log_record_of_line(&line, &r, &err), 0);
    assert_int_equal(r.kind, LOG_STDERR);
    assert_true(r.partial);
    line.timestamp = "\x1b[2Jwhen";
    assert_int_equal(log_record_of_line(&line, &r, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_null(strchr(err.text, '\x1b'));
}

static void what_an_engine_gives_twice_is_one_line(void **state) {
    (void)state;
    static const struct {
        const char *line;
        bool repeats;
    } cases[] = {
        {AT " stdout one", false},
        {AT " stdout one", true},
        {AT " stderr one", false},
        {AT " stderr two", false},
        {"2026-11-20T13:22:00.123456790Z stderr two", false}, /* the same again, later */
        {"2026-11-20T13:22:00.123456790Z stderr two", true},
        {AT " stdout+ piece", false},
        {AT " stdout+ piece", false}, /* of a line that is long, and all the same */
        {AT " stdout piece", false},
        {"no time", false},
        {"no time", false},
    };
    struct log_previous previous = {.ns = 0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log_record r;
        log_record_parse(cases[i].line, strlen(cases[i].line), &r);
        assert_int_equal(log_record_repeats(&previous, &r), cases[i].repeats);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_as_engines_write_them),
        cmocka_unit_test(a_record_is_written_as_it_is_read),
        cmocka_unit_test(records_that_differ_in_anything_have_different_hashes),
        cmocka_unit_test(a_gap_is_read_as_it_was_written),
        cmocka_unit_test(a_line_of_the_engine_needs_a_time),
        cmocka_unit_test(what_an_engine_gives_twice_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
