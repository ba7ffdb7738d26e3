/*
 * One step, carried out in a lane of its host: connected, done, and done again when the host was
 * lost for a while and came back. Every act is written so that this is harmless: it looks at what
 * is there before it changes anything.
 */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "runner/run/interrupt.h"
#include "runner/run/resume.h"
#include "runner/run/trial.h"

#include <pthread.h>
#include <string.h>

/* Between two looks whether a host's engine answers again. */
#define LOOK_PAUSE_NS (500 * NS_PER_MS)

/* A host that comes and goes all the time must not keep a step for ever. */
enum { TRIES_MAX = 50 };

/* What every kind of step does. */
static act_function *const actions[STEP_KIND_COUNT] = {
    [STEP_CHECK_HOST] = act_check_host,
    [STEP_LOCK_HOST] = act_lock_host,
    [STEP_BUILD_IMAGE] = act_build_image,
    [STEP_FIND_IMAGE] = act_find_image,
    [STEP_TRANSFER_IMAGE] = act_transfer_image,
    [STEP_PUSH_IMAGE] = act_push_image,
    [STEP_FIND_PUSHED] = act_find_pushed,
    [STEP_PULL_IMAGE] = act_pull_image,
    [STEP_ENSURE_IMAGE] = act_ensure_image,
    [STEP_CREATE_NETWORK] = act_create_network,
    [STEP_CREATE_VOLUME] = act_create_volume,
    [STEP_FIND_VOLUME] = act_find_volume,
    [STEP_PUT_FILES] = act_put_files,
    [STEP_START_SAMPLES] = act_start_samples,
    [STEP_CREATE_CONTAINER] = act_create_container,
    [STEP_START_CONTAINER] = act_start_container,
    [STEP_WAIT_HEALTHY] = act_wait_healthy,
    [STEP_FETCH_OUTPUT] = act_fetch_output,
    [STEP_START_COMMANDS] = act_start_commands,
    [STEP_WAIT_READY] = act_wait_ready,
    [STEP_GIVE_START] = act_give_start,
    [STEP_HOLD] = act_hold,
    [STEP_WAIT_EXIT] = act_wait_exit,
    [STEP_STOP_COMMANDS] = act_stop_commands,
    [STEP_PRE_STOP] = act_pre_stop,
    [STEP_STOP_CONTAINER] = act_stop_container,
    [STEP_STOP_SAMPLES] = act_stop_samples,
    [STEP_COLLECT_CONTAINER] = act_collect_container,
    [STEP_REMOVE_CONTAINER] = act_remove_container,
    [STEP_REMOVE_NETWORK] = act_remove_network,
    [STEP_REMOVE_VOLUME] = act_remove_volume,
    [STEP_REMOVE_FILES] = act_remove_files,
    [STEP_UNLOCK_HOST] = act_unlock_host,
};

/* ---- outages ---- */

void outage_init(struct outage *o) {
    *o = (struct outage){.begun = INSTANT_NEVER};
    pthread_mutex_init(&o->lock, NULL);
}

void outage_deinit(struct outage *o) {
    pthread_mutex_destroy(&o->lock);
}

/* The host does not answer. Until when it may come back; 1 when that is news. */
static int outage_begin(struct outage *o, uint64_t window_ns, struct instant *ret_deadline) {
    pthread_mutex_lock(&o->lock);
    bool news = o->begun.ns == INSTANT_NEVER.ns;
    if (news)
        o->begun = clock_instant();
    *ret_deadline = instant_after(o->begun, window_ns);
    pthread_mutex_unlock(&o->lock);
    return news;
}

/* It answers. 1 when that is news; then how long it did not. */
static int outage_end(struct outage *o, uint64_t *ret_ns) {
    pthread_mutex_lock(&o->lock);
    bool news = o->begun.ns != INSTANT_NEVER.ns;
    if (news) {
        *ret_ns = instant_ns_between(o->begun, clock_instant());
        o->count++;
        o->total_ns += *ret_ns;
    }
    o->begun = INSTANT_NEVER;
    o->given_up = false;
    pthread_mutex_unlock(&o->lock);
    return news;
}

static bool outage_give_up(struct outage *o) {
    pthread_mutex_lock(&o->lock);
    bool before = o->given_up;
    o->given_up = true;
    pthread_mutex_unlock(&o->lock);
    return before;
}

void trial_host_give_up(struct trial *t, size_t host) {
    outage_give_up(&t->hosts[host].outage);
}

bool trial_host_is_lost(struct trial *t, size_t host) {
    struct outage *o = &t->hosts[host].outage;
    pthread_mutex_lock(&o->lock);
    bool lost = o->given_up;
    pthread_mutex_unlock(&o->lock);
    return lost;
}

static void is_back(struct trial *t, size_t host) {
    uint64_t ns;
    if (outage_end(&t->hosts[host].outage, &ns))
        trial_warn(t, "host '%s' is back after %.1f s", t->plan->hosts[host].name,
                   (double)ns / 1e9);
}

/* Connection and engine, both; what is found goes to `ret` for the caller to keep. `last` is why
 * the engine could not be had when it was looked for last. */
static int look_for(struct trial *t, size_t host, const struct task *task, struct engine **ret,
                    struct error *last, struct error *err) {
    for (;;) {
        if (host_await(t->testbed->hosts[host].host, task, err) < 0)
            return -1;
        if (testbed_engine(t->testbed, host, task, ret, err) == 0)
            return 0;
        if (err->kind != ERROR_UNREACHABLE)
            return -1;
        *last = *err;
        error_clear(err);
        if (task_sleep(task, LOOK_PAUSE_NS, err) < 0)
            return -1;
    }
}

