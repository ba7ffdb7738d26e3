/* Steps about the custom command of a host. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/run/trial.h"

#include <stdlib.h>
#include <string.h>

static int await_host(void *arg, const struct task *task, struct error *err) {
    const struct trial_host *host = arg;
    cleanup(engine_closep) struct engine *engine = NULL;
    return trial_host_await(host->trial, (size_t)(host - host->trial->hosts), task, &engine, err);
}

int act_start_commands(struct act *act, struct error *err) {
    struct trial *t = act->trial;
    const struct plan *plan = t->plan;
    const struct deployment *deployment = plan->deployment;
    struct task task = act_forward_task(act);
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
    bool here = host_is_local(act->host);
    cleanup_free char *work =
        here ? text_format("%s/%s/custom", t->results.folder, host_name(act->host))
             : text_format("/tmp/seatrial-%s-%zu", plan->run, act->step->host);
    struct custom_settings settings = {
        .command = deployment->runtime.custom_command,
        .script_path = deployment->runtime.custom_script_path,
        .work_folder = work,
        .remove_work_folder = !here,
        .host = act->host,
        .interval_ns = (uint64_t)deployment->runtime.custom_command_run_interval_sec * NS_PER_SEC,
        .targets = targets,
        .target_count = count,
        .await = here ? NULL : await_host,
        .arg = &t->hosts[act->step->host]};
    int r = custom_start(&settings, &task, &t->hosts[act->step->host].custom, err);
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
    if (r->lost)
        act_warn(act, "the connection broke in %llu of the custom command's %llu runs on host %s",
                 (unsigned long long)r->lost, (unsigned long long)r->runs, host_name(act->host));
    if (r->kept)
        act_warn(act, "folder '/tmp/seatrial-%s-%zu' of the custom command is left on host %s",
                 act->trial->plan->run, act->step->host, host_name(act->host));
    if (r->failures)
        act_warn(act, "the custom command failed %llu of %llu times: see custom/<n>.json",
                 (unsigned long long)r->failures, (unsigned long long)r->runs);
    return 0;
}
