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

/* Starts `command` on one target and blocks until it has written to the pipe that it inherits. */
static struct custom *start(const char *command, const char *outputs) {
    struct error err = ERROR_NULL;
    struct custom_target target = {
        .container_id = "c1d", .container_name = "r1", .index = 0, .folder = outputs};
    struct task task = TASK_FOREVER;
    struct custom_settings settings = {.command = command,
                                       .work_folder = folder,
                                       .host = machine,
                                       .interval_ns = 3600 * NS_PER_SEC,
                                       .targets = &target,
                                       .target_count = 1};
    struct custom *custom = NULL;
    assert_int_equal(custom_start(&settings, &task, &custom, &err), 0);
    return custom;
}

static void wait_for(int fd) {
    char byte;
    assert_int_equal(read(fd, &byte, 1), 1);
}

static void it_runs_and_its_output_is_kept(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    cleanup_free char *outputs = path_join(folder, "a");
    cleanup_free char *command =
        text_format("echo id CONTAINER_ID $CONTAINER_ID; echo x >&%d; exit 3", fds[1]);
    struct custom *custom = start(command, outputs);
    wait_for(fds[0]);
    /* The command goes on to its exit; stopping may come before that, so only output is certain. */
    struct custom_result result;
    custom_stop(custom, &result);
    assert_int_equal(result.runs, 1);

    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    cleanup_free char *path = path_join(outputs, "1.out");
    assert_int_equal(file_read(path, 1000, &text, &err), 0);
    assert_string_equal(buffer_string(&text), "id c1d c1d\n");
    cleanup_free char *record = path_join(outputs, "1.json");
    assert_true(file_exists(record));
    close(fds[0]);
    close(fds[1]);
}

static void the_end_ends_a_command_that_would_not_end(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    cleanup_free char *outputs = path_join(folder, "b");
    cleanup_free char *command = text_format("printf x >&%d; exec tail -f /dev/null", fds[1]);
    struct custom *custom = start(command, outputs);
    wait_for(fds[0]);
    close(fds[1]);
    struct custom_result result;
    custom_stop(custom, &result);
    assert_int_equal(result.runs, 1);
    assert_int_equal(result.failures, 0); /* we ended it */
    char byte;
    assert_int_equal(read(fds[0], &byte, 1), 0); /* nobody holds the pipe any more */
    close(fds[0]);
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
        cmocka_unit_test(the_end_ends_a_command_that_would_not_end),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
