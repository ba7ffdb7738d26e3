/* The log of real replicas: a logger for each room, as the trial's file wants it; and what is left
 * of a replica that crashes. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "tests/cli/trial_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static const char head[] = "log4cplus.appender.console=log4cplus::ConsoleAppender\n"
                           "log4cplus.appender.console.logToStdErr=true\n"
                           "log4cplus.appender.console.layout=log4cplus::PatternLayout\n"
                           "log4cplus.appender.console.layout.ConversionPattern=%p %c %m%n\n";

static const char load[] = "-b 20 -c 2 -k 3 -v 300 -d 500";

/* Writes the file; gives the option that names it. */
static char *log_of(const char *text) {
    cleanup_free char *all = text_format("%s%s", head, text);
    folder_write(&folder_shared, "log4cplus.properties", all);
    return text_format("--log %s/log4cplus.properties", folder_shared.path);
}

/* Of one replica, from its start to its end, with a load between. */
static struct trial whole_trial_with(const char *text) {
    cleanup_free char *option = log_of(text);
    struct trial t = trial_with(1, "memory", option);
    trial_load(&t, load);
    trial_stop(&t);
    t.options = NULL;
    return t;
}

static void one_room_can_say_more_than_the_others(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t =
        whole_trial_with("log4cplus.rootLogger=WARN, console\nlog4cplus.logger.core=DEBUG\n");
    assert_true(trial_log_says(&t, 0, "DEBUG core send all PRE-PREPARE v0 n1 ["));
    assert_true(trial_log_says(&t, 0, "DEBUG core store height 20 n"));
    assert_false(trial_log_says(&t, 0, "transport "));
    assert_false(trial_log_says(&t, 0, "INFO"));
}

static void one_room_can_say_less_than_the_others(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t =
        whole_trial_with("log4cplus.rootLogger=INFO, console\nlog4cplus.logger.transport=OFF\n");
    assert_true(trial_log_says(&t, 0, "INFO store memory at height 0"));
    assert_true(trial_log_says(&t, 0, "INFO replica SIGTERM: stopping"));
    assert_false(trial_log_says(&t, 0, "transport listening"));
    assert_false(trial_log_says(&t, 0, "DEBUG"));
}

static void a_broken_file_ends_it_with_its_name(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"log4cplus.rootLogger=INFO, file\n", "Invalid appender: file"},
        {"log4cplus.rootLogger=INFO, console\nlog4cplus.logger.core=LOUD\n",
         "Unrecognized log level: LOUD"},
        {"", "has no log4cplus.rootLogger"},
    };
    cleanup(trial_down) struct trial t = trial_up(1, "memory");
    trial_kill_replica(&t, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_free char *option = log_of(cases[i].text);
        trial_expect_end(&t, 0, option, 3, cases[i].says);
        assert_true(trial_log_says(&t, 0, folder_shared.path));
    }
    trial_expect_end(&t, 0, "--log /nonexistent/log4cplus.properties", 3,
                     "/nonexistent/log4cplus.properties");
}

/* As engines start containers: with a soft limit of nothing. */
static void a_core_dump_is_possible(void **state) {
    (void)state;
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_CORE, &before), 0);
    limit = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_CORE, &limit), 0);
    cleanup(trial_down) struct trial t = trial_up(1, "memory");
    assert_int_equal(prlimit(t.pids[0], RLIMIT_CORE, NULL, &limit), 0);
    assert_int_equal(limit.rlim_cur, limit.rlim_max);
    assert_int_equal(limit.rlim_max, before.rlim_max);
    setrlimit(RLIMIT_CORE, &before);
    trial_stop(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_room_can_say_more_than_the_others),
        cmocka_unit_test(one_room_can_say_less_than_the_others),
        cmocka_unit_test(a_broken_file_ends_it_with_its_name),
        cmocka_unit_test(a_core_dump_is_possible),
    };
    return cmocka_run_group_tests(tests, folder_make_shared, folder_remove_shared);
}
