/* `seatrial machines stop`, `down` and `reap`. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/machines.h"

#include <stdlib.h>

enum { OPTION_TIMEOUT = 256 };

struct down_arguments {
    bool all;
    uint64_t timeout_ns; /* 0: the provider's */
};

static error_t parse_timeout(struct argp_state *state, const char *text, uint64_t *ret_ns) {
    struct error err = ERROR_NULL;
    if (text_to_duration_ns(text, ret_ns, &err) < 0)
        argp_error(state, "--timeout: %s", err.text);
    if (*ret_ns == 0)
        argp_error(state, "--timeout: must be more than nothing");
    return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct down_arguments *a = state->input;
    switch (key) {
    case 'a': a->all = true; return 0;
    case OPTION_TIMEOUT: return parse_timeout(state, arg, &a->timeout_ns);
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option down_options[] = {
    {"all", 'a', NULL, 0, "all that we own, of any deployment and in every region", 0},
    {"timeout", OPTION_TIMEOUT, "DURATION", 0,
     "how long to look until nothing is left, 10m at most (10m)", 0},
    {0},
};

const struct argp machines_stop_argp = {
    NULL,
    parse_option,
    NULL,
    "Stops the deployment's machines; their disks stay, and are paid for. `machines start` starts "
    "them again.",
    NULL,
    NULL,
    NULL};

const struct argp machines_down_argp = {
    down_options,
    parse_option,
    NULL,
    "Ends the deployment's machines, removes what belongs to them, and looks until nothing of it "
    "is "
    "left. What cannot be removed is listed, and the exit status is 5.",
    NULL,
    NULL,
    NULL};

const struct argp machines_reap_argp = {
    NULL,
    parse_option,
    NULL,
    "Ends our machines whose time to live is over, of any deployment and in every region. For a "
    "timer: machines end themselves too, but a broken one may not.",
    NULL,
    NULL,
    NULL};

int machines_stop(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct down_arguments a = {.all = false};
    command_parse(&machines_stop_argp, "machines stop", argc, argv, &a);
    cleanup(machines_close) struct machines_session s = MACHINES_SESSION_NULL;
    struct task task = command_task();
    if (machines_open(context, MACHINES_CHANGE, &s, &err) < 0 ||
        s.provider->kind->stop(s.provider, &task, &err) < 0)
        return command_fail(context, &err);
    progress_note(context->progress, "all machines are stopped");
    return 0;
}

int machines_down(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct down_arguments a = {.all = false};
    command_parse(&machines_down_argp, "machines down", argc, argv, &a);
    cleanup(machines_close) struct machines_session s = MACHINES_SESSION_NULL;
    cleanup(machines_deinit) struct machines left = MACHINES_NULL;
    struct task task = command_task();
    if (a.timeout_ns)
        task = task_within(&task, a.timeout_ns);
    if (machines_open(context, MACHINES_CHANGE, &s, &err) < 0 ||
        s.provider->kind->down(s.provider, a.all ? PROVIDER_ALL : PROVIDER_DEPLOYMENT, &task, &left,
                               &err) < 0)
        return command_fail(context, &err);
    if (left.count == 0) {
        progress_note(context->progress, "nothing is left");
        return journal_cut(&s.journal, 0, &err) < 0 ? command_fail(context, &err) : 0;
    }
    machines_print(&left, NULL, false);
    error_set(&err, ERROR_LEFT_BEHIND, "%zu things of ours are still there: %s in %s%s", left.count,
              left.items[0].id, left.items[0].region, left.count > 1 ? ", ..." : "");
    error_hint(&err, "`seatrial machines down` again; who else uses them is to be seen in the AWS "
                     "console");
    return command_fail(context, &err);
}

int machines_reap(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct down_arguments a = {.all = false};
    command_parse(&machines_reap_argp, "machines reap", argc, argv, &a);
    cleanup(machines_close) struct machines_session s = MACHINES_SESSION_NULL;
    cleanup(machines_deinit) struct machines over = MACHINES_NULL;
    struct task task = command_task();
    if (machines_open(context, MACHINES_CHANGE, &s, &err) < 0 ||
        s.provider->kind->reap(s.provider, &task, &over, &err) < 0)
        return command_fail(context, &err);
    for (size_t i = 0; i < over.count; i++)
        printf("%s\n", over.items[i].id);
    progress_note(context->progress, "%zu machines were ended", over.count);
    return 0;
}
