/* What is said of bytes that come: at once on a terminal, seldom in lines that are kept. */

#include "runner/run/progress.h"

#include "lib/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* All that `mode` writes about the collection of a container and about a copy. */
static char *written(enum progress_mode mode) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = tmpfile();
    FILE *copy = open_memstream(&text, &size);
    const struct step step = {.kind = STEP_COLLECT_CONTAINER};
    struct progress *p = progress_new(mode, ANSI_AUTO, out);
    progress_begin(p, 7, &step, "h1", "replica-1");
    for (uint64_t bytes = 0; bytes < 1000000000; bytes += 12345678)
        progress_bytes(p, 7, "/data", bytes);
    progress_bytes(p, 8, "/unknown step", 1);
    progress_tick(p);
    progress_end(p, 7, STEP_GOOD, NULL);
    progress_copied(p, "/data/x", 12345678);
    progress_free(p);
    rewind(out);
    for (int c; (c = fgetc(out)) != EOF;)
        fputc(c, copy);
    fclose(out);
    fclose(copy);
    return text;
}

static void a_terminal_shows_what_has_come(void **state) {
    (void)state;
    cleanup_free char *text = written(PROGRESS_TTY);
    assert_non_null(strstr(text, "/data: 1000.0 MB"));
    assert_non_null(strstr(text, "copied      12.3 MB  /data/x\n"));
    assert_null(strstr(text, "unknown step"));
}

static void lines_that_are_kept_are_few(void **state) {
    (void)state;
    cleanup_free char *plain = written(PROGRESS_PLAIN), *json = written(PROGRESS_JSON);
    cleanup_free char *quiet = written(PROGRESS_QUIET);
    assert_null(strstr(plain, "/data/x"));
    assert_non_null(strstr(json, "\"collect-container\""));
    assert_null(strstr(json, "\"event\":\"copy\""));
    assert_string_equal(quiet, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_terminal_shows_what_has_come),
        cmocka_unit_test(lines_that_are_kept_are_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
