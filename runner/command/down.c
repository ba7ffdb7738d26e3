/* `seatrial down`: ends what an earlier command left running, and brings its evidence home. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/command.h"
#include "runner/engine/network.h"
#include "runner/run/describe.h"

struct leftovers {
    struct engine *engine;
    struct engine_container_list containers;
    struct engine_network_list networks;
};

static void leftovers_deinit(struct leftovers *l) {
    engine_container_list_deinit(&l->containers);
    engine_network_list_deinit(&l->networks);
    engine_close(l->engine);
}

static int look(const struct command_context *context, const struct project *project,
                struct leftovers *ret, struct error *err) {
    struct task task = command_task();
    struct engine_options options;
    const struct engine_pair labels[] = {
        {LABEL_PROJECT, project->name}, {LABEL_OWNER, context->owner}, {NULL, NULL}};
    if (command_engine_options(context, &options, err) < 0 ||
        engine_open(&options, &task, &ret->engine, err) < 0 ||
        engine_container_list(ret->engine, labels, &task, &ret->containers, err) < 0)
        return -1;
    return engine_network_list(ret->engine, labels, &task, &ret->networks, err);
}

/* What the plan does not know: of other runs, or of services that the file has no more. */
static int remove_rest(const struct command_context *context, const struct project *project,
                       struct error *err) {
    struct task task = command_task();
    cleanup(leftovers_deinit) struct leftovers rest = {.engine = NULL};
    if (look(context, project, &rest, err) < 0)
        return -1;
    for (size_t i = 0; i < rest.containers.count; i++) {
        progress_note(context->progress, "removing %s", rest.containers.entries[i].name);
        if (engine_container_remove(rest.engine, rest.containers.entries[i].id, true, true, &task,
                                    err) < 0)
            return error_wrap(err, "remove container '%s'", rest.containers.entries[i].name);
    }
    for (size_t i = 0; i < rest.networks.count; i++)
        if (engine_network_remove(rest.engine, rest.networks.entries[i].id, &task, err) < 0)
            return error_wrap(err, "remove network '%s'", rest.networks.entries[i].name);
    return 0;
}

static int end_run(const struct command_context *context, const struct command_files *files,
                   const char *run) {
    struct error err = ERROR_NULL, ignored = ERROR_NULL;
    cleanup(results_deinit) struct results earlier = RESULTS_NULL;
    results_find(files->deployment->local.perf_test_root, run, &earlier, &ignored);
    struct trial_settings settings;
    if (command_trial_settings(context, files, &settings, &err) < 0)
        return command_fail(context, &err);
    settings.results_folder = earlier.folder; /* none: a new one */
    struct plan_options options = {.mode = PLAN_DOWN, .run = run};
    return command_carry_out(context, files, &options, &settings);
}

const struct argp down_argp = {
    NULL,
    NULL,
    NULL,
    "Stops the containers of the project's trial in order, fetches what they have to say into the "
    "run's folder, and removes them and the trial's networks.",
    NULL,
    NULL,
    NULL};

int command_down(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    command_parse(&down_argp, "down", argc, argv, NULL);
    cleanup(command_files_deinit) struct command_files files = COMMAND_FILES_NULL;
    cleanup(leftovers_deinit) struct leftovers left = {.engine = NULL};
    if (command_read_files(context, &files, &err) < 0 ||
        look(context, files.project, &left, &err) < 0)
        return command_fail(context, &err);
    if (left.containers.count + left.networks.count == 0) {
        printf("nothing of project '%s' is there\n", files.project->name);
        return 0;
    }
    char run[RUN_ID_SIZE];
    int status = 0;
    if (command_current_run(&left.containers, files.project, run, &err) == 0)
        status = end_run(context, &files, run);
    if (remove_rest(context, files.project, &err) < 0)
        return command_fail(context, &err);
    return status;
}
