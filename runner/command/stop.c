/* `seatrial stop` and `seatrial start`: containers that are there already, service by service. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/hosts.h"
#include "runner/run/describe.h"
#include "runner/run/health.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    WORDS_MAX = 256,
    OPTION_WAIT = 256,
    OPTION_WAIT_TIMEOUT,
    STOP_WORKERS = 64, /* each mostly waits for its grace to pass */
    GRACE_S_DEFAULT = 10,
    GRACE_S_MAX = 86400,
    LOADERS_RANK = PROJECT_SERVICES_MAX, /* above any other service */
};
#define WAIT_PAUSE_NS_MIN (20 * NS_PER_MS)
#define WAIT_PAUSE_NS_MAX (500 * NS_PER_MS)

struct arguments {
    bool start, wait;
    uint64_t wait_timeout_ns;
    int64_t grace_s; /* -1: each service's own */
    const char *words[WORDS_MAX];
    size_t word_count;
    struct hosts_chosen chosen;
    const struct project *project;
};

static const struct argp_option stop_options[] = {
    {"timeout", 't', "SECONDS", 0, "how long a container may take before it is killed (10)", 0},
    {0},
};

static const struct argp_option start_options[] = {
    {"wait", OPTION_WAIT, NULL, 0, "until they are running, and healthy where they say it", 0},
    {"wait-timeout", OPTION_WAIT_TIMEOUT, "DURATION", 0, "how long that may take (60s)", 0},
    {0},
};

static void parse_timeout(struct argp_state *state, const char *arg, struct arguments *a) {
    struct error err = ERROR_NULL;
    uint64_t seconds;
    if (text_to_u64(arg, 0, GRACE_S_MAX, &seconds, &err) < 0)
        argp_error(state, "--timeout: %s", err.text);
    else
        a->grace_s = (int64_t)seconds;
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    struct error err = ERROR_NULL;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->chosen; return 0;
    case 't': parse_timeout(state, arg, a); return 0;
    case OPTION_WAIT: a->wait = true; return 0;
    case OPTION_WAIT_TIMEOUT:
        a->wait = true;
        if (text_to_duration_ns(arg, &a->wait_timeout_ns, &err) < 0)
            argp_error(state, "--wait-timeout: %s", err.text);
        return 0;
    case ARGP_KEY_ARG:
        if (a->word_count == WORDS_MAX)
            argp_error(state, "more than %d services", WORDS_MAX);
        a->words[a->word_count++] = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the order ---- */

/* Services of one rank go side by side; each depends on lower ones only. */
static void rank_services(const struct project *project, size_t *ranks) {
    for (size_t i = 0; i < project->service_count; i++) {
        size_t s = project->start_order[i];
        const struct project_service *service = &project->services[s];
        ranks[s] = service->seatrial.role == PROJECT_ROLE_LOADER ? LOADERS_RANK : 0;
        for (size_t d = 0; d < service->dependency_count; d++) {
            const struct project_service *on =
                project_service(project, service->dependencies[d].service);
            size_t below = on ? ranks[on - project->services] + 1 : 0;
            ranks[s] = below > ranks[s] ? below : ranks[s];
        }
    }
}

/* Of a service that the file has no more: 0, it depends on nothing that we know of. */
static size_t rank_of(const struct project *project, const size_t *ranks,
                      const struct command_container *c) {
    const struct project_service *service = project_service(project, c->service);
    return service ? ranks[service - project->services] : 0;
}

/* ---- one container ---- */

static int stop_one(struct command_container *c, struct engine *engine, void *arg,
                    struct error *err) {
    const struct arguments *a = arg;
    struct task task = command_task();
    const struct project_service *service = project_service(a->project, c->service);
    int64_t grace = a->grace_s >= 0 ? a->grace_s
                    : service       ? describe_stop_grace_s(service)
                                    : GRACE_S_DEFAULT;
    return engine_container_stop(engine, c->entry->name, grace, &task, err);
}

static int start_one(struct command_container *c, struct engine *engine, void *arg,
                     struct error *err) {
    (void)arg;
    struct task task = command_task();
    return engine_container_start(engine, c->entry->name, &task, err);
}

/* 0 it is as it should be, 1 not yet. */
static int look(const struct command_container *c, struct engine *engine, const struct task *task,
                char said[HEALTH_OUTPUT_MAX], struct error *err) {
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = engine_container_inspect(engine, c->entry->name, task, &state, err);
    if (r < 0)
        return -1;
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "it was removed by somebody else");
    if (!state.running && !text_equal(state.status, "restarting"))
        return error_set(err, ERROR_FAILED, "it ended with exit status %" PRId64, state.exit_code);
    if (!state.running)
        return 1;
    r = health_probe(engine, &state, task, said, err);
    return r == HEALTH_NOT_CHECKED ? 0 : r;
}

static int wait_one(struct command_container *c, struct engine *engine, void *arg,
                    struct error *err) {
    const struct arguments *a = arg;
    struct task forever = command_task();
    struct task task = task_within(&forever, a->wait_timeout_ns);
    uint64_t pause = WAIT_PAUSE_NS_MIN;
    char said[HEALTH_OUTPUT_MAX] = "";
    int r;
    while ((r = look(c, engine, &task, said, err)) == 1) {
        if (task_sleep(&task, pause, err) < 0) {
            r = -1;
            break;
        }
        pause = 2 * pause > WAIT_PAUSE_NS_MAX ? WAIT_PAUSE_NS_MAX : 2 * pause;
    }
    if (r < 0 && *said && err->kind == ERROR_TIMEOUT)
        error_hint(err, "its health check says: %s", said);
    return r < 0 ? error_wrap(err, "wait until container '%s' is healthy", c->entry->name) : 0;
}

