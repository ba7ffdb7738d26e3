/*
 * The step that keeps a trial without a load as it is, for loaders that people start by hand: until
 * they end it with Ctrl-C, or by `down` from elsewhere, which asks us if we run on its machine, and
 * otherwise removes the containers itself.
 */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/run/describe.h"
#include "runner/run/lock.h"
#include "runner/run/trial.h"

#include <poll.h>

#define LOOK_NS (500 * NS_PER_MS)
/* Between two questions to the engine: rare, since the host is being measured. */
enum { LOOKS_PER_LIST = 8 };

/* A loader by hand that we stop is collected and removed by the `load` that started it. */
#define COLLECTED_NS (30 * NS_PER_SEC)

/* 1: somebody else has removed all of them. */
static int are_gone(const struct act *act, struct error *err) {
    struct task task = act_forward_task(act);
    const struct engine_pair labels[] = {{LABEL_RUN, act->trial->plan->run}, {NULL, NULL}};
    cleanup(engine_container_list_deinit) struct engine_container_list list =
        ENGINE_CONTAINER_LIST_NULL;
    if (engine_container_list(act->engine, labels, &task, &list, err) < 0)
        return -1;
    return list.count == 0;
}

static int hold(const struct act *act, struct error *err) {
    struct trial *t = act->trial;
    struct task forward = act_forward_task(act);
    for (unsigned looks = 1;; looks++) {
        struct task brief = task_within(&forward, LOOK_NS);
        if (task_wait(&brief, t->release.event_fd, POLLIN, err) == 0)
            return 0;
        if (err->kind != ERROR_TIMEOUT)
            return -1;
        error_clear(err);
        if (project_lock_end_is_wanted(t->settings.lock)) {
            act_say(act, "`seatrial down` ends it");
            return 0;
        }
        int gone = looks % LOOKS_PER_LIST == 0 ? are_gone(act, err) : 0;
        if (gone < 0)
            return -1;
        if (gone) {
            t->hosts[act->step->host].taken_over = true;
            act_warn(act, "somebody else has removed the trial's containers from host %s",
                     t->plan->hosts[act->step->host].name);
            return 0;
        }
    }
}

static int end_loads(const struct act *act, const struct engine_container_list *list,
                     const struct task *task, struct error *err) {
    for (size_t i = 0; i < list->count; i++) {
        if (!text_equal(list->entries[i].state, "running"))
            continue;
        act_say(act, "ending %s", list->entries[i].name);
        if (engine_container_stop(act->engine, list->entries[i].id, 10, task, err) < 0)
            return error_wrap(err, "end '%s', which was started by hand", list->entries[i].name);
    }
    return 0;
}

/* What is left after a while is named by the sweep. */
static int end_loads_by_hand(const struct act *act, struct error *err) {
    struct task cleanup_task = act_cleanup_task(act);
    struct task task = task_within(&cleanup_task, COLLECTED_NS);
    const struct engine_pair labels[] = {
        {LABEL_RUN, act->trial->plan->run}, {LABEL_ROLE, "loader"}, {NULL, NULL}};
    for (;;) {
        cleanup(engine_container_list_deinit) struct engine_container_list list =
            ENGINE_CONTAINER_LIST_NULL;
        if (engine_container_list(act->engine, labels, &task, &list, err) < 0)
            return -1;
        if (list.count == 0 || end_loads(act, &list, &task, err) < 0)
            return list.count == 0 ? 0 : -1;
        if (task_sleep(&task, LOOK_NS, err) == 0)
            continue;
        if (err->kind != ERROR_TIMEOUT)
            return -1;
        error_clear(err);
        return 0;
    }
}

int act_hold(struct act *act, struct error *err) {
    if (hold(act, err) < 0)
        return -1;
    return end_loads_by_hand(act, err);
}
