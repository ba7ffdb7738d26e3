#include "runner/command/command.h"

#include "lib/text.h"

const struct command commands[] = {
    {"images", "build, push, pull, lock or verify images", NULL, NULL},
    {"machines", "the testbed's machines", NULL, NULL},
    {"report", "the results of a run again", NULL, NULL},
    {"compare", "two runs side by side", NULL, NULL},
#define X(name, summary) {#name, summary, &name##_argp, command_##name},
    COMMANDS(X)
#undef X
};
const size_t command_count = sizeof commands / sizeof *commands;

const struct command *command_find(const struct command_context *context, const char *name) {
    struct error err = ERROR_NULL;
    const char *names[64];
    for (size_t i = 0; i < command_count; i++) {
        names[i] = commands[i].name;
        if (text_equal(name, commands[i].name) && commands[i].run)
            return &commands[i];
        if (text_equal(name, commands[i].name)) {
            error_set(&err, ERROR_USAGE, "'%s' is not supported yet", name);
            command_fail(context, &err);
            return NULL;
        }
    }
    error_set(&err, ERROR_USAGE, "there is no command '%s'", name);
    const char *nearest = text_nearest(name, names, command_count);
    if (nearest)
        error_hint(&err, "did you mean '%s'?", nearest);
    command_fail(context, &err);
    return NULL;
}
