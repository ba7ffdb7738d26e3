/* output.log as a file: what is continued, and what is read from it. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/collect/log_file.h"
#include "runner/engine/log.h"
#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define AT(s) "2026-11-20T13:22:" s "Z"

static char *path_of(const char *name) {
    return text_format("%s/%s", folder_shared.path, name);
}

static struct log_record record(const char *line) {
    struct log_record r;
    log_record_parse(line, strlen(line), &r);
    return r;
}

static void what_is_there_is_counted_and_continued(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(log_file_deinit) struct log_file f = LOG_FILE_NULL;
    cleanup_free char *path = path_of("continued");
    static const char before[] = AT("01") " stdout one\n" AT("02") " stderr+ two\n" AT(
        "02") " stderr three\n" AT("03") " gap since " AT("02") ": rotated\n";
    folder_write(&folder_shared, "continued", before);
    assert_int_equal(log_file_open(&f, path, false, &err), 0);
    assert_true(f.continued);
    assert_int_equal(f.lines, 2);
    assert_int_equal(f.bytes, 11);
    assert_int_equal(f.gap_count, 1);
    assert_int_equal(f.gaps[0].reason, LOG_GAP_ROTATED);
    assert_int_equal(f.ns, log_time_ns(AT("02"), strlen(AT("02"))));
    struct log_record more = record(AT("04") " stdout four");
    assert_int_equal(log_file_add(&f, &more, &err), 0);
    assert_int_equal(log_file_flush(&f, &err), 0);
    assert_int_equal(f.lines, 3);
    cleanup_free char *text = folder_read(&folder_shared, "continued");
    cleanup_free char *wanted = text_format("%s%s stdout four\n", before, AT("04"));
    assert_string_equal(text, wanted);
    assert_int_equal(f.size, strlen(wanted));
    assert_true(log_file_is_there(&f));
    unlink(path);
    assert_false(log_file_is_there(&f));
}

static void a_record_that_was_cut_off_is_ended_or_dropped(void **state) {
    (void)state;
    static const char whole[] = AT("01") " stdout+ a line";
    for (size_t cut = 0; cut <= strlen(whole); cut++) {
        struct error err = ERROR_NULL;
        cleanup(log_file_deinit) struct log_file f = LOG_FILE_NULL;
        cleanup_free char *path = path_of("torn");
        cleanup_free char *text = text_format("%s stdout first\n%.*s", AT("00"), (int)cut, whole);
        folder_write(&folder_shared, "torn", text);
        assert_int_equal(log_file_open(&f, path, false, &err), 0);
        cleanup_free char *now = folder_read(&folder_shared, "torn");
        bool kept = cut >= strlen(AT("01") " stdout+ ");
        cleanup_free char *wanted = text_format("%s stdout first\n%.*s%s", AT("00"),
                                                kept ? (int)cut : 0, whole, kept ? "\n" : "");
        assert_string_equal(now, wanted);
        assert_int_equal(f.size, strlen(wanted));
    }
}

static void a_beginning_is_told_from_another_line(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(log_file_deinit) struct log_file f = LOG_FILE_NULL;
    cleanup_free char *path = path_of("beginning");
    folder_write(&folder_shared, "beginning", AT("01") " stdout a li\n");
    assert_int_equal(log_file_open(&f, path, false, &err), 0);
    cleanup(log_reader_deinit) struct log_reader reader;
    struct log_record ours;
    struct log_old old;
    log_reader_init(&reader, f.fd, path, 0, f.size);
    assert_int_equal(log_reader_next(&reader, &ours, &old, &err), 0);
    struct log_record line = record(AT("01") " stdout a line");
    struct log_record other = record(AT("01") " stdout a lover");
    struct log_record stderr_line = record(AT("01") " stderr a line");
    assert_int_equal(log_old_begins(f.fd, path, &old, &line, &err), 1);
    assert_int_equal(log_old_begins(f.fd, path, &old, &other, &err), 0);
    assert_int_equal(log_old_begins(f.fd, path, &old, &stderr_line, &err), 0);
    assert_int_equal(log_reader_next(&reader, &ours, &old, &err), 1);
}

/* A file that is no log of ours, or a line that somebody has put into it. */
static void what_is_too_long_comes_in_pieces_of_bounded_size(void **state) {
    (void)state;
    enum { SIZE = 3 * ENGINE_LOG_LINE_MAX };
    struct error err = ERROR_NULL;
    cleanup_free char *path = path_of("long");
    cleanup_free char *text = mem_zero(1, SIZE);
    memset(text, 'x', SIZE - 1);
    folder_write_mode(&folder_shared, "long", text, SIZE, 0644);
    cleanup(log_file_deinit) struct log_file f = LOG_FILE_NULL;
    assert_int_equal(log_file_open(&f, path, false, &err), 0);
    cleanup(log_reader_deinit) struct log_reader reader;
    struct log_record piece;
    struct log_old old;
    uint64_t at = 0;
    log_reader_init(&reader, f.fd, path, 0, f.size);
    while (log_reader_next(&reader, &piece, &old, &err) == 0) {
        assert_int_equal(old.offset, at);
        assert_int_equal(piece.kind, LOG_FOREIGN);
        at += old.size;
    }
    assert_int_equal(at, SIZE + 1);
    assert_true(reader.bytes.capacity <= 4 * ENGINE_LOG_LINE_MAX);
    cleanup(log_file_deinit) struct log_file copy = LOG_FILE_NULL;
    cleanup_free char *copy_path = path_of("copy");
    assert_int_equal(log_file_open(&copy, copy_path, true, &err), 0);
    log_reader_deinit(&reader);
    log_reader_init(&reader, f.fd, path, 0, f.size);
    while (log_reader_next(&reader, &piece, &old, &err) == 0)
        assert_int_equal(log_file_copy(&copy, &f, &old, &err), 0);
    assert_int_equal(copy.size, f.size);
}

static void a_place_is_in_front_of_all_of_its_time_and_later(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(log_file_deinit) struct log_file f = LOG_FILE_NULL;
    cleanup_free char *path = path_of("places");
    uint64_t offsets[600];
    assert_int_equal(log_file_open(&f, path, true, &err), 0);
    for (int i = 0; i < 600; i++) { /* a minute */
        cleanup_free char *line =
            text_format("2026-11-20T13:22:%02d.%dZ stdout line", i / 10, i % 10);
        struct log_record r = record(line);
        offsets[i] = f.size;
        assert_int_equal(log_file_add(&f, &r, &err), 0);
        for (int back = 0; back <= 20; back++) {
            uint64_t place = log_file_place(&f, f.ns - back * 100000000LL);
            int first = i - back < 0 ? 0 : i - back;
            assert_true(place <= offsets[first]);
            assert_true(first < 10 || place >= offsets[first - 10]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_is_counted_and_continued),
        cmocka_unit_test(a_record_that_was_cut_off_is_ended_or_dropped),
        cmocka_unit_test(a_beginning_is_told_from_another_line),
        cmocka_unit_test(what_is_too_long_comes_in_pieces_of_bounded_size),
        cmocka_unit_test(a_place_is_in_front_of_all_of_its_time_and_later),
    };
    return cmocka_run_group_tests(tests, folder_make_shared, folder_remove_shared);
}
