/* Where a core dump goes, by the host's pattern and the service's words. */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "runner/run/core_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char cores[] = "/cores/";

static struct project_service service(void) {
    return (struct project_service){.name = (char[]){"s"},
                                    .seatrial = {.role = PROJECT_ROLE_REPLICA, .cores = cores}};
}

/* Checks the way, and that both sentences have these words (NULL: nothing is said). */
static void judged(const char *pattern, const struct project_service *s, const char *working_dir,
                   enum core_way way, const char *what_has, const char *remedy_has) {
    cleanup(buffer_deinit) struct buffer what, remedy;
    buffer_init(&what, CORE_SENTENCE_MAX);
    buffer_init(&remedy, CORE_SENTENCE_MAX);
    assert_int_equal(core_pattern_judge(pattern, s, working_dir, &what, &remedy), way);
    if (!strstr(buffer_string(&what), what_has))
        fail_msg("'%s' is not in '%s'", what_has, buffer_string(&what));
    if (!remedy_has)
        assert_int_equal(remedy.size, 0);
    else if (!strstr(buffer_string(&remedy), remedy_has))
        fail_msg("'%s' is not in '%s'", remedy_has, buffer_string(&remedy));
}

static void a_relative_pattern_means_the_working_directory(void **state) {
    (void)state;
    struct project_service s = service();
    judged("core", &s, "/cores", CORE_ARRIVES, "'/cores/', its working directory", NULL);
    judged("core.%p", &s, "/seatrial/cores", CORE_ARRIVES, "is collected", NULL);
    judged("cores/core", &s, "", CORE_ARRIVES, "is collected", NULL);
    judged("core", &s, "", CORE_IN_WORKING_DIR, "in '/', where it started",
           "say `working_dir: /cores/`, or `sysctl "
           "kernel.core_pattern=/seatrial/cores/core.%e.%p` on the host");
    judged("core", &s, NULL, CORE_NOT_KNOWN, "the image", "`working_dir: /cores/` is sure");
    s.read_only = true;
    judged("core", &s, "/cores", CORE_ARRIVES, "is collected", NULL);
    judged("core", &s, "/app", CORE_NOT_WRITTEN, "'/app', which is read-only", "working_dir");
    struct project_mount mounts[] = {{.type = PROJECT_MOUNT_VOLUME, .target = (char[]){"/app"}}};
    s.mounts = mounts;
    s.mount_count = 1;
    judged("core", &s, "/app/deep", CORE_IN_WORKING_DIR, "'/app/deep', where", "working_dir");
}

static void an_absolute_pattern_means_a_folder_of_the_container(void **state) {
    (void)state;
    struct project_service s = service();
    judged("/cores/core.%p", &s, "/", CORE_ARRIVES, "in '/cores/' and is collected", NULL);
    judged("/seatrial/cores/core", &s, NULL, CORE_ARRIVES, "is collected", NULL);
    judged("/var/crash/core", &s, "/", CORE_ELSEWHERE, "'/var/crash' of its container",
           "kernel.core_pattern=/seatrial/cores/core.%e.%p` on the host, or say `cores: "
           "/var/crash`");
    judged("/core", &s, "/", CORE_ELSEWHERE, "'/' of its container", "sysctl");
    s.read_only = true;
    judged("/var/crash/core", &s, "/", CORE_NOT_WRITTEN, "read-only", "sysctl");
    struct project_mount mounts[] = {{.type = PROJECT_MOUNT_VOLUME, .target = (char[]){"/cores"}}};
    s.mounts = mounts;
    s.mount_count = 1;
    judged("/seatrial/cores/core", &s, NULL, CORE_NOT_WRITTEN, "not in '/cores/'",
           "kernel.core_pattern=/cores/core.%e.%p");
}

static void a_pipe_means_a_program_of_the_host(void **state) {
    (void)state;
    const struct project_service s = service();
    judged("|/usr/lib/systemd/systemd-coredump %P %u", &s, "/cores", CORE_PIPED, "not collected",
           "`coredumpctl list`");
    judged("|/usr/share/apport/apport -p%p", &s, "/cores", CORE_PIPED, "not collected",
           "`systemctl disable --now apport`");
    judged("|/bin/\x1b[2J", &s, "/cores", CORE_PIPED, "'|/bin/\\x1b[2J'",
           "`sysctl kernel.core_pattern=/seatrial/cores/core.%e.%p` on the host");
}

static void nothing_is_written_without_a_pattern_or_a_limit(void **state) {
    (void)state;
    struct project_service s = service();
    judged("", &s, "/cores", CORE_NOT_WRITTEN, "pattern is empty", "sysctl");
    struct project_ulimit limits[] = {{.name = (char[]){"core"}, .soft = 0, .hard = 0}};
    s.ulimits = limits;
    s.ulimit_count = 1;
    judged("core", &s, "/cores", CORE_NOT_WRITTEN, "`ulimits`", "`core: 0`");
}

static void a_replica_that_says_nothing_has_a_folder(void **state) {
    (void)state;
    struct project_service s = service();
    s.seatrial.cores = NULL;
    judged("core", &s, "/seatrial/cores", CORE_ARRIVES, "'/seatrial/cores'", NULL);
    judged("core", &s, "/data", CORE_IN_WORKING_DIR, "'/data'", "`working_dir: /seatrial/cores`");
}

static void names_of_core_dumps_are_known(void **state) {
    (void)state;
    assert_true(core_pattern_matches(NULL, "core"));
    assert_true(core_pattern_matches("", "core.17"));
    assert_true(core_pattern_matches("|/bin/x", "program.core"));
    assert_false(core_pattern_matches(NULL, "score"));
    assert_true(core_pattern_matches("/x/dump-%e-%p%%", "dump-a b-7%"));
    assert_false(core_pattern_matches("/x/dump-%e-%p", "dump-7"));
    assert_true(core_pattern_matches("[a]*", "[a]*"));
    assert_false(core_pattern_matches("[a]*", "ab"));
    assert_false(core_pattern_matches("/x/", "anything"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relative_pattern_means_the_working_directory),
        cmocka_unit_test(an_absolute_pattern_means_a_folder_of_the_container),
        cmocka_unit_test(a_pipe_means_a_program_of_the_host),
        cmocka_unit_test(nothing_is_written_without_a_pattern_or_a_limit),
        cmocka_unit_test(a_replica_that_says_nothing_has_a_folder),
        cmocka_unit_test(names_of_core_dumps_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
