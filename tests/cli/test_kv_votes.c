/* `replica kv` as a process against clusters whose replicas all answer: what a quorum says is
 * believed, whatever up to f of them do. */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "tests/fake/voters.h"
#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static void write_cluster(const struct voters *voters, int n) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 64 * 1024);
    buffer_text(&text, "run: 3f9c2a1b\nproject: demo\ncontainers:\n");
    for (int i = 0; i < n; i++)
        buffer_format(&text,
                      "  - {name: demo-replica-%d, service: replica, role: replica, index: %d, "
                      "host: local, address: 127.0.0.1, ports: {replica: %u}}\n",
                      i + 1, i, voters_port(voters, i));
    folder_write(&folder_shared, "cluster.yaml", buffer_string(&text));
}

/* Gives the exit status, all that is said, and what came to the replicas. */
static int ask(struct voters_script script, const char *words, char *ret_said, size_t size,
               struct voters_counts *ret_counts) {
    struct error err = ERROR_NULL;
    struct voters *voters = NULL;
    if (voters_start(&script, &voters, &err) < 0)
        fail_msg("%s", err.text);
    write_cluster(voters, script.n);
    cleanup_free char *command =
        text_format(REPLICA_PROGRAM " kv --insecure --cluster %s/cluster.yaml --timeout 5 %s 2>&1",
                    folder_shared.path, words);
    FILE *said = popen(command, "re");
    assert_non_null(said);
    ret_said[fread(ret_said, 1, size - 1, said)] = '\0';
    int status = pclose(said);
    voters_stop(voters, ret_counts);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int put(struct voters_script script, char *ret_said, size_t size) {
    struct voters_counts counts;
    return ask(script, "put a 1", ret_said, size, &counts);
}

static void up_to_f_replicas_may_do_what_they_like(void **state) {
    (void)state;
    static const enum voter faults[] = {VOTER_LIES,   VOTER_REFUSES,  VOTER_SILENT,
                                        VOTER_ABSENT, VOTER_STRANGER, VOTER_FLOODS};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        for (int faulty = 0; faulty < 4; faulty += 3) { /* the primary, and the last one */
            struct voters_script script = {.n = 4};
            char said[1024];
            script.voters[faulty] = faults[i];
            int status = put(script, said, sizeof said);
            if (status != 0 || !text_starts(said, "block "))
                fail_msg("with fault %d of replica %d: %d, %s", (int)faults[i], faulty, status,
                         said);
        }
}

static void what_f_plus_1_refuse_is_refused(void **state) {
    (void)state;
    char said[1024];
    struct voters_script script = {.n = 4, .voters = {[1] = VOTER_REFUSES, [2] = VOTER_REFUSES}};
    assert_int_equal(put(script, said, sizeof said), 1);
    assert_non_null(strstr(said, "the replicas refuse it"));
}

/* One is ahead of the others and one forges what it reads, so no quorum has read the same, and it
 * is ordered. Then the forger answers as the others do, and first, with another value. */
static void a_value_that_one_forges_is_got_from_the_others(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct voters_script script = {
            .n = 4, .value = "ship", .voters = {[0] = VOTER_FORGES, [3] = VOTER_AHEAD}};
        struct voters_counts counts;
        char said[1024];
        int status = ask(script, "get a", said, sizeof said, &counts);
        assert_string_equal(said, "ship\n");
        assert_int_equal(status, 0);
        assert_int_equal(counts.reads, 4);
        assert_int_equal(counts.executed, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(up_to_f_replicas_may_do_what_they_like),
        cmocka_unit_test(what_f_plus_1_refuse_is_refused),
        cmocka_unit_test(a_value_that_one_forges_is_got_from_the_others),
    };
    return cmocka_run_group_tests(tests, folder_make_shared, folder_remove_shared);
}
