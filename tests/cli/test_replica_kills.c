/*
 * Replicas that are killed in mid-load, and come back: no request that was acknowledged is lost,
 * all are answered, and in the end all chains are the same.
 */

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/request_set.h"
#include "lib/text.h"
#include "tests/cli/trial_stage.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATIENCE (120 * NS_PER_SEC) /* sanitizers on a busy machine */

static void wait_height(const struct trial *t, int i, int64_t height) {
    struct instant end = instant_after(clock_instant(), PATIENCE);
    int64_t now;
    while ((now = trial_height(t, i)) < height) {
        if (instant_passed(end, clock_instant()))
            fail_msg("replica %d is at height %lld, not %lld", i, (long long)now,
                     (long long)height);
        poll(NULL, 0, 20);
    }
}

static int64_t load_says(const struct trial *t, const char *of, const char *key) {
    struct error err = ERROR_NULL;
    cleanup(json_freep) struct json *all = NULL;
    cleanup_free char *text = folder_read(&t->folder, "out/load.json");
    int64_t value = 0;
    assert_non_null(text);
    if (json_parse(text, strlen(text), 0, &all, &err) < 0 ||
        json_require_int(json_member(all, of), key, 0, INT64_MAX, &value, &err) < 0)
        fail_msg("%s", err.text);
    return value;
}

enum { REQUESTS = 2000 };

/* Small ones, so that what is tested is the protocol and not the machine. */
static const char load_args[] =
    "-b 2000 -c 20 -k 3 -v 300 -d 500 --request-timeout 60s --connect-timeout 60s";

static void one_killed_backup_costs_nothing_and_catches_up(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_up(4, "rocksdb");
    pid_t load = trial_begin_load(&t, load_args);
    wait_height(&t, 0, 200);
    trial_kill_replica(&t, 2);
    wait_height(&t, 0, 600);
    trial_start_replica(&t, 2);
    trial_expect_good(&t, trial_ended(load), "loader.log");
    wait_height(&t, 2, REQUESTS);
    trial_stop(&t);
    trial_expect_agreement(&t, "out", REQUESTS);
    for (int i = 0; i < t.n; i++)
        assert_false(trial_log_says(&t, i, "is the primary of view"));
}

/* The primary's death costs one view change; the load goes on under the next one. */
static void expect_one_view_change(int n, const char *args) {
    cleanup(trial_down) struct trial t = trial_up(n, "rocksdb");
    pid_t load = trial_begin_load(&t, args);
    wait_height(&t, 1, 200);
    trial_kill_replica(&t, 0);
    trial_expect_good(&t, trial_ended(load), "loader.log");
    assert_int_equal(load_says(&t, "requests", "acknowledged"), REQUESTS);
    for (int i = 1; i < n; i++) {
        assert_true(trial_log_says(&t, i, "replica 1 is the primary of view 1"));
        assert_false(trial_log_says(&t, i, "is the primary of view 2"));
    }
    trial_start_replica(&t, 0);
    wait_height(&t, 0, REQUESTS);
    trial_wait_healthy(&t, 0);
    cleanup_free char *status = trial_ask(&t, 0, "--status");
    assert_non_null(strstr(status, "\"view\": 1,"));
    trial_stop(&t);
    trial_expect_agreement(&t, "out", REQUESTS);
}

static void the_killed_primary_of_four_costs_one_view_change(void **state) {
    (void)state;
    expect_one_view_change(4, load_args);
}

static void the_killed_primary_of_seven_costs_one_view_change(void **state) {
    (void)state;
    expect_one_view_change(7, load_args);
}

static void with_pre_execution_too(void **state) {
    (void)state;
    expect_one_view_change(
        4,
        "-b 2000 -c 20 -k 3 -v 300 -d 500 --request-timeout 60s --connect-timeout 60s -p 1 -e 1");
}

/* "of A requests that were ordered as executed ahead, C were in conflict" */
static void read_ahead(const struct trial *t, int i, unsigned *ret_ahead, unsigned *ret_conflicts) {
    cleanup_free char *name = text_format("replica%d.log", i);
    cleanup_free char *log = folder_read(&t->folder, name);
    const char *at = log ? strstr(log, "of ") : NULL;
    while (at && sscanf(at, "of %u requests that were ordered as executed ahead, %u were",
                        ret_ahead, ret_conflicts) != 2)
        at = strstr(at + 1, "of ");
    assert_non_null(at);
}

/* All want the same few keys, so that what is read has often been written before the request is at
 * its turn; and one replica says nothing. */
