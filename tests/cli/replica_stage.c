#include "tests/cli/replica_stage.h"

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE (60 * NS_PER_SEC) /* sanitizers on a busy machine */

static void short_pause(void) {
    poll(NULL, 0, 20);
}

/* Ports that are free now; all are held until all are found, so that they differ. */
static void find_ports(struct replicas *r) {
    int fds[STAGE_REPLICAS_MAX];
    for (unsigned i = 0; i < r->n; i++) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof a;
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(fds[i], (struct sockaddr *)&a, sizeof a), 0);
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&a, &size), 0);
        r->ports[i] = ntohs(a.sin_port);
    }
    for (unsigned i = 0; i < r->n; i++)
        close(fds[i]);
}

static void write_cluster(const struct replicas *r) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 1 << 16);
    buffer_text(&text, "run: run1\nproject: test\ncontainers:\n");
    for (unsigned i = 0; i < r->n; i++)
        buffer_format(&text,
                      "  - {name: replica-%u, service: replica, role: replica, index: %u, "
                      "host: local, address: 127.0.0.1, ports: {replica: %u}}\n",
                      i + 1, i, r->ports[i]);
    cleanup_free char *path = path_join(r->folder, "cluster.yaml");
    assert_int_equal(file_write(path, 0644, text.data, text.size, &err), 0);
}

struct replicas replicas_prepare(unsigned n, const char *store) {
    struct replicas r = {.folder = "/tmp/seatrial-replica-XXXXXX", .n = n, .store = store};
    assert_non_null(mkdtemp(r.folder));
    find_ports(&r);
    write_cluster(&r);
    for (unsigned i = 0; i < n; i++) {
        cleanup_free char *out = text_format("%s/out%u", r.folder, i);
        assert_int_equal(mkdir(out, 0755), 0);
    }
    return r;
}

void replicas_make_keys(struct replicas *r) {
    cleanup_free char *command = text_format(
        "'%s' keygen --replicas %u --loaders 2 --out '%s/keys'", REPLICA_PROGRAM, r->n, r->folder);
    assert_int_equal(system(command), 0);
    r->keys = true;
}

struct replicas replicas_up(unsigned n, const char *store) {
    struct replicas r = replicas_prepare(n, store);
    for (unsigned i = 0; i < n; i++)
        replicas_start(&r, i);
    for (unsigned i = 0; i < n; i++)
        replicas_wait_healthy(&r, i);
    return r;
}

void replicas_down(struct replicas *r) {
    for (unsigned i = 0; i < r->n; i++) {
        if (r->pids[i] > 0) {
            kill(r->pids[i], SIGKILL);
            waitpid(r->pids[i], NULL, 0);
        }
    }
    cleanup_free char *command = text_format("rm -rf '%s'", r->folder);
    assert_int_equal(system(command), 0);
}

static void redirect(const struct replicas *r, const char *name, unsigned i) {
    cleanup_free char *path = text_format("%s/%s%u", r->folder, name, i);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(fd, 1);
    dup2(fd, 2);
}

static pid_t spawn(struct replicas *r, unsigned i, const char *option, const char *output) {
    cleanup_free char *cluster = path_join(r->folder, "cluster.yaml");
    cleanup_free char *index = text_format("%u", i);
    cleanup_free char *data = text_format("%s/data%u", r->folder, i);
    cleanup_free char *out = text_format("%s/out%u", r->folder, i);
    cleanup_free char *keys = text_format("--cluster-keys=%s/keys", r->folder);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    redirect(r, output, i);
    execl(REPLICA_PROGRAM, "replica", "--cluster", cluster, "--index", index, "--data", data,
          "--out", out, "--store", r->store, r->keys ? keys : "--insecure", option, NULL);
    _exit(127);
}

void replicas_start(struct replicas *r, unsigned i) {
    assert_int_equal(r->pids[i], 0);
    r->pids[i] = spawn(r, i, r->option, "log");
}

static int status_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void read_text(const struct replicas *r, const char *name, unsigned i, struct buffer *ret) {
    struct error err = ERROR_NULL;
    cleanup_free char *path = text_format("%s/%s%u", r->folder, name, i);
    if (file_read(path, 16 << 20, ret, &err) < 0)
        fail_msg("%s", err.text);
}

int replicas_ask(struct replicas *r, unsigned i, const char *option, char *out, size_t size) {
    int status;
    cleanup_free char *path = text_format("%s/answer%u", r->folder, i);
    unlink(path);
    pid_t pid = spawn(r, i, option, "answer");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    read_text(r, "answer", i, &text);
    snprintf(out, size, "%s", buffer_string(&text));
    return status_of(status);
}

