/* `seatrial exec`: a command in a container of the trial, whatever host it is on. */

#include "runner/engine/exec.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/hosts.h"
#include "runner/command/tty.h"
#include "runner/remote/host.h"
#include "runner/run/interrupt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ENVIRONMENT_MAX = 256,
    OPTION_INDEX = 256,
    OPTION_PRIVILEGED,
    ASK_MS_MIN = 5,
    ASK_MS_MAX = 500,
    DETACHED_MS = 2000, /* on a terminal: then it was left by the detach keys */
};

#define ASK_HOST_NS (2 * NS_PER_SEC)

struct arguments {
    bool terminal, no_terminal, privileged;
    uint64_t index; /* 0: the first */
    const char *user, *working_dir;
    struct engine_pair environment[ENVIRONMENT_MAX + 1];
    size_t environment_count;
    const char *container;
    char **command;
    struct hosts_chosen chosen;
};

static const struct argp_option options[] = {
    {"interactive", 'i', NULL, 0, "hand stdin through; it always is", 0},
    {"tty", 't', NULL, 0, "on a terminal; the default where ours is one", 0},
    {"no-tty", 'T', NULL, 0, "not on a terminal", 0},
    {"user", 'u', "USER", 0, "as this user (a name or number, or USER:GROUP)", 0},
    {"workdir", 'w', "PATH", 0, "in this folder of the container", 0},
    {"env", 'e', "NAME[=VALUE]", 0, "set a variable (without a value: to ours); may be repeated",
     0},
    {"index", OPTION_INDEX, "N", 0, "in the N-th container of the service, instead of the first",
     0},
    {"privileged", OPTION_PRIVILEGED, NULL, 0, "with extended privileges", 0},
    {"detach", 'd', NULL, OPTION_HIDDEN, NULL, 0},
    {0},
};

/* NAME alone takes the value from our environment, and sets nothing if there is none. */
static void add_variable(struct argp_state *state, struct arguments *a, char *text) {
    if (a->environment_count == ENVIRONMENT_MAX)
        argp_error(state, "more than %d times --env", ENVIRONMENT_MAX);
    char *equals = strchr(text, '=');
    if (equals == text || !*text)
        argp_error(state, "--env: '%s' has no name", text);
    const char *value = equals ? equals + 1 : getenv(text);
    if (equals)
        *equals = '\0';
    if (value)
        a->environment[a->environment_count++] = (struct engine_pair){text, value};
}

