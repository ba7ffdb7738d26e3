/* `seatrial images push` and `pull`: between this machine's engine and registries, side by side. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/images.h"
#include "runner/command/jobs.h"
#include "runner/plan/remote.h"
#include "runner/run/publish.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What all that is under way share. */
struct shared {
    const struct command_context *context;
    const struct images *images;
    struct registries registries;
    pthread_mutex_t screen;
};

struct moved {
    struct shared *shared;
    const struct plan_image *image;
    char *remote; /* its name in the registry */
    char *id;     /* of the image that was pushed */
    char *by_digest;
};

static void say(void *arg, const char *text) {
    const struct moved *m = arg;
    char shown[512];
    pthread_mutex_lock(&m->shared->screen);
    progress_note(m->shared->context->progress, "%s: %s", m->image->reference,
                  text_safe(text, shown, sizeof shown));
    pthread_mutex_unlock(&m->shared->screen);
}

static void warn(void *arg, const char *text) {
    const struct moved *m = arg;
    pthread_mutex_lock(&m->shared->screen);
    progress_warn(m->shared->context->progress, "%s: %s", m->image->reference, text);
    pthread_mutex_unlock(&m->shared->screen);
}

static struct publish_options options_of(struct moved *m, struct engine *engine) {
    return (struct publish_options){.registries = &m->shared->registries,
                                    .engine = engine,
                                    .task = command_task(),
                                    .say = say,
                                    .warn = warn,
                                    .arg = m};
}

/* ---- push ---- */

static int push(struct moved *m, struct engine *engine, struct error *err) {
    cleanup(publish_deinit) struct publish there = PUBLISH_NULL;
    cleanup(engine_image_deinit) struct engine_image image = ENGINE_IMAGE_NULL;
    char digest[ENGINE_DIGEST_SIZE];
    struct task task = command_task();
    struct publish_options options = options_of(m, engine);
    int r = engine_image_inspect(engine, m->image->reference, &task, &image, err);
    if (r == 1) {
        error_set(err, ERROR_NOT_FOUND, "this machine's engine has no such image");
        return error_hint(err, "build it: `seatrial images build`");
    }
    if (r < 0 || publish_open(&options, m->remote, &there, err) < 0)
        return -1;
    r = publish_push(&there, &image, digest, err);
    if (r < 0)
        return -1;
    say(m, r == 1 ? "is there already" : "was pushed");
    m->id = text_dup(image.id);
    m->by_digest = publish_by_digest(&there, digest);
    return 0;
}

static int push_one(void *subject, struct engine *engine, void *arg, struct error *err) {
    (void)arg;
    struct moved *m = subject;
    return push(m, engine, err) < 0 ? error_wrap(err, "push image '%s'", m->image->reference) : 0;
}

/* ---- pull ---- */

/* By the digest that is locked, else by its tag. */
static char *wanted_name(const struct moved *m, const struct publish *there) {
    const struct image_lock *lock = m->shared->images->lock;
    const struct locked_image *locked = lock ? image_lock_find(lock, m->image->reference) : NULL;
    return locked && locked->digest ? publish_by_digest(there, locked->digest)
                                    : text_dup(there->text);
}

static int pull(struct moved *m, struct engine *engine, struct error *err) {
    cleanup(publish_deinit) struct publish named = PUBLISH_NULL, there = PUBLISH_NULL;
    char digest[ENGINE_DIGEST_SIZE];
    struct task task = command_task();
    struct publish_options options = options_of(m, engine);
    if (publish_open(&options, m->remote, &named, err) < 0)
        return -1;
    cleanup_free char *name = wanted_name(m, &named);
    if (publish_open(&options, name, &there, err) < 0 || publish_pull(&there, digest, err) < 0)
        return -1;
    m->by_digest = publish_by_digest(&there, digest);
    if (strchr(m->image->reference, '@'))
        return 0;
    return engine_image_tag(engine, m->by_digest, m->image->reference, &task, err);
}

static int pull_one(void *subject, struct engine *engine, void *arg, struct error *err) {
    (void)arg;
    struct moved *m = subject;
    return pull(m, engine, err) < 0 ? error_wrap(err, "pull image '%s'", m->image->reference) : 0;
}

/* ---- both ---- */

