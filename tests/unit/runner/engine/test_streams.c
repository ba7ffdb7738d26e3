/* The pure parts that take the engine's streams apart, fed in pieces of every size. */

#include "lib/text.h"
#include "runner/engine/build_output.h"
#include "runner/engine/json_lines.h"
#include "runner/engine/log_lines.h"
#include "runner/engine/stdcopy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct record {
    struct buffer text;
    int stop_after; /* items; 0: never */
    int items;
};

static int stop_or_go(struct record *r) {
    return r->stop_after && ++r->items >= r->stop_after;
}

/* ---- JSON lines ---- */

static int record_line(void *arg, const char *line, size_t size, struct error *err) {
    (void)err;
    struct record *r = arg;
    buffer_text(&r->text, "<");
    buffer_append(&r->text, line, size);
    buffer_text(&r->text, ">");
    return stop_or_go(r);
}

static void lines_are_found_whatever_the_pieces(void **state) {
    (void)state;
    static const char text[] = "{\"a\":1}\r\n\n  \n{\"b\":2}\n{}";
    for (size_t piece = 1; piece <= sizeof text; piece++) {
        struct error err = ERROR_NULL;
        struct record r = {0};
        struct json_lines lines;
        buffer_init(&r.text, 1000);
        json_lines_init(&lines, 100, record_line, &r);
        for (size_t at = 0; at < strlen(text); at += piece) {
            size_t n = strlen(text) - at < piece ? strlen(text) - at : piece;
            assert_int_equal(json_lines_push(&lines, text + at, n, &err), 0);
        }
        assert_string_equal(buffer_string(&r.text), "<{\"a\":1}><{\"b\":2}>");
        assert_int_equal(json_lines_end(&lines, &err), 0);
        assert_string_equal(buffer_string(&r.text), "<{\"a\":1}><{\"b\":2}><{}>");
        json_lines_deinit(&lines);
        buffer_deinit(&r.text);
    }
}

