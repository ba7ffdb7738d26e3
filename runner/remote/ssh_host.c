#include "runner/remote/ssh_host.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/pump.h"
#include "runner/remote/ssh_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { JUMPS_MAX = 8, CLOCK_PROBES = 12 };

#define ENGINE_SOCKET "/var/run/docker.sock"

/* ---- opening ---- */

static int open_chain(const struct host_options *options, const char *destination,
                      const char *jumps, int depth, const struct task *task, struct tunnel **ret,
                      struct error *err);

/* "a,b,c": the last is dialled through those before it; a single one as its configuration says. */
static int open_jump(const struct host_options *options, const char *jumps, int depth,
                     const struct task *task, struct tunnel **ret, struct error *err) {
    const char *comma = strrchr(jumps, ',');
    cleanup_free char *before = comma ? text_format("%.*s", (int)(comma - jumps), jumps) : NULL;
    const char *last = comma ? comma + 1 : jumps;
    /* Pinned key, key file and name are the host's own, not those of what it is reached through. */
    struct host_options through = {.unknown_keys = options->unknown_keys,
                                   .config_file = options->config_file,
                                   .connect_timeout_ns = options->connect_timeout_ns};
    if (depth >= JUMPS_MAX)
        return error_set(err, ERROR_CONFIG, "more than %d hosts to go through", JUMPS_MAX);
    if (open_chain(&through, last, before, depth + 1, task, ret, err) < 0)
        return error_wrap(err, "through '%s'", last);
    return 0;
}

static void prefer_identity(struct target *t, const char *file) {
    size_t count = 0;
    while (t->identity_files && t->identity_files[count])
        count++;
    char **files = mem_new_array(char *, count + 2);
    files[0] = text_dup(file);
    if (count)
        memcpy(files + 1, t->identity_files, count * sizeof *files);
    free(t->identity_files);
    t->identity_files = files;
}

/* A path, or what DOCKER_HOST says of a socket. */
static const char *engine_socket(const struct host_options *options) {
    const char *socket = options->engine && options->engine[0] ? options->engine : ENGINE_SOCKET;
    return text_starts(socket, "unix://") ? socket + strlen("unix://") : socket;
}

static int open_chain(const struct host_options *options, const char *destination,
                      const char *jumps, int depth, const struct task *task, struct tunnel **ret,
                      struct error *err) {
    cleanup(target_freep) struct target *target = NULL;
    cleanup(tunnel_closep) struct tunnel *jump = NULL;
    if (target_resolve(destination, options->config_file, &target, err) < 0)
        return -1;
    if (options->identity_file)
        prefer_identity(target, options->identity_file);
    if (!jumps)
        jumps = target->proxy_jump;
    if (jumps && open_jump(options, jumps, depth, task, &jump, err) < 0)
        return -1;
    struct tunnel_options how = {.target = take_ptr(target),
                                 .jump = take_ptr(jump),
                                 .socket_name = depth == 0 ? options->name : NULL,
                                 .engine_socket = engine_socket(options),
                                 .host_key = options->host_key,
                                 .unknown_keys = options->unknown_keys,
                                 .connect_timeout_ns = options->connect_timeout_ns};
    return tunnel_open(&how, task, ret, err);
}

int ssh_host_open(const struct host_options *options, const struct task *task, struct tunnel **ret,
                  struct error *err) {
    if (engine_socket(options)[0] != '/')
        return error_set(err, ERROR_CONFIG, "the engine '%s' is no path of a socket there",
                         options->engine);
    return open_chain(options, options->ssh, NULL, 0, task, ret, err);
}

/* ---- commands ---- */

/* `ours[1]` -1 unless errors are wanted apart. */
static int new_command(const char *command, bool errors, struct job **ret, int ours[2],
                       struct error *err) {
    cleanup(job_releasep) struct job *job = NULL;
    int io[2], e[2] = {-1, -1};
    const int flags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    if (job_new(JOB_COMMAND, &job, err) < 0)
        return -1;
    if (socketpair(AF_UNIX, flags, 0, io) < 0)
        return error_set_os(err, ERROR_IO, errno, "create sockets");
    if (errors && socketpair(AF_UNIX, flags, 0, e) < 0) {
        int reason = errno;
        close(io[0]);
        close(io[1]);
        return error_set_os(err, ERROR_IO, reason, "create sockets");
    }
    job->command = text_dup(command);
    job->fds[0] = io[1];
    job->fds[1] = e[1];
    ours[0] = io[0];
    ours[1] = e[0];
    *ret = take_ptr(job);
    return 0;
}

static void copy_result(const struct job *job, struct host_exec_result *ret) {
    ret->exit_code = job->exit_code;
    snprintf(ret->signal, sizeof ret->signal, "%s", job->signal);
}

