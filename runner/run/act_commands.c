/* Steps about the custom commands of a host. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/run/custom.h"
#include "runner/run/trial.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct trial_host *record(const struct act *act) {
    return &act->trial->hosts[act->step->host];
}

/* ---- what custom.c asks of the trial, from a thread of its own ---- */

static int open_engine(void *arg, const struct task *task, struct engine **ret, struct error *err) {
    const struct trial_host *host = arg;
    return testbed_engine(host->trial->testbed, (size_t)(host - host->trial->hosts), task, ret,
                          err);
}

static int await_host(void *arg, const struct task *task, struct error *err) {
    const struct trial_host *host = arg;
    cleanup(engine_closep) struct engine *engine = NULL;
    return trial_host_await(host->trial, (size_t)(host - host->trial->hosts), task, &engine, err);
}

/* ---- start ---- */

static bool is_here(const struct act *act, const struct plan_container *c) {
    return c->host == act->step->host;
}

static void add_targets(const struct act *act, struct custom_list *list) {
    const struct trial *t = act->trial;
    const struct plan *plan = t->plan;
    for (size_t k = 0; k < plan->deployment->runtime.command_count; k++) {
        const struct deployment_command *command = &plan->deployment->runtime.commands[k];
        custom_list_add(list, command, plan->container_count);
        for (size_t i = 0; i < plan->container_count; i++) {
            const struct plan_container *c = &plan->containers[i];
            if (is_here(act, c) && plan_command_wants(plan, command, i))
                custom_list_add_target(list,
                                       &(struct custom_target){.container_id = t->containers[i].id,
                                                               .container_name = c->name,
                                                               .index = c->index,
                                                               .folder = t->containers[i].folder});
        }
    }
}

static char *work_folder(const struct act *act) {
    const struct trial *t = act->trial;
    if (host_is_local(act->host))
        return text_format("%s/%s/custom", t->results.folder, host_name(act->host));
    cleanup_free char *part = text_format("%zu", act->step->host);
    return custom_work_folder(t->plan->run, part);
}

/* Copies all it needs. */
static int make(const struct act *act, struct custom **ret, struct error *err) {
    bool here = host_is_local(act->host);
    cleanup(custom_list_deinit) struct custom_list list = {.count = 0};
    cleanup_free char *work = work_folder(act);
    add_targets(act, &list);
    const struct custom_settings settings = {.host = act->host,
                                             .run = act->trial->plan->run,
                                             .work_folder = work,
                                             .remove_work_folder = !here,
                                             .commands = list.commands,
                                             .command_count = list.count,
                                             .open_engine = open_engine,
                                             .await = here ? NULL : await_host,
                                             .arg = record(act)};
    return custom_new(&settings, ret, err);
}

/* What this run has there may be of a runner that was killed, and not known to this one. */
static bool is_resumed(const struct act *act) {
    return act->trial->settings.results_folder && !record(act)->custom;
}

/* What a runner that was killed has begun must not run beside what begins now. */
static int clean_up_before(const struct act *act, const struct task *task, struct error *err) {
    return is_resumed(act) ? custom_clean(act->host, act->trial->plan->run, task, err) : 0;
}

int act_start_commands(struct act *act, struct error *err) {
    struct trial_host *host = record(act);
    struct task task = act_forward_task(act);
    if (clean_up_before(act, &task, err) < 0 ||
        (!host->custom && make(act, &host->custom, err) < 0))
        return -1;
    if (custom_prepare(host->custom, &task, err) < 0 ||
        custom_once(host->custom, CUSTOM_START, &task, err) < 0)
        return -1;
    return custom_begin(host->custom, err);
}

/* ---- stop ---- */

static void warn(const struct act *act, const struct deployment_command *command,
                 const struct custom_count *n) {
    const char *name = deployment_command_name(command), *host = host_name(act->host);
    if (n->lost)
        act_warn(act,
                 "the connection broke in %" PRIu64 " of %" PRIu64
                 " runs of custom command '%s' on host %s",
                 n->lost, n->runs, name, host);
    if (n->failures)
        act_warn(act,
                 "custom command '%s' failed %" PRIu64 " of %" PRIu64
                 " times on host %s: see custom/%s%s<n>.json",
                 name, n->failures, n->runs, host, command->name ? command->name : "",
                 command->name ? "/" : "");
    if (n->timed_out)
        act_warn(act,
                 "custom command '%s' was ended by its timeout in %" PRIu64 " of %" PRIu64
                 " runs on host %s",
                 name, n->timed_out, n->runs, host);
}

static void keep_counts(const struct act *act) {
    struct trial_host *host = record(act);
    const struct deployment *d = act->trial->plan->deployment;
    struct custom_count sum = {0};
    free(host->custom_counts);
    host->custom_counts = mem_new_array(struct custom_count, d->runtime.command_count);
    for (size_t i = 0; i < d->runtime.command_count; i++) {
        const struct custom_count *n = custom_count(host->custom, i);
        host->custom_counts[i] = *n;
        sum.runs += n->runs;
        sum.failures += n->failures;
        sum.overruns += n->overruns;
        warn(act, &d->runtime.commands[i], n);
    }
    act_say(act, "%" PRIu64 " runs, %" PRIu64 " failed, %" PRIu64 " overruns", sum.runs,
            sum.failures, sum.overruns);
}

/* Also when the load could not be: what they find out is wanted all the more. */
static void run_last(const struct act *act) {
    struct error err = ERROR_NULL;
    struct task task = act_cleanup_task(act);
    struct custom *custom = record(act)->custom;
    custom_pause(custom);
    if (custom_once(custom, CUSTOM_END, &task, &err) < 0 && err.kind != ERROR_CANCELLED)
        act_warn(act, "custom commands at the end on host %s: %s", host_name(act->host), err.text);
}

int act_stop_commands(struct act *act, struct error *err) {
    struct trial_host *host = record(act);
    struct task task = act_cleanup_task(act);
    if (plan_is_rest(act->trial->plan) || is_resumed(act))
        return custom_clean(act->host, act->trial->plan->run, &task, err);
    if (!host->custom)
        return 1;
    run_last(act);
    keep_counts(act);
    if (custom_close(take_ptr(host->custom)) > 0)
        act_warn(
            act,
            "something of the custom commands is left on host %s: see '/tmp/seatrial-%s-*' there",
            host_name(act->host), act->trial->plan->run);
    return 0;
}
