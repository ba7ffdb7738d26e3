/* Replicas as processes: what a cluster promises over real sockets, kills and restarts. */

#include "tests/cli/replica_stage.h"

#include "lib/clock.h"
#include "lib/text.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void check_agreement(unsigned n, const char *store) {
    cleanup(replicas_down) struct replicas r = replicas_up(n, store);
    cleanup(load_deinit) struct load l = load_to(&r, 0, 100);
    load_run(&l, 500);
    load_finish(&l);
    replicas_stop(&r);
    replicas_assert_agreement(&r, (1u << n) - 1, l.acknowledged);
}

static void four_replicas_on_rocksdb_agree(void **state) {
    (void)state;
    check_agreement(4, "rocksdb");
}

static void four_replicas_in_memory_agree(void **state) {
    (void)state;
    check_agreement(4, "memory");
}

static void one_replica_alone_serves(void **state) {
    (void)state;
    check_agreement(1, "memory");
}

static void seven_replicas_agree(void **state) {
    (void)state;
    check_agreement(7, "memory");
}

static void stopped_in_mid_load_they_still_agree(void **state) {
    (void)state;
    cleanup(replicas_down) struct replicas r = replicas_up(4, "memory");
    cleanup(load_deinit) struct load l = load_to(&r, 0, 100);
    load_run(&l, 300); /* and some are under way */
    replicas_stop(&r);
    replicas_assert_agreement(&r, 0xf, l.acknowledged);
}

static void a_killed_backup_costs_nothing_and_catches_up(void **state) {
    (void)state;
    cleanup(replicas_down) struct replicas r = replicas_up(4, "rocksdb");
    cleanup(load_deinit) struct load l = load_to(&r, 0, 100);
    load_run(&l, 200);
    replicas_signal(&r, 2, SIGKILL);
    assert_int_equal(replicas_wait(&r, 2), 128 + SIGKILL);
    load_run(&l, 300);
    replicas_start(&r, 2);
    load_run(&l, 100);
    load_finish(&l);
    replicas_wait_height(&r, 2, l.acknowledged_count);
    replicas_stop(&r);
    replicas_assert_agreement(&r, 0xf, l.acknowledged);
}

static void with_two_of_four_killed_nothing_goes_until_one_returns(void **state) {
    (void)state;
    char why[512];
    cleanup(replicas_down) struct replicas r = replicas_up(4, "rocksdb");
    cleanup(load_deinit) struct load l = load_to(&r, 0, 100);
    load_run(&l, 50);
    for (unsigned i = 2; i < 4; i++) {
        replicas_signal(&r, i, SIGKILL);
        replicas_wait(&r, i);
    }
    while (replicas_ask(&r, 0, "--health", why, sizeof why) == 0)
        continue; /* until it has noticed */
    assert_non_null(strstr(why, "connected to 1 other replicas; 2 are needed"));
    assert_int_equal(strcspn(why, "\n"), strlen(why) - 1); /* one line */
    replicas_start(&r, 3);
    load_run(&l, 50);
    load_finish(&l);
    replicas_wait_healthy(&r, 3);
    replicas_stop(&r);
    replicas_assert_agreement(&r, 0xb, l.acknowledged);
}

static void a_cluster_restarts_where_it_was(void **state) {
    (void)state;
    cleanup(replicas_down) struct replicas r = replicas_up(4, "rocksdb");
    uint64_t height, height_again;
    char digest[65], digest_again[65];
    cleanup(load_deinit) struct load l = load_to(&r, 0, 100);
    load_run(&l, 100);
    load_finish(&l);
    replicas_stop(&r);
    replicas_state(&r, 0, &height, digest);
    for (unsigned i = 0; i < 4; i++)
        replicas_start(&r, i);
    for (unsigned i = 0; i < 4; i++)
        replicas_wait_healthy(&r, i);
    assert_int_equal(replicas_height(&r, 0), height);
    /* What was executed before is answered, not executed again. */
    cleanup(load_deinit) struct load again = load_to(&r, 0, 100);
    struct wire_reply reply = load_one(&again, 100, l.numbers[0]);
    assert_int_equal(reply.status, WIRE_REPLY_OK);
    assert_true(reply.height <= height);
    assert_int_equal(load_one(&again, 100, l.numbers[0] + 1).height, height + 1);
    replicas_stop(&r);
    replicas_assert_agreement(&r, 0xf, l.acknowledged);
    replicas_state(&r, 0, &height_again, digest_again);
    assert_int_equal(height_again, height + 1);
    assert_string_not_equal(digest, digest_again);
}