void replicas_wait_healthy(struct replicas *r, unsigned i) {
    char why[1024];
    struct instant end = instant_after(clock_instant(), PATIENCE);
    while (replicas_ask(r, i, "--health", why, sizeof why) != 0) {
        if (waitpid(r->pids[i], NULL, WNOHANG) != 0) {
            cleanup(buffer_deinit) struct buffer log = BUFFER_NULL;
            r->pids[i] = 0;
            read_text(r, "log", i, &log);
            fail_msg("replica %u ended:\n%s", i, buffer_string(&log));
        }
        if (instant_passed(end, clock_instant()))
            fail_msg("replica %u does not become healthy: %s", i, why);
        short_pause();
    }
}

void replicas_signal(struct replicas *r, unsigned i, int signal) {
    assert_true(r->pids[i] > 0);
    kill(r->pids[i], signal);
}

int replicas_wait(struct replicas *r, unsigned i) {
    int status;
    assert_int_equal(waitpid(r->pids[i], &status, 0), r->pids[i]);
    r->pids[i] = 0;
    return status_of(status);
}

void replicas_stop(struct replicas *r) {
    for (unsigned i = 0; i < r->n; i++)
        if (r->pids[i])
            replicas_signal(r, i, SIGTERM);
    for (unsigned i = 0; i < r->n; i++) {
        if (!r->pids[i])
            continue;
        int status = replicas_wait(r, i);
        if (status != 0) {
            cleanup(buffer_deinit) struct buffer log = BUFFER_NULL;
            read_text(r, "log", i, &log);
            fail_msg("replica %u ended with %d:\n%s", i, status, buffer_string(&log));
        }
    }
}

/* False: it does not answer (yet). */
static bool ask_height(struct replicas *r, unsigned i, uint64_t *ret) {
    char out[1024];
    struct error err = ERROR_NULL;
    cleanup(json_freep) struct json *status = NULL;
    int64_t height = 0;
    if (replicas_ask(r, i, "--status", out, sizeof out) != 0)
        return false;
    if (json_parse(out, strlen(out), 0, &status, &err) < 0 ||
        json_require_int(status, "height", 0, INT64_MAX, &height, &err) < 0)
        fail_msg("%s in %s", err.text, out);
    *ret = (uint64_t)height;
    return true;
}

uint64_t replicas_height(struct replicas *r, unsigned i) {
    uint64_t height = 0;
    assert_true(ask_height(r, i, &height));
    return height;
}

void replicas_wait_height(struct replicas *r, unsigned i, uint64_t height) {
    uint64_t now = 0;
    struct instant end = instant_after(clock_instant(), PATIENCE);
    while (!ask_height(r, i, &now) || now < height) {
        if (instant_passed(end, clock_instant()))
            fail_msg("replica %u does not reach height %llu", i, (unsigned long long)height);
        short_pause();
    }
}

void replicas_state(struct replicas *r, unsigned i, uint64_t *ret_height, char digest[65]) {
    struct error err = ERROR_NULL;
    cleanup_free char *path = text_format("%s/out%u/state.json", r->folder, i);
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    cleanup(json_freep) struct json *state = NULL;
    int64_t height = 0;
    const char *hex = "";
    if (file_read(path, 4096, &text, &err) < 0 ||
        json_parse(text.data, text.size, 0, &state, &err) < 0 ||
        json_require_int(state, "height", 0, INT64_MAX, &height, &err) < 0 ||
        json_require_text(state, "digest", &hex, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(strlen(hex), 64);
    strcpy(digest, hex);
    *ret_height = (uint64_t)height;
}

struct request_set *replicas_executed(struct replicas *r, unsigned i) {
    struct error err = ERROR_NULL;
    cleanup_free char *path = text_format("%s/out%u/executed.json", r->folder, i);
    struct request_set *set = NULL;
    if (request_set_load(path, &set, &err) < 0)
        fail_msg("%s", err.text);
    return set;
}

void replicas_assert_agreement(struct replicas *r, unsigned mask,
                               const struct request_set *acknowledged) {
    uint64_t height, first_height = 0;
    char digest[65], first_digest[65] = "";
    for (unsigned i = 0; i < r->n; i++) {
        if (!(mask & 1u << i))
            continue;
        replicas_state(r, i, &height, digest);
        if (!first_digest[0]) {
            first_height = height;
            strcpy(first_digest, digest);
        }
        assert_int_equal(height, first_height);
        assert_string_equal(digest, first_digest);
        struct request_check check;
        cleanup(request_set_freep) struct request_set *executed = replicas_executed(r, i);
        request_set_check(acknowledged, executed, &check);
        assert_int_equal(check.missing, 0);
        assert_int_equal(check.duplicates, 0);
        assert_int_equal(request_set_count(executed), height);
    }
}

bool replicas_log_says(struct replicas *r, unsigned i, const char *text) {
    cleanup(buffer_deinit) struct buffer log = BUFFER_NULL;
    read_text(r, "log", i, &log);
    return strstr(buffer_string(&log), text) != NULL;
}

/* ---- the client ---- */

int replicas_connect(struct replicas *r, unsigned i) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(r->ports[i])};
    const int on = 1;
    const struct timeval patience = {.tv_sec = PATIENCE / NS_PER_SEC};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void send_all(int fd, const void *data, size_t size) {
    assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), size);
}

