/* The program: options that all commands share, then the command. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/command.h"
#include "runner/run/interrupt.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    OPTION_PROGRESS = 256,
    OPTION_ANSI,
    OPTION_ENGINE_TIMEOUT,
    OPTION_RECONNECT_TIMEOUT,
    OPTION_SSH_CONFIG,
    FILES_WANTED = 65536,
};

static const struct argp_option options[] = {
    {"file", 'f', "FILE", 0, "Compose file (compose.yaml); several are merged", 0},
    {"deployment", 'd', "FILE", 0,
     "deployment file (deployment_local.yaml, then deployment.yaml, beside the Compose file)", 0},
    {"project-name", 'p', "NAME", 0, "project name (COMPOSE_PROJECT_NAME, the file, the folder)",
     0},
    {"progress", OPTION_PROGRESS, "auto|tty|plain|json|quiet", 0, "how progress is shown", 0},
    {"ansi", OPTION_ANSI, "auto|always|never", 0, "colours", 0},
    {"engine-timeout", OPTION_ENGINE_TIMEOUT, "DURATION", 0,
     "how long an engine may take for one answer (60s)", 0},
    {"reconnect-timeout", OPTION_RECONNECT_TIMEOUT, "DURATION", 0,
     "how long a host that is lost may take to come back (60s)", 0},
    {"ssh-config", OPTION_SSH_CONFIG, "FILE", 0,
     "instead of ~/.ssh/config and the system's, as `ssh -F`", 0},
    {0},
};

struct main_arguments {
    struct command_context *context;
    int command; /* its place in argv; 0: none */
};

static size_t choose(struct argp_state *state, const char *option, const char *word,
                     const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (text_equal(word, names[i]))
            return i;
    argp_error(state, "--%s: '%s' is none of %s, ..., %s", option, word, names[0],
               names[count - 1]);
    return 0;
}

static void add_file(struct argp_state *state, struct command_context *context, const char *file) {
    if (context->file_count == COMMAND_FILES_MAX)
        argp_error(state, "more than %d Compose files", COMMAND_FILES_MAX);
    context->files[context->file_count++] = file;
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct main_arguments *a = state->input;
    struct error err = ERROR_NULL;
    switch (key) {
    case 'f': add_file(state, a->context, arg); return 0;
    case 'd': a->context->deployment = arg; return 0;
    case 'p': a->context->project = arg; return 0;
    case OPTION_PROGRESS:
        a->context->progress_mode = (enum progress_mode)choose(
            state, "progress", arg, progress_mode_names, PROGRESS_MODE_COUNT);
        return 0;
    case OPTION_ANSI:
        a->context->ansi =
            (enum ansi_mode)choose(state, "ansi", arg, ansi_mode_names, ANSI_MODE_COUNT);
        return 0;
    case OPTION_ENGINE_TIMEOUT:
        if (text_to_duration_ns(arg, &a->context->engine_timeout_ns, &err) < 0)
            argp_error(state, "--engine-timeout: %s", err.text);
        return 0;
    case OPTION_RECONNECT_TIMEOUT:
        if (text_to_duration_ns(arg, &a->context->reconnect_timeout_ns, &err) < 0)
            argp_error(state, "--reconnect-timeout: %s", err.text);
        return 0;
    case OPTION_SSH_CONFIG: a->context->ssh_config = arg; return 0;
    case ARGP_KEY_ARG: /* the command: what follows is its own */
        a->command = state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_usage(state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* The table of commands, below the options. */
static char *add_commands(int key, const char *text, void *input) {
    (void)input;
    return command_help_list(key, text, "seatrial", commands, command_count);
}

/* Hundreds of containers, each with a log that is followed, are thousands of descriptors; the usual
 * soft limit of 1024 is for programs that use select(2). */
static void raise_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void set_owner(struct command_context *context) {
    char host[128] = "localhost";
    gethostname(host, sizeof host - 1);
    const struct passwd *user = getpwuid(geteuid());
    if (user)
        snprintf(context->owner, sizeof context->owner, "%s@%s", user->pw_name, host);
    else
        snprintf(context->owner, sizeof context->owner, "%lu@%s", (unsigned long)geteuid(), host);
}

static void progress_freep(struct progress **p) {
    progress_free(*p);
}

const struct argp main_argp = {
    options,
    parse_option,
    "COMMAND [ARGUMENTS]",
    "Takes a replicated system from source tree to believable performance numbers: builds its "
    "images, starts the cluster, loads it, collects every log, core dump and number, and reports."
    "\v.",
    NULL,
    add_commands,
    NULL};

int main(int argc, char **argv) {
    struct command_context context = {.files = {NULL}};
    struct main_arguments a = {.context = &context};
    struct error err = ERROR_NULL;
    argp_program_version = "seatrial " SEATRIAL_VERSION;
    argp_err_exit_status = error_exit_status(ERROR_USAGE);
    argp_parse(&main_argp, argc, argv, ARGP_IN_ORDER, NULL, &a);

    cleanup(progress_freep) struct progress *progress =
        progress_new(context.progress_mode, context.ansi, stderr);
    context.progress = progress;
    set_owner(&context);
    raise_limit();
    if (interrupt_watch(&err) < 0)
        return command_fail(&context, &err);
    const struct command *command = command_find(&context, argv[a.command]);
    if (!command)
        return error_exit_status(ERROR_USAGE);
    return command->run(&context, argc - a.command, argv + a.command);
}