static void what_cannot_be_served_is_refused_with_a_reason(void **state) {
    (void)state;
    cleanup(replicas_down) struct replicas r = replicas_up(4, "memory");
    cleanup(load_deinit) struct load l = load_to(&r, 0, 100);
    l.shape.key_size = 7;
    struct wire_reply reply = load_one(&l, 100, 1);
    assert_int_equal(reply.status, WIRE_REPLY_REFUSED);
    assert_string_equal(reply.text, "keys of 7 bytes, only 8 to 4096");
    l.shape.key_size = 20;
    l.shape.flags = WIRE_REQUEST_READ_ONLY;
    reply = load_one(&l, 100, 1);
    assert_int_equal(reply.status, WIRE_REPLY_REFUSED);
    assert_string_equal(reply.text, "a read-only request needs a key space");
    l.shape.flags = 0;
    assert_int_equal(load_one(&l, 100, 5).status, WIRE_REPLY_OK);
    reply = load_one(&l, 100, 4);
    assert_int_equal(reply.status, WIRE_REPLY_REFUSED);
    assert_non_null(strstr(reply.text, "must rise"));
    assert_int_equal(load_one(&l, 100, 5).height, 1); /* again: the same answer */

    cleanup(load_deinit) struct load backup = load_to(&r, 3, 200);
    reply = load_one(&backup, 200, 1); /* relayed to the primary, answered by all */
    assert_int_equal(reply.status, WIRE_REPLY_OK);
    assert_int_equal(reply.replica, 3);
    assert_int_equal(reply.height, 2);
    replicas_stop(&r);
    replicas_assert_agreement(&r, 0xf, l.acknowledged);
}

/* Writes and reads keys 7, 8 and 9 of 1,000, and says what was answered. */
static struct wire_reply ask(struct load *l, uint64_t client, uint64_t number, uint8_t flags) {
    l->shape.flags = flags;
    l->shape.key_space = 1000;
    l->shape.first_key = 7;
    struct wire_reply reply = load_one(l, client, number);
    if (reply.status != WIRE_REPLY_OK)
        fail_msg("%s", reply.text);
    return reply;
}

static void expect_reads_of(const char *store) {
    struct error err = ERROR_NULL;
    cleanup(replicas_down) struct replicas r = replicas_up(4, store);
    cleanup(load_deinit) struct load l = load_to(&r, 0, 100);
    struct wire_reply absent = ask(&l, 100, 1, WIRE_REQUEST_READ_ONLY);
    assert_int_equal(absent.height, 0);
    assert_int_equal(ask(&l, 101, 1, 0).height, 1);
    struct wire_reply first = ask(&l, 100, 2, WIRE_REQUEST_READ_ONLY);
    assert_int_equal(first.height, 1);
    assert_memory_not_equal(first.digest, absent.digest, sizeof first.digest);
    /* Reads leave no trace: the same number may come again, and so may a lower one. */
    struct wire_reply again = ask(&l, 100, 2, WIRE_REQUEST_READ_ONLY);
    assert_memory_equal(again.digest, first.digest, sizeof first.digest);
    assert_int_equal(ask(&l, 102, 1, 0).height, 2);
    l.shape.execution_ms = 5;
    struct wire_reply second = ask(&l, 100, 1, WIRE_REQUEST_READ_ONLY);
    assert_int_equal(second.height, 2);
    assert_memory_not_equal(second.digest, first.digest, sizeof first.digest);

    cleanup(load_deinit) struct load backup = load_to(&r, 3, 200);
    backup.shape.flags = WIRE_REQUEST_READ_ONLY;
    backup.shape.key_space = 1000;
    backup.shape.first_key = 7;
    replicas_wait_height(&r, 3, 2);
    struct wire_reply reply = load_one(&backup, 200, 1); /* each replica reads for itself */
    assert_int_equal(reply.status, WIRE_REPLY_OK);
    assert_memory_equal(reply.digest, second.digest, sizeof reply.digest);
    replicas_stop(&r);
    assert_int_equal(request_set_add(l.acknowledged, 101, 1, &err), 0);
    assert_int_equal(request_set_add(l.acknowledged, 102, 1, &err), 0);
    replicas_assert_agreement(&r, 0xf, l.acknowledged);
}

