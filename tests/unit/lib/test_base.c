/* The ground floor's promises: errors, buffers, text, clocks, tasks. */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/error.h"
#include "lib/memory.h"
#include "lib/task.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void errors_read_from_the_outside_in(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    assert_int_equal(error_set(&err, ERROR_NOT_FOUND, "image '%s' not found", "x:1"), -1);
    error_hint(&err, "pull it");
    error_wrap(&err, "create container");
    error_hint(&err, "a later, outer hint does not win");
    error_wrap(&err, "start service '%s'", "db");
    assert_string_equal(err.text, "start service 'db': create container: image 'x:1' not found");
    assert_string_equal(err.hint, "pull it");
    assert_int_equal(error_exit_status(err.kind), 1);
    assert_string_equal(error_kind_name(err.kind), "not found");
}

static void errors_are_cut_at_their_maximum(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup_free char *large = mem_zero(1, 3 * ERROR_TEXT_MAX);
    memset(large, 'x', 3 * ERROR_TEXT_MAX - 1);
    error_set_os(&err, ERROR_IO, 2, "%s", large);
    assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
    error_wrap(&err, "outer");
    assert_memory_equal(err.text, "outer: xxx", 10);
    assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
}

static void a_buffer_never_passes_its_maximum(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer b;
    buffer_init(&b, 10);
    buffer_text(&b, "12345");
    buffer_format(&b, "%d", 67890);
    assert_int_equal(buffer_check(&b, "it", &err), 0);
    assert_string_equal(buffer_string(&b), "1234567890");
    buffer_text(&b, "x");
    buffer_text(&b, "");
    assert_string_equal(buffer_string(&b), "1234567890");
    assert_int_equal(buffer_check(&b, "it", &err), -1);
    assert_string_equal(err.text, "it is larger than 10 bytes");
    buffer_clear(&b);
    buffer_text(&b, "abc");
    buffer_consume(&b, 2);
    assert_string_equal(buffer_string(&b), "c");
}

static void numbers_are_whole_and_in_range(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    uint64_t v;
    assert_int_equal(text_to_u64("18446744073709551615", 0, UINT64_MAX, &v, &err), 0);
    assert_true(v == UINT64_MAX);
    const char *bad[] = {"", " 1", "1 ", "-1", "+1", "0x1", "18446744073709551616", "1e3", "11"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(text_to_u64(bad[i], 0, i == 8 ? 10 : UINT64_MAX, &v, &err), -1);
}

static void durations_and_sizes_read_as_compose_writes_them(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    uint64_t v;
    assert_int_equal(text_to_duration_ns("1h30m2.5s10ms", &v, &err), 0);
    assert_true(v == 5402510 * NS_PER_MS);
    assert_int_equal(text_to_duration_ns("500us", &v, &err), 0);
    assert_true(v == 500000);
    const char *bad[] = {"", "5", "s", "1x", "-1s", "99999999999999999999s", "9999999999999h"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(text_to_duration_ns(bad[i], &v, &err), -1);
    assert_int_equal(text_to_size_bytes("1.5gb", &v, &err), 0);
    assert_true(v == 3 * UINT64_C(512) << 20);
    assert_int_equal(text_to_size_bytes("64M", &v, &err), 0);
    assert_true(v == 64 << 20);
    assert_int_equal(text_to_size_bytes("64 m", &v, &err), -1);
}

static void the_nearest_name_is_suggested_only_when_near(void **state) {
    (void)state;
    const char *names[] = {"image", "build", "deploy", "environment"};
    assert_string_equal(text_nearest("imgae", names, 4), "image");
    assert_string_equal(text_nearest("enviroment", names, 4), "environment");
    assert_null(text_nearest("zzzzzz", names, 4));
}

static void foreign_text_cannot_steer_a_terminal(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer b;
    buffer_init(&b, 1000);
    const char hostile[] = "a\x1b[2J\xc2\x9b\xff\xe2\x82\xac\n\t\xed\xa0\x80";
    text_harmless(&b, hostile, sizeof hostile - 1);
    assert_string_equal(buffer_string(&b),
                        "a\\x1b[2J\\xc2\\x9b\\xff\xe2\x82\xac\n\t\\xed\\xa0\\x80");
}

static void hex_goes_both_ways(void **state) {
    (void)state;
    char text[9];
    uint8_t back[4];
    text_hex("\x00\xff\x1a\x2b", 4, text);
    assert_string_equal(text, "00ff1a2b");
    assert_int_equal(text_unhex(text, back, 4), 0);
    assert_memory_equal(back, "\x00\xff\x1a\x2b", 4);
    assert_int_equal(text_unhex("00ff1a2", back, 4), -1);
    assert_int_equal(text_unhex("00ff1a2g", back, 4), -1);
}

static void wall_time_is_rfc_3339(void **state) {
    (void)state;
    char text[WALL_TEXT_SIZE];
    struct wall_time t = {INT64_C(1700000000123456789)};
    assert_string_equal(wall_text(t, text), "2023-11-14T22:13:20.123456789Z");
    assert_string_equal(wall_stamp(t, text), "20231114-221320");
    assert_string_equal(wall_text((struct wall_time){-1}, text), "1969-12-31T23:59:59.999999999Z");
}

static void a_wait_ends_by_descriptor_deadline_or_cancel(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct cancel cancel;
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(cancel_init(&cancel, &err), 0);
    struct task task = {.cancel = &cancel, .deadline = INSTANT_NEVER};

    struct task brief = task_within(&task, 1);
    assert_int_equal(task_wait(&brief, pipe_fds[0], 1, &err), -1);
    assert_int_equal(err.kind, ERROR_TIMEOUT);

    assert_int_equal(write(pipe_fds[1], "x", 1), 1);
    assert_int_equal(task_wait(&task, pipe_fds[0], 1, &err), 0);
    assert_int_equal(task_sleep(&task, 1, &err), 0);

    cancel_raise(&cancel, 2);
    cancel_raise(&cancel, 1);
    assert_int_equal(cancel_level(&cancel), 2);
    assert_int_equal(task_wait(&task, pipe_fds[0], 1, &err), -1);
    assert_int_equal(err.kind, ERROR_CANCELLED);
    assert_int_equal(task_sleep(&task, NS_PER_SEC, &err), -1);
    assert_int_equal(err.kind, ERROR_CANCELLED);
    cancel_deinit(&cancel);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_read_from_the_outside_in),
        cmocka_unit_test(errors_are_cut_at_their_maximum),
        cmocka_unit_test(a_buffer_never_passes_its_maximum),
        cmocka_unit_test(numbers_are_whole_and_in_range),
        cmocka_unit_test(durations_and_sizes_read_as_compose_writes_them),
        cmocka_unit_test(the_nearest_name_is_suggested_only_when_near),
        cmocka_unit_test(foreign_text_cannot_steer_a_terminal),
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(wall_time_is_rfc_3339),
        cmocka_unit_test(a_wait_ends_by_descriptor_deadline_or_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
