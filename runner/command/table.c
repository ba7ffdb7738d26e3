#include "runner/command/command.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <assert.h>

enum { NAMES_MAX = 64 }; /* of one table; we write them */

const struct command commands[] = {{"report", "the results of a run again", NULL, NULL},
                                   {"compare", "two runs side by side", NULL, NULL},
#define X(name, summary) {#name, summary, &name##_argp, command_##name},
                                   COMMANDS(X)
#undef X
};
const size_t command_count = sizeof commands / sizeof *commands;

/* `of`: "images ", or "". */
static const struct command *find(const char *of, const struct command *list, size_t count,
                                  const char *name, struct error *err) {
    const char *names[NAMES_MAX];
    assert(count <= NAMES_MAX);
    for (size_t i = 0; i < count; i++) {
        names[i] = list[i].name;
        if (text_equal(name, list[i].name) && list[i].run)
            return &list[i];
        if (text_equal(name, list[i].name)) {
            error_set(err, ERROR_USAGE, "'%s%s' is not supported yet", of, name);
            return NULL;
        }
    }
    error_set(err, ERROR_USAGE, "there is no command '%s%s'", of, name);
    const char *nearest = text_nearest(name, names, count);
    if (nearest)
        error_hint(err, "did you mean '%s%s'?", of, nearest);
    return NULL;
}

const struct command *command_find(const struct command_context *context, const char *name) {
    struct error err = ERROR_NULL;
    const struct command *command = find("", commands, command_count, name, &err);
    if (!command)
        command_fail(context, &err);
    return command;
}

/* ---- commands of a command ---- */

error_t command_parse_part(int key, char *arg, struct argp_state *state) {
    int *command = state->input;
    (void)arg;
    switch (key) {
    case ARGP_KEY_ARG: /* what follows is its own */
        *command = state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_usage(state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int command_run_part(struct command_context *context, const struct argp *argp, const char *name,
                     const struct command *list, size_t count, int argc, char **argv) {
    struct error err = ERROR_NULL;
    cleanup_free char *of = text_format("%s ", name);
    int at = 0;
    command_parse_in_order(argp, name, argc, argv, &at);
    const struct command *part = find(of, list, count, argv[at], &err);
    return part ? part->run(context, argc - at, argv + at) : command_fail(context, &err);
}
