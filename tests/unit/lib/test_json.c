/* The door to jansson: what is refused, where errors point, and that building cannot fail. */

#include "lib/json.h"

#include "lib/cleanup.h"
#include "lib/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct json *parsed(const char *text) {
    struct error err = ERROR_NULL;
    struct json *v = NULL;
    if (json_parse(text, strlen(text), 0, &v, &err) < 0)
        fail_msg("%s", err.text);
    return v;
}

static void assert_refused(const char *text, size_t size, enum error_kind kind, const char *part) {
    struct error err = ERROR_NULL;
    struct json *v = NULL;
    assert_int_equal(json_parse(text, size, 0, &v, &err), -1);
    assert_null(v);
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, part))
        fail_msg("'%s' is not in '%s'", part, err.text);
}

static void an_error_says_line_and_column(void **state) {
    (void)state;
    const char text[] = "{\"a\": 1,\n \"b\": x}";
    assert_refused(text, strlen(text), ERROR_INVALID, "line 2, column 7");
}

static void what_is_not_strict_json_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,\"a\":2}",
        "[1] [2]",
        "\"a\\u0000b\"",
        "nul",
        "\"\xff\"",
        "123456789012345678901x",
        "01234567890123456789012",
        "[1e999, 18446744073709551615]",
        "NaN",
        "'a'",
        "// x\n1",
        "{\"a\\u0000b\":1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(texts[i], strlen(texts[i]), ERROR_INVALID, "line ");
    assert_refused("\"a\0b\"", 5, ERROR_INVALID, "line ");
}

