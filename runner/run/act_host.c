/* The step that looks at a host: is its engine usable, has it what a trial needs, what does its
 * clock say, and is our project's place free? Nothing is changed but what --clean-remote asks for.
 */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/network.h"
#include "runner/engine/volume.h"
#include "runner/run/describe.h"
#include "runner/run/interrupt.h"
#include "runner/run/trial.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Timestamps of different hosts are compared by people: this much would mislead them. */
#define CLOCK_OFFSET_NS_WARN (100 * NS_PER_MS)

/* Warns below so many times the limit. */
enum { DISK_WARN_FACTOR = 8 };

/* All hosts are looked at, whatever is said of one of them: only the user ends this. */
static struct task check_task(void) {
    return (struct task){.cancel = &interrupt_cancel, .deadline = INSTANT_NEVER};
}

static const char *name_of(const struct act *act) {
    return act->trial->plan->hosts[act->step->host].name;
}

static struct trial_host *record(const struct act *act) {
    return &act->trial->hosts[act->step->host];
}

/* ---- what is there of earlier trials ---- */

struct place {
    struct engine_container_list containers;
    struct engine_network_list networks;
    struct engine_volume_list volumes;
};
#define PLACE_NULL                                                                                 \
    ((struct place){ENGINE_CONTAINER_LIST_NULL, ENGINE_NETWORK_LIST_NULL, ENGINE_VOLUME_LIST_NULL})

static void place_deinit(struct place *p) {
    engine_container_list_deinit(&p->containers);
    engine_network_list_deinit(&p->networks);
    engine_volume_list_deinit(&p->volumes);
}

static int remove_containers(const struct act *act, const struct engine_container_list *list,
                             struct error *err) {
    struct task task = check_task();
    for (size_t i = 0; i < list->count; i++) {
        act_say(act, "removing %s of an earlier trial", list->entries[i].name);
        if (engine_container_remove(act->engine, list->entries[i].id, true, true, &task, err) < 0)
            return error_wrap(err, "remove container '%s' of an earlier trial",
                              list->entries[i].name);
    }
    return 0;
}

static int remove_rest(const struct act *act, const struct place *p, struct error *err) {
    struct task task = check_task();
    for (size_t i = 0; i < p->networks.count; i++)
        if (engine_network_remove(act->engine, p->networks.entries[i].id, &task, err) < 0)
            return error_wrap(err, "remove network '%s' of an earlier trial",
                              p->networks.entries[i].name);
    for (size_t i = 0; i < p->volumes.count; i++)
        if (!json_member(p->volumes.entries[i].labels, LABEL_LOCK) && /* the next step's business */
            engine_volume_remove(act->engine, p->volumes.entries[i].name, &task, err) < 0)
            return error_wrap(err, "remove volume '%s' of an earlier trial",
                              p->volumes.entries[i].name);
    return 0;
}

static bool ours(const struct act *act, const struct engine_container_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        const char *owner = json_text_or_null(json_member(list->entries[i].labels, LABEL_OWNER));
        if (!text_equal(owner, act->trial->settings.owner))
            return false;
    }
    return true;
}

static int taken(const struct act *act, const struct engine_container_list *list,
                 struct error *err) {
    const char *run = json_text_or_null(json_member(list->entries[0].labels, LABEL_RUN));
    error_set(
        err, ERROR_CONFLICT, "project '%s' already has %zu containers there (first: %s, of run %s)",
        act->trial->plan->project->name, list->count, list->entries[0].name, run ? run : "unknown");
    if (ours(act, list))
        return error_hint(err,
                          "`seatrial down` removes them, --clean-remote does it by the way; if "
                          "their runner died, `seatrial run --resume %s` goes on",
                          run ? run : "RUN");
    return error_hint(err, "they are not ours: choose another project name with -p");
}

/* Containers of the project, whosesoever; networks and volumes only if they are ours. */
static int check_place(const struct act *act, struct error *err) {
    const struct trial *t = act->trial;
    struct task task = check_task();
    if (t->settings.resume)
        return 0; /* it is ours since its runner died */
    const struct engine_pair any[] = {{LABEL_PROJECT, t->plan->project->name}, {NULL, NULL}};
    const struct engine_pair of_ours[] = {
        {LABEL_PROJECT, t->plan->project->name}, {LABEL_OWNER, t->settings.owner}, {NULL, NULL}};
    cleanup(place_deinit) struct place place = PLACE_NULL;
    if (engine_container_list(act->engine, any, &task, &place.containers, err) < 0)
        return -1;
    bool clean = t->settings.clean_remote && ours(act, &place.containers);
    if (place.containers.count > 0 && !clean)
        return taken(act, &place.containers, err);
    if (!clean)
        return 0;
    if (engine_network_list(act->engine, of_ours, &task, &place.networks, err) < 0 ||
        engine_volume_list(act->engine, of_ours, &task, &place.volumes, err) < 0 ||
        remove_containers(act, &place.containers, err) < 0)
        return -1;
    return remove_rest(act, &place, err);
}

/* ---- the machine ---- */

/* What is the same for all services; what each of them does about it, is seen when its containers
 * are made. */
static void check_core_pattern(const struct act *act, const char *pattern) {
    char shown[80];
    if (pattern[0] == '|')
        act_warn(act,
                 "host %s pipes core dumps to a program (%s): they will not be collected; "
                 "`sysctl kernel.core_pattern=" DESCRIBE_CORES "/core.%%e.%%p` there would keep "
                 "them in the containers",
                 name_of(act), text_safe(pattern + 1, shown, sizeof shown));
}