static void reads_see_what_was_acknowledged_in_memory(void **state) {
    (void)state;
    expect_reads_of("memory");
}

static void reads_see_what_was_acknowledged_in_rocksdb(void **state) {
    (void)state;
    expect_reads_of("rocksdb");
}

static void pre_execution_runs_different_requests_side_by_side(void **state) {
    (void)state;
    enum { EACH_MS = 100 };
    cleanup(replicas_down) struct replicas r = replicas_up(4, "memory");
    cleanup(load_deinit) struct load l = load_to(&r, 0, 100);
    l.shape.execution_ms = EACH_MS;
    struct instant begin = clock_instant();
    load_run(&l, STAGE_CLIENTS);
    load_finish(&l);
    uint64_t in_order_ns = instant_ns_between(begin, clock_instant());
    assert_true(in_order_ns >= STAGE_CLIENTS * EACH_MS * NS_PER_MS);
    l.shape.flags = WIRE_REQUEST_PRE_EXECUTE;
    begin = clock_instant();
    for (int i = 0; i < 2; i++) {
        load_run(&l, STAGE_CLIENTS);
        load_finish(&l);
    }
    uint64_t side_by_side_ns = instant_ns_between(begin, clock_instant());
    assert_true(side_by_side_ns >= 2 * EACH_MS * NS_PER_MS);
    assert_true(side_by_side_ns < in_order_ns);
    replicas_stop(&r);
    replicas_assert_agreement(&r, 0xf, l.acknowledged);
}

static void a_full_store_is_told_and_what_it_holds_is_reported(void **state) {
    (void)state;
    char why[512];
    cleanup(replicas_down) struct replicas r = replicas_prepare(1, "memory");
    r.option = "--memory-max=140m";
    replicas_start(&r, 0);
    replicas_wait_healthy(&r, 0);
    cleanup(load_deinit) struct load l = load_to(&r, 0, 100);
    l.shape.key_count = 1;
    l.shape.value_size = 1 << 20;
    load_run(&l, 50);
    load_finish(&l);
    l.shape.key_count = 60; /* does not fit any more, and is never answered; the next one is */
    load_run_into_failure(&l);
    assert_int_equal(l.last.status, WIRE_REPLY_REFUSED);
    assert_string_equal(l.last.text, "the replica cannot store any more, see its log");
    assert_int_equal(replicas_ask(&r, 0, "--health", why, sizeof why), 1);
    assert_non_null(strstr(why, "it cannot store any more"));
    replicas_signal(&r, 0, SIGTERM);
    assert_int_equal(replicas_wait(&r, 0), 1);
    assert_true(replicas_log_says(&r, 0, "the memory store is full"));
    replicas_assert_agreement(&r, 0x1, l.acknowledged);
}

/* True when the replica closes it within its time for silent strangers, and some. */
static bool closes(int fd) {
    char byte;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    return recv(fd, &byte, 1, 0) <= 0;
}

