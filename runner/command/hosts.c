#include "runner/command/hosts.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/jobs.h"
#include "runner/command/machines.h"
#include "runner/run/describe.h"
#include "runner/run/interrupt.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT_ID = 12 }; /* digits of an id that `docker ps` shows */

/* ---- which ---- */

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct hosts_chosen *chosen = state->input;
    if (key != 'm')
        return ARGP_ERR_UNKNOWN;
    if (chosen->count == HOSTS_CHOSEN_MAX)
        argp_error(state, "more than %d times --machine", HOSTS_CHOSEN_MAX);
    chosen->patterns[chosen->count++] = arg;
    return 0;
}

static const struct argp_option options[] = {
    {"machine", 'm', "NAME", 0, "only this host (a pattern as of the shell; may be repeated)", 0},
    {0},
};
static const struct argp hosts_argp = {options, parse_option, NULL, NULL, NULL, NULL, NULL};
const struct argp_child hosts_children[] = {{&hosts_argp, 0, NULL, 0}, {0}};

const struct hosts_chosen hosts_names_only = {.count = 0};

static bool is_chosen(const struct hosts_chosen *chosen, const char *name) {
    for (size_t i = 0; i < chosen->count; i++)
        if (fnmatch(chosen->patterns[i], name, 0) == 0)
            return true;
    return chosen->count == 0;
}

/* Each pattern must fit one. */
static int check_chosen(const struct hosts_chosen *chosen, const struct command_hosts *all,
                        struct error *err) {
    for (size_t i = 0; i < chosen->count; i++) {
        bool fits = false;
        for (size_t h = 0; h < all->count && !fits; h++)
            fits = fnmatch(chosen->patterns[i], all->hosts[h].name, 0) == 0;
        if (fits)
            continue;
        cleanup(buffer_deinit) struct buffer names;
        buffer_init(&names, ERROR_HINT_MAX - 64);
        for (size_t h = 0; h < all->count; h++)
            buffer_format(&names, "%s%s", h ? ", " : "", all->hosts[h].name);
        error_set(err, ERROR_USAGE, "there is no host '%s' in this deployment",
                  chosen->patterns[i]);
        return error_hint(err, "its hosts are: %s%s", buffer_string(&names),
                          names.overflowed ? ", ..." : "");
    }
    return 0;
}

static bool runs_containers(const struct testbed *testbed, size_t i) {
    return testbed->hosts[i].deployment || testbed->count == 1;
}

int command_hosts_choose(const struct command_context *context, const struct hosts_chosen *chosen,
                         struct command_hosts *ret, struct error *err) {
    cleanup(command_hosts_deinit) struct command_hosts hosts = {.context = context};
    struct engine_options engine;
    if (command_read_files(context, &hosts.files, err) < 0 ||
        (chosen != &hosts_names_only && machines_find(context, &hosts.files, err) < 0) ||
        command_engine_options(context, &engine, err) < 0 ||
        testbed_new(hosts.files.deployment, &engine, context->ssh_config, &hosts.testbed, err) < 0)
        return -1;
    hosts.hosts = mem_new_array(struct command_host, hosts.testbed->count);
    for (size_t i = 0; i < hosts.testbed->count; i++)
        if (runs_containers(hosts.testbed, i))
            hosts.hosts[hosts.count++] = (struct command_host){.name = hosts.testbed->hosts[i].name,
                                                               .at = &hosts.testbed->hosts[i]};
    if (check_chosen(chosen, &hosts, err) < 0)
        return -1;
    size_t kept = 0;
    for (size_t i = 0; i < hosts.count; i++)
        if (is_chosen(chosen, hosts.hosts[i].name))
            hosts.hosts[kept++] = hosts.hosts[i];
    hosts.count = kept;
    *ret = hosts;
    hosts = COMMAND_HOSTS_NULL;
    return 0;
}

void command_hosts_deinit(struct command_hosts *hosts) {
    for (size_t i = 0; i < hosts->count; i++)
        engine_container_list_deinit(&hosts->hosts[i].list);
    free(hosts->hosts);
    free(hosts->containers);
    if (hosts->testbed)
        testbed_close(hosts->testbed);
    command_files_deinit(&hosts->files);
    *hosts = COMMAND_HOSTS_NULL;
}

/* ---- side by side ---- */

/* What Ctrl-C ended needs no explanation, and none for each container. */
static void report(struct command_hosts *hosts, struct error *err) {
    int interrupted = err->kind == ERROR_CANCELLED ? interrupt_exit_status() : 0;
    int status = interrupted ? interrupted : command_fail(hosts->context, err);
    hosts->status = hosts->status ? hosts->status : status;
}

void command_hosts_report(struct command_hosts *hosts, const struct command_host *host,
                          struct error *err) {
    error_wrap(err, "host '%s'", host->name);
    report(hosts, err);
}

