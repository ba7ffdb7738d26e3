/* `seatrial ssh`: a shell or a command on a host, over the session that we have with it anyway. */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/hosts.h"
#include "runner/command/tty.h"
#include "runner/remote/host.h"
#include "runner/run/interrupt.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

enum {
    COMMAND_MAX_BYTES = 128 << 10,
    STATUS_UNREACHABLE = 255, /* as ssh(1) has it, to be told from what a command says */
};

struct arguments {
    bool terminal, no_terminal;
    const char *host;
    struct buffer command; /* words joined by spaces, as ssh(1) does; empty: a shell */
};

static const struct argp_option options[] = {
    {"tty", 't', NULL, 0, "the command gets a terminal; a shell has one if we have one", 0},
    {"no-tty", 'T', NULL, 0, "no terminal", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case 't': a->terminal = true; return 0;
    case 'T': a->no_terminal = true; return 0;
    case ARGP_KEY_ARG:
        a->host = arg;
        for (; state->next < state->argc; state->next++)
            buffer_format(&a->command, "%s%s", a->command.size ? " " : "",
                          state->argv[state->next]);
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "to which host?"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

struct output {
    int fd;
    const struct task *task;
};

static int push(void *arg, const void *data, size_t size, struct error *err) {
    const struct output *output = arg;
    return tty_write(output->fd, data, size, output->task, err);
}

static int status_of(const struct host_exec_result *result) {
    if (result->exit_code >= 0)
        return result->exit_code & 0xff;
    for (int number = 1; number < NSIG; number++)
        if (text_equal(sigabbrev_np(number), result->signal))
            return 128 + number;
    return STATUS_UNREACHABLE;
}

static int run_there(struct host *host, const struct arguments *a, int *ret_status,
                     struct error *err) {
    bool shell = a->command.size == 0;
    bool on_terminal = !a->no_terminal && (a->terminal || (shell && tty_is_there()));
    /* On a terminal Ctrl-C is what the other side makes of it. */
    struct task task = on_terminal && host_is_local(host) ? TASK_FOREVER : command_task();
    static const int input = STDIN_FILENO;
    struct output output = {STDOUT_FILENO, &task}, errors = {STDERR_FILENO, &task};
    struct sink output_sink = {push, &output}, errors_sink = {push, &errors};
    struct host_exec exec = {.terminal = on_terminal};
    struct host_exec_result result;
    exec.command =
        shell ? (on_terminal ? NULL : "exec \"${SHELL:-/bin/sh}\" -l") : buffer_string(&a->command);
    if (!on_terminal) {
        exec.input_fd = &input;
        exec.output = &output_sink;
        exec.errors = &errors_sink;
    }
    if (host_exec(host, &exec, &task, &result, err) < 0)
        return -1;
    *ret_status = status_of(&result);
    return 0;
}

/* Exactly one. */
static int check_one(const struct command_hosts *hosts, const char *name, struct error *err) {
    return hosts->count == 1
               ? 0
               : error_set(err, ERROR_USAGE, "'%s' fits %zu hosts: which one?", name, hosts->count);
}

const struct argp ssh_argp = {
    options,
    parse_option,
    "HOST [COMMAND...]",
    "A login shell on a host of the deployment, or a command for it, over our own session: the "
    "deployment's host keys, user and identity hold. Ends with the command's exit status, or 255 "
    "when the host cannot be reached.",
    NULL,
    NULL,
    NULL};

int command_ssh(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer command;
    buffer_init(&command, COMMAND_MAX_BYTES);
    struct arguments a = {.command = command};
    command_parse_in_order(&ssh_argp, "ssh", argc, argv, &a);
    command = a.command;
    struct hosts_chosen chosen = {.patterns = {a.host}, .count = 1};
    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    if (buffer_check(&command, "the command", &err) < 0 ||
        command_hosts_choose(context, &chosen, &hosts, &err) < 0 ||
        check_one(&hosts, a.host, &err) < 0)
        return command_fail(context, &err);
    command_hosts_connect(&hosts);
    if (hosts.status)
        return interrupt_exit_status() ? hosts.status : STATUS_UNREACHABLE;
    int status = 0;
    if (run_there(hosts.hosts[0].at->host, &a, &status, &err) < 0) {
        int failed = command_fail(context, &err);
        return err.kind == ERROR_CANCELLED ? failed : STATUS_UNREACHABLE;
    }
    return status;
}
