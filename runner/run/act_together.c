/* Steps by which several loaders begin as one: each says that it is ready, then all are told when.
 * A loader of another make knows nothing of this, begins when it is started, and is not held up. */

#include "lib/archive.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/engine/archive.h"
#include "runner/run/trial.h"

#include <inttypes.h>
#include <string.h>

/* Two of loader/options.c's presets. */
static const char ready_path[] = "/seatrial/out/ready";
static const char start_folder[] = "/seatrial", start_name[] = "start";

enum { LAST_LINES = 20 };

/* Who has not connected to healthy replicas by then does not know that it should say so. */
#define READY_NS (30 * NS_PER_SEC)
#define LOOK_NS_MIN (20 * NS_PER_MS)
#define LOOK_NS_MAX (500 * NS_PER_MS)
/* From the agreement to the start: for all containers to be told, over SSH too. */
#define AHEAD_NS (3 * NS_PER_SEC)
#define AHEAD_NS_PER_LOADER (50 * NS_PER_MS)

static const struct plan_container *planned(const struct act *act) {
    return &act->trial->plan->containers[act->step->subject];
}

/* 0: there is nothing to wait for any more. 1: it runs. */
static int has_ended(const struct act *act, const struct task *task, struct error *err) {
    struct trial_container *c = &act->trial->containers[act->step->subject];
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = engine_container_inspect(act->engine, c->id, task, &state, err);
    if (r < 0)
        return -1;
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "it was removed by somebody else");
    if (state.running)
        return 1;
    act_record_end(c, &state);
    if (c->exit_code == 0)
        return 0;
    if (!c->last_lines)
        c->last_lines = log_tail(act->engine, c->id, planned(act)->service->tty, LAST_LINES, task);
    return error_set(err, ERROR_FAILED,
                     "it ended with exit status %" PRId64 ", and had not said that it is ready",
                     c->exit_code);
}

static int is_ready(const struct act *act, const struct task *task, struct error *err) {
    cleanup(engine_path_deinit) struct engine_path there = ENGINE_PATH_NULL;
    int r = engine_archive_stat(act->engine, act->trial->containers[act->step->subject].id,
                                ready_path, task, &there, err);
    return r == 1 ? has_ended(act, task, err) : r;
}

int act_wait_ready(struct act *act, struct error *err) {
    struct task task = act_forward_task(act);
    struct instant deadline = instant_after(act->begun, READY_NS + act->lost_ns);
    uint64_t pause_ns = LOOK_NS_MIN;
    int r;
    while ((r = is_ready(act, &task, err)) == 1) {
        if (instant_passed(deadline, clock_instant())) {
            act_warn(act,
                     "%s has not said within %.0f s that it is ready (by a file '%s'): it may not "
                     "begin together with the others",
                     planned(act)->name, (double)READY_NS / (double)NS_PER_SEC, ready_path);
            return 0;
        }
        if (task_sleep(&task, pause_ns, err) < 0)
            return -1;
        pause_ns = pause_ns * 2 > LOOK_NS_MAX ? LOOK_NS_MAX : pause_ns * 2;
    }
    return r;
}

/* Whoever asks first decides. */
static int64_t agreed_start(struct trial *t) {
    size_t loaders = plan_role_count(t->plan, PROJECT_ROLE_LOADER);
    long long none = 0;
    long long ours = clock_wall().ns + (int64_t)(AHEAD_NS + loaders * AHEAD_NS_PER_LOADER);
    return atomic_compare_exchange_strong(&t->load_start_ns, &none, ours) ? ours : none;
}

/* By the clock of its host. */
int act_give_start(struct act *act, struct error *err) {
    struct trial *t = act->trial;
    struct task task = act_cleanup_task(act);
    int64_t start_ns = agreed_start(t) + t->hosts[act->step->host].clock.offset_ns;
    cleanup_free char *text = text_format("%" PRId64 "\n", start_ns);
    cleanup(archive_list_freep) struct archive_list *list = archive_list_new();
    archive_list_file(list, start_name, 0644, text, strlen(text));
    cleanup(archive_stream_freep) struct archive_stream *stream =
        archive_stream_new(archive_list_items(list));
    struct source tar = archive_stream_source(stream);
    if (engine_archive_put(act->engine, t->containers[act->step->subject].id, start_folder, &tar,
                           &task, err) < 0)
        return error_wrap(err, "put '%s/%s' into the container", start_folder, start_name);
    return 0;
}
