/* Images by digest: the same on all hosts, and written down in seatrial.lock. */

#include "lib/text.h"
#include "runner/run/pin.h"
#include "runner/run/trial.h"

/* Where it was built or found, else the first host that has it: ids of hosts differ only if their
 * engines count differently. */
const struct trial_image *trial_main_image(const struct trial *t, size_t image) {
    const struct plan *plan = t->plan;
    bool from_builder = plan->images[image].build || plan->images[image].carried;
    if (from_builder && plan->builder != PLAN_NONE)
        return trial_image(t, plan->builder, image);
    for (size_t host = 0; host < plan->host_count; host++)
        if (trial_image(t, host, image)->id[0])
            return trial_image(t, host, image);
    return trial_image(t, 0, image);
}

static bool is_over(const struct trial *t, size_t step) {
    return t->schedule.states[step] == STEP_GOOD;
}

/* What was carried there was compared with what it was carried from. */
static size_t first_found(const struct trial *t, size_t image) {
    for (size_t i = 0; i < t->plan->step_count; i++) {
        const struct step *step = &t->plan->steps[i];
        if (step->kind == STEP_ENSURE_IMAGE && step->subject == image && is_over(t, i))
            return step->host;
    }
    return PLAN_NONE;
}

int trial_compare_image(const struct trial *t, size_t index, struct error *err) {
    const struct step *step = &t->plan->steps[index];
    if (step->kind != STEP_ENSURE_IMAGE)
        return 0;
    size_t other = first_found(t, step->subject);
    if (other == PLAN_NONE)
        return 0;
    const struct locked_image *first = &trial_image(t, other, step->subject)->locked;
    const struct locked_image *now = &trial_image(t, step->host, step->subject)->locked;
    const char *digests[] = {now->digest, NULL};
    struct image_seen seen = {.id = now->id, .content = now->content, .digests = digests};
    if (!first->reference || !now->reference || locked_image_is(first, &seen))
        return 0;
    error_set(err, ERROR_CONFLICT, "image '%s' is %s on host '%s', and %s on host '%s'",
              now->reference, now->id, t->plan->hosts[step->host].name, first->id,
              t->plan->hosts[other].name);
    return error_hint(err, "see that all hosts have the same one, or name it by its digest");
}

/* All steps about images are over. */
static bool all_known(const struct trial *t) {
    for (size_t i = 0; i < t->plan->step_count; i++)
        if (step_subject(t->plan->steps[i].kind) == SUBJECT_IMAGE && !is_over(t, i))
            return false;
    return true;
}

int trial_lock_images(const struct trial *t, struct error *err) {
    if (!t->settings.images_path || t->plan->options.frozen ||
        t->plan->options.mode != PLAN_TRIAL || !all_known(t))
        return 0;
    cleanup(image_lock_deinit) struct image_lock lock =
        pin_keep(t->settings.images, t->plan->project);
    for (size_t i = 0; i < t->plan->image_count; i++) {
        const struct trial_image *image = trial_main_image(t, i);
        if (!image->locked.reference)
            return 0; /* by a runner before us, which has written it */
        struct locked_image copy = locked_image_copy(&image->locked);
        image_lock_set(&lock, &copy);
    }
    return image_lock_save(t->settings.images_path, &lock, err) < 0
               ? error_wrap(err, "%s is not written", IMAGE_LOCK_NAME)
               : 0;
}