int trial_host_await(struct trial *t, size_t host, const struct task *task, struct engine **ret,
                     struct error *err) {
    const char *name = t->plan->hosts[host].name;
    uint64_t window_ns = t->settings.reconnect_ns;
    struct task patient = *task;
    struct instant deadline;
    if (outage_begin(&t->hosts[host].outage, window_ns, &deadline))
        trial_warn(t, "host '%s' does not answer: it has %.0f s to come back", name,
                   (double)window_ns / 1e9);
    patient.deadline = instant_earlier(patient.deadline, deadline);
    struct error last = ERROR_NULL;
    if (look_for(t, host, &patient, ret, &last, err) == 0) {
        is_back(t, host);
        return 0;
    }
    if (err->kind == ERROR_TIMEOUT && instant_passed(deadline, clock_instant())) {
        bool reason = last.kind != ERROR_NONE;
        error_set(err, ERROR_UNREACHABLE, "host '%s' did not come back within %.0f s%s%.1500s",
                  name, (double)window_ns / 1e9, reason ? "; at last: " : "",
                  reason ? last.text : "");
        error_hint(err,
                   "see whether it runs and lets us in (`ssh %s`); --reconnect-timeout gives it "
                   "more time",
                   t->testbed->hosts[host].ssh);
    }
    return -1;
}

/* ---- one step ---- */

static struct task task_of(const struct act *act) {
    return act->step->when == STEP_FORWARD ? act_forward_task(act) : act_cleanup_task(act);
}

/* One that was given up may have come back all the same; but nobody waits for it any more. */
static int look_once(const struct act *act, struct error *err) {
    struct task forever = TASK_FOREVER;
    struct task brief = task_within(&forever, LOOK_PAUSE_NS);
    if (!trial_host_is_lost(act->trial, act->step->host) || host_await(act->host, &brief, err) >= 0)
        return 0;
    return error_set(err, ERROR_UNREACHABLE, "host '%s' is lost", host_name(act->host));
}

static int attempt(struct act *act, struct engine **engine, struct error *err) {
    struct trial *t = act->trial;
    size_t host = act->step->host;
    struct task task = task_of(act);
    bool check = act->step->kind == STEP_CHECK_HOST;
    if (check)
        task.cancel = &interrupt_cancel; /* all hosts are looked at, whatever one of them says */
    if (check && testbed_connect_one(t->testbed, host, &task, err) < 0)
        return -1;
    act->host = t->testbed->hosts[host].host;
    if (!act->host || (!check && t->hosts[host].refused))
        return 1; /* its check has said why; nothing can have been done there */
    if (look_once(act, err) < 0)
        return -1;
    if (!*engine && testbed_engine(t->testbed, host, &task, engine, err) < 0)
        return -1;
    act->engine = *engine;
    return actions[act->step->kind](act, err);
}

/* Only what was open before can come back. */
static bool can_come_back(const struct act *act, const struct error *err) {
    return err->kind == ERROR_UNREACHABLE && act->host && !host_is_local(act->host) &&
           act->step->kind != STEP_CHECK_HOST;
}

/* One failure says that the host is lost; what would be done there afterwards is left out. */
static int give_up(struct act *act, struct error *err) {
    if (!outage_give_up(&act->trial->hosts[act->step->host].outage))
        return -1;
    act_say(act, "host '%s' is lost", act->trial->plan->hosts[act->step->host].name);
    if (act->step->when == STEP_FORWARD)
        return -1;
    error_clear(err);
    return 1;
}

static int persist(struct act *act, struct engine **engine, struct error *err) {
    int r;
    while ((r = attempt(act, engine, err)) < 0 && can_come_back(act, err)) {
        struct task task = task_of(act);
        struct error lost = ERROR_NULL;
        struct instant begun = clock_instant();
        engine_close(*engine);
        *engine = NULL;
        if (++act->tries == TRIES_MAX)
            return -1;
        if (trial_host_await(act->trial, act->step->host, &task, engine, &lost) < 0) {
            *err = lost;
            return lost.kind == ERROR_CANCELLED ? -1 : give_up(act, err);
        }
        error_clear(err);
        act->lost_ns += instant_ns_between(begun, clock_instant());
    }
    /* Others end well in any case. */
    bool asked = act->step->kind != STEP_STOP_COMMANDS && act->step->kind != STEP_START_SAMPLES &&
                 act->step->kind != STEP_STOP_SAMPLES;
    if (r >= 0 && asked && act->host && !host_is_local(act->host))
        is_back(act->trial, act->step->host);
    return r;
}

enum step_state carry_out(struct trial *t, size_t index, struct engine **engine,
                          struct error *err) {
    const struct step *step = &t->plan->steps[index];
    struct act act = {.trial = t, .step_index = index, .step = step, .begun = clock_instant()};
    const struct trial_resume *resume = t->settings.resume;
    if (resume && resume->how[index] == RESUME_AGAIN)
        act.tries = 1;
    int r = persist(&act, engine, err);
    if (r >= 0)
        return r == 0 ? STEP_GOOD : STEP_SKIPPED;
    if (step->kind == STEP_CHECK_HOST)
        t->hosts[step->host].refused = true;
    error_wrap(err, "%s '%s' on host '%s'", step_verb(step->kind), plan_subject(t->plan, step),
               t->plan->hosts[step->host].name);
    return STEP_FAILED;
}
