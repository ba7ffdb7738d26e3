#include "tests/cli/trial_stage.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/text.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGS_MAX = 32 };

/* Nobody else gets them between the two loops, for all are held at once. */
static void free_ports(uint16_t *ports, int n) {
    int fds[TRIAL_REPLICAS_MAX];
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
    uint16_t ports[TRIAL_REPLICAS_MAX];
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

pid_t trial_run(const struct trial *t, const char *program, const char *log, const char *args) {
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

int trial_ended(pid_t pid) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void trial_expect_good(const struct trial *t, int status, const char *log) {
    cleanup_free char *text = folder_read(&t->folder, log);
    if (status != 0)
        fail_msg("exit status %d; %s: %s", status, log, text ? text : "");
}

void trial_wait_healthy(const struct trial *t, int i) {
    struct instant give_up = instant_after(clock_instant(), 60 * NS_PER_SEC);
    cleanup_free char *args =
        text_format("--cluster-keys keys --cluster cluster.yaml --index %d --health", i);
    int status;
    do
        status = trial_ended(trial_run(t, REPLICA_PROGRAM, "health.log", args));
    while (status != 0 && !instant_passed(give_up, clock_instant()));
    trial_expect_good(t, status, "health.log");
}

void trial_start_replica(struct trial *t, int i) {
    cleanup_free char *log = text_format("replica%d.log", i);
    cleanup_free char *args =
        text_format("--cluster-keys keys --cluster cluster.yaml --index %d --store %s "
                    "--data data%d --out out%d %s",
                    i, t->store, i, i, t->options ? t->options : "");
    assert_int_equal(t->pids[i], 0);
    t->pids[i] = trial_run(t, REPLICA_PROGRAM, log, args);
}

struct trial trial_with(int n, const char *store, const char *options) {
    struct trial t = {.folder = folder_make(), .n = n, .store = store, .options = options};
    write_cluster(&t);
    cleanup_free char *keygen = text_format("keygen --replicas %d --loaders 1 --out keys", n);
    trial_expect_good(&t, trial_ended(trial_run(&t, REPLICA_PROGRAM, "keygen.log", keygen)),
                      "keygen.log");
    for (int i = 0; i < n; i++) {
        cleanup_free char *folder = text_format("data%d/x", i);
        cleanup_free char *out = text_format("out%d/x", i);
        folder_parents(&t.folder, folder);
        folder_parents(&t.folder, out);
        trial_start_replica(&t, i);
    }
    for (int i = 0; i < n; i++)
        trial_wait_healthy(&t, i);
    return t;
}

struct trial trial_up(int n, const char *store) {
    return trial_with(n, store, NULL);
}

void trial_kill_replica(struct trial *t, int i) {
    kill(t->pids[i], SIGKILL);
    assert_int_equal(trial_ended(t->pids[i]), 128 + SIGKILL);
    t->pids[i] = 0;
}

void trial_expect_end(struct trial *t, int i, const char *options, int status, const char *says) {
    t->options = options;
    trial_start_replica(t, i);
    t->options = NULL;
    assert_int_equal(trial_ended(t->pids[i]), status);
    t->pids[i] = 0;
    if (!trial_log_says(t, i, says))
        fail_msg("with %s replica %d does not say: %s", options, i, says);
}

char *trial_ask(const struct trial *t, int i, const char *option) {
    cleanup_free char *args =
        text_format("--cluster-keys keys --cluster cluster.yaml --index %d %s", i, option);
    if (trial_ended(trial_run(t, REPLICA_PROGRAM, "answer.log", args)) != 0)
        return NULL;
    return folder_read(&t->folder, "answer.log");
}

int64_t trial_height(const struct trial *t, int i) {
    struct error err = ERROR_NULL;
    cleanup_free char *text = trial_ask(t, i, "--status");
    cleanup(json_freep) struct json *status = NULL;
    int64_t height = 0;
    if (!text)
        return -1;
    if (json_parse(text, strlen(text), 0, &status, &err) < 0 ||
        json_require_int(status, "height", 0, INT64_MAX, &height, &err) < 0)
        fail_msg("%s in %s", err.text, text);
    return height;
}

bool trial_log_says(const struct trial *t, int i, const char *text) {
    cleanup_free char *name = text_format("replica%d.log", i);
    cleanup_free char *log = folder_read(&t->folder, name);
    return log && strstr(log, text);
}

void trial_stop(struct trial *t) {
    for (int i = 0; i < t->n; i++)
        if (t->pids[i] > 0)
            kill(t->pids[i], SIGTERM);
    for (int i = 0; i < t->n; i++) {
        if (t->pids[i] == 0)
            continue;
        cleanup_free char *log = text_format("replica%d.log", i);
        trial_expect_good(t, trial_ended(t->pids[i]), log);
        t->pids[i] = 0;
    }
}

void trial_down(struct trial *t) {
    for (int i = 0; i < t->n; i++)
        if (t->pids[i] > 0) {
            kill(t->pids[i], SIGKILL);
            trial_ended(t->pids[i]);
        }
    folder_remove(&t->folder);
}

struct request_set *trial_read_set(const struct trial *t, const char *name) {
    struct request_set *set = NULL;
    struct error err = ERROR_NULL;
    cleanup_free char *path = text_format("%s/%s", t->folder.path, name);
    if (request_set_load(path, &set, &err) < 0)
        fail_msg("%s", err.text);
    return set;
}

void trial_expect_agreement(const struct trial *t, const char *out, uint64_t count) {
    trial_expect_agreement_with(t, out, count, 0);
}

void trial_expect_agreement_with(const struct trial *t, const char *out, uint64_t count,
                                 uint64_t ordered_reads) {
    cleanup_free char *name = text_format("%s/acknowledged.json", out);
    cleanup(request_set_freep) struct request_set *acknowledged = trial_read_set(t, name);
    assert_int_equal(request_set_count(acknowledged), count);
    cleanup_free char *first = folder_read(&t->folder, "out0/state.json");
    for (int i = 0; i < t->n; i++) {
        struct request_check check;
        cleanup_free char *state_name = text_format("out%d/state.json", i);
        cleanup_free char *state = folder_read(&t->folder, state_name);
        assert_string_equal(state, first); /* height and digest */
        cleanup_free char *executed_name = text_format("out%d/executed.json", i);
        cleanup(request_set_freep) struct request_set *executed = trial_read_set(t, executed_name);
        request_set_check(acknowledged, executed, &check);
        assert_int_equal(check.missing, 0);
        assert_int_equal(check.duplicates, 0);
        assert_in_range(check.unacknowledged, 0, ordered_reads);
        assert_int_equal(check.acknowledged_in_chain, count);
    }
}

pid_t trial_begin_load(const struct trial *t, const char *args) {
    cleanup_free char *all =
        text_format("--cluster-keys keys --cluster cluster.yaml --out out %s", args);
    return trial_run(t, LOADER_PROGRAM, "loader.log", all);
}

void trial_load(const struct trial *t, const char *args) {
    trial_expect_good(t, trial_ended(trial_begin_load(t, args)), "loader.log");
}