static void garbage_and_silence_do_not_disturb_the_others(void **state) {
    (void)state;
    cleanup(replicas_down) struct replicas r = replicas_up(4, "memory");
    cleanup(load_deinit) struct load l = load_to(&r, 0, 100);
    int silent = replicas_connect(&r, 0), garbage = replicas_connect(&r, 0);
    int half = replicas_connect(&r, 0), backup = replicas_connect(&r, 1);
    assert_int_equal(send(garbage, "SSH-2.0-OpenSSH_9.2p1\r\n", 23, 0), 23);
    assert_int_equal(send(half, "SATR\x03", 5, 0), 5);
    assert_int_equal(send(backup, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, 0), 16);
    load_run(&l, 100);
    assert_true(closes(garbage));
    assert_true(closes(backup));
    assert_true(closes(silent));
    assert_true(closes(half));
    close(silent);
    close(garbage);
    close(half);
    close(backup);
    load_run(&l, 50);
    load_finish(&l);
    assert_true(replicas_log_says(&r, 0, "not a frame of this protocol"));
    assert_true(replicas_log_says(&r, 0, "did not say HELLO in time"));
    replicas_stop(&r);
    replicas_assert_agreement(&r, 0xf, l.acknowledged);
}

/* A client that speaks nonsense after HELLO loses its connection, nothing else. */
static void a_broken_client_loses_only_its_connection(void **state) {
    (void)state;
    cleanup(replicas_down) struct replicas r = replicas_up(4, "memory");
    cleanup(load_deinit) struct load l = load_to(&r, 0, 100), bad = load_to(&r, 0, 200);
    uint8_t frame[WIRE_HEADER_SIZE];
    wire_header_encode(33 /* APPEND: only replicas say that */, 0, frame);
    assert_int_equal(send(bad.fd, frame, sizeof frame, 0), sizeof frame);
    assert_true(closes(bad.fd));
    load_run(&l, 20);
    load_finish(&l);
    replicas_stop(&r);
}

static void a_port_in_use_is_named(void **state) {
    (void)state;
    cleanup(replicas_down) struct replicas r = replicas_up(1, "memory");
    pid_t first = r.pids[0];
    char expected[64];
    r.pids[0] = 0;
    replicas_start(&r, 0);
    assert_int_equal(replicas_wait(&r, 0), 1);
    r.pids[0] = first;
    snprintf(expected, sizeof expected, "listen on 127.0.0.1 port %u: Address already in use",
             r.ports[0]);
    assert_true(replicas_log_says(&r, 0, expected));
    assert_true(replicas_log_says(&r, 0, "another process has that port"));
}

static int run_with(const char *environment, const char *arguments, char *out, size_t size) {
    cleanup_free char *command =
        text_format("env %s '%s' %s 2>&1", environment, REPLICA_PROGRAM, arguments);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    out[fread(out, 1, size - 1, f)] = '\0';
    return WEXITSTATUS(pclose(f));
}

static void write_cluster_of(const char *folder, unsigned n) {
    cleanup_free char *path = text_format("%s/many.yaml", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "run: run1\nproject: test\ncontainers:\n");
    for (unsigned i = 0; i < n; i++)
        fprintf(f,
                "  - {name: replica-%u, service: replica, role: replica, index: %u, host: local, "
                "address: 127.0.0.1, ports: {replica: %u}}\n",
                i, i, 2000 + i);
    assert_int_equal(fclose(f), 0);
}

