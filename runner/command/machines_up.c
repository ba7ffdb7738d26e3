/* `seatrial machines up` and `start`. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/machines.h"

#include <stdlib.h>

enum { OPTION_DRY_RUN = 256 };

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    bool *dry_run = state->input;
    switch (key) {
    case OPTION_DRY_RUN: *dry_run = true; return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option up_options[] = {
    {"dry-run", OPTION_DRY_RUN, NULL, 0,
     "only ask whether the machines could be made: image, type, subnet and permission", 0},
    {0},
};

const struct argp machines_up_argp = {
    up_options,
    parse_option,
    NULL,
    "Makes the machines that are missing, starts those that are stopped, and returns when all of "
    "the deployment run. They are ours by their tags, and can be reached by SSH from here alone. "
    "They are left running: until `machines down`, or until their time to live is over.",
    NULL,
    NULL,
    NULL};

const struct argp machines_start_argp = {
    NULL,
    parse_option,
    NULL,
    "Starts the deployment's stopped machines, and makes none. Their time to live begins anew.",
    NULL,
    NULL,
    NULL};

static int bring_up(struct machines_session *s, bool make, struct error *err) {
    cleanup(machines_deinit) struct machines machines = MACHINES_NULL;
    struct task task = command_task();
    if (s->provider->kind->up(s->provider, make, &task, &machines, err) < 0)
        return -1;
    size_t kept = 0;
    for (size_t i = 0; i < machines.count; i++) /* those that serve are shown */
        kept += machines.items[i].host != NULL;
    progress_note(s->context->progress, "%zu machines run", kept);
    return 0;
}

static int check(struct machines_session *s, struct error *err) {
    struct task task = command_task();
    if (s->provider->kind->check(s->provider, &task, err) < 0)
        return -1;
    progress_note(s->context->progress, "all %zu machines could be made",
                  s->files.deployment->testbed.host_count);
    return 0;
}

int machines_up(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    bool dry_run = false;
    command_parse(&machines_up_argp, "machines up", argc, argv, &dry_run);
    cleanup(machines_close) struct machines_session s = MACHINES_SESSION_NULL;
    if (machines_open(context, MACHINES_MAKE, &s, &err) < 0 ||
        (dry_run ? check(&s, &err) : bring_up(&s, true, &err)) < 0)
        return command_fail(context, &err);
    return 0;
}

int machines_start(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    bool dry_run = false;
    command_parse(&machines_start_argp, "machines start", argc, argv, &dry_run);
    cleanup(machines_close) struct machines_session s = MACHINES_SESSION_NULL;
    if (machines_open(context, MACHINES_CHANGE, &s, &err) < 0 || bring_up(&s, false, &err) < 0)
        return command_fail(context, &err);
    return 0;
}