/* Of those that were pushed as they are locked, the lock learns the registry's digest. */
static int lock_pushed(const struct command_context *context, const struct images *images,
                       const struct moved *all, size_t count, struct error *err) {
    struct locked_image *made = mem_new_array(struct locked_image, count + 1);
    size_t n = 0;
    for (size_t i = 0; images->lock && i < count; i++) {
        const struct locked_image *locked = image_lock_find(images->lock, all[i].image->reference);
        if (!locked || !all[i].id || !text_equal(locked->id, all[i].id))
            continue;
        made[n] = locked_image_copy(locked);
        free(made[n].digest);
        made[n++].digest = text_dup(strchr(all[i].by_digest, '@') + 1);
    }
    int r = n > 0 ? images_write_lock(context, images, made, n, err) : 0;
    for (size_t i = 0; i < n; i++)
        locked_image_deinit(&made[i]);
    free(made);
    return r;
}

static int finish(const struct command_context *context, const struct images *images,
                  const struct moved *all, const struct job *jobs, size_t count) {
    struct error err = ERROR_NULL;
    int status = 0;
    for (size_t i = 0; i < count; i++) {
        int failed = jobs[i].fault ? command_fail(context, jobs[i].fault) : 0;
        status = status ? status : failed;
        if (!failed)
            printf("%s %s\n", all[i].image->reference, all[i].by_digest);
    }
    if (lock_pushed(context, images, all, count, &err) < 0)
        status = command_fail(context, &err);
    return status;
}

/* What is built goes by its name in the deployment's registry; others have one of their own. */
static int name_of(const struct images *images, const struct plan_image *image, char **ret,
                   struct error *err) {
    if (!image->service->build) {
        *ret = text_dup(image->reference);
        return 0;
    }
    if (plan_remote_name(images->files.deployment, image->reference, ret, err) < 0)
        return -1;
    if (*ret)
        return 0;
    error_set(err, ERROR_CONFIG, "deployment.yaml names no registry");
    return error_hint(err,
                      "docker: {registry: docker.io, username: ..., access_token: {file: ...}}");
}

static int carry_images(struct command_context *context, const struct images_arguments *arguments,
                        bool pushes) {
    struct error err = ERROR_NULL;
    cleanup(images_deinit) struct images images = IMAGES_NULL;
    if (images_open(context, arguments, &images, &err) < 0)
        return command_fail(context, &err);
    struct shared shared = {
        .context = context, .images = &images, .screen = PTHREAD_MUTEX_INITIALIZER};
    registries_init(&shared.registries, images.files.deployment);
    struct moved *all = mem_new_array(struct moved, images.plan->image_count + 1);
    struct job *jobs = mem_new_array(struct job, images.plan->image_count + 1);
    size_t count = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < images.plan->image_count; i++) {
        const struct plan_image *image = &images.plan->images[i];
        if (!images.chosen[i] || (pushes && !image->service->build))
            continue;
        all[count] = (struct moved){.shared = &shared, .image = image};
        r = name_of(&images, image, &all[count].remote, &err);
        jobs[count] = (struct job){.engine = &images.engine, .subject = &all[count]};
        count++;
    }
    if (r == 0)
        jobs_run(jobs, count, 0, pushes ? push_one : pull_one, NULL);
    int status = r < 0 ? command_fail(context, &err) : finish(context, &images, all, jobs, count);
    for (size_t i = 0; i < count; i++) {
        free(all[i].remote);
        free(all[i].id);
        free(all[i].by_digest);
    }
    free(all);
    jobs_free(jobs, count);
    registries_deinit(&shared.registries);
    return status;
}

const struct argp images_push_argp = {
    NULL,
    images_parse,
    "[SERVICE...]",
    "Pushes the images of the services that have a `build:` from this machine's engine to the "
    "registry of deployment.yaml, side by side, unless they are there, and sees that they are "
    "there then. Prints each image and its digest there, which seatrial.lock learns too.",
    NULL,
    NULL,
    NULL};

int images_push(struct command_context *context, int argc, char **argv) {
    struct images_arguments arguments = {.count = 0};
    command_parse(&images_push_argp, "images push", argc, argv, &arguments);
    return carry_images(context, &arguments, true);
}

const struct argp images_pull_argp = {
    NULL,
    images_parse,
    "[SERVICE...]",
    "Pulls the images of the services onto this machine's engine, side by side: by the digest in "
    "seatrial.lock, else what their tag is now; those that have a `build:` from the registry of "
    "deployment.yaml. Prints each image and its digest.",
    NULL,
    NULL,
    NULL};

int images_pull(struct command_context *context, int argc, char **argv) {
    struct images_arguments arguments = {.count = 0};
    command_parse(&images_pull_argp, "images pull", argc, argv, &arguments);
    return carry_images(context, &arguments, false);
}
