/* `seatrial machines`: the testbed alone. */

#include "runner/command/machines.h"

const struct command machines_commands[] = {
#define X(name, summary) {#name, summary, &machines_##name##_argp, machines_##name},
    MACHINES_COMMANDS(X)
#undef X
};
const size_t machines_command_count = sizeof machines_commands / sizeof *machines_commands;

static char *add_commands(int key, const char *text, void *input) {
    (void)input;
    return command_help_list(key, text, "seatrial machines", machines_commands,
                             machines_command_count);
}

const struct argp machines_argp = {
    NULL,
    command_parse_part,
    "COMMAND [ARGUMENTS]",
    "The testbed alone: makes, shows, stops and ends the machines of the deployment file's fleets "
    "(provider: ec2). Machines of the providers local and hosts are shown, and left alone.\v.",
    NULL,
    add_commands,
    NULL};

int command_machines(struct command_context *context, int argc, char **argv) {
    return command_run_part(context, &machines_argp, "machines", machines_commands,
                            machines_command_count, argc, argv);
}
