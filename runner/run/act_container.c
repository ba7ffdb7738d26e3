/* Steps about containers on their way up and through the load. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/exec.h"
#include "runner/run/describe.h"
#include "runner/run/health.h"
#include "runner/run/resume.h"
#include "runner/run/trial.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    LAST_LINES = 20,
};

#define HEALTH_PAUSE_NS_MIN (50 * NS_PER_MS)
#define HEALTH_PAUSE_NS_MAX (500 * NS_PER_MS)

static const struct plan_container *planned(const struct act *act) {
    return &act->trial->plan->containers[act->step->subject];
}

static struct trial_container *record(const struct act *act) {
    return &act->trial->containers[act->step->subject];
}

/* The tag may have moved between build and create: what runs must be what was built. */
static int check_image(const struct act *act, struct error *err) {
    struct trial_container *c = record(act);
    const struct trial_image *image = trial_image(act->trial, act->step->host, planned(act)->image);
    struct task task = act_cleanup_task(act);
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = engine_container_inspect(act->engine, c->id, &task, &state, err);
    if (r < 0)
        return -1;
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "the container vanished after its creation");
    free(c->image_id);
    c->image_id = text_dup(state.image_id);
    if (!text_equal(c->image_id, image->id))
        return error_set(err, ERROR_FAILED,
                         "image '%s' moved while we worked: it was %s, the container has %s",
                         planned(act)->service->image, image->id, c->image_id);
    act_expect_cores(act, state.working_dir);
    return 0;
}

/* An earlier try made it, and only the answer was lost: it has our run's label and, as check_image
 * sees, our image. */
static int adopt_container(const struct act *act, struct error *err) {
    struct task task = act_cleanup_task(act);
    struct error looking = ERROR_NULL;
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = engine_container_inspect(act->engine, planned(act)->name, &task, &state, &looking);
    if (r < 0)
        *err = looking;
    if (r != 0 ||
        !text_equal(json_text_or_null(json_member(state.labels, LABEL_RUN)), act->trial->plan->run))
        return -1;
    snprintf(record(act)->id, ENGINE_ID_SIZE, "%s", state.id);
    error_clear(err);
    return 0;
}

int act_create_container(struct act *act, struct error *err) {
    struct trial *t = act->trial;
    struct trial_container *c = record(act);
    if (file_make_folders(c->folder, 0755, err) < 0)
        return -1;
    struct description d;
    describe_container(t->plan, planned(act), t->settings.owner,
                       t->hosts[act->step->host].files_path, &d);
    const struct trial_image *image = trial_image(t, act->step->host, planned(act)->image);
    if (image->by_id)
        d.spec.image = image->id;
    /* Not cancelled by the first interrupt: an answer that nobody reads is a container that nobody
     * knows. It is short. */
    struct task task = act_cleanup_task(act);
    int r = c->created ? 0 : engine_container_create(act->engine, &d.spec, &task, c->id, err);
    description_deinit(&d);
    if (r < 0 &&
        (err->kind != ERROR_CONFLICT || act->tries == 0 || adopt_container(act, err) < 0)) {
        c->maybe_created |= err->kind == ERROR_UNREACHABLE || err->kind == ERROR_TIMEOUT;
        return -1;
    }
    c->created = true;
    if (check_image(act, err) < 0)
        return -1;
    return act_put_outputs(act, err);
}

static void show_line(void *arg, const char *line) {
    const struct trial_watch *watch = arg;
    event_post_text(&watch->trial->queue, EVENT_LINE, watch->container, "%s", line);
}

static int await_host(void *arg, const struct task *task, struct error *err) {
    const struct trial_watch *watch = arg;
    size_t host = watch->trial->plan->containers[watch->container].host;
    cleanup(engine_closep) struct engine *engine = NULL;
    return trial_host_await(watch->trial, host, task, &engine, err);
}

static uint64_t connections_of_host(void *arg) {
    const struct trial_watch *watch = arg;
    size_t host = watch->trial->plan->containers[watch->container].host;
    return host_reconnects(watch->trial->testbed->hosts[host].host);
}

/* A loader's lines are its progress: they are shown while they are written to output.log. */
static int follow_log(const struct act *act, struct error *err) {
    struct trial_container *c = record(act);
    struct log_watch watch = {NULL, NULL};
    if (planned(act)->service->seatrial.role == PROJECT_ROLE_LOADER)
        watch = (struct log_watch){.on_line = show_line, .arg = &c->watch};
    c->watch.trial = act->trial;
    c->watch.container = act->step->subject;
    const struct testbed_host *machine = &act->trial->testbed->hosts[act->step->host];
    struct log_source source = {
        .engine = machine->engine,
        .container = c->id,
        .tty = planned(act)->service->tty,
        .clock_offset_ns = act->trial->hosts[act->step->host].clock.offset_ns,
        .await = host_is_local(act->host) ? NULL : await_host,
        .connections = host_is_local(act->host) ? NULL : connections_of_host,
        .arg = &c->watch};
    cleanup_free char *path = path_join(c->folder, "output.log");
    return log_follow_start(&source, path, watch, &c->log, err);
}

/* Did an earlier try start it? Then it may have ended since, and must not run again. */
static int was_started(const struct act *act, const struct task *task, struct error *err) {
    static const char never[] = "0001-01-01T00:00:00Z";
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = engine_container_inspect(act->engine, record(act)->id, task, &state, err);
    if (r < 0)
        return -1;
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "it was removed by somebody else");
    return state.running || !text_equal(state.started, never);
}

int act_start_container(struct act *act, struct error *err) {
    struct trial_container *c = record(act);
    struct task task = act_cleanup_task(act);
    int r = act->tries > 0 ? was_started(act, &task, err) : 0;
    if (r < 0 || (r == 0 && engine_container_start(act->engine, c->id, &task, err) < 0))
        return -1;
    c->started = true;
    act_sample_container(act);
    return c->log ? 0 : follow_log(act, err);
}

