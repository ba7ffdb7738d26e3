/*
 * The loader as a process: signals, the command line, the environment, and the files it reads and
 * writes.
 */

#include "tests/cli/loader_stage.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/text.h"
#include "lib/wire.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

/* ---- signals ---- */

static void a_signal_ends_the_load_and_everything_is_written(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_start(&s, STAGE_HERE "-b 1000000000 -d 100");
    primary_wait(s.primaries[0], 1000);
    kill(s.pid, SIGTERM);
    stage_wait(&s);
    stage_stop_replicas(&s);
    assert_status(&s, 143);
    int64_t acknowledged = stage_number(&s, "requests.acknowledged");
    assert_int_equal(acknowledged, s.counts.replies); /* those under way were waited for */
    assert_int_equal(stage_number(&s, "requests.sent"), s.counts.requests);
    assert_counts(&s, acknowledged, 0, 0, 0);
    assert_int_equal(stage_acknowledged(&s), acknowledged);
    assert_int_equal(stage_exported(&s, "out/requests.bin"), acknowledged);
}

static void a_second_signal_ends_the_waiting(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.answer = PRIMARY_ANSWERS_NEVER});
    struct instant start = clock_instant();
    stage_start(&s, STAGE_HERE "-b 1000 -c 4 --request-timeout 1h");
    primary_wait(s.primaries[0], 4);
    kill(s.pid, SIGINT);
    while (waitpid(s.pid, NULL, WNOHANG | WNOWAIT) == 0 &&
           instant_ns_between(start, clock_instant()) < 60 * NS_PER_SEC)
        kill(s.pid, SIGINT);
    stage_wait(&s);
    stage_stop_replicas(&s);
    assert_status(&s, 130);
    assert_counts(&s, 0, 0, 4, 0);
    assert_int_equal(stage_number(&s, "requests.sent"), 4);
}

static void a_signal_while_connecting_ends_at_once(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, NULL);
    stage_start(&s, STAGE_HERE "-b 10 --connect-timeout 1h");
    while (!folder_has(&s.folder, "out/requests.bin.part")) /* signals are caught before that */
        sched_yield();
    kill(s.pid, SIGINT);
    stage_wait(&s);
    assert_status(&s, 130);
    assert_int_equal(stage_number(&s, "requests.sent"), 0);
}

/* ---- the command line ---- */

static void wrong_command_lines_end_with_2(void **state) {
    (void)state;
    static const char *const lines[][2] = {
        {"-f pool.yaml", "client-pool files are not supported yet"},
        {"-x", "unknown option '-x'"},
        {"-c 0", "option -c (--concurrency): '0' is not a whole number from 1 to 100000"},
        {"fast", "unexpected argument 'fast'"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        cleanup(stage_down) struct stage s = stage_empty();
        stage_load(&s, lines[i][0]);
        assert_status(&s, 2);
        assert_says(s.err, lines[i][1]);
        assert_false(folder_has(&s.folder, "out"));
    }
}

static void the_environment_speaks_when_nobody_else_does(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    s.env = text_dup("-b 3 -c 2 --cluster 'cluster.yaml' --out \"out\"");
    stage_start(&s, "");
    stage_wait(&s);
    assert_status(&s, 0);
    assert_counts(&s, 3, 0, 0, 0);
    stage_load(&s, "-b 5"); /* replaces all of it */
    assert_status(&s, 0);
    assert_counts(&s, 5, 0, 0, 0);
}

static void a_bad_environment_is_named(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    s.env = text_dup("-b 'x");
    stage_start(&s, "");
    stage_wait(&s);
    assert_status(&s, 2);
    assert_says(s.err, "SEATRIAL_LOADER_ARGS: a ' is not closed");
}

static void the_log_follows_its_file(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, &(struct primary_script){.index = 0, .n = 2, .primary = 0});
    stage_add(&s, NULL);
    folder_write(&s.folder, "log.properties",
                 "log4cplus.rootLogger=INFO, file\n"
                 "log4cplus.appender.file=log4cplus::FileAppender\n"
                 "log4cplus.appender.file.File=loader.log\n"
                 "log4cplus.appender.file.layout=log4cplus::PatternLayout\n"
                 "log4cplus.appender.file.layout.ConversionPattern=%p %c %m%n\n");
    stage_load(&s, "-b 20 -c 2 -l 0 -a log.properties");
    assert_status(&s, 0);
    cleanup_free char *log = folder_read(&s.folder, "loader.log");
    assert_says(log, "INFO loader run 3f9c2a1b, 2 replicas: 20 requests by 2 clients from ");
    assert_says(log, "WARN loader replica 1 ('demo-replica-2' at 127.0.0.1:");
    assert_says(
        log,
        "INFO loader 20 sent, 20 acknowledged, 0 timed out, 0 failed, 0 overloaded, 0 unsent\n");
    assert_says(s.err, "warning: replica 1"); /* people see it, too */
}

