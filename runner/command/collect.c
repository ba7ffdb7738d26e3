/* `seatrial collect`: what is still on the hosts of a run, into the run's folder. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/command.h"
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
static int count_left(const struct command_context *context, const char *run, size_t *ret,
                      struct error *err) {
    struct task task = command_task();
    struct engine_options options;
    const struct engine_pair labels[] = {
        {LABEL_RUN, run}, {LABEL_OWNER, context->owner}, {NULL, NULL}};
    cleanup(engine_closep) struct engine *engine = NULL;
    cleanup(engine_container_list_deinit) struct engine_container_list list =
        ENGINE_CONTAINER_LIST_NULL;
    if (command_engine_options(context, &options, err) < 0 ||
        engine_open(&options, &task, &engine, err) < 0 ||
        engine_container_list(engine, labels, &task, &list, err) < 0)
        return -1;
    *ret = list.count;
    return 0;
}

const struct argp collect_argp = {
    NULL,
    parse_option,
    "[RUN]",
    "Fetches logs, records, core dumps and files of the containers of RUN (an id, a folder's name, "
    "or `latest`) that are still on the hosts. Stops and removes nothing.",
    NULL,
    NULL,
    NULL};

int command_collect(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    const char *run = NULL;
    size_t left = 0;
    command_parse(&collect_argp, "collect", argc, argv, &run);

    cleanup(command_files_deinit) struct command_files files = COMMAND_FILES_NULL;
    cleanup(results_deinit) struct results results = RESULTS_NULL;
    if (command_read_files(context, &files, &err) < 0 ||
        results_find(files.deployment->local.perf_test_root, run, &results, &err) < 0 ||
        count_left(context, results.run, &left, &err) < 0)
        return command_fail(context, &err);
    if (left == 0) {
        printf("nothing of run %s is on the hosts any more; its results are in %s\n", results.run,
               results.folder);
        return 0;
    }
    struct trial_settings settings;
    if (command_trial_settings(context, &files, &settings, &err) < 0)
        return command_fail(context, &err);
    settings.results_folder = results.folder;
    struct plan_options options = {.mode = PLAN_COLLECT, .run = results.run};
    return command_carry_out(context, &files, &options, &settings);
}
