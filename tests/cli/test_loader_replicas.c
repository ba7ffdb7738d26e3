/*
 * The loader against real replicas: everything that it says was acknowledged is in every replica's
 * chain exactly once, and nothing else is.
 */

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/request_set.h"
#include "lib/text.h"
#include "tests/unit/folder.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { REPLICAS_MAX = 7, ARGS_MAX = 32 };

struct trial {
    struct folder folder;
    pid_t pids[REPLICAS_MAX];
    int n;
    const char *store;
};

/* Nobody else gets them between the two loops, for all are held at once. */
static void free_ports(uint16_t *ports, int n) {
    int fds[REPLICAS_MAX];
    for (int i = 0; i < n; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof address;
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(fds[i], (struct sockaddr *)&address, size), 0);
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&address, &size), 0);
        ports[i] = ntohs(address.sin_port);
    }
    for (int i = 0; i < n; i++)
        close(fds[i]);
}

static void write_cluster(const struct trial *t) {
    uint16_t ports[REPLICAS_MAX];
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 64 * 1024);
    free_ports(ports, t->n);
    buffer_text(&text, "run: 3f9c2a1b\nproject: demo\ncontainers:\n");
    for (int i = 0; i < t->n; i++)
        buffer_format(&text,
                      "  - {name: demo-replica-%d, service: replica, role: replica, index: %d, "
                      "host: local, address: 127.0.0.1, ports: {replica: %u}}\n",
                      i + 1, i, ports[i]);
    folder_write(&t->folder, "cluster.yaml", buffer_string(&text));
}

/* Starts it in the trial's folder; what it prints goes to the file `log`. */
static pid_t start(const struct trial *t, const char *program, const char *log, const char *args) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing outlives a test that failed */
    char *argv[ARGS_MAX] = {text_dup(program)};
    int argc = 1;
    for (char *rest = text_dup(args), *word; (word = strtok_r(rest, " ", &rest));)
        argv[argc++] = word;
    int fd = openat(t->folder.fd, log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fchdir(t->folder.fd) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(99);
    execv(program, argv);
    _exit(98);
}

static int ended(pid_t pid) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void expect_good(const struct trial *t, int status, const char *log) {
    cleanup_free char *text = folder_read(&t->folder, log);
    if (status != 0)
        fail_msg("exit status %d; %s: %s", status, log, text ? text : "");
}

static void wait_until_healthy(const struct trial *t, int i) {
    struct instant give_up = instant_after(clock_instant(), 60 * NS_PER_SEC);
    cleanup_free char *args = text_format("--cluster cluster.yaml --index %d --health", i);
    int status;
    do
        status = ended(start(t, REPLICA_PROGRAM, "health.log", args));
    while (status != 0 && !instant_passed(give_up, clock_instant()));
    expect_good(t, status, "health.log");
}

static struct trial trial_up(int n, const char *store) {
    struct trial t = {.folder = folder_make(), .n = n, .store = store};
    write_cluster(&t);
    for (int i = 0; i < n; i++) {
        cleanup_free char *folder = text_format("data%d/x", i);
        cleanup_free char *log = text_format("replica%d.log", i);
        cleanup_free char *args = text_format("--cluster cluster.yaml --index %d --store %s "
                                              "--data data%d --out out%d",
                                              i, store, i, i);
        cleanup_free char *out = text_format("out%d/x", i);
        folder_parents(&t.folder, folder);
        folder_parents(&t.folder, out);
        t.pids[i] = start(&t, REPLICA_PROGRAM, log, args);
    }
    for (int i = 0; i < n; i++)
        wait_until_healthy(&t, i);
    return t;
}

/* All side by side, as the runner does it. */
static void stop_replicas(struct trial *t) {
    for (int i = 0; i < t->n; i++)
        kill(t->pids[i], SIGTERM);
    for (int i = 0; i < t->n; i++) {
        cleanup_free char *log = text_format("replica%d.log", i);
        expect_good(t, ended(t->pids[i]), log);
        t->pids[i] = 0;
    }
}

