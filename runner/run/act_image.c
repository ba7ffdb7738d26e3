/* Steps about images: build them from their context, or find them. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/text.h"
#include "runner/run/build.h"
#include "runner/run/pin.h"
#include "runner/run/trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct plan_image *planned(const struct act *act) {
    return &act->trial->plan->images[act->step->subject];
}

static struct trial_image *record(const struct act *act) {
    return trial_image(act->trial, act->step->host, act->step->subject);
}

/* What is locked for the step's image; NULL: nothing. */
static const struct locked_image *locked(const struct act *act) {
    const struct image_lock *lock = act->trial->settings.images;
    return lock ? image_lock_find(lock, planned(act)->reference) : NULL;
}

/* Takes what `image` points to. */
static void remember(struct trial_image *record, struct locked_image *image) {
    snprintf(record->id, sizeof record->id, "%s", image->id);
    locked_image_deinit(&record->locked);
    record->locked = *image;
    *image = (struct locked_image){.reference = NULL};
}

/* ---- build ---- */

static void say(void *arg, const char *text) {
    act_say(arg, "%s", text);
}

static FILE *open_build_log(const struct act *act, const char *reference, char **ret_path,
                            struct error *err) {
    cleanup_free char *name = text_format("build-%s.log", reference);
    for (char *p = name; *p; p++)
        if (*p == '/' || *p == ':')
            *p = '_';
    cleanup_free char *path = path_join(act->trial->results.folder, name);
    FILE *log = fopen(path, "we");
    if (!log)
        error_set_os(err, ERROR_IO, errno, "create '%s'", path);
    else
        *ret_path = take_ptr(path);
    return log;
}

static const char *results_root(const struct act *act) {
    const char *root = act->trial->settings.results_root;
    return root ? root : act->trial->plan->deployment->local.perf_test_root;
}

int act_build_image(struct act *act, struct error *err) {
    const struct plan_image *plan = planned(act);
    struct trial_image *image = record(act);
    cleanup_free char *log_path = NULL;
    cleanup_fclose FILE *log = open_build_log(act, plan->reference, &log_path, err);
    if (!log)
        return -1;
    cleanup(build_made_deinit) struct build_made made = BUILD_MADE_NULL;
    const char *left_out[] = {act->trial->settings.images_path, results_root(act), NULL};
    struct build_wanted wanted = {.service = plan->service,
                                  .reference = plan->reference,
                                  .context = plan->context,
                                  .left_out = left_out[0] ? left_out : left_out + 1,
                                  .owner = act->trial->settings.owner,
                                  .registries = &act->trial->registries,
                                  .lock = act->trial->settings.images,
                                  .log = log,
                                  .say = say,
                                  .arg = act};
    struct task task = act_forward_task(act);
    if (build_image(act->engine, &wanted, &task, &made, err) < 0) {
        image->id[0] = '\0';
        return error_hint(err, "the whole output is in '%s'", log_path);
    }
    cleanup_free char *summary = build_summary(&made);
    act_say(act, "%s", summary);
    free(image->context);
    image->context = text_dup(made.context.digest);
    image->unchanged = made.unchanged;
    remember(image, &made.locked);
    return 0;
}

/* ---- find ---- */

static int nothing_there(const struct act *act, struct error *err) {
    const struct plan_image *plan = planned(act);
    bool frozen = act->trial->plan->options.frozen;
    error_set(err, ERROR_NOT_FOUND, "there is no image '%s' on the engine", plan->reference);
    return error_hint(err, plan->service->build && frozen ? "build it: leave --frozen out"
                           : plan->service->build
                               ? "build it: leave --no-build out"
                               : "give the service a `build:`, or pull the image before");
}

/* The name leads elsewhere by now, but what was locked is still there: without --no-build it would
 * be built, and with it the locked image is what is wanted. 1: it is not there. */
static int find_by_id(const struct act *act, const struct locked_image *pinned,
                      struct locked_image *ret, struct error *err) {
    struct task task = act_forward_task(act);
    int r = pin_look(act->engine, pinned->id, pinned->reference, &task, ret, err);
    if (r == 0)
        act_warn(act, "'%s' is another image by now: the locked %.19s is used", pinned->reference,
                 pinned->id);
    if (r == 1)
        act_warn(act,
                 "'%s' is not the locked %.19s, which is not on the engine: it is used as it is",
                 pinned->reference, pinned->id);
    return r;
}

/* It is not the locked one: where it would be built otherwise, that is what is meant. 1: what was
 * found is used. */
static int use_locked(struct act *act, const struct locked_image *pinned,
                      struct locked_image *image, struct error *err) {
    struct locked_image other = {.reference = NULL};
    int r = planned(act)->service->build ? find_by_id(act, pinned, &other, err) : 1;
    if (r != 0)
        return r;
    locked_image_deinit(image);
    *image = other;
    record(act)->by_id = true;
    free(record(act)->digest);
    record(act)->digest = NULL;
    return 0;
}

int act_found_image(struct act *act, const struct engine_image *found, struct error *err) {
    const struct plan_image *plan = planned(act);
    const struct locked_image *pinned = locked(act);
    bool frozen = act->trial->plan->options.frozen;
    if (frozen && !pinned)
        return error_set(err, ERROR_CONFIG, "%s has no image '%s'", IMAGE_LOCK_NAME,
                         plan->reference);
    if (frozen && pin_check(pinned, found, err) < 0)
        return -1;
    cleanup(locked_image_deinit) struct locked_image image = pin_of(found, plan->reference);
    free(record(act)->digest);
    record(act)->digest = text_dup(pin_digest(found));
    bool fits = pinned && pin_fits(pinned, found);
    if (pinned && !fits) {
        int r = use_locked(act, pinned, &image, err);
        if (r < 0)
            return -1;
        fits = r == 0;
    }
    if (fits)
        locked_image_copy_build(&image, pinned);
    if (pinned && !fits)
        act_say(act, "%.19s, it was %.19s when it was locked", image.id, pinned->id);
    else
        act_say(act, "%s", image.digest ? image.digest : image.id);
    remember(record(act), &image);
    return 0;
}

int act_find_image(struct act *act, struct error *err) {
    const struct plan_image *plan = planned(act);
    const struct locked_image *pinned = locked(act);
    struct task task = act_forward_task(act);
    cleanup(engine_image_deinit) struct engine_image found = ENGINE_IMAGE_NULL;
    int r = engine_image_inspect(act->engine, plan->reference, &task, &found, err);
    if (r == 1 && pinned) {
        r = engine_image_inspect(act->engine, pinned->id, &task, &found, err);
        record(act)->by_id = r == 0;
    }
    if (r < 0)
        return -1;
    return r == 1 ? nothing_there(act, err) : act_found_image(act, &found, err);
}
