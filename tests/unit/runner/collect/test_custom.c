/* The custom command: what it is told, and that it ends. */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/text.h"
#include "runner/collect/custom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/seatrial-custom-XXXXXX";
static struct host *machine;

static void the_words_are_replaced_and_nothing_else(void **state) {
    (void)state;
    struct custom_target target = {.container_id = "abc", .container_name = "r1", .index = 3};
    const struct {
        const char *from, *to;
    } cases[] = {
        {"./sample.sh CONTAINER_ID", "./sample.sh abc"},
        {"x=CONTAINER_ID,CONTAINER_ID;", "x=abc,abc;"},
        {"MY_CONTAINER_ID CONTAINER_IDS", "MY_CONTAINER_ID CONTAINER_IDS"},
        {"$CONTAINER_ID ${CONTAINER_ID}", "$CONTAINER_ID ${CONTAINER_ID}"},
        {"CONTAINER_NAME/SEATRIAL_INDEX@HOST", "r1/3@h"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_free char *out = custom_expand(cases[i].from, &target, "h");
        assert_string_equal(out, cases[i].to);
    }
}

/* On one container of which nothing is known, with a command that runs at an interval or once. */
static struct custom *prepared(const char *command, const char *outputs, enum custom_when when,
                               uint64_t timeout_ns) {
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    struct custom_target target = {
        .container_id = "c1d", .container_name = "r1", .index = 0, .folder = outputs};
    struct custom_command one = {.command = command,
                                 .when = when,
                                 .interval_ns = 3600 * NS_PER_SEC,
                                 .timeout_ns = timeout_ns,
                                 .targets = &target,
                                 .target_count = 1};
    struct custom_settings settings = {.host = machine,
                                       .run = "01234567",
                                       .work_folder = folder,
                                       .commands = &one,
                                       .command_count = 1};
    struct custom *custom = NULL;
    assert_int_equal(custom_new(&settings, &custom, &err), 0);
    assert_int_equal(custom_prepare(custom, &task, &err), 0);
    return custom;
}

/* Starts `command`, which is expected to write to a pipe that it inherits. */
static struct custom *start(const char *command, const char *outputs) {
    struct error err = ERROR_NULL;
    struct custom *custom = prepared(command, outputs, CUSTOM_INTERVAL, 0);
    assert_int_equal(custom_begin(custom, &err), 0);
    return custom;
}

static void run_once(struct custom *custom) {
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    assert_int_equal(custom_once(custom, CUSTOM_START, &task, &err), 0);
}

static void wait_for(int fd) {
    char byte;
    assert_int_equal(read(fd, &byte, 1), 1);
}

static void nobody_holds(int fd) {
    char byte;
    assert_int_equal(read(fd, &byte, 1), 0);
}

static void reads(const char *outputs, const char *name, const char *expected) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    cleanup_free char *path = path_join(outputs, name);
    assert_int_equal(file_read(path, 1 << 20, &text, &err), 0);
    assert_string_equal(buffer_string(&text), expected);
}

static void says(const char *outputs, const char *name, const char *expected) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    cleanup_free char *path = path_join(outputs, name);
    assert_int_equal(file_read(path, 1 << 20, &text, &err), 0);
    if (!strstr(buffer_string(&text), expected))
        fail_msg("'%s' is not in %s", expected, buffer_string(&text));
}

static void it_runs_and_its_output_is_kept(void **state) {
    (void)state;
    cleanup_free char *outputs = path_join(folder, "a");
    struct custom *custom = prepared(
        "echo id CONTAINER_ID $CONTAINER_ID $HOST; echo no >&2; exit 3", outputs, CUSTOM_START, 0);
    run_once(custom);
    assert_int_equal(custom_count(custom, 0)->runs, 1);
    assert_int_equal(custom_count(custom, 0)->failures, 1);
    custom_close(custom);
    reads(outputs, "1.out", "id c1d c1d local\nno\n");
    says(outputs, "1.json", "\"exit_code\": 3");
    says(outputs, "1.json", "\"output_bytes\": 20");
}

static void what_has_run_once_does_not_run_again(void **state) {
    (void)state;
    cleanup_free char *outputs = path_join(folder, "once");
    struct custom *custom = prepared("echo x", outputs, CUSTOM_START, 0);
    run_once(custom);
    run_once(custom);
    assert_int_equal(custom_count(custom, 0)->runs, 1);
    custom_close(custom);
}

static void numbers_go_on_behind_what_is_there(void **state) {
    (void)state;
    cleanup_free char *outputs = path_join(folder, "numbers");
    for (int i = 0; i < 3; i++) {
        cleanup_free char *command = text_format("echo %d", i);
        struct custom *custom = prepared(command, outputs, CUSTOM_START, 0);
        run_once(custom);
        custom_close(custom);
    }
    reads(outputs, "1.out", "0\n");
    reads(outputs, "2.out", "1\n");
    reads(outputs, "3.out", "2\n");
}

static void the_end_ends_a_command_that_would_not_end(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    cleanup_free char *outputs = path_join(folder, "b");
    cleanup_free char *command = text_format(
        "trap 'echo trapped; exit' TERM; printf x >&%d; while :; do tail -f /dev/null & wait; done",
        fds[1]);
    struct custom *custom = start(command, outputs);
    wait_for(fds[0]);
    close(fds[1]);
    custom_pause(custom);
    assert_int_equal(custom_count(custom, 0)->runs, 1);
    assert_int_equal(custom_count(custom, 0)->failures, 0); /* we ended it */
    nobody_holds(fds[0]);
    close(fds[0]);
    custom_close(custom);
    reads(outputs, "1.out", "trapped\n"); /* what it says when it is ended comes home too */
    says(outputs, "1.json", "\"stopped\": true");
}

