/* `seatrial run` and `seatrial plan`: the same options, carried out or printed. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/hosts.h"
#include "runner/command/machines.h"
#include "runner/run/build.h"

#include <stdlib.h>
#include <string.h>

enum {
    OPTION_NO_BUILD = 256,
    OPTION_NO_PUSH,
    OPTION_KEEP,
    OPTION_CLEAN_REMOTE,
    OPTION_COPY_DATA,
    OPTION_USE_EXISTING,
    OPTION_MACHINES_ONLY,
    OPTION_STOP_MACHINES,
    OPTION_NO_LOAD,
    OPTION_IN_MEMORY,
    OPTION_NO_MERKLE,
    OPTION_HEALTH_TIMEOUT,
    OPTION_MIN_DISK,
    OPTION_FROZEN,
    OPTION_REPEAT,
    OPTION_RESUME,
    OPTION_BREAK_LOCK,
    OPTION_YES,
    OPTION_WAIT,
};

#define YES                                                                                        \
    {                                                                                              \
        "yes", OPTION_YES, NULL, 0,                                                                \
            "ask nothing: what the machines cost is wanted (provider ec2)", 0                      \
    }

static const struct argp_option options[] = {
    {"no-build", OPTION_NO_BUILD, "replica|loader", OPTION_ARG_OPTIONAL,
     "use the locked image, else the newest local one, instead of building (of both, or of one)",
     0},
    {"no-push", OPTION_NO_PUSH, "replica|loader", OPTION_ARG_OPTIONAL,
     "push no images (or not those of one): the registry must have what is here (provider local "
     "never "
     "pushes)",
     0},
    {"keep", OPTION_KEEP, NULL, 0, "leave the stopped containers after collection", 0},
    {"clean-remote", OPTION_CLEAN_REMOTE, NULL, 0,
     "first remove what an earlier trial of ours left on the hosts", 0},
    {"break-lock", OPTION_BREAK_LOCK, NULL, 0,
     "take the project's lock on the hosts from whoever holds it: only when their runner is dead",
     0},
    {"copy-data", OPTION_COPY_DATA, NULL, 0, "fetch the data folders (x-seatrial.data) too", 0},
    {"machines-only", OPTION_MACHINES_ONLY, NULL, 0, "make the machines ready and stop", 0},
    {"no-load", OPTION_NO_LOAD, NULL, 0,
     "start only the replicas and hold them, for loaders that are started by hand; Ctrl-C or "
     "`down` "
     "ends the trial",
     0},
    {"in-memory", OPTION_IN_MEMORY, NULL, 0, "replicas keep their blocks in memory", 0},
    {"no-merkle", OPTION_NO_MERKLE, NULL, 0, "replicas keep no Merkle tree", 0},
    {"health-timeout", OPTION_HEALTH_TIMEOUT, "DURATION", 0,
     "how long a container may take until it is healthy (60s)", 0},
    {"min-disk", OPTION_MIN_DISK, "SIZE", 0,
     "how much must be free on every host where its engine keeps images (256m)", 0},
    {"use-existing", OPTION_USE_EXISTING, NULL, 0,
     "make and start no machines (those of the providers local and hosts always exist)", 0},
    {"stop-machines", OPTION_STOP_MACHINES, NULL, 0,
     "stop the machines after the run (provider ec2); without it they are left running, until "
     "their "
     "time to live is over",
     0},
    YES,
    {"frozen", OPTION_FROZEN, NULL, 0,
     "build nothing: only the images that seatrial.lock names may run", 0},
    {"repeat", OPTION_REPEAT, "N", OPTION_HIDDEN, NULL, 0},
    {"resume", OPTION_RESUME, "RUN", 0,
     "go on with a run whose runner died (an id, a results folder, or `latest`), as it was begun: "
     "no other option goes with it",
     0},
    {0},
};

/* Seed 000's spellings. */
static const struct {
    const char *spelling, *option;
} spellings[] = {
    {"-noBuildConcord", "--no-build=replica"},
    {"-noBuildLoader", "--no-build=loader"},
    {"-noPushConcord", "--no-push=replica"},
    {"-noPushLoader", "--no-push=loader"},
    {"-cleanRemoteFolder", "--clean-remote"},
    {"-copyAllData", "--copy-data"},
    {"-useExistingInstances", "--use-existing"},
    {"-setupMachinesOnly", "--machines-only"},
    {"-stopMachines", "--stop-machines"},
    {"-noRunTest", "--no-load"},
    {"-inMemory", "--in-memory"},
    {"-useBasicKVBC", "--no-merkle"},
};

