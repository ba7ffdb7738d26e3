#include "runner/run/host_image.h"

#include "images/distribution.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/run/pin.h"

#include <stdio.h>
#include <stdlib.h>

#define SAY_EVERY_NS (500 * NS_PER_MS)

static const struct json *layers(const struct engine_image *image) {
    return json_find(image->json, "RootFS.Layers");
}

bool host_image_same(const struct engine_image *a, const struct engine_image *b) {
    return text_equal(a->id, b->id) ||
           (json_count(layers(a)) > 0 && json_same(layers(a), layers(b)));
}

static void remember(const struct act *act, const struct engine_image *found) {
    struct trial_image *image = trial_image(act->trial, act->step->host, act->step->subject);
    snprintf(image->id, sizeof image->id, "%s", found->id);
    free(image->digest);
    image->digest = text_dup(pin_digest(found));
}

/* By which it was pulled through a tunnel, now or by a step that was cut off: its port is of no
 * meaning any more. The image has the plan's name. */
static int drop_names(const struct act *act, const struct engine_image *found, struct error *err) {
    struct task task = act_forward_task(act);
    for (size_t i = 0; i < json_count(found->digests); i++) {
        const char *name = json_text_or_null(json_at(found->digests, i));
        if (name && distribution_is_name(name) &&
            engine_image_remove(act->engine, name, false, &task, err) < 0)
            return -1;
    }
    return 0;
}

int host_image_take(const struct act *act, const struct engine_image *wanted, const char *name,
                    struct error *err) {
    const char *reference = act->trial->plan->images[act->step->subject].reference;
    struct task task = act_forward_task(act);
    cleanup(engine_image_deinit) struct engine_image found = ENGINE_IMAGE_NULL;
    int r = engine_image_inspect(act->engine, name, &task, &found, err);
    if (r != 0)
        return r;
    if (!host_image_same(wanted, &found))
        return 1;
    if (!text_equal(name, reference) &&
        engine_image_tag(act->engine, found.id, reference, &task, err) < 0)
        return -1;
    remember(act, &found);
    return drop_names(act, &found, err);
}

int host_image_look(const struct act *act, const struct engine_image *wanted, struct error *err) {
    const char *reference = act->trial->plan->images[act->step->subject].reference;
    int r = host_image_take(act, wanted, reference, err);
    return r == 1 ? host_image_take(act, wanted, wanted->id, err) : r;
}

int host_image_on_transfer(void *progress, const struct engine_transfer_event *event,
                           struct error *err) {
    (void)err;
    struct host_image_progress *p = progress;
    struct instant now = clock_instant();
    if (event->total == 0 || instant_ns_between(p->said, now) < SAY_EVERY_NS)
        return 0;
    p->said = now;
    act_say(p->act, "%s %s %.1f of %.1f MB", event->status, event->id, (double)event->done / 1e6,
            (double)event->total / 1e6);
    return 0;
}

int host_image_not_ours(struct error *err) {
    if (err->kind == ERROR_UNREACHABLE)
        err->kind = ERROR_FAILED;
    return error_wrap(err, "the engine that has the image");
}

int host_image_wanted(const struct act *act, struct engine **ret_builder, struct engine_image *ret,
                      struct error *err) {
    struct trial *t = act->trial;
    struct task task = act_forward_task(act);
    const struct trial_image *built = trial_image(t, t->plan->builder, act->step->subject);
    cleanup(engine_closep) struct engine *builder = NULL;
    if (testbed_engine(t->testbed, t->plan->builder, &task, &builder, err) < 0)
        return host_image_not_ours(err);
    int r = engine_image_inspect(builder, built->id, &task, ret, err);
    if (r < 0)
        return host_image_not_ours(err);
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "image %.19s is not on host '%s' any more",
                         built->id, t->plan->hosts[t->plan->builder].name);
    *ret_builder = take_ptr(builder);
    return 0;
}
