/* `seatrial images build`: the images of the project, side by side. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/images.h"
#include "runner/command/jobs.h"
#include "runner/run/build.h"

#include <pthread.h>
#include <stdlib.h>

/* Their output goes to one screen. */
struct screen {
    pthread_mutex_t lock;
    struct progress *progress;
};

struct image_build {
    const struct command_context *context;
    const struct images *images;
    const struct plan_image *image;
    struct registries *registries;
    struct screen *screen;
    struct build_made made;
};

static void say(void *arg, const char *text) {
    const struct image_build *b = arg;
    char shown[512];
    pthread_mutex_lock(&b->screen->lock);
    progress_note(b->screen->progress, "%s: %s", b->image->reference,
                  text_safe(text, shown, sizeof shown));
    pthread_mutex_unlock(&b->screen->lock);
}

static int build_one(void *subject, struct engine *engine, void *arg, struct error *err) {
    (void)arg;
    struct image_build *b = subject;
    struct task task = command_task();
    const char *left_out[] = {b->images->lock_path,
                              b->images->files.deployment->local.perf_test_root, NULL};
    struct build_wanted wanted = {.service = b->image->service,
                                  .reference = b->image->reference,
                                  .context = b->image->context,
                                  .left_out = left_out,
                                  .owner = b->context->owner,
                                  .registries = b->registries,
                                  .lock = b->images->lock,
                                  .say = say,
                                  .arg = b};
    if (build_image(engine, &wanted, &task, &b->made, err) < 0)
        return error_wrap(err, "image '%s', on this machine's engine", b->image->reference);
    cleanup_free char *summary = build_summary(&b->made);
    say(b, summary);
    return 0;
}

/* Those that were built are locked, whatever became of the others. */
static int finish(const struct command_context *context, const struct images *images,
                  struct image_build *builds, const struct job *jobs, size_t count) {
    struct error err = ERROR_NULL;
    struct locked_image *made = mem_new_array(struct locked_image, count + 1);
    size_t n = 0;
    int status = 0;
    for (size_t i = 0; i < count; i++) {
        if (jobs[i].fault) {
            int failed = command_fail(context, jobs[i].fault);
            status = status ? status : failed;
            continue;
        }
        printf("%s %s\n", builds[i].image->reference, builds[i].made.locked.id);
        made[n++] = builds[i].made.locked;
        builds[i].made = BUILD_MADE_NULL;
    }
    if (n > 0 && images_write_lock(context, images, made, n, &err) < 0)
        status = command_fail(context, &err);
    free(made);
    return status;
}

const struct argp images_build_argp = {
    NULL,
    images_parse,
    "[SERVICE...]",
    "Builds the images of the services that have a `build:`, side by side, on this machine's "
    "engine, and writes what became of them, and from what, to seatrial.lock beside the Compose "
    "file. Prints each image and its id.",
    NULL,
    NULL,
    NULL};

int images_build(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct images_arguments arguments = {.count = 0};
    command_parse(&images_build_argp, "images build", argc, argv, &arguments);
    cleanup(images_deinit) struct images images = IMAGES_NULL;
    if (images_open(context, &arguments, &images, &err) < 0)
        return command_fail(context, &err);
    cleanup(registries_deinit) struct registries registries;
    registries_init(&registries, images.files.deployment);
    struct screen screen = {.lock = PTHREAD_MUTEX_INITIALIZER, .progress = context->progress};
    struct image_build *builds = mem_new_array(struct image_build, images.plan->image_count);
    struct job *jobs = mem_new_array(struct job, images.plan->image_count);
    size_t count = 0;
    for (size_t i = 0; i < images.plan->image_count; i++) {
        if (!images.chosen[i] || !images.plan->images[i].build)
            continue;
        builds[count] = (struct image_build){.context = context,
                                             .images = &images,
                                             .image = &images.plan->images[i],
                                             .registries = &registries,
                                             .screen = &screen};
        jobs[count] = (struct job){.engine = &images.engine, .subject = &builds[count]};
        count++;
    }
    jobs_run(jobs, count, 0, build_one, NULL);
    int status = finish(context, &images, builds, jobs, count);
    for (size_t i = 0; i < count; i++)
        build_made_deinit(&builds[i].made);
    jobs_free(jobs, count);
    free(builds);
    return status;
}
