#include "tests/cli/loader_stage.h"

#include "lib/cleanup.h"
#include "lib/request_set.h"
#include "lib/text.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { ARGS_MAX = 32 };

/* A port where nobody listens: it was free a moment ago. */
static uint16_t free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

void stage_add(struct stage *s, const struct primary_script *script) {
    struct error err = ERROR_NULL;
    if (script) {
        assert_int_equal(primary_start(script, &s->primaries[s->n], &err), 0);
        s->ports[s->n] = primary_port(s->primaries[s->n]);
    } else {
        s->ports[s->n] = free_port();
    }
    s->n++;
}

static void write_cluster(struct stage *s) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 64 * 1024);
    buffer_text(&text, "run: 3f9c2a1b\nproject: demo\ncontainers:\n");
    for (int i = 0; i < s->n; i++)
        buffer_format(&text,
                      "  - {name: demo-replica-%d, service: replica, role: replica, index: %d, "
                      "host: local, address: 127.0.0.1, ports: {replica: %u}}\n",
                      i + 1, i, s->ports[i]);
    folder_write(&s->folder, "cluster.yaml", buffer_string(&text));
}

struct stage stage_empty(void) {
    return (struct stage){.folder = folder_make(), .pid = -1};
}

struct stage stage_with(struct primary_script script) {
    struct stage s = stage_empty();
    script.n = 1;
    stage_add(&s, &script);
    return s;
}

void stage_down(struct stage *s) {
    for (int i = 0; i < s->n; i++)
        if (s->primaries[i])
            primary_stop(s->primaries[i], NULL);
    free(s->out);
    free(s->err);
    free(s->env);
    if (s->load)
        json_free(s->load);
    folder_remove(&s->folder);
}

static void become_loader(const struct stage *s, char *const argv[]) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* it does not outlive a test that failed */
    int out = openat(s->folder.fd, "stdout", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    int err = openat(s->folder.fd, "stderr", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fchdir(s->folder.fd) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(99);
    unsetenv("SEATRIAL_LOADER_ARGS");
    if (s->env)
        setenv("SEATRIAL_LOADER_ARGS", s->env, 1);
    execv(LOADER_PROGRAM, argv);
    _exit(98);
}

void stage_start(struct stage *s, const char *args) {
    char *argv[ARGS_MAX] = {(char *)(uintptr_t) "loader"};
    cleanup_free char *copy = text_dup(args);
    int argc = 1;
    for (char *rest = copy, *word; (word = strtok_r(rest, " ", &rest));)
        argv[argc++] = word;
    write_cluster(s);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0)
        become_loader(s, argv);
}

void stage_wait(struct stage *s) {
    int status;
    struct error err = ERROR_NULL;
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    s->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    free(s->out);
    free(s->err);
    s->out = folder_read(&s->folder, "stdout");
    s->err = folder_read(&s->folder, "stderr");
    cleanup_free char *load = folder_read(&s->folder, "out/load.json");
    if (s->load)
        json_free(s->load);
    s->load = NULL;
    if (load)
        assert_int_equal(json_parse(load, strlen(load), 0, &s->load, &err), 0);
}

void stage_stop_replicas(struct stage *s) {
    for (int i = s->n - 1; i >= 0; i--)
        if (s->primaries[i])
            primary_stop(take_ptr(s->primaries[i]), &s->counts);
}

void stage_load(struct stage *s, const char *args) {
    cleanup_free char *all = text_format(STAGE_HERE "--threads 2 %s", args);
    stage_start(s, all);
    stage_wait(s);
    stage_stop_replicas(s);
}

int64_t stage_number(const struct stage *s, const char *path) {
    struct error err = ERROR_NULL;
    int64_t value = -1;
    if (!s->load)
        fail_msg("no load.json; stderr: %s", s->err);
    if (json_require_int(s->load, path, 0, INT64_MAX, &value, &err) < 0)
        fail_msg("%s", err.text);
    return value;
}

void assert_counts(const struct stage *s, int64_t acknowledged, int64_t timed_out, int64_t failed,
                   int64_t overloaded) {
    assert_int_equal(stage_number(s, "requests.acknowledged"), acknowledged);
    assert_int_equal(stage_number(s, "requests.timed_out"), timed_out);
    assert_int_equal(stage_number(s, "requests.failed"), failed);
    assert_int_equal(stage_number(s, "requests.overloaded"), overloaded);
}

void assert_says(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("'%s' is not in: %s", part, text);
}

void assert_status(const struct stage *s, int status) {
    if (s->status != status)
        fail_msg("exit status %d, not %d; stderr: %s; stdout: %s", s->status, status, s->err,
                 s->out);
}

uint64_t stage_acknowledged(const struct stage *s) {
    struct error err = ERROR_NULL;
    cleanup(request_set_freep) struct request_set *set = NULL;
    cleanup_free char *path = text_format("%s/out/acknowledged.json", s->folder.path);
    if (request_set_load(path, &set, &err) < 0)
        fail_msg("%s", err.text);
    return request_set_count(set);
}

int stage_exported(struct stage *s, const char *path) {
    cleanup_free char *args = text_format("export %s", path);
    int lines = 0;
    stage_start(s, args);
    stage_wait(s);
    for (const char *p = s->out; (p = strchr(p, '\n')); p++)
        lines++;
    return s->status == 0 ? lines - 1 : -1;
}