static void a_line_without_end_is_a_limit_error(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct record r = {0};
    cleanup(json_lines_deinit) struct json_lines lines;
    json_lines_init(&lines, 8, record_line, &r);
    assert_int_equal(json_lines_push(&lines, "12345678", 8, &err), 0);
    assert_int_equal(json_lines_push(&lines, "9", 1, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_string_equal(err.text, "a line of the answer is larger than 8 bytes");
}

static void who_has_seen_enough_lines_gets_no_more(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct record r = {.stop_after = 1};
    cleanup(json_lines_deinit) struct json_lines lines;
    buffer_init(&r.text, 1000);
    json_lines_init(&lines, 8, record_line, &r);
    assert_int_equal(json_lines_push(&lines, "1\n2\n", 4, &err), 1);
    assert_string_equal(buffer_string(&r.text), "<1>");
    buffer_deinit(&r.text);
}

/* ---- multiplexed streams ---- */

#define FRAME(stream, size) stream "\0\0\0\0\0\0" size

static int record_piece(void *arg, enum engine_stream stream, bool first, const char *data,
                        size_t size, struct error *err) {
    (void)err;
    struct record *r = arg;
    if (first)
        buffer_format(&r->text, "|%d:", (int)stream);
    buffer_append(&r->text, data, size);
    return stop_or_go(r);
}

static void frames_are_taken_apart_whatever_the_pieces(void **state) {
    (void)state;
    static const char text[] = FRAME("\1", "\3") "out" FRAME("\2", "\5") "error" FRAME("\1", "\0")
        FRAME("\0", "\2") "in" FRAME("\1", "\1") "\n";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct error err = ERROR_NULL;
        struct record r = {0};
        struct stdcopy s = {.on_piece = record_piece, .arg = &r};
        buffer_init(&r.text, 1000);
        for (size_t at = 0; at < sizeof text - 1; at += piece) {
            size_t n = sizeof text - 1 - at < piece ? sizeof text - 1 - at : piece;
            assert_int_equal(stdcopy_push(&s, text + at, n, &err), 0);
        }
        assert_int_equal(stdcopy_end(&s, &err), 0);
        assert_string_equal(buffer_string(&r.text), "|1:out|2:error|1:in|1:\n");
        buffer_deinit(&r.text);
    }
}

static void a_frame_cut_anywhere_is_an_error(void **state) {
    (void)state;
    static const char text[] = FRAME("\1", "\3") "out";
    for (size_t size = 1; size < sizeof text - 1; size++) {
        struct error err = ERROR_NULL;
        struct record r = {0};
        struct stdcopy s = {.on_piece = record_piece, .arg = &r};
        buffer_init(&r.text, 1000);
        assert_int_equal(stdcopy_push(&s, text, size, &err), 0);
        assert_int_equal(stdcopy_end(&s, &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
        buffer_deinit(&r.text);
    }
}

static void what_is_not_multiplexed_is_named(void **state) {
    (void)state;
    static const char *const texts[] = {"plain text of a terminal", "\4\0\0\0\0\0\0\1",
                                        "\1\0\0\1\0\0\0\1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error err = ERROR_NULL;
        struct stdcopy s = {.on_piece = record_piece};
        assert_int_equal(stdcopy_push(&s, texts[i], 8, &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_true(text_starts(err.text, "not a multiplexed stream: a frame begins with"));
    }
}

static void the_engines_own_error_stream_is_an_error(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct stdcopy s = {.on_piece = record_piece};
    static const char text[] = FRAME("\3", "\7") "oh\33 no\n";
    assert_int_equal(stdcopy_push(&s, text, 10, &err), 0);
    assert_int_equal(stdcopy_push(&s, text + 10, sizeof text - 11, &err), -1);
    assert_int_equal(err.kind, ERROR_REFUSED);
    assert_string_equal(err.text, "oh\\x1b no\n");

    /* However long it says it is, what is kept of it is bounded. */
    struct stdcopy huge = {.on_piece = record_piece};
    static const char header[] = "\3\0\0\0\377\377\377\377";
    char piece[4096];
    memset(piece, 'x', sizeof piece);
    assert_int_equal(stdcopy_push(&huge, header, 8, &err), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(stdcopy_push(&huge, piece, sizeof piece, &err), 0);
    assert_int_equal(huge.refusal_size, sizeof huge.refusal);
}

/* ---- log lines ---- */

static int record_log(void *arg, const struct engine_log_line *line, struct error *err) {
    (void)err;
    struct record *r = arg;
    assert_int_equal(line->data[line->size], '\0');
    buffer_format(&r->text, "%d[%s]%.*s%s\n", (int)line->stream, line->timestamp, (int)line->size,
                  line->data, line->partial ? "+" : "");
    return stop_or_go(r);
}

static void feed(struct log_lines *l, enum engine_stream stream, const char *text, size_t piece) {
    struct error err = ERROR_NULL;
    for (size_t at = 0; at < strlen(text); at += piece) {
        size_t n = strlen(text) - at < piece ? strlen(text) - at : piece;
        if (log_lines_piece(l, stream, at == 0, text + at, n, &err) < 0)
            fail_msg("%s", err.text);
    }
}

static void streams_become_lines_each_on_its_own(void **state) {
    (void)state;
    for (size_t piece = 1; piece < 20; piece++) {
        struct error err = ERROR_NULL;
        struct record r = {0};
        struct log_lines l;
        buffer_init(&r.text, 1000);
        log_lines_init(&l, 100, false, record_log, &r);
        feed(&l, ENGINE_STDOUT, "one\n\ntwo", piece);
        feed(&l, ENGINE_STDERR, "bad\nwor", piece);
        feed(&l, ENGINE_STDOUT, " and a half\nrest", piece);
        feed(&l, ENGINE_STDERR, "se\n", piece);
        assert_int_equal(log_lines_end(&l, &err), 0);
        assert_string_equal(buffer_string(&r.text),
                            "1[]one\n1[]\n2[]bad\n1[]two and a half\n2[]worse\n1[]rest\n");
        log_lines_deinit(&l);
        buffer_deinit(&r.text);
    }
}

static void a_line_stored_in_several_entries_keeps_its_first_timestamp(void **state) {
    (void)state;
    for (size_t piece = 1; piece < 40; piece++) {
        struct error err = ERROR_NULL;
        struct record r = {0};
        struct log_lines l;
        buffer_init(&r.text, 1000);
        log_lines_init(&l, 100, true, record_log, &r);
        feed(&l, ENGINE_STDOUT, "2026-11-20T13:00:01.000000001Z long ", piece);
        feed(&l, ENGINE_STDERR, "2026-11-20T13:00:02.000000001Z \n", piece);
        feed(&l, ENGINE_STDOUT, "2026-11-20T13:00:03.000000001Z line\n", piece);
        feed(&l, ENGINE_STDOUT, "2026-11-20T13:00:04.000000001Z end", piece);
        assert_int_equal(log_lines_end(&l, &err), 0);
        assert_string_equal(buffer_string(&r.text), "2[2026-11-20T13:00:02.000000001Z]\n"
                                                    "1[2026-11-20T13:00:01.000000001Z]long line\n"
                                                    "1[2026-11-20T13:00:04.000000001Z]end\n");
        log_lines_deinit(&l);
        buffer_deinit(&r.text);
    }
}

static void a_line_longer_than_the_maximum_comes_in_parts(void **state) {
    (void)state;
    for (size_t piece = 1; piece < 12; piece++) {
        struct error err = ERROR_NULL;
        struct record r = {0};
        struct log_lines l;
        buffer_init(&r.text, 1000);
        log_lines_init(&l, 4, false, record_log, &r);
        feed(&l, ENGINE_STDOUT, "123456789\n1234\nx", piece);
        assert_int_equal(log_lines_end(&l, &err), 0);
        assert_string_equal(buffer_string(&r.text), "1[]1234+\n1[]5678+\n1[]9\n1[]1234\n1[]x\n");
        log_lines_deinit(&l);
        buffer_deinit(&r.text);
    }
}

/* An entry of 16 KiB is followed by the next with the same timestamp; what only looks like it is
 * text. */
static void long_lines_of_a_terminal_are_joined(void **state) {
    (void)state;
    static const char stamp[] = "2026-11-20T13:00:01Z", *const rests[] = {
                                                            "2026-11-20T13:00:01Z end\n",
                                                            "2026-11-20T13:00:02Z end\n",
                                                            "2026-11-20\n", "\n", ""};
    for (size_t i = 0; i < sizeof rests / sizeof *rests; i++)
        for (size_t piece = 1; piece < 40; piece++) {
            struct error err = ERROR_NULL;
            struct record r = {0};
            struct log_lines l;
            cleanup(buffer_deinit) struct buffer text, wanted;
            buffer_init(&text, 100000);
            buffer_init(&wanted, 100000);
            buffer_init(&r.text, 100000);
            buffer_format(&text, "%s %0*d%s", stamp, LOG_ENTRY_SIZE, 7, rests[i]);
            buffer_format(&wanted, "1[%s]%0*d%s%s", stamp, LOG_ENTRY_SIZE, 7,
                          i == 0 ? "end\n" : rests[i], *rests[i] ? "" : "\n");
            log_lines_init(&l, 50000, true, record_log, &r);
            for (size_t at = 0; at < text.size; at += piece) {
                size_t n = text.size - at < piece ? text.size - at : piece;
                assert_int_equal(log_lines_push_raw(&l, text.data + at, n, &err), 0);
            }
            assert_int_equal(log_lines_end(&l, &err), 0);
            assert_string_equal(buffer_string(&r.text), buffer_string(&wanted));
            log_lines_deinit(&l);
            buffer_deinit(&r.text);
        }
}

static void a_terminal_has_one_stream_with_an_entry_per_line(void **state) {
    (void)state;
    static const char text[] = "2026-11-20T13:00:01Z one\r\n2026-11-20T13:00:02Z two";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct error err = ERROR_NULL;
        struct record r = {0};
        struct log_lines l;
        buffer_init(&r.text, 1000);
        log_lines_init(&l, 100, true, record_log, &r);
        for (size_t at = 0; at < strlen(text); at += piece) {
            size_t n = strlen(text) - at < piece ? strlen(text) - at : piece;
            assert_int_equal(log_lines_push_raw(&l, text + at, n, &err), 0);
        }
        assert_int_equal(log_lines_end(&l, &err), 0);
        assert_string_equal(buffer_string(&r.text),
                            "1[2026-11-20T13:00:01Z]one\r\n1[2026-11-20T13:00:02Z]two\n");
        log_lines_deinit(&l);
        buffer_deinit(&r.text);
    }
}

static void an_entry_without_its_timestamp_is_an_error(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct record r = {0};
    cleanup(log_lines_deinit) struct log_lines l;
    log_lines_init(&l, 1000, true, record_log, &r);
    static const char text[] = "thereisnotimestampinthislinewhichisquitelongthough";
    assert_int_equal(log_lines_piece(&l, ENGINE_STDOUT, true, text, strlen(text), &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
}

/* ---- output of builds ---- */

static int record_event(void *arg, const struct engine_build_event *e, struct error *err) {
    (void)err;
    static const char *const kinds[] = {"text", "status", "image", "error"};
    struct record *r = arg;
    buffer_format(&r->text, "%s(%s,%s,%s)", kinds[e->kind], e->text, e->id, e->progress);
    return 0;
}

#define ID "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void output_of_a_build_becomes_events(void **state) {
    (void)state;
    static const char *const lines[] = {
        "{\"stream\":\"Step 1/2 : FROM x\\n\"}",
        "{\"status\":\"Downloading\",\"id\":\"ab12\",\"progress\":\"[=> ]\",\"progressDetail\":{}}",
        "{\"status\":\"Pull complete\"}",
        "{\"aux\":{\"ID\":\"" ID "\"}}",
        "{\"aux\":{\"Other\":1}}",
        "{\"unknown\":true}",
        "{\"id\":\"moby.buildkit.trace\",\"aux\":\"\"}",
        ("{\"errorDetail\":{\"code\":7,\"message\":\"returned a \\u001b[1mcode: 7\\n\"},"
         "\"error\":\"short\"}"),
        "{\"error\":\"later\"}",
    };
    struct error err = ERROR_NULL;
    struct record r = {0};
    buffer_init(&r.text, 10000);
    cleanup(build_output_deinit) struct build_output out;
    build_output_init(&out, record_event, &r);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (build_output_line(&out, lines[i], strlen(lines[i]), &err) != 0)
            fail_msg("%s", err.text);
    assert_string_equal(buffer_string(&r.text),
                        "text(Step 1/2 : FROM x\n,,)status(Downloading,ab12,[=> ])"
                        "status(Pull complete,,)image(," ID ",)"
                        "error(returned a \x1b[1mcode: 7\n,,)error(later,,)");
    assert_string_equal(out.image_id, ID);
    assert_string_equal(out.failure, "returned a \\x1b[1mcode: 7");
    buffer_deinit(&r.text);
}

static void output_that_is_wrong_is_an_error(void **state) {
    (void)state;
    static const char *const lines[] = {
        "{\"stream\":5}",       "[]",          "\"x\"", "{\"aux\":{\"ID\":\"../../etc\"}}",
        "{\"aux\":{\"ID\":7}}", "{\"stream\"", "null",  "{\"error\":{}}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct error err = ERROR_NULL;
        cleanup(build_output_deinit) struct build_output out;
        build_output_init(&out, NULL, NULL);
        assert_int_equal(build_output_line(&out, lines[i], strlen(lines[i]), &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_string_equal(out.image_id, "");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_found_whatever_the_pieces),
        cmocka_unit_test(a_line_without_end_is_a_limit_error),
        cmocka_unit_test(who_has_seen_enough_lines_gets_no_more),
        cmocka_unit_test(frames_are_taken_apart_whatever_the_pieces),
        cmocka_unit_test(a_frame_cut_anywhere_is_an_error),
        cmocka_unit_test(what_is_not_multiplexed_is_named),
        cmocka_unit_test(the_engines_own_error_stream_is_an_error),
        cmocka_unit_test(streams_become_lines_each_on_its_own),
        cmocka_unit_test(a_line_stored_in_several_entries_keeps_its_first_timestamp),
        cmocka_unit_test(a_line_longer_than_the_maximum_comes_in_parts),
        cmocka_unit_test(a_terminal_has_one_stream_with_an_entry_per_line),
        cmocka_unit_test(long_lines_of_a_terminal_are_joined),
        cmocka_unit_test(an_entry_without_its_timestamp_is_an_error),
        cmocka_unit_test(output_of_a_build_becomes_events),
        cmocka_unit_test(output_that_is_wrong_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