static void wrong_options_and_files_are_named(void **state) {
    (void)state;
    char out[8192], arguments[256];
    cleanup(replicas_down) struct replicas r = replicas_prepare(4, "memory");
    assert_int_equal(run_with("A=1", "--store paper", out, sizeof out), 2);
    assert_non_null(strstr(out, "--store is 'rocksdb' or 'memory', not 'paper'"));
    assert_int_equal(run_with("A=1", "--handler evm", out, sizeof out), 2);
    assert_non_null(strstr(out, "there is no handler 'evm'; there are 'pee' and 'kv'"));
    assert_int_equal(run_with("SEATRIAL_MERKLE=2", "", out, sizeof out), 2);
    assert_non_null(strstr(out, "SEATRIAL_MERKLE is 0, 1, or a name"));
    assert_int_equal(run_with("A=1", "--merkle bush", out, sizeof out), 2);
    assert_int_equal(run_with("A=1", "--tree-memory 1k", out, sizeof out), 2);
    assert_int_equal(run_with("SEATRIAL_IN_MEMORY=yes", "", out, sizeof out), 2);
    assert_int_equal(run_with("SEATRIAL_INDEX=x", "", out, sizeof out), 2);
    assert_int_equal(run_with("A=1", "stray", out, sizeof out), 2);
    assert_int_equal(run_with("A=1", "--nonsense", out, sizeof out), 2);
    assert_int_equal(run_with("A=1", "--cluster /nonexistent --index 0", out, sizeof out), 1);
    assert_non_null(strstr(out, "/nonexistent"));
    snprintf(arguments, sizeof arguments, "--cluster %s/cluster.yaml", r.folder);
    assert_int_equal(run_with("SEATRIAL_INDEX=", arguments, out, sizeof out), 2);
    snprintf(arguments, sizeof arguments, "--cluster %s/cluster.yaml --index 4", r.folder);
    assert_int_equal(run_with("A=1", arguments, out, sizeof out), 3);
    assert_non_null(strstr(out, "has only 4 (from 0)"));
    snprintf(arguments, sizeof arguments, "--cluster %s/many.yaml --index 0", r.folder);
    write_cluster_of(r.folder, 32);
    assert_int_equal(run_with("A=1", arguments, out, sizeof out), 3);
    assert_non_null(strstr(out, "32 containers of role replica, only 1 to 31"));
    assert_non_null(strstr(out, "3f + 1"));
    snprintf(arguments, sizeof arguments,
             "--insecure --cluster %s/cluster.yaml --index 0 --data /proc/x", r.folder);
    assert_int_equal(run_with("A=1", arguments, out, sizeof out), 1);
    assert_non_null(strstr(out, "create the data folder '/proc/x'"));
}

static void health_of_nobody_is_one_line(void **state) {
    (void)state;
    char out[1024];
    cleanup(replicas_down) struct replicas r = replicas_prepare(4, "memory");
    assert_int_equal(replicas_ask(&r, 0, "--health", out, sizeof out), 1);
    assert_non_null(strstr(out, "connect: Connection refused"));
    assert_int_equal(strcspn(out, "\n"), strlen(out) - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_replicas_on_rocksdb_agree),
        cmocka_unit_test(four_replicas_in_memory_agree),
        cmocka_unit_test(one_replica_alone_serves),
        cmocka_unit_test(seven_replicas_agree),
        cmocka_unit_test(stopped_in_mid_load_they_still_agree),
        cmocka_unit_test(a_killed_backup_costs_nothing_and_catches_up),
        cmocka_unit_test(with_two_of_four_killed_nothing_goes_until_one_returns),
        cmocka_unit_test(a_cluster_restarts_where_it_was),
        cmocka_unit_test(what_cannot_be_served_is_refused_with_a_reason),
        cmocka_unit_test(reads_see_what_was_acknowledged_in_memory),
        cmocka_unit_test(reads_see_what_was_acknowledged_in_rocksdb),
        cmocka_unit_test(pre_execution_runs_different_requests_side_by_side),
        cmocka_unit_test(a_full_store_is_told_and_what_it_holds_is_reported),
        cmocka_unit_test(garbage_and_silence_do_not_disturb_the_others),
        cmocka_unit_test(a_broken_client_loses_only_its_connection),
        cmocka_unit_test(a_port_in_use_is_named),
        cmocka_unit_test(wrong_options_and_files_are_named),
        cmocka_unit_test(health_of_nobody_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
