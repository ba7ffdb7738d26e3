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

/* Such a load ends well by a signal, but there was none. */
static void a_signal_before_the_load_begins_is_no_good_end_of_it(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, NULL);
    stage_start(&s, STAGE_HERE "-b 0 --connect-timeout 1h");
    while (!folder_has(&s.folder, "out/requests.bin.part")) /* signals are caught before that */
        sched_yield();
    kill(s.pid, SIGTERM);
    stage_wait(&s);
    assert_status(&s, 143);
    assert_int_equal(stage_number(&s, "requests.sent"), 0);
    assert_says(s.err, "interrupted by SIGTERM");
}

/* ---- the command line ---- */

static void wrong_command_lines_end_with_2(void **state) {
    (void)state;
    static const char *const lines[][2] = {
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
    s.env = text_dup("-b 3 -c 2 --insecure --cluster 'cluster.yaml' --out \"out\"");
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
    assert_says(s.err,
                "the log configuration: open 'nowhere.properties': No such file or directory");
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

/* One file has no place any more: the numbers are told all the same. */
static void what_cannot_be_written_is_still_printed(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_start(&s, STAGE_HERE "--time 500ms -c 3 -d 64");
    primary_wait(s.primaries[0], 10);
    folder_write(&s.folder, "out/acknowledged.json/in", "the way");
    stage_wait(&s);
    stage_stop_replicas(&s);
    assert_int_not_equal(s.status, 0);
    assert_says(s.err, "write 'out/acknowledged.json'");
    assert_says(s.out, "acknowledged requests/s");
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

static void what_was_exported_is_imported_as_it_was_measured(void **state) {
    (void)state;
    static const char *const numbers[] = {"requests.acknowledged",    "latency_ns.min",
                                          "latency_ns.p50",           "latency_ns.p9999",
                                          "latency_ns.max",           "latency_from_send_ns.p50",
                                          "latency_from_send_ns.p999"};
    enum { NUMBERS = sizeof numbers / sizeof *numbers };
    int64_t measured[NUMBERS];
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_start(&s, STAGE_HERE "-b 500 -c 3 -d 100");
    stage_wait(&s);
    assert_status(&s, 0);
    for (int i = 0; i < NUMBERS; i++)
        measured[i] = stage_number(&s, numbers[i]);
    stage_start(&s, "export out/requests.bin");
    stage_wait(&s);
    folder_write(&s.folder, "requests.csv", s.out);

    stage_start(&s, "import requests.csv --out out");
    stage_wait(&s);
    assert_status(&s, 0);
    for (int i = 0; i < NUMBERS; i++)
        assert_int_equal(stage_number(&s, numbers[i]), measured[i]);
    assert_says(s.out, "closed loop, measured by another generator");
    stage_start(&s, "summarize out/latency.hlog");
    stage_wait(&s);
    assert_says(s.out, "(no tag): 500 values");
    assert_says(s.out, "from-send: 500 values");
    stage_start(&s, "import requests.csv --out out -b 501");
    stage_wait(&s);
    assert_status(&s, 1);
    assert_int_equal(stage_number(&s, "requests.intended"), 501);
}

static void what_became_of_recorded_requests_is_summarized(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){.overloaded_each = 10});
    stage_start(&s, STAGE_HERE "-b 200 -c 3 -d 100");
    stage_wait(&s);
    stage_start(&s, "summarize out/requests.bin out/latency.hlog");
    stage_wait(&s);
    assert_status(&s, 0);
    assert_says(
        s.out,
        "out/requests.bin: 200 sent, 180 acknowledged, 0 timed_out, 0 failed, 20 overloaded");
    assert_says(s.out, "from-send: 180 values");
    folder_write(&s.folder, "cut.bin", "STRQ");
    stage_start(&s, "summarize cut.bin");
    stage_wait(&s);
    assert_status(&s, 1);
    assert_says(s.err, "'cut.bin'");
}

#define COLUMN_NAMES "client,number,intended_ns,sent_ns,latency_ns,outcome\n"

static void imported_lines_may_stand_in_any_order_and_span_seconds(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    folder_write(&s.folder, "requests.csv",
                 COLUMN_NAMES ",,1700000003200000000,1700000003200000000,50000000,acknowledged\n"
                              "7,1,1700000000000000000,1700000000001000000,9000000,acknowledged\n"
                              "7,2,1700000001000000000,,2000000000,unsent\n"
                              "8,1,1700000001000000000,1700000001000000000,5000,failed\r\n");
    stage_start(&s, "import requests.csv --out out --rate 1:4s");
    stage_wait(&s);
    assert_status(&s, 1);
    assert_counts(&s, 2, 0, 1, 0);
    assert_int_equal(stage_number(&s, "requests.unsent"), 1);
    assert_int_equal(stage_number(&s, "requests.sent"), 3);
    cleanup_free char *log = folder_read(&s.folder, "out/latency.hlog");
    assert_says(log, "#[StartTime: 1700000000.000 ");
    assert_says(log, "\n1700000000.000,1.000,9.");
    assert_says(log, "\n1700000003.000,0.250,50.");
    assert_says(s.err, "the load was not generated as asked");
}

static void what_cannot_be_imported_is_named_with_its_line(void **state) {
    (void)state;
    static const char *const files[][2] = {
        {"", "there is no request in it"},
        {COLUMN_NAMES, "there is no request in it"},
        {"latency\n5\n", "line 1 is not 'client,number,"},
        {COLUMN_NAMES "1,1,5,5,5\n", "line 2: 5 columns instead of 6"},
        {COLUMN_NAMES "1,1,5,5,5,failed,\n", "line 2: more than 6 columns"},
        {COLUMN_NAMES "1,1,5,5,5,acknowledged\n1,2,5,5,5,lost\n",
         "line 3: 'lost' is not an outcome"},
        {COLUMN_NAMES "1,1,5,4,5,failed\n", "line 2: it was sent before it was intended"},
        {COLUMN_NAMES "1,1,5,9,3,failed\n", "line 2: its latency cannot be"},
        {COLUMN_NAMES "1,1,5,,3,acknowledged\n", "line 2: what is unsent has no sent_ns"},
        {COLUMN_NAMES "1,1,-5,5,3,failed\n", "line 2: '-5' is not a whole number"},
        {COLUMN_NAMES "1,1,5,5,99999999999999999,failed\n", "line 2: its latency cannot be"},
        {COLUMN_NAMES "1,1,9223372036854775000,9223372036854775000,5,failed\n",
         "line 2: '9223372036854775000'"},
        {COLUMN_NAMES "1,1,5,5,5,failed\n1,1,9000000000000000000,9000000000000000000,5,failed\n",
         "took more than 30 days"},
    };
    cleanup(stage_down) struct stage s = stage_empty();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        folder_write(&s.folder, "requests.csv", files[i][0]);
        stage_start(&s, "import requests.csv --out out");
        stage_wait(&s);
        assert_int_not_equal(s.status, 0);
        assert_says(s.err, files[i][1]);
        assert_false(folder_has(&s.folder, "out"));
    }
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
        cmocka_unit_test(a_signal_before_the_load_begins_is_no_good_end_of_it),
        cmocka_unit_test(wrong_command_lines_end_with_2),
        cmocka_unit_test(the_environment_speaks_when_nobody_else_does),
        cmocka_unit_test(a_bad_environment_is_named),
        cmocka_unit_test(the_log_follows_its_file),
        cmocka_unit_test(without_a_log_file_the_level_decides),
        cmocka_unit_test(a_log_file_that_is_not_there_is_an_error),
        cmocka_unit_test(files_of_an_earlier_load_are_gone),
        cmocka_unit_test(what_cannot_be_written_is_still_printed),
        cmocka_unit_test(a_wrong_cluster_file_is_named_with_its_line),
        cmocka_unit_test(export_tells_a_damaged_file),
        cmocka_unit_test(what_was_exported_is_imported_as_it_was_measured),
        cmocka_unit_test(what_became_of_recorded_requests_is_summarized),
        cmocka_unit_test(imported_lines_may_stand_in_any_order_and_span_seconds),
        cmocka_unit_test(what_cannot_be_imported_is_named_with_its_line),
        cmocka_unit_test(help_and_version_are_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