void command_hosts_try(struct command_hosts *hosts) {
    struct task task = command_task();
    cleanup_free bool *wanted = mem_new_array(bool, hosts->testbed->count);
    for (size_t i = 0; i < hosts->count; i++)
        wanted[hosts->hosts[i].at - hosts->testbed->hosts] = true;
    testbed_connect(hosts->testbed, wanted, NULL, &task);
    for (size_t i = 0; i < hosts->count; i++)
        hosts->hosts[i].failed = !hosts->hosts[i].at->host;
}

void command_hosts_connect(struct command_hosts *hosts) {
    command_hosts_try(hosts);
    for (size_t i = 0; i < hosts->count; i++)
        if (hosts->hosts[i].failed)
            report(hosts, &hosts->hosts[i].at->err); /* it says the host's name */
}

struct host_call {
    command_host_act *act;
    void *arg;
};

static int call_host(void *subject, struct engine *engine, void *arg, struct error *err) {
    const struct host_call *call = arg;
    return call->act(subject, engine, call->arg, err);
}

void command_hosts_each(struct command_hosts *hosts, command_host_act *act, void *arg) {
    struct host_call call = {.act = act, .arg = arg};
    struct job *jobs = mem_new_array(struct job, hosts->count);
    size_t count = 0;
    for (size_t i = 0; i < hosts->count; i++)
        if (!hosts->hosts[i].failed)
            jobs[count++] =
                (struct job){.engine = &hosts->hosts[i].at->engine, .subject = &hosts->hosts[i]};
    jobs_run(jobs, count, 1, call_host, &call);
    for (size_t i = 0; i < count; i++) {
        struct command_host *host = jobs[i].subject;
        host->failed = jobs[i].fault;
        if (jobs[i].fault)
            command_hosts_report(hosts, host, jobs[i].fault);
    }
    jobs_free(jobs, count);
}

/* ---- looking ---- */

/* As engines make them. What is none would reach terminals and paths. */
static bool is_plain(const char *name) {
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
    return size > 0 && name[size] == '\0';
}

static int check_names(const struct engine_container_list *list, struct error *err) {
    char shown[256];
    for (size_t i = 0; i < list->count; i++) {
        const char *name = list->entries[i].name, *id = list->entries[i].id;
        if (!is_plain(name) || !is_plain(id))
            return error_set(err, ERROR_INVALID, "its engine names a container '%s'",
                             text_safe(is_plain(id) ? name : id, shown, sizeof shown));
    }
    return 0;
}

static int list_ours(struct command_host *host, struct engine *engine, void *arg,
                     struct error *err) {
    const struct command_hosts *hosts = arg;
    struct task task = command_task();
    const struct engine_pair labels[] = {{LABEL_PROJECT, hosts->files.project->name},
                                         {LABEL_OWNER, hosts->context->owner},
                                         {NULL, NULL}};
    if (engine_container_list(engine, labels, &task, &host->list, err) < 0)
        return -1;
    if (check_names(&host->list, err) == 0)
        return 0;
    engine_container_list_deinit(&host->list);
    return -1;
}

static struct command_container container_of(struct command_host *host, size_t i) {
    const struct engine_container_entry *entry = &host->list.entries[i];
    const char *service = json_text_or_null(json_member(entry->labels, LABEL_SERVICE));
    const char *number = json_text_or_null(json_member(entry->labels, LABEL_NUMBER));
    struct command_container c = {.host = host,
                                  .entry = entry,
                                  .json = json_at(host->list.json, i),
                                  .service = service && is_plain(service) ? service : "",
                                  .running = text_equal(entry->state, "running") ||
                                             text_equal(entry->state, "paused") ||
                                             text_equal(entry->state, "restarting")};
    struct error ignored = ERROR_NULL;
    if (number)
        text_to_u64(number, 1, UINT32_MAX, &c.number, &ignored);
    return c;
}

static int by_service_and_number(const void *a, const void *b) {
    const struct command_container *x = a, *y = b;
    int order = strcmp(x->service, y->service);
    if (order == 0)
        order = (x->number > y->number) - (x->number < y->number);
    return order ? order : strcmp(x->entry->name, y->entry->name);
}

static void gather(struct command_hosts *hosts) {
    size_t all = 0;
    for (size_t h = 0; h < hosts->count; h++)
        all += hosts->hosts[h].list.count;
    hosts->containers = mem_new_array(struct command_container, all);
    for (size_t h = 0; h < hosts->count; h++) {
        struct command_container *first = &hosts->containers[hosts->container_count];
        size_t count = hosts->hosts[h].list.count;
        for (size_t i = 0; i < count; i++)
            first[i] = container_of(&hosts->hosts[h], i);
        qsort(first, count, sizeof *first, by_service_and_number);
        hosts->container_count += count;
    }
}

void command_hosts_list(struct command_hosts *hosts) {
    command_hosts_connect(hosts);
    command_hosts_each(hosts, list_ours, hosts);
    gather(hosts);
}

int command_hosts_look(const struct command_context *context, const struct hosts_chosen *chosen,
                       struct command_hosts *ret, struct error *err) {
    if (command_hosts_choose(context, chosen, ret, err) < 0)
        return -1;
    command_hosts_list(ret);
    return 0;
}

