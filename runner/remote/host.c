#include "lib/buffer.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/host_impl.h"
#include "runner/remote/job.h"
#include "runner/remote/local.h"
#include "runner/remote/ssh_host.h"
#include "runner/remote/tunnel.h"

#include <stdlib.h>
#include <string.h>

#define ENGINE_HERE "unix:///var/run/docker.sock"

static const char *engine_here(const struct host_options *options) {
    if (options->engine && options->engine[0])
        return options->engine;
    const char *asked = getenv("DOCKER_HOST");
    return asked && asked[0] ? asked : ENGINE_HERE;
}

static int open_there(struct host *host, const struct host_options *options,
                      const struct task *task, struct error *err) {
    if (ssh_host_open(options, task, &host->tunnel, err) < 0)
        return -1;
    const struct target *t = tunnel_target(host->tunnel);
    host->engine = text_format("unix://%s", tunnel_socket(host->tunnel));
    host->ssh = (struct host_ssh){.user = t->user,
                                  .address = t->host_name,
                                  .port = t->port,
                                  .identity_file = tunnel_identity_file(host->tunnel),
                                  .proxy_jump = t->proxy_jump};
    return 0;
}

int host_open(const struct host_options *options, const struct task *task, struct host **ret,
              struct error *err) {
    cleanup(host_closep) struct host *host = mem_new(struct host);
    pthread_mutex_init(&host->lock, NULL);
    host->name = text_dup(options->name);
    if (task_check(task, err) < 0 || (options->ssh && open_there(host, options, task, err) < 0))
        return error_wrap(err, "host '%s'", options->name);
    if (!options->ssh)
        host->engine = text_dup(engine_here(options));
    *ret = take_ptr(host);
    return 0;
}

void host_close(struct host *host) {
    if (!host)
        return;
    host_forwards_close(host);
    tunnel_close(host->tunnel);
    pthread_mutex_destroy(&host->lock);
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

bool host_is_of_engine(const struct host *host) {
    return host->tunnel || text_starts(host->engine, "unix://");
}

const char *host_engine_socket(const struct host *host) {
    return host->tunnel ? tunnel_engine_socket(host->tunnel) : NULL;
}

const struct host_ssh *host_ssh(const struct host *host) {
    return host->tunnel ? &host->ssh : NULL;
}

/* A job without arguments. */
static int ask(struct host *host, enum job_kind kind, const struct task *task, struct error *err) {
    cleanup(job_releasep) struct job *job = NULL;
    if (job_new(kind, &job, err) < 0)
        return -1;
    int r = tunnel_run(host->tunnel, job, task, err);
    return r < 0 ? error_wrap(err, "host '%s'", host->name) : r;
}

int host_await(struct host *host, const struct task *task, struct error *err) {
    if (!host->tunnel)
        return task_check(task, err) < 0 ? -1 : 1;
    return ask(host, JOB_AWAIT, task, err);
}

int host_check_engine(struct host *host, const struct task *task, struct error *err) {
    return host->tunnel ? ask(host, JOB_ENGINE, task, err) : task_check(task, err);
}

uint64_t host_reconnects(const struct host *host) {
    return host->tunnel ? tunnel_reconnects(host->tunnel) : 0;
}

bool host_is_short_of_sessions(const struct host *host) {
    return host->tunnel && tunnel_is_short_of_sessions(host->tunnel);
}

bool host_engine_takes_sessions(const struct host *host) {
    return host->tunnel && tunnel_engine_takes_sessions(host->tunnel);
}

/* ---- commands ---- */

int host_exec(struct host *host, const struct host_exec *exec, const struct task *task,
              struct host_exec_result *ret, struct error *err) {
    int r = host->tunnel ? ssh_host_exec(host->tunnel, exec, task, ret, err)
                         : local_exec(exec, task, ret, err);
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
    if (!host->tunnel) {
        if (task_check(task, err) < 0)
            return -1;
        *ret = (struct host_clock){.offset_ns = 0, .uncertain_ns = 0};
        return 0;
    }
    if (ssh_host_clock_offset(host->tunnel, task, ret, err) < 0)
        return error_wrap(err, "host '%s': compare clocks", host->name);
    return 0;
}