static void integers_beyond_int64_are_reals_and_the_rest_stays_as_it_is(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(json_freep) struct json *v =
        parsed("{\"max\":18446744073709551615,\"big\":18446744073709549568,\"over\":"
               "123456789012345678901234567890,\"low\":-9223372036854775809,"
               "\"last\":9223372036854775807,\"least\":-9223372036854775808,\"half\":0.5,"
               "\"text\":\"18446744073709551615\\\"18446744073709551615\"}");
    uint64_t u;
    int64_t i;
    assert_int_equal(json_require_u64(v, "max", &u, &err), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(json_require_u64(v, "big", &u, &err), 0);
    assert_true(u == UINT64_C(18446744073709549568));
    assert_int_equal(json_require_u64(v, "over", &u, &err), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(json_require_int(v, "last", INT64_MIN, INT64_MAX, &i, &err), 0);
    assert_true(i == INT64_MAX);
    assert_int_equal(json_require_u64(v, "last", &u, &err), 0);
    assert_true(u == INT64_MAX);
    assert_int_equal(json_require_int(v, "least", INT64_MIN, INT64_MAX, &i, &err), 0);
    assert_true(i == INT64_MIN);
    assert_string_equal(json_text_or_null(json_member(v, "text")),
                        "18446744073709551615\"18446744073709551615");
    assert_int_equal(json_get_u64(v, "none", 7, &u, &err), 0);
    assert_true(u == 7);

    static const char *const not_u64[] = {"low", "least", "half", "text"};
    for (size_t n = 0; n < sizeof not_u64 / sizeof *not_u64; n++) {
        error_clear(&err);
        assert_int_equal(json_require_u64(v, not_u64[n], &u, &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
    }
    assert_int_equal(json_get_int(v, "max", 0, &i, &err), -1);
}

static void foreign_bytes_in_an_error_are_harmless(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct json *v = NULL;
    const char text[] = "\x1b[31m";
    assert_int_equal(json_parse(text, strlen(text), 0, &v, &err), -1);
    assert_null(strchr(err.text, '\x1b'));
}

static void depth_is_limited_before_anything_is_built(void **state) {
    (void)state;
    char deep[2 * JSON_DEPTH_MAX + 2];
    memset(deep, '[', JSON_DEPTH_MAX);
    memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    struct error err = ERROR_NULL;
    struct json *v = NULL;
    assert_int_equal(json_parse(deep, 2 * JSON_DEPTH_MAX, 0, &v, &err), 0);
    json_free(v);
    memset(deep, '[', sizeof deep);
    assert_refused(deep, sizeof deep, ERROR_LIMIT, "deeper than 64");
    const char quoted[] =
        "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"";
    v = parsed(quoted);
    assert_true(json_is_text(v));
    json_free(v);
}

static void size_and_number_of_values_are_limited(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct json *v = NULL;
    assert_int_equal(json_parse("[1,2]", 5, 4, &v, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_string_equal(err.text, "JSON is larger than 4 bytes");
    size_t size = 2 * (size_t)JSON_VALUES_MAX + 3;
    cleanup_free char *many = mem_alloc(size);
    for (size_t i = 0; i < size; i += 2) {
        many[i] = i ? '1' : '[';
        if (i + 1 < size)
            many[i + 1] = i ? ',' : ' ';
    }
    assert_refused(many, size, ERROR_LIMIT, "values");
}

static void getters_follow_paths_and_name_them(void **state) {
    (void)state;
    cleanup(json_freep) struct json *v =
        parsed("{\"State\":{\"Pid\":\"x\",\"Code\":7,\"Ok\":true,\"No\":null,\"R\":2},"
               "\"L\":[{\"d\":\"one\"},{\"d\":\"two\"}],\"Labels\":{\"a.b\":\"c\"}}");
    struct error err = ERROR_NULL;
    const char *text;
    int64_t number;
    bool truth;
    double real;
    assert_int_equal(json_require_text(v, "L.1.d", &text, &err), 0);
    assert_string_equal(text, "two");
    assert_int_equal(json_require_int(v, "State.Code", 0, 10, &number, &err), 0);
    assert_int_equal(number, 7);
    assert_int_equal(json_get_bool(v, "State.Ok", false, &truth, &err), 0);
    assert_true(truth);
    assert_int_equal(json_require_number(v, "State.R", &real, &err), 0);
    assert_true(real == 2);
    assert_string_equal(json_text_or_null(json_member(json_member(v, "Labels"), "a.b")), "c");
    assert_null(json_find(v, "Labels.a.b"));
    assert_null(json_find(v, "L.2"));
    assert_null(json_find(v, "L.x"));
    assert_null(json_find(v, "L.99999999999999999999999999"));

    assert_int_equal(json_get_int(v, "State.Pid", 1, &number, &err), -1);
    assert_string_equal(err.text, "'State.Pid' must be an integer, not a string");
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_int_equal(json_require_text(v, "State.No", &text, &err), -1);
    assert_string_equal(err.text, "'State.No' is missing");
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_int_equal(json_require_int(v, "State.Code", 8, 10, &number, &err), -1);
    assert_string_equal(err.text, "'State.Code' must be from 8 to 10, not 7");
    const struct json *object;
    assert_int_equal(json_require_object(v, "L", &object, &err), -1);
    assert_string_equal(err.text, "'L' must be an object, not an array");
    assert_int_equal(json_require_text(v, "", &text, &err), -1);
    assert_string_equal(err.text, "must be a string, not an object");
}

static void what_is_missing_or_null_gets_the_fallback(void **state) {
    (void)state;
    cleanup(json_freep) struct json *v = parsed("{\"a\":null}");
    struct error err = ERROR_NULL;
    const char *text;
    int64_t number;
    const struct json *array = v;
    assert_int_equal(json_get_text(v, "a", "x", &text, &err), 0);
    assert_string_equal(text, "x");
    assert_int_equal(json_get_text(v, "b.c", NULL, &text, &err), 0);
    assert_null(text);
    assert_int_equal(json_get_int(NULL, "a", -3, &number, &err), 0);
    assert_int_equal(number, -3);
    assert_int_equal(json_get_array(v, "a", &array, &err), 0);
    assert_null(array);
}

static void members_come_in_order_or_sorted(void **state) {
    (void)state;
    cleanup(json_freep) struct json *v = parsed("{\"c\":1,\"a\":2,\"b\":3}");
    char order[4] = "";
    size_t n = 0;
    struct json_cursor cursor = {0};
    while (json_next(v, &cursor))
        order[n++] = cursor.key[0];
    assert_string_equal(order, "cab");
    size_t count;
    cleanup_free const char **keys = json_keys_sorted(v, &count);
    assert_int_equal(count, 3);
    assert_string_equal(keys[0], "a");
    assert_string_equal(keys[2], "c");
    assert_null(keys[3]);
    cursor = (struct json_cursor){0};
    assert_false(json_next(NULL, &cursor));
    assert_int_equal(json_count(NULL), 0);
}

static void what_was_built_is_written_sorted(void **state) {
    (void)state;
    cleanup(json_freep) struct json *v = json_new_object();
    json_set_text(v, "z", "a\"b\n");
    json_set_int(v, "i", INT64_MIN);
    json_set_number(v, "n", 12.3);
    json_set_number(v, "inf", (double)INFINITY);
    json_set_bool(v, "b", true);
    json_set_text(v, "none", NULL);
    json_set(v, "t", json_new_texts((const char *const[]){"x", "y", NULL}));
    struct json *inner = json_set_object(v, "o");
    json_set_int(inner, "k", 1);
    assert_ptr_equal(json_set_object(v, "o"), inner);
    json_append_int(json_set_array(v, "l"), 5);
    json_set_int(v, "gone", 1);
    json_remove(v, "gone");
    json_remove(v, "never");
    cleanup_free char *text = json_to_text(v, JSON_LINE);
    assert_string_equal(text, "{\"b\":true,\"i\":-9223372036854775808,\"inf\":null,\"l\":[5],"
                              "\"n\":12.3,\"none\":null,\"o\":{\"k\":1},\"t\":[\"x\",\"y\"],"
                              "\"z\":\"a\\\"b\\n\"}");
    cleanup(json_freep) struct json *back = parsed(text);
    assert_true(json_same(v, back));
    cleanup(json_freep) struct json *copy = json_copy_deep(v);
    assert_true(json_same(v, copy));
    json_set_int(copy, "i", 1);
    assert_false(json_same(v, copy));
    cleanup(json_freep) struct json *small = parsed("{\"b\":[],\"a\":{\"c\":1}}");
    cleanup_free char *indented = json_to_text(small, JSON_INDENTED);
    assert_string_equal(indented, "{\n  \"a\": {\n    \"c\": 1\n  },\n  \"b\": []\n}");
}

static void text_that_is_not_utf8_is_mended_as_go_does_it(void **state) {
    (void)state;
    cleanup(json_freep) struct json *v = json_new_object();
    json_set_text(v, "k\xff", "a\xc3(\xe2\x82\xac\xed\xa0\x80");
    cleanup_free char *text = json_to_text(v, JSON_LINE);
    assert_string_equal(text, "{\"k\xef\xbf\xbd\":\"a\xef\xbf\xbd(\xe2\x82\xac\xef\xbf\xbd\xef\xbf"
                              "\xbd\xef\xbf\xbd\"}");
    cleanup(json_freep) struct json *cut = json_new_text_sized("a\0b", 3);
    assert_string_equal(json_text_or_null(cut), "a");
}

static void writing_respects_the_buffers_maximum(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(json_freep) struct json *v = parsed("[1,2,3,4,5,6]");
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 5);
    json_write(v, JSON_LINE, &out);
    assert_int_equal(buffer_check(&out, "report", &err), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_says_line_and_column),
        cmocka_unit_test(what_is_not_strict_json_is_refused),
        cmocka_unit_test(integers_beyond_int64_are_reals_and_the_rest_stays_as_it_is),
        cmocka_unit_test(foreign_bytes_in_an_error_are_harmless),
        cmocka_unit_test(depth_is_limited_before_anything_is_built),
        cmocka_unit_test(size_and_number_of_values_are_limited),
        cmocka_unit_test(getters_follow_paths_and_name_them),
        cmocka_unit_test(what_is_missing_or_null_gets_the_fallback),
        cmocka_unit_test(members_come_in_order_or_sorted),
        cmocka_unit_test(what_was_built_is_written_sorted),
        cmocka_unit_test(text_that_is_not_utf8_is_mended_as_go_does_it),
        cmocka_unit_test(writing_respects_the_buffers_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