static void take_command(struct argp_state *state, struct arguments *a, char *container) {
    a->container = container;
    a->command = &state->argv[state->next];
    if (state->next == state->argc)
        argp_error(state, "which command?");
    state->next = state->argc;
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    struct error err = ERROR_NULL;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->chosen; return 0;
    case 'i': return 0;
    case 't': a->terminal = true; return 0;
    case 'T': a->no_terminal = true; return 0;
    case 'u': a->user = arg; return 0;
    case 'w': a->working_dir = arg; return 0;
    case 'e': add_variable(state, a, arg); return 0;
    case OPTION_INDEX:
        if (text_to_u64(arg, 1, UINT32_MAX, &a->index, &err) < 0)
            argp_error(state, "--index: %s", err.text);
        return 0;
    case OPTION_PRIVILEGED: a->privileged = true; return 0;
    case 'd': argp_error(state, "--detach is not supported"); return 0;
    case ARGP_KEY_ARG: take_command(state, a, arg); return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "in which container?"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- running it ---- */

static int push_output(void *arg, enum engine_stream stream, const void *data, size_t size,
                       struct error *err) {
    const struct task *task = arg;
    return tty_write(stream == ENGINE_STDERR ? STDERR_FILENO : STDOUT_FILENO, data, size, task,
                     err);
}

static int attach(struct engine *engine, const char *id, bool on_terminal, struct task *task,
                  struct error *err) {
    cleanup(tty_end) struct tty terminal = TTY_NULL;
    if (on_terminal && tty_begin(&terminal, err) < 0)
        return -1;
    struct engine_exec_io io = {.input_fd = STDIN_FILENO,
                                .output = {.push = push_output, .arg = task},
                                .terminal = on_terminal,
                                .resize_fd = terminal.resize_fd,
                                .get_size = on_terminal ? tty_size : NULL,
                                .arg = &terminal};
    return engine_exec_attach(engine, id, &io, task, err);
}

/* Its output has ended, so it has, or is about to: or the user has typed the detach keys. */
static int ask_exit_code(struct engine *engine, const char *id, bool on_terminal,
                         const struct task *task, int *ret_status, struct error *err) {
    struct task patient = on_terminal ? task_within(task, DETACHED_MS * NS_PER_MS) : *task;
    struct engine_exec_state state;
    for (uint64_t ms = ASK_MS_MIN;; ms = 2 * ms < ASK_MS_MAX ? 2 * ms : ASK_MS_MAX) {
        if (engine_exec_inspect(engine, id, task, &state, err) < 0)
            return -1;
        if (!state.running)
            break;
        if (task_sleep(&patient, ms * NS_PER_MS, err) < 0) {
            bool left = on_terminal && err->kind == ERROR_TIMEOUT;
            if (left)
                error_clear(err);
            *ret_status = 0;
            return left ? 0 : -1;
        }
    }
    *ret_status = (int)(state.exit_code & 0xff);
    return 0;
}

static int run_in(const struct command_container *c, const struct arguments *a, bool on_terminal,
                  int *ret_status, struct error *err) {
    char id[ENGINE_ID_SIZE];
    struct task task = command_task();
    cleanup(engine_closep) struct engine *engine = NULL;
    struct engine_exec_spec spec = {.cmd = (const char *const *)a->command,
                                    .env = a->environment_count ? a->environment : NULL,
                                    .user = a->user,
                                    .working_dir = a->working_dir,
                                    .privileged = a->privileged,
                                    .input = true,
                                    .terminal = on_terminal};
    if (engine_open(&c->host->at->engine, &task, &engine, err) < 0 ||
        engine_exec_create(engine, c->entry->name, &spec, &task, id, err) < 0 ||
        attach(engine, id, on_terminal, &task, err) < 0)
        return -1;
    return ask_exit_code(engine, id, on_terminal, &task, ret_status, err);
}

/* Where the connection was lost the host knows why; what we saw is only a socket that broke. */
static int failed(const struct command_context *context, const struct command_container *c,
                  struct error *err) {
    struct task task = command_task(), soon = task_within(&task, ASK_HOST_NS);
    struct error why = ERROR_NULL;
    bool cut = err->kind == ERROR_UNREACHABLE;
    bool lost = cut && host_await(c->host->at->host, &soon, &why) < 0;
    if (cut || (err->kind == ERROR_CANCELLED && interrupt_exit_status()))
        error_hint(err, "the command may still run in container '%s'", c->entry->name);
    if (lost && why.kind != ERROR_TIMEOUT)
        snprintf(err->text, sizeof err->text, "the connection was lost: %s", why.text);
    else if (lost)
        snprintf(err->text, sizeof err->text, "host '%s': the connection was lost", c->host->name);
    else
        error_wrap(err, "host '%s'", c->host->name);
    return command_fail(context, err);
}

const struct argp exec_argp = {
    options,
    parse_option,
    "SERVICE COMMAND [ARGUMENT...]",
    "Runs a command in a container of the trial and ends with its exit status. A container's name "
    "can stand for the service's.",
    hosts_children,
    NULL,
    NULL};

int command_exec(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct arguments a = {.index = 0};
    command_parse_in_order(&exec_argp, "exec", argc, argv, &a);
    bool on_terminal = !a.no_terminal && tty_is_there();
    if (a.terminal && !on_terminal) {
        error_set(&err, ERROR_USAGE, "--tty: stdin and stdout are no terminal");
        return command_fail(context, &err);
    }
    struct command_container *container;
    int status = 0;
    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    if (command_hosts_look(context, &a.chosen, &hosts, &err) < 0 ||
        command_container_one(&hosts, a.container, a.index, &container, &err) < 0)
        return command_fail(context, &err);
    if (run_in(container, &a, on_terminal, &status, &err) < 0)
        return failed(context, container, &err);
    return status;
}