void act_record_end(struct trial_container *c, const struct engine_container *state) {
    if (state->running || text_equal(state->status, "created"))
        return;
    c->ended = true;
    c->exit_code = state->exit_code;
    c->oom_killed = state->oom_killed;
    c->restarts = state->restarts;
    c->memory_bytes = state->memory_bytes;
}

static int ended_early(const struct act *act, const struct engine_container *state,
                       struct error *err) {
    struct trial_container *c = record(act);
    struct task task = act_cleanup_task(act);
    act_record_end(c, state);
    if (!c->last_lines)
        c->last_lines = log_tail(act->engine, c->id, planned(act)->service->tty, LAST_LINES, &task);
    return error_set(err, ERROR_FAILED,
                     "it ended with exit status %" PRId64 "%s before it was healthy",
                     state->exit_code, state->oom_killed ? " (out of memory)" : "");
}

/* One look: 0 healthy, 1 not yet. */
static int look(const struct act *act, const struct task *task, char said[HEALTH_OUTPUT_MAX],
                struct error *err) {
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = engine_container_inspect(act->engine, record(act)->id, task, &state, err);
    if (r < 0)
        return -1;
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "it was removed by somebody else");
    if (!state.running)
        return ended_early(act, &state, err);
    r = health_probe(act->engine, &state, task, said, err);
    if (r == HEALTH_NOT_CHECKED) {
        act_warn(act, "%s has no health check: it counts as healthy because it runs",
                 planned(act)->name);
        return 0;
    }
    return r;
}

int act_wait_healthy(struct act *act, struct error *err) {
    uint64_t limit = act->trial->settings.health_timeout_ns;
    struct task task = act_forward_task(act);
    task.deadline = instant_after(act->begun, limit + act->lost_ns);
    char said[HEALTH_OUTPUT_MAX] = "";
    uint64_t pause = HEALTH_PAUSE_NS_MIN;
    int r;
    while ((r = look(act, &task, said, err)) == 1) {
        if (*said)
            act_say(act, "%s", said);
        if (task_sleep(&task, pause, err) < 0)
            break;
        pause = pause * 2 > HEALTH_PAUSE_NS_MAX ? HEALTH_PAUSE_NS_MAX : pause * 2;
    }
    if (r == 0) {
        act_say(act, "%s", ""); /* what kept it from being healthy is over */
        return 0;
    }
    if (err->kind == ERROR_TIMEOUT && instant_passed(task.deadline, clock_instant())) {
        struct task cleanup = act_cleanup_task(act);
        record(act)->last_lines = log_tail(act->engine, record(act)->id, planned(act)->service->tty,
                                           LAST_LINES, &cleanup);
        error_set(err, ERROR_TIMEOUT, "not healthy after %" PRIu64 " s%s%s", limit / NS_PER_SEC,
                  *said ? "; its health check says: " : "", said);
        error_hint(err, "its output is in '%s/output.log'; --health-timeout allows more time",
                   record(act)->folder);
    }
    return -1;
}

/* When a load began that a runner before us has waited for: by the wall, which may have jumped. */
static struct instant load_begun(const struct act *act) {
    const struct trial_resume *resume = act->trial->settings.resume;
    if (!resume || resume->log.steps[act->step_index].begun.ns == 0)
        return act->begun;
    int64_t gone_ns = clock_wall().ns - resume->log.steps[act->step_index].begun.ns;
    uint64_t ns = gone_ns > 0 ? (uint64_t)gone_ns : 0;
    return (struct instant){.ns = ns < act->begun.ns ? act->begun.ns - ns : 0};
}

/* One that has ended while nobody waited for it did so in time, as far as we know. 1: it runs. */
static int has_ended_unseen(const struct act *act, const struct task *task, int64_t *ret_exit_code,
                            struct error *err) {
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = engine_container_inspect(act->engine, record(act)->id, task, &state, err);
    if (r < 0)
        return -1;
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "it was removed by somebody else");
    if (state.running)
        return 1;
    *ret_exit_code = state.exit_code;
    return 0;
}

static int await_exit(const struct act *act, const struct task *task, int64_t *ret_exit_code,
                      struct error *err) {
    struct task look = act_forward_task(act);
    int r = act->tries > 0 ? has_ended_unseen(act, &look, ret_exit_code, err) : 1;
    return r == 1 ? engine_container_wait(act->engine, record(act)->id, task, ret_exit_code, err)
                  : r;
}

int act_wait_exit(struct act *act, struct error *err) {
    bool loader = planned(act)->service->seatrial.role == PROJECT_ROLE_LOADER;
    int64_t timeout_s = act->trial->plan->deployment->general.loader_timeout_sec;
    struct task task = act_forward_task(act);
    if (loader && timeout_s > 0)
        task.deadline =
            instant_after(load_begun(act), (uint64_t)timeout_s * NS_PER_SEC + act->lost_ns);
    int64_t exit_code;
    if (await_exit(act, &task, &exit_code, err) < 0) {
        if (err->kind == ERROR_TIMEOUT && instant_passed(task.deadline, clock_instant())) {
            error_set(err, ERROR_TIMEOUT, "the load did not end within %" PRId64 " s", timeout_s);
            error_hint(err, "general.loader_timeout_sec allows more time");
        }
        return -1;
    }
    act_say(act, "exit status %" PRId64, exit_code);
    if (!loader && exit_code != 0)
        return error_set(err, ERROR_FAILED,
                         "it ended with exit status %" PRId64 ", and others depend on it",
                         exit_code);
    return 0;
}