static void a_command_that_takes_too_long_is_ended(void **state) {
    (void)state;
    cleanup_free char *outputs = path_join(folder, "long");
    struct custom *custom =
        prepared("echo begun; exec tail -f /dev/null", outputs, CUSTOM_START, 100 * NS_PER_MS);
    run_once(custom);
    assert_int_equal(custom_count(custom, 0)->timed_out, 1);
    assert_int_equal(custom_count(custom, 0)->failures, 0);
    custom_close(custom);
    reads(outputs, "1.out", "begun\n");
    says(outputs, "1.json", "\"timed_out\": true");
    says(outputs, "1.json", "\"signal\": 15");
}

/* In a session of its own, with another parent and its output elsewhere. */
static void what_goes_into_the_background_is_ended(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    cleanup_free char *outputs = path_join(folder, "daemon");
    cleanup_free char *command =
        text_format("(setsid tail -f /dev/null >/dev/null 2>&1 </dev/null &) ; echo left; exit 0");
    struct custom *custom = prepared(command, outputs, CUSTOM_START, 0);
    run_once(custom);
    close(fds[1]);
    nobody_holds(fds[0]); /* it had inherited the pipe */
    close(fds[0]);
    assert_int_equal(custom_count(custom, 0)->failures, 0);
    custom_close(custom);
    reads(outputs, "1.out", "left\n");
}

static void what_is_too_much_is_dropped_and_counted(void **state) {
    (void)state;
    cleanup_free char *outputs = path_join(folder, "much");
    struct custom *custom =
        prepared("head -c 67108874 /dev/zero", outputs, CUSTOM_START, 0); /* 64 MiB and 10 */
    run_once(custom);
    custom_close(custom);
    says(outputs, "1.json", "\"output_bytes\": 67108864");
    says(outputs, "1.json", "\"dropped_bytes\": 10");
}

/* As after a runner was killed: its command goes on, and its folder is there. */
static void what_an_earlier_runner_left_is_ended_and_removed(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    cleanup_free char *left = custom_work_folder("0fedcba9", "3");
    cleanup_free char *other = custom_work_folder("0fedcba8", "3");
    assert_int_equal(file_make_folders(left, 0700, &err), 0);
    assert_int_equal(file_make_folders(other, 0700, &err), 0);
    assert_int_equal(system("SEATRIAL_CUSTOM=0fedcba9/11223344 setsid tail -f /dev/null &"), 0);
    close(fds[1]);
    assert_int_equal(custom_clean(machine, "0fedcba9", &task, &err), 0);
    nobody_holds(fds[0]);
    close(fds[0]);
    assert_false(file_exists(left));
    assert_true(file_exists(other));
    assert_int_equal(custom_clean(machine, "0fedcba8", &task, &err), 0);
    assert_false(file_exists(other));
    assert_int_equal(custom_clean(machine, "../x", &task, &err), -1);
}

static void scripts_lie_where_their_commands_run(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    cleanup_free char *script = path_join(folder, "say.sh"), *out_a = path_join(folder, "out-a"),
                      *out_b = path_join(folder, "out-b");
    assert_int_equal(file_write(script, 0600, "#!/bin/sh\npwd\n", 14, &err), 0);
    struct custom_target a = {"c1d", "r1", 0, out_a}, b = {"c2d", "r2", 1, out_b};
    const struct custom_command commands[] = {{.name = "one",
                                               .command = "./say.sh",
                                               .script_path = script,
                                               .when = CUSTOM_START,
                                               .targets = &a,
                                               .target_count = 1},
                                              {.name = "two",
                                               .command = "./say.sh",
                                               .script_path = script,
                                               .when = CUSTOM_END,
                                               .targets = &b,
                                               .target_count = 1}};
    cleanup_free char *work = path_join(folder, "work");
    struct custom_settings settings = {.host = machine,
                                       .run = "01234567",
                                       .work_folder = work,
                                       .remove_work_folder = true,
                                       .commands = commands,
                                       .command_count = 2};
    struct custom *custom = NULL;
    assert_int_equal(custom_new(&settings, &custom, &err), 0);
    assert_int_equal(custom_prepare(custom, &task, &err), 0);
    run_once(custom);
    assert_int_equal(custom_count(custom, 0)->runs, 1);
    assert_int_equal(custom_count(custom, 1)->runs, 0); /* it is for the end */
    assert_int_equal(custom_once(custom, CUSTOM_END, &task, &err), 0);
    assert_int_equal(custom_close(custom), 0);
    cleanup_free char *said = text_format("%s/one\n", work),
                      *said_b = text_format("%s/two\n", work);
    reads(out_a, "1.out", said);
    reads(out_b, "1.out", said_b);
    assert_false(file_exists(work));
}

static int make_folder(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    struct host_options options = {.name = "local"};
    return mkdtemp(folder) && host_open(&options, &task, &machine, &err) == 0 ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    host_close(machine);
    cleanup_free char *command = text_format("rm -rf %s", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_words_are_replaced_and_nothing_else),
        cmocka_unit_test(it_runs_and_its_output_is_kept),
        cmocka_unit_test(what_has_run_once_does_not_run_again),
        cmocka_unit_test(numbers_go_on_behind_what_is_there),
        cmocka_unit_test(the_end_ends_a_command_that_would_not_end),
        cmocka_unit_test(a_command_that_takes_too_long_is_ended),
        cmocka_unit_test(what_goes_into_the_background_is_ended),
        cmocka_unit_test(what_is_too_much_is_dropped_and_counted),
        cmocka_unit_test(what_an_earlier_runner_left_is_ended_and_removed),
        cmocka_unit_test(scripts_lie_where_their_commands_run),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
