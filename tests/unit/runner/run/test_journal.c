/* What is read out of the journal of a runner that died. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/text.h"
#include "runner/run/journal.h"
#include "runner/run/journal_read.h"
#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define RUN "{\"event\":\"run\",\"steps\":3,\"ns\":5}\n"
#define BEGIN(n) "{\"event\":\"begin\",\"step\":" #n ",\"ns\":6}\n"
#define END(n, state) "{\"event\":\"end\",\"step\":" #n ",\"state\":\"" state "\",\"ns\":7}\n"

static int parse(const char *text, struct journal_log *ret, struct error *err) {
    return journal_parse(text, strlen(text), ret, err);
}

static void refused(const char *text, const char *why) {
    struct error err = ERROR_NULL;
    struct journal_log log = JOURNAL_LOG_NULL;
    assert_int_equal(parse(text, &log, &err), -1);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}

static void each_step_is_where_its_last_line_says(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(journal_log_deinit) struct journal_log log = JOURNAL_LOG_NULL;
    assert_int_equal(parse(RUN BEGIN(1) BEGIN(2) END(1, "good"), &log, &err), 0);
    assert_int_equal(log.step_count, 3);
    assert_int_equal(log.steps[0].state, STEP_GOOD);
    assert_int_equal(log.steps[0].begun.ns, 6);
    assert_int_equal(log.steps[0].ended.ns, 7);
    assert_non_null(log.steps[0].end);
    assert_int_equal(log.steps[1].state, STEP_RUNNING);
    assert_int_equal(log.steps[2].state, STEP_WAITING);
    assert_int_equal(log.first.ns, 5);
    assert_int_equal(log.last.ns, 7);
    assert_false(log.ended || log.interrupted || log.reported || log.taken_down);
}

static void a_torn_last_line_was_never_written(void **state) {
    (void)state;
    const char *const torn[] = {"{\"event\":\"be", "{\"event\":\"begin\",\"step\":2}", "\n", "{}\n",
                                "{\"event\":\"begin\",\"step\":4}\n"};
    for (size_t i = 0; i < sizeof torn / sizeof *torn; i++) {
        struct error err = ERROR_NULL;
        cleanup(journal_log_deinit) struct journal_log log = JOURNAL_LOG_NULL;
        cleanup_free char *text = text_format(RUN BEGIN(1) "%s", torn[i]);
        assert_int_equal(parse(text, &log, &err), 0);
        assert_int_equal(log.size, strlen(RUN BEGIN(1)));
        assert_int_equal(log.read, strlen(text));
        assert_int_equal(log.steps[0].state, STEP_RUNNING);
        assert_int_equal(log.steps[1].state, STEP_WAITING);
    }
}

static void a_bad_line_before_the_last_is_named(void **state) {
    (void)state;
    refused(RUN "what?\n" BEGIN(1), "line 2");
    refused(RUN BEGIN(9) BEGIN(1), "step 9 of 3");
    refused(RUN END(1, "odd") BEGIN(1), "'state'");
    refused(BEGIN(1) RUN, "before any run");
    refused("{\"event\":\"run\",\"steps\":-1}\n" BEGIN(1), "'steps'");
    refused("{\"event\":\"run\",\"steps\":99999999}\n" BEGIN(1), "'steps'");
}

static void where_nothing_is_written_nothing_had_begun(void **state) {
    (void)state;
    refused("", "nothing had begun");
    refused("{\"event\":\"run\",\"st", "nothing had begun");
}

static void what_later_commands_did_is_not_the_trials(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(journal_log_deinit) struct journal_log log = JOURNAL_LOG_NULL;
    assert_int_equal(
        parse(RUN BEGIN(1) "{\"event\":\"run\",\"mode\":\"collect\",\"steps\":9}\n" END(1, "good")
                  BEGIN(9) "{\"event\":\"end of run\"}\n",
              &log, &err),
        0);
    assert_int_equal(log.steps[0].state, STEP_RUNNING);
    assert_false(log.ended || log.taken_down);
}

static void that_it_was_taken_down_is_seen(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(journal_log_deinit) struct journal_log log = JOURNAL_LOG_NULL;
    assert_int_equal(parse(RUN "{\"event\":\"run\",\"mode\":\"down\",\"steps\":9}\n", &log, &err),
                     0);
    assert_true(log.taken_down);
}

static void a_run_that_was_resumed_can_be_resumed_again(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(journal_log_deinit) struct journal_log log = JOURNAL_LOG_NULL;
    assert_int_equal(parse(RUN BEGIN(1) END(1, "good") "{\"event\":\"run\",\"mode\":\"collect\"}\n"
                                                       "{\"event\":\"resume\",\"ns\":8}\n" BEGIN(
                                                           1) "{\"event\":\"interrupt\"}\n",
                           &log, &err),
                     0);
    assert_int_equal(log.steps[0].state, STEP_RUNNING);
    assert_int_equal(log.resumed_count, 1);
    assert_true(log.interrupted);
}

static void a_journal_is_cut_and_gone_on_with(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup_free char *path = path_join(folder_shared.path, "journal.jsonl");
    cleanup(journal_close) struct journal j = JOURNAL_NULL;
    cleanup(journal_log_deinit) struct journal_log log = JOURNAL_LOG_NULL;
    struct json *fields = json_new_object();
    json_set_int(fields, "steps", 1);
    assert_int_equal(journal_open(&j, path, &err), 0);
    assert_int_equal(journal_write(&j, "run", fields, &err), 0);
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(journal_write(&j, "warning", NULL, &err), 0);
    assert_int_equal(journal_cut(&j, (size_t)before.st_size, &err), 0);
    assert_int_equal(journal_write(&j, "interrupt", NULL, &err), 0);
    assert_int_equal(stat(path, &after), 0);
    assert_true(after.st_size > before.st_size);
    assert_int_equal(journal_read(path, &log, &err), 0);
    assert_int_equal(log.warning_count, 0);
    assert_true(log.interrupted);
}

static void a_journal_has_one_writer(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup_free char *path = path_join(folder_shared.path, "journal.jsonl");
    cleanup(journal_close) struct journal first = JOURNAL_NULL;
    cleanup(journal_close) struct journal second = JOURNAL_NULL;
    assert_int_equal(journal_open(&first, path, &err), 0);
    assert_int_equal(journal_open(&second, path, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFLICT);
    journal_close(&first);
    assert_int_equal(journal_open(&second, path, &err), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_is_where_its_last_line_says),
        cmocka_unit_test(a_torn_last_line_was_never_written),
        cmocka_unit_test(a_bad_line_before_the_last_is_named),
        cmocka_unit_test(where_nothing_is_written_nothing_had_begun),
        cmocka_unit_test(what_later_commands_did_is_not_the_trials),
        cmocka_unit_test(that_it_was_taken_down_is_seen),
        cmocka_unit_test(a_run_that_was_resumed_can_be_resumed_again),
        cmocka_unit_test_setup_teardown(a_journal_is_cut_and_gone_on_with, folder_make_shared,
                                        folder_remove_shared),
        cmocka_unit_test_setup_teardown(a_journal_has_one_writer, folder_make_shared,
                                        folder_remove_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
