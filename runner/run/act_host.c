/* Steps about a host: is its engine usable, and is our project's place free? And the custom
 * command. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/run/describe.h"
#include "runner/run/trial.h"

#include <stdlib.h>
#include <string.h>

static int remove_leftovers(const struct act *act, const struct engine_container_list *list,
                            struct error *err) {
    struct task task = act_forward_task(act);
    for (size_t i = 0; i < list->count; i++) {
        act_say(act, "removing %s of an earlier trial", list->entries[i].name);
        if (engine_container_remove(act->engine, list->entries[i].id, true, true, &task, err) < 0)
            return error_wrap(err, "remove container '%s' of an earlier trial",
                              list->entries[i].name);
    }
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

static int check_place(const struct act *act, struct error *err) {
    const struct plan *plan = act->trial->plan;
    struct task task = act_forward_task(act);
    const struct engine_pair labels[] = {{LABEL_PROJECT, plan->project->name}, {NULL, NULL}};
    cleanup(engine_container_list_deinit) struct engine_container_list list =
        ENGINE_CONTAINER_LIST_NULL;
    if (engine_container_list(act->engine, labels, &task, &list, err) < 0)
        return -1;
    if (list.count == 0)
        return 0;
    if (ours(act, &list) && act->trial->settings.clean_remote)
        return remove_leftovers(act, &list, err);

    const char *run = json_text_or_null(json_member(list.entries[0].labels, LABEL_RUN));
    error_set(err, ERROR_CONFLICT,
              "project '%s' already has %zu containers there (first: %s, of run %s)",
              plan->project->name, list.count, list.entries[0].name, run ? run : "unknown");
    if (ours(act, &list))
        return error_hint(err, "`seatrial down` removes them, --clean-remote does it by the way");
    return error_hint(err, "they are not ours: choose another project name with -p");
}

static void check_core_pattern(const struct act *act) {
    struct error ignored = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer pattern = BUFFER_NULL;
    if (file_read("/proc/sys/kernel/core_pattern", 4096, &pattern, &ignored) < 0)
        return;
    if (buffer_string(&pattern)[0] == '|')
        act_warn(act,
                 "host %s pipes core dumps to a program (%.*s): they will not be collected; "
                 "`sysctl kernel.core_pattern=core` would keep them in the containers",
                 act->trial->plan->hosts[act->step->host].name, 60, buffer_string(&pattern) + 1);
}

int act_check_host(struct act *act, struct error *err) {
    struct trial_host *host = &act->trial->hosts[act->step->host];
    struct task task = act_forward_task(act);
    cleanup(engine_info_deinit) struct engine_info info = ENGINE_INFO_NULL;
    if (engine_info(act->engine, &task, &info, err) < 0)
        return -1;
    host->engine_version = text_dup(info.server_version);
    host->engine_id = text_dup(info.id);
    host->os = text_dup(info.operating_system);
    host->kernel = text_dup(info.kernel_version);
    host->storage_driver = text_dup(info.storage_driver);
    host->cpus = info.cpus;
    host->memory_bytes = info.memory_bytes;
    host->api_minor = engine_api_minor(act->engine);
    act_say(act, "engine %s, API 1.%d, %lld CPUs, %lld MiB", info.server_version, host->api_minor,
            (long long)info.cpus, (long long)(info.memory_bytes >> 20));
    if (act->trial->plan->options.mode != PLAN_TRIAL)
        return 0;
    check_core_pattern(act);
    return check_place(act, err);
}

int act_start_commands(struct act *act, struct error *err) {
    struct trial *t = act->trial;
    const struct plan *plan = t->plan;
    const struct deployment *deployment = plan->deployment;
    const char *host = plan->hosts[act->step->host].name;
    cleanup_free struct custom_target *targets =
        mem_new_array(struct custom_target, plan->container_count);
    char **folders = mem_new_array(char *, plan->container_count);
    size_t count = 0;
    for (size_t i = 0; i < plan->container_count; i++) {
        const struct plan_container *c = &plan->containers[i];
        if (c->host != act->step->host || c->service->seatrial.role != PROJECT_ROLE_REPLICA)
            continue;
        folders[count] = path_join(t->containers[i].folder, "custom");
        targets[count] = (struct custom_target){.container_id = t->containers[i].id,
                                                .container_name = c->name,
                                                .index = c->index,
                                                .folder = folders[count]};
        count++;
    }
    cleanup_free char *work = text_format("%s/%s/custom", t->results.folder, host);
    struct custom_settings settings = {
        .command = deployment->runtime.custom_command,
        .script_path = deployment->runtime.custom_script_path,
        .work_folder = work,
        .host = host,
        .interval_ns = (uint64_t)deployment->runtime.custom_command_run_interval_sec * NS_PER_SEC,
        .targets = targets,
        .target_count = count};
    int r = custom_start(&settings, &t->hosts[act->step->host].custom, err);
    for (size_t i = 0; i < count; i++)
        free(folders[i]);
    free(folders);
    return r;
}

int act_stop_commands(struct act *act, struct error *err) {
    (void)err;
    struct trial_host *host = &act->trial->hosts[act->step->host];
    if (!host->custom)
        return 1;
    custom_stop(host->custom, &host->custom_result);
    host->custom = NULL;
    host->custom_ran = true;
    const struct custom_result *r = &host->custom_result;
    act_say(act, "%llu runs, %llu failed, %llu overruns", (unsigned long long)r->runs,
            (unsigned long long)r->failures, (unsigned long long)r->overruns);
    if (r->failures)
        act_warn(act, "the custom command failed %llu of %llu times: see custom/<n>.json",
                 (unsigned long long)r->failures, (unsigned long long)r->runs);
    return 0;
}