int command_hosts_run(const struct command_hosts *hosts, char ret_run[RUN_ID_SIZE],
                      struct error *err) {
    for (size_t i = 0; i < hosts->container_count; i++) {
        const struct json *labels = hosts->containers[i].entry->labels;
        const char *run = json_text_or_null(json_member(labels, LABEL_RUN));
        unsigned char bytes[(RUN_ID_SIZE - 1) / 2];
        if (!run || text_unhex(run, bytes, sizeof bytes) < 0)
            continue;
        snprintf(ret_run, RUN_ID_SIZE, "%s", run);
        return 0;
    }
    error_set(err, ERROR_NOT_FOUND, "project '%s' has no containers of ours on its hosts",
              hosts->files.project->name);
    return error_hint(err, "start it with `seatrial up`, or `seatrial run --no-load`");
}

/* ---- containers ---- */

static bool is_meant(const struct command_container *c, const char *word) {
    return text_equal(word, c->service) || text_equal(word, c->entry->name) ||
           (strlen(word) >= SHORT_ID && text_starts(c->entry->id, word));
}

static bool is_known(const struct command_hosts *hosts, const char *word) {
    if (project_service(hosts->files.project, word))
        return true;
    for (size_t i = 0; i < hosts->container_count; i++)
        if (is_meant(&hosts->containers[i], word))
            return true;
    return false;
}

static int unknown(const struct command_hosts *hosts, const char *word, struct error *err) {
    const struct project *project = hosts->files.project;
    cleanup_free const char **names = mem_new_array(const char *, project->service_count);
    char safe[128];
    for (size_t i = 0; i < project->service_count; i++)
        names[i] = project->services[i].name;
    const char *nearest = text_nearest(word, names, project->service_count);
    error_set(err, ERROR_NOT_FOUND, "project '%s' has neither a service nor a container '%s'%s",
              project->name, text_safe(word, safe, sizeof safe),
              hosts->status ? " on the hosts that answered" : "");
    if (nearest)
        error_hint(err, "did you mean '%s'?", nearest);
    return -1;
}

int command_containers_find(const struct command_hosts *hosts, const char *const *words,
                            size_t count, struct command_container ***ret, size_t *ret_count,
                            struct error *err) {
    for (size_t w = 0; w < count; w++)
        if (!is_known(hosts, words[w]))
            return unknown(hosts, words[w], err);
    struct command_container **found =
        mem_new_array(struct command_container *, hosts->container_count);
    size_t n = 0;
    for (size_t i = 0; i < hosts->container_count; i++) {
        bool wanted = count == 0;
        for (size_t w = 0; w < count && !wanted; w++)
            wanted = is_meant(&hosts->containers[i], words[w]);
        if (wanted)
            found[n++] = &hosts->containers[i];
    }
    *ret = found;
    *ret_count = n;
    return 0;
}

int command_container_one(const struct command_hosts *hosts, const char *word, uint64_t index,
                          struct command_container **ret, struct error *err) {
    struct command_container *best = NULL;
    if (!is_known(hosts, word))
        return unknown(hosts, word, err);
    for (size_t i = 0; i < hosts->container_count; i++) {
        struct command_container *c = &hosts->containers[i];
        if (!is_meant(c, word) || (index && c->number != index))
            continue;
        if (!best || c->number < best->number)
            best = c;
    }
    if (!best) {
        const char *where = hosts->status ? " on the hosts that answered" : "";
        return index ? error_set(err, ERROR_NOT_FOUND,
                                 "service '%s' has no container %" PRIu64 "%s", word, index, where)
                     : error_set(err, ERROR_NOT_FOUND, "service '%s' has no container%s", word,
                                 where);
    }
    *ret = best;
    return 0;
}

struct container_call {
    command_container_act *act;
    void *arg;
};

static int call_container(void *subject, struct engine *engine, void *arg, struct error *err) {
    const struct container_call *call = arg;
    return call->act(subject, engine, call->arg, err);
}

void command_containers_each(struct command_hosts *hosts, struct command_container **containers,
                             size_t count, size_t workers, command_container_act *act, void *arg) {
    const struct jobs_watch nobody = {.tick = NULL};
    command_containers_each_watched(hosts, containers, count, workers, act, arg, &nobody);
}

void command_containers_each_watched(struct command_hosts *hosts,
                                     struct command_container **containers, size_t count,
                                     size_t workers, command_container_act *act, void *arg,
                                     const struct jobs_watch *watch) {
    struct container_call call = {.act = act, .arg = arg};
    struct job *jobs = mem_new_array(struct job, count);
    for (size_t i = 0; i < count; i++)
        jobs[i] =
            (struct job){.engine = &containers[i]->host->at->engine, .subject = containers[i]};
    jobs_run_watched(jobs, count, workers, call_container, &call, watch);
    for (size_t i = 0; i < count; i++) {
        containers[i]->result = jobs[i].result;
        if (jobs[i].fault)
            command_hosts_report(hosts, containers[i]->host, jobs[i].fault);
    }
    jobs_free(jobs, count);
}
