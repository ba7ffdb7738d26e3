/*
 * The lock of a project on a host: a volume that is never mounted, of a name that the project says.
 * An engine makes a volume or says whose is there already, in one call; so it needs nothing but the
 * engine, holds across machines and owners, and outlives whoever took it (decision 0020).
 */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/volume.h"
#include "runner/run/describe.h"
#include "runner/run/lock.h"
#include "runner/run/trial.h"

#include <string.h>

enum {
    /* Whoever breaks a lock may find that another one was as quick. */
    TRIES = 3,
    HOLDER_MAX = 160,
};

static const char *name_of(const struct act *act) {
    return act->trial->plan->hosts[act->step->host].name;
}

static const char *label(const struct json *labels, const char *name) {
    const char *value = json_text_or_null(json_member(labels, name));
    return value ? value : "";
}

static bool is_ours(const struct act *act, const struct json *labels) {
    return text_equal(label(labels, LABEL_RUN), act->trial->plan->run) &&
           text_equal(label(labels, LABEL_OWNER), act->trial->settings.owner);
}

/* Whoever held it on this machine would hold the lock of lock.h, which is ours. */
static bool is_stale(const struct act *act, const struct json *labels) {
    return text_equal(label(labels, LABEL_OWNER), act->trial->settings.owner) &&
           lock_holder_is_dead(label(labels, LABEL_HOLDER));
}

/* Labels are whoever's: for people they are made harmless. */
static int held(const struct act *act, const struct json *labels, struct error *err) {
    char run[HOLDER_MAX], owner[HOLDER_MAX], holder[HOLDER_MAX], since[HOLDER_MAX];
    text_safe(label(labels, LABEL_RUN), run, sizeof run);
    error_set(err, ERROR_CONFLICT, "project '%s' is locked there since %s by run %s of %s (%s)",
              act->trial->plan->project->name,
              text_safe(label(labels, LABEL_SINCE), since, sizeof since), run,
              text_safe(label(labels, LABEL_OWNER), owner, sizeof owner),
              text_safe(label(labels, LABEL_HOLDER), holder, sizeof holder));
    if (text_equal(label(labels, LABEL_OWNER), act->trial->settings.owner))
        return error_hint(
            err,
            "wait for its end; if its runner died, `seatrial run --resume %s` goes on "
            "with it and `seatrial down` ends it; --break-lock takes the lock from it",
            run);
    return error_hint(err,
                      "wait for its end, or choose another project name with -p; if its runner "
                      "died, --break-lock takes the lock from it");
}

static int make(const struct act *act, const char *name, struct engine_volume *ret,
                struct error *err) {
    const struct trial *t = act->trial;
    struct task task = act_cleanup_task(act);
    char since[WALL_TEXT_SIZE], holder[LOCK_HOLDER_SIZE];
    const struct engine_pair labels[] = {{LABEL_RUN, t->plan->run},
                                         {LABEL_OWNER, t->settings.owner},
                                         {LABEL_PROJECT, t->plan->project->name},
                                         {LABEL_LOCK, t->plan->project->name},
                                         {LABEL_HOLDER, lock_holder(holder)},
                                         {LABEL_SINCE, wall_text(clock_wall(), since)},
                                         {NULL, NULL}};
    const struct engine_volume_spec spec = {.name = name, .labels = labels};
    return engine_volume_create(act->engine, &spec, &task, ret, err);
}

/* 1 when it was taken from somebody and must be tried again. */
static int take(const struct act *act, struct error *err) {
    cleanup(engine_volume_deinit) struct engine_volume made = ENGINE_VOLUME_NULL;
    cleanup_free char *name = lock_volume_name(act->trial->plan->project->name);
    struct task task = act_cleanup_task(act);
    if (make(act, name, &made, err) < 0)
        return -1;
    if (is_ours(act, made.labels))
        return 0;
    if (!is_stale(act, made.labels) && !act->trial->settings.break_lock)
        return held(act, made.labels, err);
    char run[HOLDER_MAX];
    act_warn(act, "the lock of project '%s' on host %s was taken from run %s%s",
             act->trial->plan->project->name, name_of(act),
             text_safe(label(made.labels, LABEL_RUN), run, sizeof run),
             is_stale(act, made.labels) ? ", whose runner died" : "");
    return engine_volume_remove(act->engine, name, &task, err) < 0 ? -1 : 1;
}

