/* The log: one line per message, configured by a file, thread-safe. */

#include "lib/log.h"

#include "lib/cleanup.h"
#include "lib/file.h"

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
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