struct run_arguments {
    struct plan_options plan;
    bool clean_remote, break_lock, use_existing, stop_machines, yes;
    uint64_t health_timeout_ns, disk_free_bytes_min;
    char *resume; /* RUN; owned */
    size_t given; /* options */
};

static void left_out(struct argp_state *state, const char *what, bool *replica, bool *loader) {
    if (what && !text_equal(what, "replica") && !text_equal(what, "loader"))
        argp_error(state, "'%s' is neither 'replica' nor 'loader'", what);
    *replica = *replica || !what || text_equal(what, "replica");
    *loader = *loader || !what || text_equal(what, "loader");
}

static void health_timeout(struct argp_state *state, const char *text, uint64_t *ret_ns) {
    struct error err = ERROR_NULL;
    if (text_to_duration_ns(text, ret_ns, &err) < 0)
        argp_error(state, "--health-timeout: %s", err.text);
    if (*ret_ns == 0)
        argp_error(state, "--health-timeout: must be more than nothing");
}

static void min_disk(struct argp_state *state, const char *text, uint64_t *ret_bytes) {
    struct error err = ERROR_NULL;
    if (text_to_size_bytes(text, ret_bytes, &err) < 0)
        argp_error(state, "--min-disk: %s", err.text);
    if (*ret_bytes == 0)
        *ret_bytes = 1;
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct run_arguments *a = state->input;
    a->given += key >= OPTION_NO_BUILD && key <= OPTION_WAIT;
    switch (key) {
    case OPTION_NO_BUILD:
        left_out(state, arg, &a->plan.no_build_replica, &a->plan.no_build_loader);
        break;
    case OPTION_NO_PUSH:
        left_out(state, arg, &a->plan.no_push_replica, &a->plan.no_push_loader);
        break;
    case OPTION_KEEP: a->plan.keep = true; break;
    case OPTION_CLEAN_REMOTE: a->clean_remote = true; break;
    case OPTION_BREAK_LOCK: a->break_lock = true; break;
    case OPTION_COPY_DATA: a->plan.copy_data = true; break;
    case OPTION_MACHINES_ONLY: a->plan.machines_only = true; break;
    case OPTION_NO_LOAD: a->plan.no_load = true; break;
    case OPTION_IN_MEMORY: a->plan.in_memory = true; break;
    case OPTION_NO_MERKLE: a->plan.no_merkle = true; break;
    case OPTION_HEALTH_TIMEOUT: health_timeout(state, arg, &a->health_timeout_ns); break;
    case OPTION_MIN_DISK: min_disk(state, arg, &a->disk_free_bytes_min); break;
    case OPTION_USE_EXISTING: a->use_existing = true; break;
    case OPTION_STOP_MACHINES: a->stop_machines = true; break;
    case OPTION_YES: a->yes = true; break;
    case OPTION_FROZEN: a->plan.frozen = true; break;
    case OPTION_REPEAT: argp_error(state, "--repeat is not supported yet"); break;
    case 'd':
    case OPTION_WAIT: break; /* it is what `up` does */
    case OPTION_RESUME:
        free(a->resume);
        a->resume = text_dup(arg);
        break;
    case ARGP_KEY_END:
        if (a->resume && a->given > 1)
            argp_error(state,
                       "--resume goes on as the run was begun: no other option goes with it");
        break;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const char *long_spelling(const char *word) {
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (text_equal(word, spellings[i].spelling))
            return spellings[i].option;
    return word;
}

const struct argp run_argp = {
    options,
    parse_option,
    NULL,
    "Runs the whole trial: builds the images, starts the replicas, waits until they are healthy, "
    "runs the load, collects logs, core dumps and results, and removes what it started. The first "
    "Ctrl-C ends the load, collects and cleans up; the second stops waiting and says what was "
    "left.",
    NULL,
    NULL,
    NULL};

const struct argp plan_argp = {
    options,
    parse_option,
    NULL,
    "Prints every step that `run` with the same options would take, in order, and what each waits "
    "for. Touches nothing.",
    NULL,
    NULL,
    NULL};

static void parse(const char *name, const struct argp *argp, int argc, char **argv,
                  struct run_arguments *ret) {
    char **words = mem_new_array(char *, (size_t)argc + 1);
    for (int i = 0; i < argc; i++)
        words[i] = text_dup(i ? long_spelling(argv[i]) : argv[i]);
    char *first = words[0];
    command_parse(argp, name, argc, words, ret);
    free(first); /* command_parse put the command's full name in its place */
    for (int i = 1; i < argc; i++)
        free(words[i]);
    free(words);
}

/* Before anything is begun: every image must be locked. */
static int check_frozen(const struct command_files *files, const struct trial_settings *settings,
                        struct error *err) {
    if (!settings->images) {
        error_set(err, ERROR_CONFIG, "--frozen: there is no '%s'", settings->images_path);
        return error_hint(err, "a `seatrial run` without it, or `seatrial images lock`, writes it");
    }
    for (size_t i = 0; i < files->project->service_count; i++) {
        const struct project_service *service = &files->project->services[i];
        if (service->replicas == 0 || image_lock_find(settings->images, service->image))
            continue;
        error_set(err, ERROR_CONFIG, "--frozen: '%s' has no image '%s', of service '%s'",
                  settings->images_path, service->image, service->name);
        return error_hint(err, "`seatrial images build` locks what is built, `seatrial images "
                               "lock` what is there");
    }
    return 0;
}

/* Before machines are made: what is wrong with the files is said now. */
static int check_plan(const struct command_files *files, const struct run_arguments *a,
                      const struct trial_settings *settings, struct error *err) {
    cleanup(plan_freep) struct plan *plan = NULL;
    if (a->plan.frozen && check_frozen(files, settings, err) < 0)
        return -1;
    return plan_make(files->project, files->deployment, &a->plan, &plan, err);
}

/* On machines that run, as far as EC2 knows. */
static int run_there(struct command_context *context, const struct command_files *files,
                     struct machines_session *machines, const struct run_arguments *a,
                     const struct trial_settings *settings) {
    struct error err = ERROR_NULL;
    cleanup(testbed_closep) struct testbed *testbed = NULL;
    if (command_testbed(context, files, &testbed, &err) < 0 ||
        machines_await(machines, testbed, &err) < 0)
        return command_fail(context, &err);
    return command_carry_out(context, files, testbed, &a->plan, settings);
}

static struct machines_wanted wanted_of(const struct run_arguments *a) {
    return (struct machines_wanted){
        .make = !a->use_existing, .stop = a->stop_machines, .yes = a->yes};
}

static int begin_run(struct command_context *context, struct run_arguments *a) {
    struct error err = ERROR_NULL;
    char run[RUN_ID_SIZE];
    run_id_make(run);
    a->plan.run = run;
    cleanup(command_files_deinit) struct command_files files = COMMAND_FILES_NULL;
    cleanup(machines_close) struct machines_session machines = MACHINES_SESSION_NULL;
    struct trial_settings settings;
    const struct machines_wanted wanted = wanted_of(a);
    struct report_cost cost;
    if (command_read_files(context, &files, &err) < 0 ||
        command_trial_settings(context, &files, &settings, &err) < 0 ||
        check_plan(&files, a, &settings, &err) < 0 ||
        machines_for_trial(context, &files, &wanted, &machines, &err) < 0)
        return command_fail(context, &err);
    settings.cost = machines_report_cost(&machines, &cost) ? &cost : NULL;
    settings.clean_remote = a->clean_remote;
    settings.break_lock = a->break_lock;
    settings.health_timeout_ns = a->health_timeout_ns;
    settings.disk_free_bytes_min = a->disk_free_bytes_min;
    int status = run_there(context, &files, &machines, a, &settings);
    return machines_after_trial(&machines, a->stop_machines, status);
}

int command_run(struct command_context *context, int argc, char **argv) {
    struct run_arguments a = {.clean_remote = false};
    parse("run", &run_argp, argc, argv, &a);
    cleanup_free char *resume = a.resume;
    return resume ? command_resume(context, resume) : begin_run(context, &a);
}

/* ---- up ---- */

static const struct argp_option up_options[] = {
    {"detach", 'd', NULL, 0, "leave them running, as is always done", 0},
    {"wait", OPTION_WAIT, NULL, 0, "until they are healthy, as is always done", 0},
    {"no-build", OPTION_NO_BUILD, "replica|loader", OPTION_ARG_OPTIONAL,
     "use the locked image, else the newest local one, instead of building (of both, or of one)",
     0},
    {"frozen", OPTION_FROZEN, NULL, 0,
     "build nothing: only the images that seatrial.lock names may run", 0},
    {"break-lock", OPTION_BREAK_LOCK, NULL, 0,
     "take the project's lock on the hosts from whoever holds it: only when their runner is dead",
     0},
    {"in-memory", OPTION_IN_MEMORY, NULL, 0, "replicas keep their blocks in memory", 0},
    {"no-merkle", OPTION_NO_MERKLE, NULL, 0, "replicas keep no Merkle tree", 0},
    {"health-timeout", OPTION_HEALTH_TIMEOUT, "DURATION", 0,
     "how long a container may take until it is healthy (60s)", 0},
    YES,
    {0},
};

const struct argp up_argp = {
    up_options,
    parse_option,
    NULL,
    "Creates and starts the trial's containers without a load, as `run --no-load` does, but ends "
    "when they are healthy, and leaves them running. What runs already is left as it is.",
    NULL,
    NULL,
    NULL};

/* 1 when there is nothing to do, 0 when nothing is there yet. */
static int is_up(const struct command_hosts *hosts, struct error *err) {
    const struct project *project = hosts->files.project;
    size_t stopped = 0;
    for (size_t i = 0; i < hosts->container_count; i++)
        stopped += !hosts->containers[i].running;
    if (hosts->container_count == 0)
        return 0;
    if (stopped == 0)
        return 1;
    error_set(err, ERROR_CONFLICT, "project '%s' has %zu containers there, and %zu are stopped",
              project->name, hosts->container_count, stopped);
    return error_hint(err, "`seatrial start` starts them again, `seatrial down` removes them");
}

int command_up(struct command_context *context, int argc, char **argv) {
    static const struct hosts_chosen all = {.count = 0};
    struct error err = ERROR_NULL;
    struct run_arguments a = {.plan = {.no_load = true, .detach = true}};
    command_parse(&up_argp, "up", argc, argv, &a);
    if (machines_make_ready(context, a.yes, &err) < 0)
        return command_fail(context, &err);
    {
        cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
        if (command_hosts_look(context, &all, &hosts, &err) < 0)
            return command_fail(context, &err);
        if (hosts.status)
            return hosts.status;
        int r = is_up(&hosts, &err);
        if (r < 0)
            return command_fail(context, &err);
        if (r == 1) {
            progress_note(context->progress, "all %zu containers of project '%s' run",
                          hosts.container_count, hosts.files.project->name);
            return 0;
        }
    }
    return begin_run(context, &a);
}

/* ---- plan ---- */

/* What would be sent for each image that is built; reading the contexts changes nothing. */
static void write_locked(const struct plan *plan, const struct image_lock *lock,
                         struct buffer *out) {
    for (size_t i = 0; lock && i < plan->image_count; i++) {
        const struct locked_image *image = image_lock_find(lock, plan->images[i].reference);
        if (image)
            buffer_format(out, "image %s: locked as %s\n", image->reference, image->id);
    }
}

static int write_contexts(const struct plan *plan, const char *lock_path, struct buffer *out,
                          struct error *err) {
    const char *left_out[] = {lock_path, plan->deployment->local.perf_test_root, NULL};
    for (size_t i = 0; i < plan->image_count; i++) {
        const struct plan_image *image = &plan->images[i];
        struct context_result context;
        if (!image->build)
            continue;
        struct build_wanted wanted = {.service = image->service,
                                      .reference = image->reference,
                                      .context = image->context,
                                      .left_out = left_out};
        if (build_look(&wanted, &context, err) < 0)
            return error_wrap(err, "image '%s'", image->reference);
        buffer_format(out, "image %s: context %s, %llu files, %.1f MB\n", image->reference,
                      context.digest, (unsigned long long)context.files,
                      (double)context.bytes / 1e6);
    }
    return 0;
}

int command_plan(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct run_arguments a = {.plan = {.run = "00000000"}};
    parse("plan", &plan_argp, argc, argv, &a);
    cleanup_free char *resume = a.resume;
    if (resume) {
        error_set(&err, ERROR_USAGE, "--resume is about a run that has begun; its plan stays");
        return command_fail(context, &err);
    }
    cleanup(command_files_deinit) struct command_files files = COMMAND_FILES_NULL;
    cleanup(testbed_closep) struct testbed *testbed = NULL;
    cleanup(plan_freep) struct plan *plan = NULL;
    const struct image_lock *lock;
    const char *lock_path;
    if (command_read_files(context, &files, &err) < 0 ||
        command_read_lock(&files, &lock, &lock_path, &err) < 0 ||
        command_testbed(context, &files, &testbed, &err) < 0)
        return command_fail(context, &err);
    a.plan.addresses = testbed->addresses;
    if ((a.stop_machines && machines_check_stop(files.deployment, &err) < 0) ||
        plan_make(files.project, files.deployment, &a.plan, &plan, &err) < 0)
        return command_fail(context, &err);
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 64 << 20);
    const struct machines_wanted wanted = wanted_of(&a);
    if (machines_write_plan(files.deployment, &wanted, &text, &err) < 0)
        return command_fail(context, &err);
    plan_write_text(plan, &text);
    write_locked(plan, lock, &text);
    int r = write_contexts(plan, lock_path, &text, &err);
    fputs(buffer_string(&text), stdout);
    return r < 0 ? command_fail(context, &err) : 0;
}
