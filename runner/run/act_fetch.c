/* What containers have for us is fetched: their results, core dumps, and the paths that they name.
 */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/collect/files.h"
#include "runner/collect/kept.h"
#include "runner/run/trial.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEFT_OUT_MAX = 10000 /* lines of left_out.txt */ };

/* Between two words about what has come. */
#define SAY_PAUSE_NS (300 * NS_PER_MS)

/* What a container's own files must not replace. */
static const char *const our_files[] = {"output.log", "container.json", "stats.jsonl",  "custom",
                                        "cores",      "binaries",       "left_out.txt", NULL};

/* One path on its way. */
struct errand {
    const struct act *act;
    const struct files_want *want;
    struct instant said;
    FILE *left_out; /* NULL: nothing yet */
};

static const struct plan_container *planned(const struct act *act) {
    return &act->trial->plan->containers[act->step->subject];
}

static struct trial_container *record(const struct act *act) {
    return &act->trial->containers[act->step->subject];
}

/* Beside the container's folder: its files cannot reach it. */
static char *work_folder(const struct act *act) {
    cleanup_free char *folder = path_folder(record(act)->folder);
    return text_format("%s/.fetch/%s", folder, planned(act)->name);
}

void act_forget_fetched(const struct act *act) {
    cleanup_free char *work = work_folder(act);
    cleanup_free char *all = path_folder(work);
    kept_remove(work);
    files_remove_empty(all);
}

static void arrived(void *arg, uint64_t bytes) {
    struct errand *e = arg;
    if (instant_ns_between(e->said, clock_instant()) < SAY_PAUSE_NS)
        return;
    e->said = clock_instant();
    act_bytes(e->act, e->want->path, bytes);
}

/* What is not taken is named where it can be read afterwards. */
static void skipped(void *arg, const char *path, const char *target, enum archive_skip why) {
    struct errand *e = arg;
    struct trial_container *c = record(e->act);
    char shown[2048], shown_target[2048];
    cleanup_free char *list = path_join(c->folder, "left_out.txt");
    if (c->left_out++ >= LEFT_OUT_MAX)
        return;
    if (!e->left_out)
        e->left_out = fopen(list, "ae");
    if (e->left_out)
        fprintf(e->left_out, "%s: %s (%s%s%s)\n", e->want->path,
                text_safe(path, shown, sizeof shown), archive_skip_text(why), target ? ", to " : "",
                target ? text_safe(target, shown_target, sizeof shown_target) : "");
}

/* `r`: what files_fetch has returned. */
static void tell(const struct act *act, const struct files_want *want,
                 const struct files_result *result, int r) {
    const char *name = planned(act)->name;
    if (r == 1 && want->as != FILES_CONTENTS)
        act_warn(act, "%s has no '%s' to collect", name, want->path);
    if (r == 0 && result->stats.skipped)
        act_warn(act,
                 "%" PRIu64
                 " entries of '%s' in %s were not taken: links, devices or unsafe names; "
                 "see left_out.txt",
                 result->stats.skipped, want->path, name);
    if (result->begun_anew)
        act_warn(act, "'%s' in %s has changed while it was fetched: begun anew", want->path, name);
    if (result->dropped)
        act_warn(act,
                 "%.1f MB of '%s' in %s came over the network again: the host has neither curl nor "
                 "docker to go on behind them",
                 (double)result->before / 1e6, want->path, name);
    else if (r == 0 && result->before)
        act_say(act, "%s: went on behind %.1f MB", want->path, (double)result->before / 1e6);
}

/* A container that goes while it is collected is not one that has nothing. */
static int check_still_there(const struct act *act, const struct task *task, struct error *err) {
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = act_find_container(act, task, &state, err);
    if (r != 1)
        return r;
    return error_set(err, ERROR_NOT_FOUND, "container '%s' was removed while it was collected",
                     planned(act)->name);
}

/* `errand` NULL: nobody looks on. */
static int bring(const struct act *act, const struct files_want *want, struct errand *errand,
                 const struct task *task, struct files_result *ret, struct error *err) {
    const struct trial_container *c = record(act);
    cleanup_free char *work = work_folder(act);
    struct files_from from = {.engine = act->engine,
                              .host = act->host,
                              .container = c->id,
                              .ended = errand && c->finished[0] ? c->finished : NULL,
                              .work = work,
                              .arrived = errand ? arrived : NULL,
                              .skipped = errand ? skipped : NULL,
                              .arg = errand};
    int r = files_fetch(&from, want, task, ret, err);
    return r == 1 && check_still_there(act, task, err) < 0 ? -1 : r;
}

int act_fetch_more(const struct act *act, const struct files_want *want, const struct task *task,
                   struct error *err) {
    struct files_result unused;
    return bring(act, want, NULL, task, &unused, err);
}

void act_fetch(const struct act *act, size_t place, struct files_want want, const struct task *task,
               struct error *first) {
    struct errand errand = {.act = act, .want = &want, .said = clock_instant()};
    struct error err = ERROR_NULL;
    struct files_result result;
    bool *fetched = &record(act)->fetched[place];
    if (*fetched)
        return;
    int r = bring(act, &want, &errand, task, &result, &err);
    if (errand.left_out)
        fclose(errand.left_out);
    tell(act, &want, &result, r);
    if (r < 0)
        act_note_failure(first, &err);
    *fetched = r >= 0;
}

static size_t count_of(char *const *list) {
    size_t count = 0;
    while (list && list[count])
        count++;
    return count;
}

void act_fetch_files(const struct act *act, const struct engine_container *state,
                     const struct task *task, struct error *first) {
    const struct project_seatrial *x = &planned(act)->service->seatrial;
    const struct plan *plan = act->trial->plan;
    struct trial_container *c = record(act);
    bool copy_data = plan->options.copy_data || plan->deployment->collect.data;
    bool packed = plan->deployment->collect.compress == DEPLOYMENT_COMPRESS_ZSTD;
    size_t paths = count_of(x->collect), data = copy_data ? count_of(x->data) : 0, place = 0;
    snprintf(c->finished, sizeof c->finished, "%s", state->running ? "" : state->finished);
    if (!c->fetched)
        c->fetched = mem_new_array(bool, 2 + paths + data);
    cleanup_free const char **secrets = act_secret_paths(act);
    struct files_want want = {.path = "/seatrial/out",
                              .as = FILES_CONTENTS,
                              .folder = c->folder,
                              .kept = our_files,
                              .without = secrets};
    act_fetch(act, place++, want, task, first);
    act_fetch_cores(act, place++, task, first);
    for (size_t i = 0; i < paths + data; i++) {
        want.path = i < paths ? x->collect[i] : x->data[i - paths];
        want.as = i >= paths && packed ? FILES_PACKED : FILES_NAMED;
        act_fetch(act, place++, want, task, first);
    }
}
