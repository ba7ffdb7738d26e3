#include "lib/buffer.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/host_impl.h"
#include "runner/remote/local.h"

#include <stdlib.h>
#include <string.h>

#define ENGINE_HERE "unix:///var/run/docker.sock"

static const char *engine_here(const struct host_options *options) {
    if (options->engine && options->engine[0])
        return options->engine;
    const char *asked = getenv("DOCKER_HOST");
    return asked && asked[0] ? asked : ENGINE_HERE;
}

int host_open(const struct host_options *options, const struct task *task, struct host **ret,
              struct error *err) {
    if (task_check(task, err) < 0)
        return error_wrap(err, "host '%s'", options->name);
    if (options->ssh) {
        error_set(err, ERROR_CONFIG, "hosts over SSH are not supported yet");
        return error_wrap(err, "host '%s'", options->name);
    }
    cleanup(host_closep) struct host *host = mem_new(struct host);
    host->name = text_dup(options->name);
    host->engine = text_dup(engine_here(options));
    *ret = take_ptr(host);
    return 0;
}

void host_close(struct host *host) {
    if (!host)
        return;
    free(host->name);
    free(host->engine);
    free(host);
}

const char *host_name(const struct host *host) {
    return host->name;
}

bool host_is_local(const struct host *host) {
    return !host->tunnel;
}

const char *host_engine(const struct host *host) {
    return host->engine;
}

const struct host_ssh *host_ssh(const struct host *host) {
    (void)host;
    return NULL;
}

int host_await(struct host *host, const struct task *task, struct error *err) {
    (void)host;
    return task_check(task, err) < 0 ? -1 : 1;
}

uint64_t host_reconnects(const struct host *host) {
    (void)host;
    return 0;
}

/* ---- commands ---- */

int host_exec(struct host *host, const struct host_exec *exec, const struct task *task,
              struct host_exec_result *ret, struct error *err) {
    int r = local_exec(exec, task, ret, err);
    return r < 0 ? error_wrap(err, "host '%s'", host->name) : r;
}

static int push_text(void *arg, const void *data, size_t size, struct error *err) {
    buffer_append(arg, data, size);
    return buffer_check(arg, "a command's output", err);
}

int host_exec_text(struct host *host, const char *command, size_t size_max, const struct task *task,
                   struct buffer *ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, size_max);
    struct sink sink = {.push = push_text, .arg = &text};
    struct host_exec exec = {.command = command, .output = &sink};
    struct host_exec_result result;
    if (host_exec(host, &exec, task, &result, err) < 0)
        return -1;
    if (result.exit_code < 0)
        return error_set(err, ERROR_FAILED, "host '%s': a command was ended by signal %s",
                         host->name, result.signal);
    if (result.exit_code > 0)
        return error_set(err, ERROR_FAILED, "host '%s': a command ended with exit code %d: %s",
                         host->name, result.exit_code,
                         result.errors[0] ? result.errors : "it said nothing");
    *ret = text;
    text = BUFFER_NULL;
    return 0;
}

char *host_quote(const char *text) {
    size_t size = 3;
    for (const char *p = text; *p; p++)
        size += *p == '\'' ? 4 : 1;
    char *quoted = mem_alloc(size), *at = quoted;
    *at++ = '\'';
    for (const char *p = text; *p; p++) {
        if (*p == '\'') {
            memcpy(at, "'\\''", 4);
            at += 4;
        } else {
            *at++ = *p;
        }
    }
    *at++ = '\'';
    *at = '\0';
    return quoted;
}

/* ---- clock ---- */

int host_clock_offset(struct host *host, const struct task *task, struct host_clock *ret,
                      struct error *err) {
    (void)host;
    if (task_check(task, err) < 0)
        return -1;
    *ret = (struct host_clock){.offset_ns = 0, .uncertain_ns = 0};
    return 0;
}

/* ---- forwards ---- */

int host_forward_local(struct host *host, const struct host_endpoint *here,
                       const struct host_endpoint *there, const struct task *task,
                       struct host_forward **ret, struct error *err) {
    (void)here, (void)there, (void)task, (void)ret;
    return error_set(err, ERROR_CONFIG, "host '%s' is this machine: nothing needs forwarding",
                     host->name);
}

int host_forward_remote(struct host *host, const struct host_endpoint *there,
                        const struct host_endpoint *here, const struct task *task,
                        struct host_forward **ret, struct error *err) {
    (void)here, (void)there, (void)task, (void)ret;
    return error_set(err, ERROR_CONFIG, "host '%s' is this machine: nothing needs forwarding",
                     host->name);
}

uint16_t host_forward_port(const struct host_forward *forward) {
    (void)forward;
    return 0;
}

void host_forward_close(struct host_forward *forward) {
    (void)forward;
}