static int check_disk(const struct act *act, const char *root, uint64_t free_bytes,
                      struct error *err) {
    uint64_t least = act->trial->settings.disk_free_bytes_min;
    record(act)->disk_free_bytes = free_bytes;
    if (free_bytes == UINT64_MAX) {
        act_warn(act, "host %s does not say how much of its disk is free", name_of(act));
        return 0;
    }
    if (free_bytes >= least) {
        if (free_bytes < DISK_WARN_FACTOR * least)
            act_warn(act, "host %s has only %" PRIu64 " MiB free where its engine keeps images",
                     name_of(act), free_bytes >> 20);
        return 0;
    }
    error_set(err, ERROR_IO,
              "the disk with '%s' is full: %" PRIu64 " MiB are free, and %" PRIu64
              " MiB are needed",
              root, free_bytes >> 20, least >> 20);
    return error_hint(err,
                      "free some space on host '%s' (`docker system df` there shows what takes "
                      "it), or ask for less with --min-disk",
                      name_of(act));
}

/* The engine may raise a container's limits up to this, and not further. */
static int check_open_files(const struct act *act, uint64_t most, struct error *err) {
    const struct plan *plan = act->trial->plan;
    for (size_t i = 0; i < plan->container_count; i++) {
        const struct project_service *service = plan->containers[i].service;
        for (size_t k = 0; plan->containers[i].host == act->step->host && k < service->ulimit_count;
             k++) {
            const struct project_ulimit *u = &service->ulimits[k];
            bool too_much =
                text_equal(u->name, "nofile") && u->hard > 0 && (uint64_t)u->hard > most;
            if (!too_much)
                continue;
            error_set(err, ERROR_REFUSED,
                      "service '%s' asks for %" PRId64 " open files, and no process may have more "
                      "than %" PRIu64 " there",
                      service->name, u->hard, most);
            return error_hint(err, "`sysctl fs.nr_open=%" PRId64 "` on host '%s' allows them",
                              u->hard, name_of(act));
        }
    }
    return 0;
}

static int check_machine(const struct act *act, const char *root, struct error *err) {
    struct host_facts *facts = &record(act)->facts;
    struct task task = check_task();
    if (!host_is_of_engine(act->host))
        return 0;
    if (host_facts_ask(act->host, *root ? root : "/var/lib/docker", &task, facts, err) < 0)
        return error_wrap(err, "look at the machine");
    record(act)->has_facts = true;
    check_core_pattern(act, facts->core_pattern);
    if (act->trial->settings.resume)
        return 0; /* what a trial has used up must not keep it from being collected */
    if (check_disk(act, root, facts->disk_free_bytes, err) < 0)
        return -1;
    return check_open_files(act, facts->open_files_max, err);
}

static int check_clock(const struct act *act, struct error *err) {
    struct trial_host *host = record(act);
    struct task task = check_task();
    if (host_clock_offset(act->host, &task, &host->clock, err) < 0)
        return error_wrap(err, "compare the clocks");
    int64_t offset_ns = host->clock.offset_ns;
    uint64_t distance = offset_ns < 0 ? -(uint64_t)offset_ns : (uint64_t)offset_ns;
    if (distance > CLOCK_OFFSET_NS_WARN + host->clock.uncertain_ns)
        act_warn(act,
                 "the clock of host %s is %.3f s %s: times in its logs are shifted by that; "
                 "NTP would keep it right",
                 name_of(act), (double)distance / 1e9, offset_ns < 0 ? "behind" : "ahead");
    return 0;
}

/* ---- the step ---- */

static void replace(char **text, const char *by) {
    free(*text);
    *text = text_dup(by);
}

static int check_engine(const struct act *act, struct engine_info *info, struct error *err) {
    struct trial_host *host = record(act);
    struct task task = check_task();
    if (engine_info(act->engine, &task, info, err) < 0)
        return -1;
    replace(&host->engine_version, info->server_version);
    replace(&host->engine_id, info->id);
    replace(&host->os, info->operating_system);
    replace(&host->kernel, info->kernel_version);
    replace(&host->storage_driver, info->storage_driver);
    host->cpus = info->cpus;
    host->podman = info->podman;
    host->memory_bytes = info->memory_bytes;
    host->api_minor = engine_api_minor(act->engine);
    act_say(act, "engine %s, API 1.%d, %lld CPUs, %lld MiB", info->server_version, host->api_minor,
            (long long)info->cpus, (long long)(info->memory_bytes >> 20));
    return 0;
}

static bool runs_containers(const struct act *act) {
    const struct plan *plan = act->trial->plan;
    for (size_t i = 0; i < plan->container_count; i++)
        if (plan->containers[i].host == act->step->host)
            return true;
    return false;
}

int act_check_host(struct act *act, struct error *err) {
    cleanup(engine_info_deinit) struct engine_info info = ENGINE_INFO_NULL;
    if (check_engine(act, &info, err) < 0 || check_clock(act, err) < 0)
        return -1;
    if (act->trial->plan->options.mode == PLAN_TRIAL && runs_containers(act) &&
        (check_machine(act, info.root_dir, err) < 0 || check_place(act, err) < 0))
        return -1;
    record(act)->checked = true;
    return 0;
}