static int exec_on_terminal(struct tunnel *t, const struct host_exec *exec, const struct task *task,
                            struct host_exec_result *ret, struct error *err) {
    cleanup(job_releasep) struct job *job = NULL;
    int ours[2];
    const char *command = exec->command ? exec->command : "exec \"${SHELL:-/bin/sh}\" -l";
    if (new_command(command, false, &job, ours, err) < 0)
        return -1;
    cleanup_close int io = ours[0];
    const char *term = getenv("TERM");
    job->terminal = true;
    ssh_terminal_size(job);
    job->term = text_dup(term && term[0] ? term : "dumb");
    if (tunnel_submit(t, job, err) < 0)
        return -1;
    int r = ssh_terminal_run(t, job, io, task, err);
    if (r < 0)
        tunnel_abandon(t, job);
    else
        r = tunnel_wait(t, job, task, err);
    if (r == 0)
        copy_result(job, ret);
    return r;
}

int ssh_host_exec(struct tunnel *t, const struct host_exec *exec, const struct task *task,
                  struct host_exec_result *ret, struct error *err) {
    *ret = (struct host_exec_result){.exit_code = -1};
    if (exec->terminal)
        return exec_on_terminal(t, exec, task, ret, err);
    cleanup(job_releasep) struct job *job = NULL;
    int ours[2];
    if (new_command(exec->command, true, &job, ours, err) < 0)
        return -1;
    cleanup_close int io = ours[0];
    cleanup_close int errors = ours[1];
    if (tunnel_submit(t, job, err) < 0)
        return -1;
    struct pump pump = {.input_fd = io, .output_fd = io, .errors_fd = errors};
    int r = pump_run(&pump, exec, task, ret, err);
    if (r != 0) {
        tunnel_abandon(t, job);
        return r;
    }
    r = tunnel_wait(t, job, task, err);
    if (r == 0)
        copy_result(job, ret);
    return r;
}

/* ---- clock ---- */

#define CLOCK_END_NS (5 * NS_PER_SEC)

/* One line, its terminating newline included, of at most `size` bytes. */
static int read_line(int fd, const struct task *task, char *line, size_t size, struct error *err) {
    size_t at = 0;
    while (at == 0 || line[at - 1] != '\n') {
        if (at + 1 >= size)
            return error_set(err, ERROR_INVALID, "its clock says a line without an end");
        if (task_wait(task, fd, POLLIN, err) < 0)
            return -1;
        ssize_t n = recv(fd, line + at, size - 1 - at, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return error_set(err, ERROR_UNREACHABLE, "its clock says nothing");
        at += (size_t)n;
    }
    line[at - 1] = '\0';
    return 0;
}

/* A probe is a byte there and the time back: half of what both take is how wrong it may be. */
static int probe_clock(int fd, const struct task *task, struct host_clock *ret, struct error *err) {
    char line[64], shown[128];
    struct error bad = ERROR_NULL;
    uint64_t there_ns;
    struct wall_time sent = clock_wall();
    struct instant begun = clock_instant();
    if (send(fd, "\n", 1, MSG_NOSIGNAL) != 1)
        return error_set_os(err, ERROR_UNREACHABLE, errno, "ask its clock");
    if (read_line(fd, task, line, sizeof line, err) < 0)
        return -1;
    uint64_t took_ns = instant_ns_between(begun, clock_instant());
    if (text_to_u64(line, 0, INT64_MAX, &there_ns, &bad) < 0)
        return error_set(err, ERROR_INVALID, "its clock says '%s': `date +%%s%%N` is needed",
                         text_safe(line, shown, sizeof shown));
    ret->offset_ns = (int64_t)there_ns - (sent.ns + (int64_t)(took_ns / 2));
    ret->uncertain_ns = took_ns / 2;
    return 0;
}

int ssh_host_clock_offset(struct tunnel *t, const struct task *task, struct host_clock *ret,
                          struct error *err) {
    cleanup(job_releasep) struct job *job = NULL;
    int ours[2];
    if (new_command("while read -r x; do date +%s%N; done", false, &job, ours, err) < 0)
        return -1;
    cleanup_close int io = ours[0];
    if (tunnel_submit(t, job, err) < 0)
        return -1;
    struct host_clock best = {.uncertain_ns = UINT64_MAX};
    for (int i = 0; i < CLOCK_PROBES; i++) {
        struct host_clock one;
        if (probe_clock(io, task, &one, err) < 0) {
            struct task brief = task_within(task, CLOCK_END_NS);
            struct error why = ERROR_NULL;
            if (err->kind != ERROR_UNREACHABLE)
                tunnel_abandon(t, job);
            else if (tunnel_wait(t, job, &brief, &why) < 0 && why.kind != ERROR_TIMEOUT)
                *err = why; /* of the command, which knows more than that it is gone */
            return -1;
        }
        if (one.uncertain_ns < best.uncertain_ns)
            best = one;
    }
    shutdown(io, SHUT_WR);
    if (tunnel_wait(t, job, task, err) < 0)
        return -1;
    *ret = best;
    return 0;
}
