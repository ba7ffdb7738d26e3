/* Results folders, the lock of a project, the journal. */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/text.h"
#include "runner/run/journal.h"
#include "runner/run/lock.h"
#include "runner/run/results.h"
#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct wall_time moment = {INT64_C(1700000000000000000)};

static void a_run_is_found_by_id_by_folder_and_as_the_latest(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(results_deinit) struct results made = RESULTS_NULL;
    assert_int_equal(results_create(folder_shared.path, "a-b", "0badcafe", moment, &made, &err), 0);
    assert_true(text_ends(made.folder, "/20231114-221320-a-b-0badcafe"));
    struct stat st;
    assert_int_equal(stat(made.folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700); /* containers' environments are in it */
    const char *names[] = {"0badcafe", "20231114-221320-a-b-0badcafe", "latest"};
    for (size_t i = 0; i < 3; i++) {
        cleanup(results_deinit) struct results found = RESULTS_NULL;
        assert_int_equal(results_find(folder_shared.path, names[i], &found, &err), 0);
        assert_string_equal(found.run, "0badcafe");
        assert_string_equal(found.folder, made.folder);
    }
}

static void runs_of_one_second_have_folders_of_their_own(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(results_deinit) struct results first = RESULTS_NULL;
    cleanup(results_deinit) struct results second = RESULTS_NULL;
    assert_int_equal(results_create(folder_shared.path, "load", "11111111", moment, &first, &err),
                     0);
    assert_int_equal(results_create(folder_shared.path, "load", "11111111", moment, &second, &err),
                     0);
    assert_string_not_equal(first.folder, second.folder);
}

static void names_that_lead_elsewhere_are_no_runs(void **state) {
    (void)state;
    const char *bad[] = {"", "..", "../x", "/etc", "nothing", "0badcaf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = ERROR_NULL;
        struct results found = RESULTS_NULL;
        assert_int_equal(results_find(folder_shared.path, bad[i], &found, &err), -1);
        assert_int_equal(err.kind, ERROR_NOT_FOUND);
    }
}

static void a_project_is_locked_once_and_free_again_afterwards(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct project_lock first = PROJECT_LOCK_NULL, second = PROJECT_LOCK_NULL;
    setenv("XDG_RUNTIME_DIR", folder_shared.path, 1);
    assert_int_equal(project_lock_take("p", &first, &err), 0);
    assert_int_equal(project_lock_take("p", &second, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFLICT);
    cleanup_free char *holder = text_format("by process %ld", (long)getpid());
    assert_non_null(strstr(err.text, holder));
    assert_int_equal(project_lock_take("q", &second, &err), 0);
    project_lock_release(&second);
    project_lock_release(&first);
    assert_int_equal(project_lock_take("p", &first, &err), 0);
    project_lock_release(&first);
}

static void the_journal_is_one_object_per_line_and_goes_on(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup_free char *path = path_join(folder_shared.path, "journal.jsonl");
    for (int i = 0; i < 2; i++) {
        cleanup(journal_close) struct journal journal = JOURNAL_NULL;
        assert_int_equal(journal_open(&journal, path, &err), 0);
        struct json *fields = json_new_object();
        json_set_text(fields, "text", "line\nbreak");
        assert_int_equal(journal_write(&journal, "begin", fields, &err), 0);
    }
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    assert_int_equal(file_read(path, 10000, &text, &err), 0);
    size_t lines = 0;
    for (size_t i = 0; i < text.size; i++)
        lines += text.data[i] == '\n';
    assert_int_equal(lines, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_found_by_id_by_folder_and_as_the_latest),
        cmocka_unit_test(runs_of_one_second_have_folders_of_their_own),
        cmocka_unit_test(names_that_lead_elsewhere_are_no_runs),
        cmocka_unit_test(a_project_is_locked_once_and_free_again_afterwards),
        cmocka_unit_test(the_journal_is_one_object_per_line_and_goes_on),
    };
    return cmocka_run_group_tests(tests, folder_make_shared, folder_remove_shared);
}