static int wait_for_end(struct command_container *c, struct engine *engine, void *arg,
                        struct error *err) {
    (void)arg;
    int64_t exit_code;
    struct task task = command_task();
    if (engine_container_wait(engine, c->entry->name, &task, &exit_code, err) < 0)
        return error_wrap(err, "wait for the end of container '%s'", c->entry->name);
    return exit_code ? error_set(err, ERROR_FAILED,
                                 "container '%s' ended with exit status %" PRId64
                                 ", and others depend on it",
                                 c->entry->name, exit_code)
                     : 0;
}

/* ---- all ---- */

static void tell(const struct command_hosts *hosts, struct command_container *const *list,
                 size_t count, const char *done) {
    for (size_t i = 0; i < count; i++)
        if (list[i]->result == 0)
            progress_note(hosts->context->progress, "container %s on %s: %s", list[i]->entry->name,
                          list[i]->host->name, done);
}

/* Does a service that is started after it wait for this one in such a way? */
static bool is_awaited(const struct project *project, struct command_container *const *list,
                       size_t count, const char *service, enum project_condition condition) {
    for (size_t i = 0; i < count; i++) {
        const struct project_service *later = project_service(project, list[i]->service);
        for (size_t d = 0; later && d < later->dependency_count; d++)
            if (text_equal(later->dependencies[d].service, service) &&
                later->dependencies[d].condition == condition)
                return true;
    }
    return false;
}

static bool any_failed(struct command_container *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (list[i]->result < 0)
            return true;
    return false;
}

static void start_rank(struct command_hosts *hosts, struct arguments *a,
                       struct command_container **list, size_t count,
                       struct command_container **all, size_t all_count) {
    cleanup_free struct command_container **awaited =
        mem_new_array(struct command_container *, count);
    cleanup_free struct command_container **ending =
        mem_new_array(struct command_container *, count);
    size_t awaited_count = 0, ending_count = 0;
    command_containers_each(hosts, list, count, HOSTS_WORKERS, start_one, a);
    tell(hosts, list, count, "started");
    for (size_t i = 0; i < count; i++) {
        if (list[i]->result < 0)
            continue;
        if (is_awaited(a->project, all, all_count, list[i]->service, PROJECT_COMPLETED))
            ending[ending_count++] = list[i];
        else if (a->wait ||
                 is_awaited(a->project, all, all_count, list[i]->service, PROJECT_HEALTHY))
            awaited[awaited_count++] = list[i];
    }
    command_containers_each(hosts, ending, ending_count, 0, wait_for_end, a);
    command_containers_each(hosts, awaited, awaited_count, 0, wait_one, a);
}

/* Rank by rank: up when they are started, down when they are stopped. What failed keeps those that
 * depend on it from being started. */
static void by_rank(struct command_hosts *hosts, struct arguments *a,
                    struct command_container **list, size_t count) {
    cleanup_free size_t *ranks = mem_new_array(size_t, a->project->service_count);
    cleanup_free struct command_container **now = mem_new_array(struct command_container *, count);
    rank_services(a->project, ranks);
    bool failed = false;
    for (size_t step = 0; step <= 2 * LOADERS_RANK; step++) {
        size_t rank = a->start ? step : 2 * LOADERS_RANK - step, n = 0;
        for (size_t i = 0; i < count; i++)
            if (rank_of(a->project, ranks, list[i]) == rank)
                now[n++] = list[i];
        if (n && a->start && !failed) {
            start_rank(hosts, a, now, n, list, count);
            failed = any_failed(now, n);
        } else if (n && !a->start) {
            command_containers_each(hosts, now, n, STOP_WORKERS, stop_one, a);
            tell(hosts, now, n, "stopped");
        }
    }
}

static int start_or_stop(struct command_context *context, const struct argp *argp, const char *name,
                         int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct arguments a = {
        .start = argp == &start_argp, .grace_s = -1, .wait_timeout_ns = HEALTH_TIMEOUT_NS_DEFAULT};
    command_parse(argp, name, argc, argv, &a);
    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    cleanup_free struct command_container **list = NULL;
    size_t count;
    if (command_hosts_look(context, &a.chosen, &hosts, &err) < 0 ||
        command_containers_find(&hosts, a.words, a.word_count, &list, &count, &err) < 0)
        return command_fail(context, &err);
    a.project = hosts.files.project;
    if (count == 0 && hosts.status == 0)
        progress_note(context->progress, "project '%s' has no containers there", a.project->name);
    by_rank(&hosts, &a, list, count);
    return hosts.status;
}

const struct argp stop_argp = {
    stop_options,
    parse_option,
    "[SERVICE...]",
    "Stops containers of the trial on all hosts, loaders first, then in the reverse order of their "
    "dependencies. Collects and removes nothing.",
    hosts_children,
    NULL,
    NULL};

int command_stop(struct command_context *context, int argc, char **argv) {
    return start_or_stop(context, &stop_argp, "stop", argc, argv);
}

const struct argp start_argp = {
    start_options,
    parse_option,
    "[SERVICE...]",
    "Starts stopped containers of the trial on all hosts, in the order of their dependencies.",
    hosts_children,
    NULL,
    NULL};

int command_start(struct command_context *context, int argc, char **argv) {
    return start_or_stop(context, &start_argp, "start", argc, argv);
}