static void receive_all(int fd, void *data, size_t size) {
    for (size_t have = 0; have < size;) {
        ssize_t n = recv(fd, (char *)data + have, size - have, 0);
        if (n <= 0)
            fail_msg("the replica closed the connection, or does not answer");
        have += (size_t)n;
    }
}

static size_t receive_frame(int fd, uint8_t type, uint8_t body[1024]) {
    struct error err = ERROR_NULL;
    uint8_t head[WIRE_HEADER_SIZE];
    struct wire_header header;
    receive_all(fd, head, sizeof head);
    assert_int_equal(wire_header_decode(head, &header, &err), 0);
    assert_int_equal(header.type, type);
    assert_true(header.body_size <= 1024);
    receive_all(fd, body, header.body_size);
    return header.body_size;
}

struct load load_to(struct replicas *r, unsigned i, uint64_t first_client) {
    static uint8_t payload[15100];
    struct error err = ERROR_NULL;
    struct load l = {.fd = replicas_connect(r, i),
                     .first_client = first_client,
                     .shape = {.key_count = 3,
                               .key_size = 20,
                               .value_size = 500,
                               .payload_size = 2000,
                               .payload = payload},
                     .acknowledged = request_set_new()};
    struct wire_hello hello = {.role = WIRE_ROLE_CLIENT, .run = "run1"};
    struct wire_hello_answer answer;
    uint8_t frame[WIRE_HELLO_SIZE_MAX], body[1024];
    send_all(l.fd, frame, wire_hello_encode(&hello, frame));
    size_t size = receive_frame(l.fd, WIRE_HELLO_ANSWER, body);
    assert_int_equal(wire_hello_answer_decode(body, size, &answer, &err), 0);
    assert_true(answer.accepted);
    assert_int_equal(answer.replica, i);
    assert_int_equal(answer.primary, 0);
    assert_int_equal(answer.n, r->n);
    return l;
}

void load_deinit(struct load *l) {
    close(l->fd);
    request_set_free(l->acknowledged);
}

static void send_request(struct load *l, uint64_t client, uint64_t number) {
    uint8_t head[WIRE_REQUEST_HEAD_SIZE_MAX];
    l->shape.client = client;
    l->shape.number = number;
    send_all(l->fd, head, wire_request_encode_head(&l->shape, head));
    send_all(l->fd, l->shape.payload, l->shape.payload_size);
}

static void receive_reply(struct load *l) {
    struct error err = ERROR_NULL;
    uint8_t body[1024];
    size_t size = receive_frame(l->fd, WIRE_REPLY, body);
    assert_int_equal(wire_reply_decode(body, size, &l->last, &err), 0);
}

static void receive_acknowledgement(struct load *l) {
    struct error err = ERROR_NULL;
    receive_reply(l);
    if (l->last.status != WIRE_REPLY_OK)
        fail_msg("request (%llu, %llu): %s", (unsigned long long)l->last.client,
                 (unsigned long long)l->last.number, l->last.text);
    size_t i = (size_t)(l->last.client - l->first_client);
    assert_true(i < STAGE_CLIENTS && l->waiting[i] && l->last.number == l->numbers[i]);
    l->waiting[i] = false;
    l->acknowledged_count++;
    assert_int_equal(request_set_add(l->acknowledged, l->last.client, l->last.number, &err), 0);
}

void load_run(struct load *l, uint64_t count) {
    uint64_t until = l->acknowledged_count + count;
    while (l->acknowledged_count < until) {
        for (size_t i = 0; i < STAGE_CLIENTS; i++) {
            if (l->waiting[i])
                continue;
            l->waiting[i] = true;
            send_request(l, l->first_client + i, ++l->numbers[i]);
        }
        receive_acknowledgement(l);
    }
}

void load_finish(struct load *l) {
    for (size_t i = 0; i < STAGE_CLIENTS; i++)
        while (l->waiting[i])
            receive_acknowledgement(l);
}

void load_run_into_failure(struct load *l) {
    struct error err = ERROR_NULL;
    struct instant end = instant_after(clock_instant(), PATIENCE);
    for (uint64_t client = l->first_client + STAGE_CLIENTS; !instant_passed(end, clock_instant());
         client++) {
        struct pollfd p = {.fd = l->fd, .events = POLLIN};
        send_request(l, client, 1);
        if (poll(&p, 1, 200) == 0)
            continue; /* taken and lost: the store fails now */
        receive_reply(l);
        if (l->last.status != WIRE_REPLY_OK)
            return;
        assert_int_equal(request_set_add(l->acknowledged, l->last.client, 1, &err), 0);
    }
    fail_msg("no request fails");
}

struct wire_reply load_one(struct load *l, uint64_t client, uint64_t number) {
    send_request(l, client, number);
    receive_reply(l);
    assert_int_equal(l->last.client, client);
    assert_int_equal(l->last.number, number);
    return l->last;
}
