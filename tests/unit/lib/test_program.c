#include "lib/program.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define PATIENCE_NS (20 * NS_PER_SEC) /* a test that needs it has failed */

/* By sh(1); `said` can take 16 bytes. */
static int ask(const char *script, const char *input, uint64_t within_ns, struct buffer *said,
               int *status, struct error *err) {
    char sh[] = "sh", option[] = "-c";
    cleanup_free char *text = text_dup(script);
    char *argv[] = {sh, option, text, NULL};
    struct task forever = TASK_FOREVER, task = task_within(&forever, within_ns);
    buffer_init(said, 16);
    return program_ask(argv, input, &task, said, status, err);
}

static void assert_nothing_runs(void) {
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void assert_says(const char *script, const char *input, const char *answer, int wanted) {
    cleanup(buffer_wipe) struct buffer said;
    struct error err = ERROR_NULL;
    int status = -1;
    if (ask(script, input, PATIENCE_NS, &said, &status, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(buffer_string(&said), answer);
    assert_int_equal(status, wanted);
    assert_nothing_runs();
}

static void what_it_says_and_its_status_are_heard(void **state) {
    (void)state;
    assert_says("echo yes; exit 3", NULL, "yes\n", 3);
    assert_says("printf no; kill -9 $$", NULL, "no", 128 + SIGKILL);
    assert_says("exec >&-; exit 4", NULL, "", 4);
}

static void it_is_told_its_input_and_that_there_is_no_more(void **state) {
    (void)state;
    assert_says("cat", "a server", "a server", 0);
    assert_says("cat; echo end", "", "end\n", 0);
    assert_says("cat; echo end", NULL, "end\n", 0);
    assert_says("exec <&-; echo deaf", "a server", "deaf\n", 0);
}

/* Whatever is blocked or ignored here. */
static void signals_are_as_usual_for_it(void **state) {
    (void)state;
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    assert_says("kill -15 $$; echo no", NULL, "", 128 + SIGTERM);
    sigprocmask(SIG_SETMASK, &before, NULL);
    void (*handler)(int) = signal(SIGPIPE, SIG_IGN);
    assert_says("kill -13 $$; echo no", NULL, "", 128 + SIGPIPE);
    signal(SIGPIPE, handler);
}

static void assert_fails(const char *script, uint64_t within_ns, enum error_kind kind) {
    cleanup(buffer_wipe) struct buffer said;
    struct error err = ERROR_NULL;
    int status = -1;
    assert_int_equal(ask(script, NULL, within_ns, &said, &status, &err), -1);
    if (err.kind != kind)
        fail_msg("%s: %s", error_kind_name(err.kind), err.text);
    assert_int_equal(status, -1);
    assert_nothing_runs();
}

static void one_that_goes_on_or_says_too_much_is_ended(void **state) {
    (void)state;
    assert_fails("exec sleep 1000", 0, ERROR_TIMEOUT);
    assert_fails("exec >&-; exec sleep 1000", 50 * NS_PER_MS, ERROR_TIMEOUT);
    assert_fails("exec yes", PATIENCE_NS, ERROR_LIMIT);
}

static void one_that_is_not_there_is_named(void **state) {
    (void)state;
    char name[] = "no-such-program";
    char *argv[] = {name, NULL};
    struct task task = TASK_FOREVER;
    struct error err = ERROR_NULL;
    struct buffer said = BUFFER_NULL;
    int status = -1;
    assert_int_equal(program_ask(argv, "a", &task, &said, &status, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "run 'no-such-program'"));
    assert_nothing_runs();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_says_and_its_status_are_heard),
        cmocka_unit_test(it_is_told_its_input_and_that_there_is_no_more),
        cmocka_unit_test(signals_are_as_usual_for_it),
        cmocka_unit_test(one_that_goes_on_or_says_too_much_is_ended),
        cmocka_unit_test(one_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
