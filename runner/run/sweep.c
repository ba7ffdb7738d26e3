/* The end of a trial: what of it is still there. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/network.h"
#include "runner/engine/volume.h"
#include "runner/run/describe.h"
#include "runner/run/lock.h"
#include "runner/run/trial.h"

/* Looking for what is left must end even when the user does not wait any more. */
#define SWEEP_NS (10 * NS_PER_SEC)
#define SWEEP_LOST_NS (2 * NS_PER_SEC)

static void leave(struct trial *t, size_t host, const char *what, const char *name,
                  const char *state) {
    mem_grow(t->left_behind, t->left_count, t->left_capacity);
    t->left_behind[t->left_count++] =
        text_format("%s %s on host %s%s", what, name, t->plan->hosts[host].name, state);
}

static bool is_kept(const struct trial *t) {
    const struct plan_options *o = &t->plan->options;
    return o->keep || o->mode == PLAN_COLLECT || (plan_is_left(t->plan) && !t->schedule.aborted);
}

static bool is_planned_loader(const struct trial *t, const char *name) {
    for (size_t i = 0; i < t->plan->container_count; i++)
        if (t->plan->containers[i].service->seatrial.role == PROJECT_ROLE_LOADER &&
            text_equal(t->plan->containers[i].name, name))
            return true;
    return false;
}

static int sweep(struct trial *t, size_t host, struct error *err) {
    struct task forever = TASK_FOREVER;
    bool lost = trial_host_is_lost(t, host);
    struct task task = task_within(&forever, lost ? SWEEP_LOST_NS : SWEEP_NS);
    const struct engine_pair labels[] = {{LABEL_RUN, t->plan->run}, {NULL, NULL}};
    cleanup(engine_closep) struct engine *engine = NULL;
    cleanup(engine_container_list_deinit) struct engine_container_list containers =
        ENGINE_CONTAINER_LIST_NULL;
    cleanup(engine_network_list_deinit) struct engine_network_list networks =
        ENGINE_NETWORK_LIST_NULL;
    cleanup(engine_volume_list_deinit) struct engine_volume_list volumes = ENGINE_VOLUME_LIST_NULL;
    if (lost && host_await(t->testbed->hosts[host].host, &task, err) < 0)
        return error_set(err, ERROR_UNREACHABLE,
                         "host '%s' is lost: what is left there is not known",
                         t->plan->hosts[host].name);
    if (testbed_engine(t->testbed, host, &task, &engine, err) < 0 ||
        engine_container_list(engine, labels, &task, &containers, err) < 0 ||
        engine_network_list(engine, labels, &task, &networks, err) < 0 ||
        engine_volume_list(engine, labels, &task, &volumes, err) < 0)
        return -1;
    /* A loader by hand is gone; the replicas that it loaded are not its own to miss. */
    bool by_hand = t->plan->options.mode == PLAN_LOAD;
    for (size_t i = 0; i < containers.count; i++)
        if (!by_hand || is_planned_loader(t, containers.entries[i].name))
            leave(t, host, "container", containers.entries[i].name, "");
    for (size_t i = 0; !by_hand && i < networks.count; i++)
        leave(t, host, "network", networks.entries[i].name, "");
    for (size_t i = 0; i < volumes.count; i++)
        if (!by_hand || text_equal(volumes.entries[i].name, t->hosts[host].files_volume))
            leave(t, host, "volume", volumes.entries[i].name, "");
    return 0;
}

/* Did any step that makes something on the host's engine ever begin? */
static bool made_something(const struct trial *t, size_t host) {
    for (size_t i = 0; i < t->plan->step_count; i++) {
        const struct step *step = &t->plan->steps[i];
        bool makes = step->kind == STEP_LOCK_HOST || step->kind == STEP_CREATE_CONTAINER ||
                     step->kind == STEP_CREATE_NETWORK || step->kind == STEP_CREATE_VOLUME ||
                     step->kind == STEP_PUT_FILES || step->kind == STEP_REMOVE_CONTAINER;
        if (step->host == host && makes && t->schedule.states[i] != STEP_SKIPPED)
            return true;
    }
    return false;
}

/* Nobody answers: then all that was made, or may have been, and was not seen removed may still be
 * there. */
static void suspect(struct trial *t, size_t host) {
    static const char silent[] = " (its engine does not answer)";
    const struct project *project = t->plan->project;
    for (size_t i = 0; i < t->plan->container_count; i++)
        if (t->plan->containers[i].host == host && !t->containers[i].removed &&
            (t->containers[i].created || t->containers[i].maybe_created))
            leave(t, host, "container", t->plan->containers[i].name, silent);
    for (size_t i = 0; i < project->network_count; i++)
        if (*trial_network_made(t, host, i))
            leave(t, host, "network", project->networks[i].name, silent);
    for (size_t i = 0; i < project->volume_count; i++)
        if (*trial_volume_made(t, host, i))
            leave(t, host, "volume", project->volumes[i].name, silent);
    if (t->hosts[host].files_volume)
        leave(t, host, "volume", t->hosts[host].files_volume, silent);
    if (t->hosts[host].locked) {
        cleanup_free char *lock = lock_volume_name(project->name);
        leave(t, host, "volume", lock, silent);
    }
}

/* What an earlier plan made on a host that this one could not look at. */
static void suspect_unseen(struct trial *t, size_t host) {
    for (size_t i = 0; i < t->plan->container_count; i++)
        if (t->plan->containers[i].host == host)
            leave(t, host, "container", t->plan->containers[i].name,
                  " (if it was there: the host cannot be reached)");
}

/* An engine that is on its way back is waited for: what it has kept must be known. */
static int sweep_again(struct trial *t, size_t host, struct error *err) {
    struct task task = {.cancel = &t->cleanup, .deadline = INSTANT_NEVER};
    struct error lost = ERROR_NULL;
    cleanup(engine_closep) struct engine *engine = NULL;
    if (err->kind != ERROR_UNREACHABLE || host_is_local(t->testbed->hosts[host].host) ||
        trial_host_is_lost(t, host) || trial_host_await(t, host, &task, &engine, &lost) < 0)
        return -1;
    error_clear(err);
    return sweep(t, host, err);
}

void trial_sweep(struct trial *t) {
    for (size_t host = 0; host < t->plan->host_count && !is_kept(t); host++) {
        struct error err = ERROR_NULL;
        if (t->hosts[host].gone) /* with all that was there */
            continue;
        if (t->plan->options.mode == PLAN_DOWN && !t->hosts[host].checked)
            suspect_unseen(t, host);
        if (!made_something(t, host) || sweep(t, host, &err) == 0 ||
            sweep_again(t, host, &err) == 0)
            continue;
        progress_error(t->settings.progress, &err);
        suspect(t, host);
    }
}