static void without_a_log_file_the_level_decides(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_start(&s, STAGE_HERE "-b 5");
    stage_wait(&s);
    assert_status(&s, 0);
    assert_null(strstr(s.err, "INFO"));
    stage_load(&s, "-b 5 -l 2");
    assert_status(&s, 0);
    assert_says(s.err, "INFO  loader: run 3f9c2a1b");
    assert_null(strstr(s.out, "INFO")); /* results only */
}

static void a_log_file_that_is_not_there_is_an_error(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_load(&s, "-b 5 -a nowhere.properties");
    assert_status(&s, 3);
    assert_says(s.err, "the log configuration 'nowhere.properties' cannot be read");
}

static void files_of_an_earlier_load_are_gone(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, NULL);
    folder_write(&s.folder, "out/requests.bin", "old");
    folder_write(&s.folder, "out/acknowledged.json", "old");
    folder_write(&s.folder, "out/load.json", "{\"old\": true}");
    stage_load(&s, "-b 10 -i 0 --connect-timeout 50ms");
    assert_status(&s, 1);
    assert_false(folder_has(&s.folder, "out/requests.bin"));
    assert_null(json_find(s.load, "old"));
    assert_int_equal(stage_acknowledged(&s), 0);
}

static void a_wrong_cluster_file_is_named_with_its_line(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_load(&s, "-b 10"); /* no containers in it */
    assert_status(&s, 3);
    assert_says(s.err, "cluster.yaml:3:");
    stage_load(&s, "-b 10 --cluster nowhere.yaml");
    assert_int_not_equal(s.status, 0);
    assert_says(s.err, "nowhere.yaml");
}

static void export_tells_a_damaged_file(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    folder_write(&s.folder, "text", "this is a text and not what was asked for\n");
    folder_write_mode(&s.folder, "cut", "STRQ\2\0\0\0aaaaaaaabbbbbbbb\7\1\1\0\1\5\1", 31, 0644);
    assert_int_equal(stage_exported(&s, "text"), -1);
    assert_says(s.err, "this is not a requests.bin");
    assert_int_equal(stage_exported(&s, "cut"), -1);
    assert_says(s.err, "after 1 records: the file was cut");
    assert_int_equal(stage_exported(&s, "nothing"), -1);
    assert_says(s.err, "open 'nothing': No such file or directory");
}

static void help_and_version_are_printed(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_load(&s, "--help");
    assert_status(&s, 0);
    assert_says(s.out, "-b, --requests=NUMBER      Number of requests to launch; 0: no limit.");
    assert_says(s.out, "milliseconds");
    stage_load(&s, "--version");
    assert_status(&s, 0);
    assert_string_equal(s.out, "loader " SEATRIAL_VERSION "\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_ends_the_load_and_everything_is_written),
        cmocka_unit_test(a_second_signal_ends_the_waiting),
        cmocka_unit_test(a_signal_while_connecting_ends_at_once),
        cmocka_unit_test(wrong_command_lines_end_with_2),
        cmocka_unit_test(the_environment_speaks_when_nobody_else_does),
        cmocka_unit_test(a_bad_environment_is_named),
        cmocka_unit_test(the_log_follows_its_file),
        cmocka_unit_test(without_a_log_file_the_level_decides),
        cmocka_unit_test(a_log_file_that_is_not_there_is_an_error),
        cmocka_unit_test(files_of_an_earlier_load_are_gone),
        cmocka_unit_test(a_wrong_cluster_file_is_named_with_its_line),
        cmocka_unit_test(export_tells_a_damaged_file),
        cmocka_unit_test(help_and_version_are_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