/* ---- who else is there: what is measured is shared with them ---- */

static int warn_of_trials(const struct act *act, struct error *err) {
    struct task task = act_forward_task(act);
    const struct engine_pair any[] = {{LABEL_LOCK, NULL}, {NULL, NULL}};
    cleanup(engine_volume_list_deinit) struct engine_volume_list list = ENGINE_VOLUME_LIST_NULL;
    if (engine_volume_list(act->engine, any, &task, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.count; i++) {
        const struct json *labels = list.entries[i].labels;
        char project[HOLDER_MAX], owner[HOLDER_MAX], since[HOLDER_MAX];
        if (text_equal(label(labels, LABEL_LOCK), act->trial->plan->project->name))
            continue;
        act->trial->hosts[act->step->host].other_trials++;
        act_warn(act,
                 "host %s is shared with the trial '%s' of %s, since %s: each disturbs what the "
                 "other measures",
                 name_of(act), text_safe(label(labels, LABEL_LOCK), project, sizeof project),
                 text_safe(label(labels, LABEL_OWNER), owner, sizeof owner),
                 text_safe(label(labels, LABEL_SINCE), since, sizeof since));
    }
    return 0;
}

static int warn_of_containers(const struct act *act, struct error *err) {
    struct task task = act_forward_task(act);
    const char *first = NULL;
    size_t count = 0;
    cleanup(engine_container_list_deinit) struct engine_container_list list =
        ENGINE_CONTAINER_LIST_NULL;
    if (engine_container_list(act->engine, NULL, &task, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.count; i++) {
        const struct engine_container_entry *c = &list.entries[i];
        if (!text_equal(c->state, "running") ||
            text_equal(label(c->labels, LABEL_RUN), act->trial->plan->run))
            continue;
        first = count++ ? first : c->name;
    }
    act->trial->hosts[act->step->host].other_containers = count;
    char shown[HOLDER_MAX];
    if (count > 0)
        act_warn(act,
                 "%zu containers that are not of this trial run on host %s (first: %s): they may "
                 "disturb what is measured",
                 count, name_of(act), text_safe(first, shown, sizeof shown));
    return 0;
}

/* ---- the steps ---- */

int act_lock_host(struct act *act, struct error *err) {
    bool *locked = &act->trial->hosts[act->step->host].locked;
    int r = 1;
    *locked = true; /* as long as it is not known that we have not */
    for (int i = 0; i < TRIES && r == 1; i++)
        r = take(act, err);
    *locked = r == 0 || (r < 0 && err->kind != ERROR_CONFLICT);
    if (r < 0)
        return -1;
    if (r == 1)
        return error_set(err, ERROR_CONFLICT, "somebody else is taking the lock of project '%s'",
                         act->trial->plan->project->name);
    if (warn_of_trials(act, err) < 0 || warn_of_containers(act, err) < 0)
        return error_wrap(err, "look who else is there");
    return 0;
}

/* Only the lock of this run. */
int act_unlock_host(struct act *act, struct error *err) {
    struct task task = act_cleanup_task(act);
    cleanup(engine_volume_deinit) struct engine_volume found = ENGINE_VOLUME_NULL;
    cleanup_free char *name = lock_volume_name(act->trial->plan->project->name);
    int r = engine_volume_inspect(act->engine, name, &task, &found, err);
    if (r == 0 && !is_ours(act, found.labels))
        r = 1;
    if (r == 0)
        r = engine_volume_remove(act->engine, name, &task, err);
    if (r >= 0)
        act->trial->hosts[act->step->host].locked = false;
    return r;
}
