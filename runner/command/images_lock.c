/* `seatrial images lock` and `seatrial images verify`: the engine's images and seatrial.lock. */

#include "images/context.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/images.h"
#include "runner/run/pin.h"

#include <stdlib.h>

static int open_all(struct command_context *context, const struct images_arguments *arguments,
                    struct images *ret, struct engine **ret_engine, struct error *err) {
    struct task task = command_task();
    cleanup(images_deinit) struct images images = IMAGES_NULL;
    if (images_open(context, arguments, &images, err) < 0 ||
        engine_open(&images.engine, &task, ret_engine, err) < 0)
        return -1;
    *ret = images;
    images = IMAGES_NULL;
    return 0;
}

/* ---- lock ---- */

static int look(const struct images *images, struct engine *engine, struct locked_image *ret,
                size_t *ret_count, struct error *err) {
    struct task task = command_task();
    for (size_t i = 0; i < images->plan->image_count; i++) {
        const char *reference = images->plan->images[i].reference;
        if (!images->chosen[i])
            continue;
        int r = pin_look(engine, reference, reference, &task, &ret[*ret_count], err);
        if (r < 0)
            return -1;
        if (r == 1) {
            error_set(err, ERROR_NOT_FOUND, "there is no image '%s' on this machine's engine",
                      reference);
            return error_hint(err, "`seatrial images build` builds those with a `build:`; the "
                                   "others have to be pulled before");
        }
        struct locked_image *now = &ret[(*ret_count)++];
        const struct locked_image *old =
            images->lock ? image_lock_find(images->lock, reference) : NULL;
        bool moved = old && !text_equal(old->id, now->id);
        printf("%s %s%s%s\n", reference, now->id, moved ? ", was " : "", moved ? old->id : "");
        if (old && !moved)
            locked_image_copy_build(now, old);
    }
    return 0;
}

const struct argp images_lock_argp = {
    NULL,
    images_parse,
    "[SERVICE...]",
    "Writes the images that this machine's engine has now under the names of the Compose file to "
    "seatrial.lock, builds nothing, and prints them. Where one was locked as another before, it "
    "says as which.",
    NULL,
    NULL,
    NULL};

int images_lock(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct images_arguments arguments = {.count = 0};
    command_parse(&images_lock_argp, "images lock", argc, argv, &arguments);
    cleanup(images_deinit) struct images images = IMAGES_NULL;
    cleanup(engine_closep) struct engine *engine = NULL;
    if (open_all(context, &arguments, &images, &engine, &err) < 0)
        return command_fail(context, &err);
    struct locked_image *made = mem_new_array(struct locked_image, images.plan->image_count + 1);
    size_t count = 0;
    int r = look(&images, engine, made, &count, &err);
    if (r == 0)
        r = images_write_lock(context, &images, made, count, &err);
    for (size_t i = 0; i < count; i++)
        locked_image_deinit(&made[i]);
    free(made);
    return r < 0 ? command_fail(context, &err) : 0;
}

/* ---- verify ---- */

struct verify {
    const struct command_context *context;
    const struct images *images;
    struct engine *engine;
    int status; /* of the first that failed */
};

static void failed(struct verify *v, const struct error *err) {
    int status = command_fail(v->context, err);
    v->status = v->status ? v->status : status;
}

/* Its name must lead to the locked image. */
static int verify_image(const struct verify *v, const struct locked_image *locked,
                        struct error *err) {
    struct task task = command_task();
    cleanup(engine_image_deinit) struct engine_image found = ENGINE_IMAGE_NULL;
    int r = engine_image_inspect(v->engine, locked->reference, &task, &found, err);
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND,
                         "there is no image '%s' on this machine's engine; %s has %s",
                         locked->reference, IMAGE_LOCK_NAME, locked->id);
    return r < 0 ? -1 : pin_check(locked, &found, err);
}

/* One that is not there has not moved. */
static int verify_base(const struct verify *v, const struct locked_base *base, struct error *err) {
    struct task task = command_task();
    cleanup(engine_image_deinit) struct engine_image found = ENGINE_IMAGE_NULL;
    int r = engine_image_inspect(v->engine, base->reference, &task, &found, err);
    if (r == 1 || (r == 0 && !base->id))
        return 0;
    struct locked_image locked = {
        .reference = base->reference, .id = base->id, .digest = base->digest};
    return r < 0 ? -1 : pin_check(&locked, &found, err);
}

static void verify_bases(struct verify *v, const struct locked_image *locked) {
    for (size_t i = 0; locked->build && i < locked->build->base_count; i++) {
        struct error err = ERROR_NULL;
        if (verify_base(v, &locked->build->bases[i], &err) < 0) {
            error_wrap(&err, "base of '%s'", locked->reference);
            failed(v, &err);
        }
    }
}

static void verify_one(struct verify *v, const struct plan_image *image) {
    struct error err = ERROR_NULL;
    const struct locked_image *locked = image_lock_find(v->images->lock, image->reference);
    if (!locked) {
        error_set(&err, ERROR_CONFLICT, "%s has no image '%s'", IMAGE_LOCK_NAME, image->reference);
        failed(v, &err);
        return;
    }
    int before = v->status;
    v->status = 0;
    if (verify_image(v, locked, &err) < 0)
        failed(v, &err);
    verify_bases(v, locked);
    if (v->status == 0)
        printf("%s %s good\n", locked->reference, locked->id);
    v->status = before ? before : v->status;
}

const struct argp images_verify_argp = {
    NULL,
    images_parse,
    "[SERVICE...]",
    "Compares what this machine's engine has under the names of the Compose file, and of the "
    "images that these were built from, with seatrial.lock. An image that is missing, or is "
    "another one, is an error that names both digests. Changes nothing.",
    NULL,
    NULL,
    NULL};

int images_verify(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct images_arguments arguments = {.count = 0};
    command_parse(&images_verify_argp, "images verify", argc, argv, &arguments);
    cleanup(images_deinit) struct images images = IMAGES_NULL;
    cleanup(engine_closep) struct engine *engine = NULL;
    if (open_all(context, &arguments, &images, &engine, &err) < 0)
        return command_fail(context, &err);
    if (!images.lock) {
        error_set(&err, ERROR_NOT_FOUND, "there is no '%s'", images.lock_path);
        error_hint(&err, "`seatrial images build` or `seatrial images lock` writes it");
        return command_fail(context, &err);
    }
    struct verify v = {.context = context, .images = &images, .engine = engine};
    for (size_t i = 0; i < images.plan->image_count; i++)
        if (images.chosen[i])
            verify_one(&v, &images.plan->images[i]);
    return v.status;
}
