/* `seatrial collect`: what is still on the hosts of a run, into the run's folder. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/hosts.h"
#include "runner/run/describe.h"

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    const char **run = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (*run)
            argp_error(state, "more than one run");
        *run = arg;
        return 0;
    case ARGP_KEY_END:
        if (!*run)
            *run = "latest";
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* How many containers of the run are still there. */
static size_t count_left(const struct command_hosts *hosts, const char *run) {
    size_t count = 0;
    for (size_t i = 0; i < hosts->container_count; i++) {
        const struct json *labels = hosts->containers[i].entry->labels;
        count += text_equal(json_text_or_null(json_member(labels, LABEL_RUN)), run);
    }
    return count;
}

const struct argp collect_argp = {
    NULL,
    parse_option,
    "[RUN]",
    "Fetches logs, records, core dumps and files of the containers of RUN (an id, a folder's name, "
    "or `latest`) that are still on the hosts. Stops and removes no container; custom commands "
    "that "
    "a killed runner has left behind are ended.",
    NULL,
    NULL,
    NULL};

int command_collect(struct command_context *context, int argc, char **argv) {
    static const struct hosts_chosen all = {.count = 0};
    struct error err = ERROR_NULL;
    const char *run = NULL;
    command_parse(&collect_argp, "collect", argc, argv, &run);

    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    cleanup(results_deinit) struct results results = RESULTS_NULL;
    if (command_hosts_choose(context, &all, &hosts, &err) < 0 ||
        results_find(hosts.files.deployment->local.perf_test_root, run, &results, &err) < 0)
        return command_fail(context, &err);
    command_hosts_list(&hosts);
    if (count_left(&hosts, results.run) == 0) {
        if (!hosts.status)
            printf("nothing of run %s is on the hosts any more; its results are in %s\n",
                   results.run, results.folder);
        return hosts.status;
    }
    struct trial_settings settings;
    if (command_trial_settings(context, &hosts.files, &settings, &err) < 0)
        return command_fail(context, &err);
    settings.results_folder = results.folder;
    struct plan_options options = {.mode = PLAN_COLLECT, .run = results.run};
    return command_carry_out(context, &hosts.files, hosts.testbed, &options, &settings);
}