static void what_is_in_conflict_is_executed_in_its_order(void **state) {
    (void)state;
    unsigned ahead, conflicts, first_ahead, first_conflicts;
    cleanup(trial_down) struct trial t = trial_up(4, "rocksdb");
    trial_kill_replica(&t, 3);
    trial_load(&t, "-b 600 -c 16 -k 2 -v 100 -d 100 --key-space 8 --read-keys 4 -p 1 -e 1 -w 0 "
                   "--request-timeout 60s --connect-timeout 60s");
    trial_start_replica(&t, 3);
    wait_height(&t, 3, 600);
    trial_stop(&t);
    trial_expect_agreement(&t, "out", 600);
    read_ahead(&t, 0, &first_ahead, &first_conflicts);
    assert_in_range(first_ahead, 1, 600);
    assert_in_range(first_conflicts, 1, first_ahead);
    for (int i = 1; i < 3; i++) { /* everybody decides alike */
        read_ahead(&t, i, &ahead, &conflicts);
        assert_int_equal(ahead, first_ahead);
        assert_int_equal(conflicts, first_conflicts);
    }
}

static void what_reads_nothing_is_never_in_conflict(void **state) {
    (void)state;
    unsigned ahead, conflicts;
    cleanup(trial_down) struct trial t = trial_up(4, "memory");
    trial_load(&t, "-b 600 -c 16 -k 2 -v 100 -d 100 -p 1 -e 1 -w 0 --request-timeout 60s "
                   "--connect-timeout 60s");
    trial_stop(&t);
    trial_expect_agreement(&t, "out", 600);
    read_ahead(&t, 1, &ahead, &conflicts);
    assert_in_range(ahead, 1, 600);
    assert_int_equal(conflicts, 0);
}

/* Empty, as a new machine is: it gets the whole chain from the others. */
static void a_wiped_replica_fetches_the_chain(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_up(4, "rocksdb");
    trial_load(&t, load_args);
    trial_kill_replica(&t, 3);
    cleanup_free char *command =
        text_format("rm -rf '%s/data3' && mkdir '%s/data3'", t.folder.path, t.folder.path);
    assert_int_equal(system(command), 0);
    trial_start_replica(&t, 3);
    wait_height(&t, 3, REQUESTS);
    assert_true(trial_log_says(&t, 3, "replica 3 fetches the blocks after 0"));
    trial_stop(&t);
    trial_expect_agreement(&t, "out", REQUESTS);
}

/* Its memory is all it had. */
static void one_without_a_disk_fetches_the_chain(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_up(4, "memory");
    pid_t load = trial_begin_load(&t, load_args);
    wait_height(&t, 0, 200);
    trial_kill_replica(&t, 1);
    trial_start_replica(&t, 1);
    trial_expect_good(&t, trial_ended(load), "loader.log");
    wait_height(&t, 1, REQUESTS);
    trial_stop(&t);
    trial_expect_agreement(&t, "out", REQUESTS);
}

/* Blocks of more than a frame travel in pieces. */
static void large_blocks_are_fetched_too(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_up(4, "memory");
    trial_kill_replica(&t, 3);
    trial_load(&t, "-b 100 -c 1 -k 3 -v 800000 -d 100 --request-timeout 60s --connect-timeout 60s");
    trial_start_replica(&t, 3);
    wait_height(&t, 3, 100);
    trial_stop(&t);
    trial_expect_agreement(&t, "out", 100);
}

/* All at once, in mid-load: what they said is what they know afterwards. */
static void all_killed_at_once_go_on_where_they_were(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_up(4, "rocksdb");
    pid_t load = trial_begin_load(&t, load_args);
    wait_height(&t, 0, 200);
    for (int i = 0; i < t.n; i++)
        trial_kill_replica(&t, i);
    for (int i = 0; i < t.n; i++)
        trial_start_replica(&t, i);
    trial_expect_good(&t, trial_ended(load), "loader.log");
    for (int i = 0; i < t.n; i++)
        wait_height(&t, i, REQUESTS);
    trial_stop(&t);
    trial_expect_agreement(&t, "out", REQUESTS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_killed_backup_costs_nothing_and_catches_up),
        cmocka_unit_test(the_killed_primary_of_four_costs_one_view_change),
        cmocka_unit_test(the_killed_primary_of_seven_costs_one_view_change),
        cmocka_unit_test(with_pre_execution_too),
        cmocka_unit_test(what_is_in_conflict_is_executed_in_its_order),
        cmocka_unit_test(what_reads_nothing_is_never_in_conflict),
        cmocka_unit_test(a_wiped_replica_fetches_the_chain),
        cmocka_unit_test(one_without_a_disk_fetches_the_chain),
        cmocka_unit_test(large_blocks_are_fetched_too),
        cmocka_unit_test(all_killed_at_once_go_on_where_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