static void trial_down(struct trial *t) {
    for (int i = 0; i < t->n; i++)
        if (t->pids[i] > 0) {
            kill(t->pids[i], SIGKILL);
            ended(t->pids[i]);
        }
    folder_remove(&t->folder);
}

static struct request_set *read_set(const struct trial *t, const char *name) {
    struct request_set *set = NULL;
    struct error err = ERROR_NULL;
    cleanup_free char *path = text_format("%s/%s", t->folder.path, name);
    if (request_set_load(path, &set, &err) < 0)
        fail_msg("%s", err.text);
    return set;
}

/* Every replica's chain holds what `out` says was acknowledged, once, and no more than that. */
static void expect_agreement(const struct trial *t, const char *out, uint64_t count) {
    cleanup_free char *name = text_format("%s/acknowledged.json", out);
    cleanup(request_set_freep) struct request_set *acknowledged = read_set(t, name);
    assert_int_equal(request_set_count(acknowledged), count);
    for (int i = 0; i < t->n; i++) {
        struct request_check check;
        cleanup_free char *executed_name = text_format("out%d/executed.json", i);
        cleanup(request_set_freep) struct request_set *executed = read_set(t, executed_name);
        request_set_check(acknowledged, executed, &check);
        assert_int_equal(check.missing, 0);
        assert_int_equal(check.duplicates, 0);
        assert_int_equal(check.unacknowledged, 0);
        assert_int_equal(check.acknowledged_in_chain, count);
    }
}

static void load(const struct trial *t, const char *args) {
    cleanup_free char *all = text_format("--cluster cluster.yaml --out out %s", args);
    expect_good(t, ended(start(t, LOADER_PROGRAM, "loader.log", all)), "loader.log");
}

static void expect_a_whole_load(int n, const char *store) {
    cleanup(trial_down) struct trial t = trial_up(n, store);
    load(&t, "-b 500 -c 15");
    stop_replicas(&t);
    expect_agreement(&t, "out", 500);
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

/* Reads and writes of one key space: the chain holds the writes, and nothing of the reads. */
static void expect_a_mix(const char *store) {
    cleanup(trial_down) struct trial t = trial_up(4, store);
    load(&t, "-b 600 -c 15 --seed 5 --key-space 200 --key-skew zipf:0.9 "
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
    stop_replicas(&t);
    expect_agreement(&t, "out", (uint64_t)(small + large));
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
    load(&t, "-b 300 -c 15 --reads 100 --key-space 1000000000000");
    stop_replicas(&t);
    expect_agreement(&t, "out", 0);
}

static void a_second_load_is_not_taken_for_the_first(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_up(1, "memory");
    load(&t, "-b 100 -c 3 -d 64");
    load(&t, "-b 100 -c 3 -d 64"); /* the same numbers of other clients */
    stop_replicas(&t);
    cleanup(request_set_freep) struct request_set *executed = read_set(&t, "out0/executed.json");
    assert_int_equal(request_set_count(executed), 200);
}

/* What was acknowledged before the signal is there; what was not acknowledged may be. */
static void an_interrupted_load_claims_nothing_that_is_not_there(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_up(1, "memory");
    pid_t pid = start(&t, LOADER_PROGRAM, "loader.log",
                      "--cluster cluster.yaml --out out -b 100000000 -c 15 -k 1 -d 64");
    struct stat st = {0};
    while (st.st_size < 1000) { /* a header, then pieces of a thousand requests and more */
        fstatat(t.folder.fd, "out/requests.bin.part", &st, 0);
        sched_yield();
    }
    kill(pid, SIGTERM);
    assert_int_equal(ended(pid), 143);
    stop_replicas(&t);
    cleanup(request_set_freep) struct request_set *acknowledged =
        read_set(&t, "out/acknowledged.json");
    cleanup(request_set_freep) struct request_set *executed = read_set(&t, "out0/executed.json");
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
