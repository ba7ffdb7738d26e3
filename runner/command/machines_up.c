/* `seatrial machines up` and `start`. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/machines.h"

#include <stdlib.h>

enum { OPTION_DRY_RUN = 256 };

struct up_arguments {
    bool dry_run, yes;
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct up_arguments *a = state->input;
    switch (key) {
    case OPTION_DRY_RUN: a->dry_run = true; return 0;
    case 'y': a->yes = true; return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

#define YES                                                                                        \
    { "yes", 'y', NULL, 0, "ask nothing: what the machines cost is wanted", 0 }

static const struct argp_option start_options[] = {YES, {0}};
static const struct argp_option up_options[] = {
    YES,
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
    "They are left running: until `machines down`, or until their time to live is over. If they "
    "cost more per hour than testbed.cost_limit_usd_per_hour (10), or if nobody knows what they "
    "cost, it asks first.",
    NULL,
    NULL,
    NULL};

const struct argp machines_start_argp = {
    start_options,
    parse_option,
    NULL,
    "Starts the deployment's stopped machines, and makes none. Their time to live begins anew.",
    NULL,
    NULL,
    NULL};

static int bring_up(struct machines_session *s, bool make, bool yes, struct error *err) {
    cleanup(machines_deinit) struct machines machines = MACHINES_NULL;
    struct task task = command_task();
    if (machines_confirm(s, yes, &task, err) < 0 ||
        s->provider->kind->up(s->provider, make, &task, &machines, err) < 0)
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
    struct up_arguments a = {.yes = false};
    command_parse(&machines_up_argp, "machines up", argc, argv, &a);
    cleanup(machines_close) struct machines_session s = MACHINES_SESSION_NULL;
    if (machines_open(context, a.dry_run ? MACHINES_ASK : MACHINES_MAKE, &s, &err) < 0 ||
        (a.dry_run ? check(&s, &err) : bring_up(&s, true, a.yes, &err)) < 0)
        return command_fail(context, &err);
    return 0;
}

int machines_start(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct up_arguments a = {.yes = false};
    command_parse(&machines_start_argp, "machines start", argc, argv, &a);
    cleanup(machines_close) struct machines_session s = MACHINES_SESSION_NULL;
    if (machines_open(context, MACHINES_CHANGE, &s, &err) < 0 ||
        bring_up(&s, false, a.yes, &err) < 0)
        return command_fail(context, &err);
    return 0;
}
