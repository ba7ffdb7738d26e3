/*
 * Images through a registry: pushed by the builder's engine and looked for there, pulled by digest
 * by the engines of the hosts. What is pulled must be what was built.
 */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/run/host_image.h"
#include "runner/run/publish.h"

#include <stdlib.h>
#include <string.h>

static void say(void *arg, const char *text) {
    act_say(arg, "%s", text);
}

static void warn(void *arg, const char *text) {
    act_warn(arg, "%s", text);
}

static int open_there(const struct act *act, const char *reference, struct publish *ret,
                      struct error *err) {
    struct publish_options options = {.registries = &act->trial->registries,
                                      .engine = act->engine,
                                      .task = act_forward_task(act),
                                      .say = say,
                                      .warn = warn,
                                      .arg = (void *)(uintptr_t)act};
    return publish_open(&options, reference, ret, err);
}

/* ---- push ---- */

static void remember(const struct act *act, const struct publish *there, const char *digest) {
    struct trial_image *image = trial_image(act->trial, act->step->host, act->step->subject);
    free(image->pushed);
    image->pushed = publish_by_digest(there, digest);
    free(image->digest);
    image->digest = text_dup(image->pushed);
    if (image->locked.id) {
        free(image->locked.digest);
        image->locked.digest = text_dup(digest);
    }
}

static int open_step(const struct act *act, struct publish *there, struct engine_image *image,
                     struct error *err) {
    struct trial *t = act->trial;
    const struct trial_image *built = trial_image(t, act->step->host, act->step->subject);
    struct task task = act_forward_task(act);
    if (open_there(act, t->plan->images[act->step->subject].remote, there, err) < 0)
        return -1;
    int r = engine_image_inspect(act->engine, built->id, &task, image, err);
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "image %.19s is not there any more", built->id);
    return r;
}

int act_push_image(struct act *act, struct error *err) {
    cleanup(publish_deinit) struct publish there = PUBLISH_NULL;
    cleanup(engine_image_deinit) struct engine_image image = ENGINE_IMAGE_NULL;
    char digest[ENGINE_DIGEST_SIZE];
    if (open_step(act, &there, &image, err) < 0)
        return -1;
    int r = publish_push(&there, &image, digest, err);
    if (r < 0)
        return -1;
    remember(act, &there, digest);
    act_say(act, "%s %s", digest, r == 1 ? "is there already" : "was pushed");
    return 0;
}

int act_find_pushed(struct act *act, struct error *err) {
    cleanup(publish_deinit) struct publish there = PUBLISH_NULL;
    cleanup(engine_image_deinit) struct engine_image image = ENGINE_IMAGE_NULL;
    char digest[ENGINE_DIGEST_SIZE] = "";
    if (open_step(act, &there, &image, err) < 0)
        return -1;
    int r = publish_is_there(&there, &image, digest, err);
    if (r == 0)
        remember(act, &there, digest);
    if (r != 1)
        return r;
    const char *ours = publish_known_digest(&there, &image);
    if (digest[0] && ours)
        error_set(err, ERROR_CONFLICT, "'%s' is %s in the registry, and the image here is %s",
                  there.text, digest, ours);
    else
        error_set(err, ERROR_NOT_FOUND, "the image here (%.19s) was not pushed as '%s'", image.id,
                  there.text);
    return error_hint(err, "leave --no-push out");
}

/* ---- pull ---- */

int act_pull_image(struct act *act, struct error *err) {
    struct trial *t = act->trial;
    const char *pushed = trial_image(t, t->plan->builder, act->step->subject)->pushed;
    char digest[ENGINE_DIGEST_SIZE];
    cleanup(publish_deinit) struct publish there = PUBLISH_NULL;
    cleanup(engine_closep) struct engine *builder = NULL;
    cleanup(engine_image_deinit) struct engine_image wanted = ENGINE_IMAGE_NULL;
    if (!pushed)
        return error_set(err, ERROR_NOT_FOUND, "it is not known what was pushed");
    if (host_image_wanted(act, &builder, &wanted, err) < 0)
        return -1;
    int r = host_image_take(act, &wanted, pushed, err);
    if (r == 0)
        act_say(act, "%s", "has it already");
    if (r != 1)
        return r;
    if (open_there(act, pushed, &there, err) < 0 || publish_pull(&there, digest, err) < 0)
        return -1;
    r = host_image_take(act, &wanted, pushed, err);
    if (r == 1)
        return error_set(err, ERROR_FAILED, "what was pulled as '%s' is not image %.19s", pushed,
                         wanted.id);
    return r;
}

/* ---- images that nobody builds ---- */

/* What seatrial.lock says that it is; NULL: nothing, or nobody wants to obey it. */
static const char *locked_digest(const struct trial *t, const char *reference) {
    const struct image_lock *lock = t->plan->options.frozen ? t->settings.images : NULL;
    const struct locked_image *locked = lock ? image_lock_find(lock, reference) : NULL;
    return locked ? locked->digest : NULL;
}

/* The digest that its tag has now, once for all hosts. Without an answer: the tag, and a warning.
 */
static char *pin(const struct act *act, const char *reference) {
    cleanup(publish_deinit) struct publish there = PUBLISH_NULL;
    struct error err = ERROR_NULL;
    const char *locked = locked_digest(act->trial, reference);
    char digest[ENGINE_DIGEST_SIZE] = "";
    int r = open_there(act, reference, &there, &err);
    if (r == 0 && there.name.digest[0])
        return text_dup(there.text);
    if (r == 0 && locked)
        return publish_by_digest(&there, locked);
    if (r == 0)
        r = publish_find_tag(&there, digest, &err);
    if (r == 0)
        return publish_by_digest(&there, digest);
    act_warn(act, "image '%s' is pulled by its tag, not by digest: %s", reference,
             r < 0 ? err.text : "its registry does not know it");
    return text_dup(reference);
}

int act_pull_as_it_is(const struct act *act, const char *reference, struct error *err) {
    struct trial *t = act->trial;
    struct task task = act_forward_task(act);
    char digest[ENGINE_DIGEST_SIZE];
    cleanup(publish_deinit) struct publish there = PUBLISH_NULL;
    pthread_mutex_lock(&t->pins_lock);
    char **pinned = &t->pins[act->step->subject];
    if (!*pinned)
        *pinned = pin(act, reference);
    pthread_mutex_unlock(&t->pins_lock);
    if (open_there(act, *pinned, &there, err) < 0 || publish_pull(&there, digest, err) < 0)
        return -1;
    if (strchr(*pinned, '@') && !strchr(reference, '@'))
        return engine_image_tag(act->engine, *pinned, reference, &task, err);
    return 0;
}
