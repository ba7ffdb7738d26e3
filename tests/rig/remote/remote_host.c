/*
 * The rig's hands on runner/remote: one host, and what is done with it, from a shell.
 *
 *     remote_host [--config FILE] [--identity FILE] [--key PINNED] [--accept-new] [--engine SOCKET]
 * [--timeout MS] DESTINATION ACTION [ARGUMENT...]
 *
 *     exec COMMAND            input and output are passed; ends with its exit code (128 + by a
 * signal) text COMMAND            its output, by host_exec_text put PATH MODE | get PATH clock
 * "OFFSET_NS UNCERTAIN_NS" engine                  whether the engine takes connections ssh user,
 * address, port, identity file, jump hold COMMAND...         prints "engine ADDRESS", then runs the
 * words, with DOCKER_HOST set, while the host is open forward ADDRESS PORT COMMAND...     local
 * forward to there; $FORWARD_PORT backward PORT COMMAND...            remote forward of a port
 * found there to PORT here; $FORWARD_PORT await COMMAND           runs the command on the host,
 * again and again after host_await, until it succeeds many N COMMAND          N threads run it at
 * once
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/task.h"
#include "lib/text.h"
#include "runner/remote/host.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static struct cancel cancel;

static void on_signal(int signal) {
    (void)signal;
    cancel_raise(&cancel, 1);
}

static int say(const struct error *err) {
    fprintf(stderr, "%s: %s\n", error_kind_name(err->kind), err->text);
    if (err->hint[0])
        fprintf(stderr, "hint: %s\n", err->hint);
    return 200;
}

static ssize_t pull_stdin(void *arg, void *data, size_t size, struct error *err) {
    (void)arg;
    ssize_t n = read(0, data, size);
    return n < 0 ? error_set(err, ERROR_IO, "read") : n;
}

static int push_fd(void *arg, const void *data, size_t size, struct error *err) {
    const char *at = data;
    while (size > 0) {
        ssize_t n = write(*(const int *)arg, at, size);
        if (n < 0)
            return error_set(err, ERROR_IO, "write");
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

static int act_exec(struct host *host, char **words, const struct task *task, struct error *err) {
    int out = 1, errors = 2;
    struct source source = {.pull = pull_stdin};
    struct sink sink = {.push = push_fd, .arg = &out},
                error_sink = {.push = push_fd, .arg = &errors};
    struct host_exec exec = {
        .command = words[0], .input = &source, .output = &sink, .errors = &error_sink};
    if (isatty(0) && isatty(1))
        exec = (struct host_exec){.command = words[0], .terminal = true};
    struct host_exec_result result;
    if (host_exec(host, &exec, task, &result, err) < 0)
        return -1;
    if (result.exit_code < 0)
        fprintf(stderr, "ended by %s\n", result.signal);
    return result.exit_code < 0 ? 128 : result.exit_code;
}

static int act_text(struct host *host, char **words, const struct task *task, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (host_exec_text(host, words[0], 1 << 20, task, &text, err) < 0)
        return -1;
    printf("%s", buffer_string(&text));
    return 0;
}

static int act_put(struct host *host, char **words, const struct task *task, struct error *err) {
    struct source source = {.pull = pull_stdin};
    return host_put(host, words[0], (unsigned)strtoul(words[1], NULL, 8), &source, task, err);
}

static int act_get(struct host *host, char **words, const struct task *task, struct error *err) {
    int out = 1;
    struct sink sink = {.push = push_fd, .arg = &out};
    return host_get(host, words[0], &sink, task, err);
}

static int act_clock(struct host *host, char **words, const struct task *task, struct error *err) {
    (void)words;
    struct host_clock clock;
    if (host_clock_offset(host, task, &clock, err) < 0)
        return -1;
    printf("%lld %llu\n", (long long)clock.offset_ns, (unsigned long long)clock.uncertain_ns);
    return 0;
}

static int act_engine(struct host *host, char **words, const struct task *task, struct error *err) {
    (void)words;
    return host_check_engine(host, task, err);
}

static int act_ssh(struct host *host, char **words, const struct task *task, struct error *err) {
    (void)words, (void)task, (void)err;
    const struct host_ssh *ssh = host_ssh(host);
    printf("%s %s %u %s %s\n", ssh->user, ssh->address, ssh->port,
           ssh->identity_file ? ssh->identity_file : "-", ssh->proxy_jump ? ssh->proxy_jump : "-");
    return 0;
}

static int run_words(char **words) {
    pid_t pid = fork();
    if (pid == 0) {
        execvp(words[0], words);
        _exit(127);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int act_hold(struct host *host, char **words, const struct task *task, struct error *err) {
    (void)task, (void)err;
    char count[32];
    setenv("DOCKER_HOST", host_engine(host), 1);
    setenv("SOCKET", host_engine(host) + strlen("unix://"), 1);
    int r = run_words(words);
    snprintf(count, sizeof count, "%llu", (unsigned long long)host_reconnects(host));
    fprintf(stderr, "reconnects %s\n", count);
    return r;
}

static int forwarded(struct host_forward *forward, char **words) {
    char port[8];
    snprintf(port, sizeof port, "%u", host_forward_port(forward));
    setenv("FORWARD_PORT", port, 1);
    int r = run_words(words);
    host_forward_close(forward);
    return r;
}

static int act_forward(struct host *host, char **words, const struct task *task,
                       struct error *err) {
    struct host_endpoint here = {.port = 0};
    struct host_endpoint there = {.address = words[0], .port = (uint16_t)atoi(words[1])};
    struct host_forward *forward;
    if (host_forward_local(host, &here, &there, task, &forward, err) < 0)
        return -1;
    return forwarded(forward, words + 2);
}

static int act_backward(struct host *host, char **words, const struct task *task,
                        struct error *err) {
    struct host_endpoint there = {.address = "127.0.0.1", .port = 0};
    struct host_endpoint here = {.port = (uint16_t)atoi(words[0])};
    struct host_forward *forward;
    if (host_forward_remote(host, &there, &here, task, &forward, err) < 0)
        return -1;
    return forwarded(forward, words + 1);
}

static int act_await(struct host *host, char **words, const struct task *task, struct error *err) {
    for (;;) {
        int r = act_exec(host, words, task, err);
        if (r >= 0 || !error_retryable(err->kind))
            return r;
        fprintf(stderr, "broken: %s\n", err->text);
        if (host_await(host, task, err) < 0)
            return -1;
    }
}

struct one_of_many {
    struct host *host;
    const char *command;
    pthread_t thread;
    int result;
    struct error err;
};

static void *many_main(void *arg) {
    struct one_of_many *one = arg;
    struct task task = {.cancel = &cancel, .deadline = INSTANT_NEVER};
    struct host_exec exec = {.command = one->command};
    struct host_exec_result result;
    one->result = host_exec(one->host, &exec, &task, &result, &one->err);
    if (one->result == 0)
        one->result = result.exit_code;
    return NULL;
}

static int act_many(struct host *host, char **words, const struct task *task, struct error *err) {
    (void)task;
    size_t count = (size_t)atoi(words[0]), failed = 0;
    struct one_of_many *all = mem_new_array(struct one_of_many, count);
    for (size_t i = 0; i < count; i++) {
        all[i] = (struct one_of_many){.host = host, .command = words[1]};
        pthread_create(&all[i].thread, NULL, many_main, &all[i]);
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(all[i].thread, NULL);
        failed += all[i].result != 0;
        if (all[i].result < 0)
            *err = all[i].err;
    }
    free(all);
    printf("%zu of %zu\n", count - failed, count);
    return err->kind == ERROR_NONE ? failed > 0 : -1;
}

static const struct {
    const char *name;
    int words;
    int (*act)(struct host *, char **, const struct task *, struct error *);
} actions[] = {
    {"exec", 1, act_exec},         {"text", 1, act_text},   {"put", 2, act_put},
    {"get", 1, act_get},           {"clock", 0, act_clock}, {"engine", 0, act_engine},
    {"ssh", 0, act_ssh},           {"hold", 1, act_hold},   {"forward", 3, act_forward},
    {"backward", 2, act_backward}, {"await", 1, act_await}, {"many", 2, act_many},
};

static int act(const struct host_options *options, char **words, int count,
               const struct task *task) {
    struct error err = ERROR_NULL;
    cleanup(host_closep) struct host *host = NULL;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(words[0], actions[i].name) != 0 || count - 1 < actions[i].words)
            continue;
        if (host_open(options, task, &host, &err) < 0)
            return say(&err);
        int r = actions[i].act(host, words + 1, task, &err);
        return r < 0 ? say(&err) : r;
    }
    fprintf(stderr, "no such action: %s\n", words[0]);
    return 2;
}

int main(int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct host_options options = {.name = "r1"};
    struct task task = {.cancel = &cancel, .deadline = INSTANT_NEVER};
    int i = 1;
    if (cancel_init(&cancel, &err) < 0)
        return say(&err);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    for (; i + 1 < argc && text_starts(argv[i], "--"); i++) {
        if (strcmp(argv[i], "--config") == 0)
            options.config_file = argv[++i];
        else if (strcmp(argv[i], "--identity") == 0)
            options.identity_file = argv[++i];
        else if (strcmp(argv[i], "--key") == 0)
            options.host_key = argv[++i];
        else if (strcmp(argv[i], "--engine") == 0)
            options.engine = argv[++i];
        else if (strcmp(argv[i], "--timeout") == 0)
            options.connect_timeout_ns = strtoull(argv[++i], NULL, 10) * NS_PER_MS;
        else if (strcmp(argv[i], "--accept-new") == 0)
            options.unknown_keys = HOST_UNKNOWN_ACCEPT_NEW;
    }
    if (i + 1 >= argc)
        return 2;
    options.ssh = argv[i];
    int status = act(&options, argv + i + 1, argc - i - 1, &task);
    cancel_deinit(&cancel);
    return status;
}
