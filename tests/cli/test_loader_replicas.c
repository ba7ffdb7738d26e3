/*
 * The loader against real replicas: everything that it says was acknowledged is in every replica's
 * chain exactly once, and nothing else is.
 */

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/request_set.h"
#include "lib/text.h"
#include "tests/cli/trial_stage.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static void expect_a_whole_load(int n, const char *store) {
    cleanup(trial_down) struct trial t = trial_up(n, store);
    trial_load(&t, "-b 500 -c 15");
    trial_stop(&t);
    trial_expect_agreement(&t, "out", 500);
}

static void one_replica_in_memory_has_it_all(void **state) {
    (void)state;
    expect_a_whole_load(1, "memory");
}

static void four_replicas_in_memory_have_it_all(void **state) {
    (void)state;
    expect_a_whole_load(4, "memory");
}

static void four_replicas_on_rocksdb_have_it_all(void **state) {
    (void)state;
    expect_a_whole_load(4, "rocksdb");
}

/* Of one shape in load.json. */
static int64_t number_in(const struct trial *t, const char *name, size_t shape, const char *of,
                         const char *key) {
    struct error err = ERROR_NULL;
    cleanup(json_freep) struct json *all = NULL;
    cleanup_free char *text = folder_read(&t->folder, name);
    int64_t value = 0;
    assert_non_null(text);
    if (json_parse(text, strlen(text), 0, &all, &err) < 0)
        fail_msg("%s", err.text);
    const struct json *one = json_at(json_member(all, "shapes"), shape);
    assert_non_null(one);
    if (json_require_int(json_member(one, of), key, 0, INT64_MAX, &value, &err) < 0)
        fail_msg("%s", err.text);
    return value;
}

/* Of load.json, which says it if there are any. */
static uint64_t ordered_reads(const struct trial *t) {
    struct error err = ERROR_NULL;
    cleanup(json_freep) struct json *all = NULL;
    cleanup_free char *text = folder_read(&t->folder, "out/load.json");
    int64_t value = 0;
    assert_non_null(text);
    if (json_parse(text, strlen(text), 0, &all, &err) < 0)
        fail_msg("%s", err.text);
    const struct json *requests = json_member(all, "requests");
    if (json_member(requests, "ordered_reads") &&
        json_require_int(requests, "ordered_reads", 0, INT64_MAX, &value, &err) < 0)
        fail_msg("%s", err.text);
    return (uint64_t)value;
}

/* Reads and writes of one key space: the chain holds the writes, and of the reads only those that
 * had to be ordered. */
static void expect_a_mix(const char *store) {
    cleanup(trial_down) struct trial t = trial_up(4, store);
    trial_load(&t, "-b 600 -c 15 --seed 5 --key-space 200 --key-skew zipf:0.9 "
                   "--shape small,weight=5,k=2,v=100,d=64 --shape large,k=31,d=15100,p=1,e=1 "
                   "--shape look,weight=4,k=5,read");
    int64_t small = number_in(&t, "out/load.json", 0, "requests", "acknowledged");
    int64_t large = number_in(&t, "out/load.json", 1, "requests", "acknowledged");
    int64_t look = number_in(&t, "out/load.json", 2, "requests", "acknowledged");
    assert_int_equal(small + large + look, 600);
    assert_in_range(small, 250, 350);
    assert_in_range(large, 30, 90);
    assert_in_range(look, 190, 290);
    assert_true(number_in(&t, "out/load.json", 2, "latency_ns", "p50") > 0);
    cleanup_free char *log = folder_read(&t.folder, "out/latency.hlog");
    assert_non_null(strstr(log, "\nTag=small,"));
    assert_non_null(strstr(log, "\nTag=look,"));
    trial_stop(&t);
    trial_expect_agreement_with(&t, "out", (uint64_t)(small + large), ordered_reads(&t));
}

static void a_mix_of_reads_and_writes_agrees_in_memory(void **state) {
    (void)state;
    expect_a_mix("memory");
}

static void a_mix_of_reads_and_writes_agrees_on_rocksdb(void **state) {
    (void)state;
    expect_a_mix("rocksdb");
}

/* Nothing is written, so nothing is in the chain, and every key is absent. */
static void reads_alone_leave_an_empty_chain(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_up(1, "memory");
    trial_load(&t, "-b 300 -c 15 --reads 100 --key-space 1000000000000");
    trial_stop(&t);
    trial_expect_agreement(&t, "out", 0);
}

static void a_second_load_is_not_taken_for_the_first(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_up(1, "memory");
    trial_load(&t, "-b 100 -c 3 -d 64");
    trial_load(&t, "-b 100 -c 3 -d 64"); /* the same numbers of other clients */
    trial_stop(&t);
    cleanup(request_set_freep) struct request_set *executed =
        trial_read_set(&t, "out0/executed.json");
    assert_int_equal(request_set_count(executed), 200);
}

/* What was acknowledged before the signal is there; what was not acknowledged may be. */
static void an_interrupted_load_claims_nothing_that_is_not_there(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_up(1, "memory");
    pid_t pid = trial_run(
        &t, LOADER_PROGRAM, "loader.log",
        "--cluster-keys keys --cluster cluster.yaml --out out -b 100000000 -c 15 -k 1 -d 64");
    struct stat st = {0};
    while (st.st_size < 1000) { /* a header, then pieces of a thousand requests and more */
        fstatat(t.folder.fd, "out/requests.bin.part", &st, 0);
        sched_yield();
    }
    kill(pid, SIGTERM);
    assert_int_equal(trial_ended(pid), 143);
    trial_stop(&t);
    cleanup(request_set_freep) struct request_set *acknowledged =
        trial_read_set(&t, "out/acknowledged.json");
    cleanup(request_set_freep) struct request_set *executed =
        trial_read_set(&t, "out0/executed.json");
    struct request_check check;
    request_set_check(acknowledged, executed, &check);
    assert_true(check.acknowledged > 100);
    assert_int_equal(check.missing, 0);
    assert_int_equal(check.duplicates, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_replica_in_memory_has_it_all),
        cmocka_unit_test(four_replicas_in_memory_have_it_all),
        cmocka_unit_test(four_replicas_on_rocksdb_have_it_all),
        cmocka_unit_test(a_mix_of_reads_and_writes_agrees_in_memory),
        cmocka_unit_test(a_mix_of_reads_and_writes_agrees_on_rocksdb),
        cmocka_unit_test(reads_alone_leave_an_empty_chain),
        cmocka_unit_test(a_second_load_is_not_taken_for_the_first),
        cmocka_unit_test(an_interrupted_load_claims_nothing_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
