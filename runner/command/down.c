/* `seatrial down`: ends what an earlier command left running, and brings its evidence home. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/hosts.h"
#include "runner/engine/network.h"
#include "runner/engine/volume.h"
#include "runner/run/describe.h"
#include "runner/run/lock.h"

#include <stdatomic.h>

/* What the plan does not know: of other runs, or of services that the file has no more. */
struct rest {
    struct engine_container_list containers;
    struct engine_network_list networks;
    struct engine_volume_list volumes;
};
#define REST_NULL                                                                                  \
    ((struct rest){ENGINE_CONTAINER_LIST_NULL, ENGINE_NETWORK_LIST_NULL, ENGINE_VOLUME_LIST_NULL})

static void rest_deinit(struct rest *r) {
    engine_container_list_deinit(&r->containers);
    engine_network_list_deinit(&r->networks);
    engine_volume_list_deinit(&r->volumes);
}

static int look(const struct command_hosts *hosts, struct engine *engine, struct rest *ret,
                struct error *err) {
    struct task task = command_task();
    const struct engine_pair labels[] = {{LABEL_PROJECT, hosts->files.project->name},
                                         {LABEL_OWNER, hosts->context->owner},
                                         {NULL, NULL}};
    if (engine_container_list(engine, labels, &task, &ret->containers, err) < 0 ||
        engine_network_list(engine, labels, &task, &ret->networks, err) < 0)
        return -1;
    return engine_volume_list(engine, labels, &task, &ret->volumes, err);
}

struct down {
    const struct command_hosts *hosts;
    atomic_size_t found;
};

static int count_things(struct command_host *host, struct engine *engine, void *arg,
                        struct error *err) {
    (void)host;
    struct down *down = arg;
    cleanup(rest_deinit) struct rest rest = REST_NULL;
    if (look(down->hosts, engine, &rest, err) < 0)
        return -1;
    down->found += rest.containers.count + rest.networks.count + rest.volumes.count;
    return 0;
}

static int remove_rest(struct command_host *host, struct engine *engine, void *arg,
                       struct error *err) {
    (void)host;
    const struct down *down = arg;
    struct task task = command_task();
    cleanup(rest_deinit) struct rest rest = REST_NULL;
    if (look(down->hosts, engine, &rest, err) < 0)
        return -1;
    for (size_t i = 0; i < rest.containers.count; i++)
        if (engine_container_remove(engine, rest.containers.entries[i].id, true, true, &task, err) <
            0)
            return error_wrap(err, "remove container '%s'", rest.containers.entries[i].name);
    for (size_t i = 0; i < rest.networks.count; i++)
        if (engine_network_remove(engine, rest.networks.entries[i].id, &task, err) < 0)
            return error_wrap(err, "remove network '%s'", rest.networks.entries[i].name);
    for (size_t i = 0; i < rest.volumes.count; i++)
        if (engine_volume_remove(engine, rest.volumes.entries[i].name, &task, err) < 0)
            return error_wrap(err, "remove volume '%s'", rest.volumes.entries[i].name);
    return 0;
}

static int end_run(const struct command_context *context, const struct command_hosts *hosts,
                   const char *run, const struct project_lock *lock) {
    struct error ignored = ERROR_NULL;
    cleanup(results_deinit) struct results earlier = RESULTS_NULL;
    results_find(hosts->files.deployment->local.perf_test_root, run, &earlier, &ignored);
    struct error err = ERROR_NULL;
    struct trial_settings settings;
    if (command_trial_settings(context, &hosts->files, &settings, &err) < 0)
        return command_fail(context, &err);
    settings.lock = lock;
    settings.results_folder = earlier.folder; /* none: a new one */
    struct plan_options options = {.mode = PLAN_DOWN, .run = run};
    return command_carry_out(context, &hosts->files, hosts->testbed, &options, &settings);
}

const struct argp down_argp = {
    NULL,
    NULL,
    NULL,
    "Stops the containers of the project's trial in order, fetches what they have to say into the "
    "run's folder, and removes them and the trial's networks and volumes.",
    NULL,
    NULL,
    NULL};

/* A runner of this machine that holds the trial ends it itself: it knows most of it. */
static int take_over(const struct command_context *context, const struct command_hosts *hosts,
                     struct project_lock *ret, struct error *err) {
    struct task task = command_task();
    const char *project = hosts->files.project->name;
    int r = project_lock_take_over(project, &task, ret, err);
    if (r == 1)
        progress_note(context->progress, "the runner of project '%s' has ended the trial", project);
    return r;
}

int command_down(struct command_context *context, int argc, char **argv) {
    static const struct hosts_chosen all = {.count = 0};
    struct error err = ERROR_NULL;
    command_parse(&down_argp, "down", argc, argv, NULL);
    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    cleanup(project_lock_release) struct project_lock lock = PROJECT_LOCK_NULL;
    struct down down = {.hosts = &hosts, .found = 0};
    if (command_hosts_choose(context, &all, &hosts, &err) < 0 ||
        take_over(context, &hosts, &lock, &err) < 0)
        return command_fail(context, &err);
    command_hosts_list(&hosts);
    command_hosts_each(&hosts, count_things, &down);
    if (down.found == 0) {
        if (!hosts.status)
            printf("nothing of project '%s' is there\n", hosts.files.project->name);
        return hosts.status;
    }
    char run[RUN_ID_SIZE];
    int status = 0;
    if (command_hosts_run(&hosts, run, &err) == 0)
        status = end_run(context, &hosts, run, &lock);
    command_hosts_each(&hosts, remove_rest, &down);
    return status ? status : hosts.status;
}
