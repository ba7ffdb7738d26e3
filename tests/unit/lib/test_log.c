/* The log: one line per message, configured by a file, thread-safe. */

#include "lib/log.h"

#include "lib/cleanup.h"
#include "lib/file.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREADS = 4, LINES = 500 };

static char folder[] = "/tmp/seatrial-log-XXXXXX";
static char properties[64], output[64];

static void configure(const char *level) {
    struct error err = ERROR_NULL;
    char text[512];
    snprintf(text, sizeof text,
             "log4cplus.rootLogger=%s, file\n"
             "log4cplus.logger.quiet=ERROR\n"
             "log4cplus.appender.file=log4cplus::FileAppender\n"
             "log4cplus.appender.file.File=%s\n"
             "log4cplus.appender.file.layout=log4cplus::PatternLayout\n"
             "log4cplus.appender.file.layout.ConversionPattern=%%p %%c %%m%%n\n",
             level, output);
    assert_int_equal(file_write(properties, 0600, text, strlen(text), &err), 0);
    assert_int_equal(log_open(properties, LOG_LEVEL_INFO, &err), 0);
}

static void read_output(struct buffer *ret) {
    struct error err = ERROR_NULL;
    if (file_read(output, 1 << 20, ret, &err) < 0)
        fail_msg("%s", err.text);
}

static void a_message_is_one_line_whatever_is_in_it(void **state) {
    (void)state;
    configure("INFO");
    log_info("room", "evil\nINFO room forged \x1b[31m");
    log_info("quiet", "not shown");
    log_debug("room", "not shown");
    log_error("quiet", "shown");
    log_close();
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    read_output(&text);
    assert_string_equal(buffer_string(&text),
                        "INFO room evil INFO room forged \\x1b[31m\nERROR quiet shown\n");
    unlink(output);
}

static void *write_lines(void *name) {
    for (int i = 0; i < LINES; i++)
        log_info("room", "%s%s%s", (char *)name, (char *)name, (char *)name);
    return NULL;
}

static void lines_of_threads_do_not_interleave(void **state) {
    (void)state;
    configure("INFO");
    char names[THREADS][16] = {"aaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbb", "ccccccccccccccc",
                               "ddddddddddddddd"};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    log_close();
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    read_output(&text);
    int lines = 0;
    for (const char *at = buffer_string(&text); *at; at += 10 + 45 + 1, lines++) {
        assert_memory_equal(at, "INFO room ", 10);
        for (int i = 0; i < 45; i++)
            assert_int_equal(at[10 + i], at[10]);
        assert_int_equal(at[55], '\n');
    }
    assert_int_equal(lines, THREADS * LINES);
    unlink(output);
}

static void a_missing_configuration_is_named(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    assert_int_equal(log_open("/nonexistent/log4cplus.properties", LOG_LEVEL_INFO, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "/nonexistent/log4cplus.properties"));
}

/* What log4cplus does not understand it leaves out; here that is an error with its words. */
static void mistakes_in_the_configuration_are_named(void **state) {
    (void)state;
    static const char root[] = "log4cplus.rootLogger=INFO, c\n";
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "has no log4cplus.rootLogger"},
        {"# log4cplus.rootLogger=INFO\nnonsense\n", "has no log4cplus.rootLogger"},
        {"log4cplus.appender.c=log4cplus::FileAppender\n"
         "log4cplus.appender.c.File=/nonexistent/x.log\n",
         "Unable to open file: /nonexistent/x.log"},
        {"log4cplus.appender.c=log4cplus::Nothing\n",
         "Cannot find AppenderFactory: log4cplus::Nothing"},
        {"log4cplus.appender.c=log4cplus::ConsoleAppender\nlog4cplus.logger.core=LOUD\n",
         "Unrecognized log level: LOUD"},
        {"log4cplus.appender.d=log4cplus::ConsoleAppender\n", "Invalid appender: c"},
        {"log4cplus.appender.c=log4cplus::ConsoleAppender\n"
         "log4cplus.appender.c.layout=log4cplus::PatternLayout\n",
         "ConversionPattern not specified in properties"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        char text[512];
        snprintf(text, sizeof text, "%s%s", i < 2 ? "" : root, cases[i].text);
        assert_int_equal(file_write(properties, 0600, text, strlen(text), &err), 0);
        assert_int_equal(log_open(properties, LOG_LEVEL_INFO, &err), -1);
        log_close();
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (!strstr(err.text, cases[i].says) || !strstr(err.text, properties))
            fail_msg("'%s' instead of '%s'", err.text, cases[i].says);
    }
}

/* Of what it changes by itself it only warns: so can the user be. */
static void warnings_of_the_configuration_are_passed_on(void **state) {
    (void)state;
    static const char text[] = "log4cplus.rootLogger=INFO, c\n"
                               "log4cplus.appender.c=log4cplus::RollingFileAppender\n"
                               "log4cplus.appender.c.MaxFileSize=1KB\n"
                               "log4cplus.appender.c.File=/dev/null\n";
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer said = BUFFER_NULL;
    cleanup_close int before = dup(STDERR_FILENO);
    cleanup_close int heard = open(output, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(file_write(properties, 0600, text, strlen(text), &err), 0);
    assert_true(before >= 0 && heard >= 0);
    dup2(heard, STDERR_FILENO);
    int r = log_open(properties, LOG_LEVEL_INFO, &err);
    dup2(before, STDERR_FILENO);
    log_close();
    assert_int_equal(r, 0);
    read_output(&said);
    assert_non_null(strstr(buffer_string(&said), "log4cplus:WARN"));
    unlink(output);
}

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(properties, sizeof properties, "%s/log4cplus.properties", folder);
    snprintf(output, sizeof output, "%s/out.log", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(properties);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_one_line_whatever_is_in_it),
        cmocka_unit_test(lines_of_threads_do_not_interleave),
        cmocka_unit_test(a_missing_configuration_is_named),
        cmocka_unit_test(mistakes_in_the_configuration_are_named),
        cmocka_unit_test(warnings_of_the_configuration_are_passed_on),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
