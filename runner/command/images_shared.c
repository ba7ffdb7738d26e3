/* What the commands of `seatrial images` share. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/images.h"
#include "runner/run/pin.h"

#include <stdlib.h>

error_t images_parse(int key, char *arg, struct argp_state *state) {
    struct images_arguments *a = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    if (a->count == IMAGES_SERVICES_MAX)
        argp_error(state, "more than %d services", IMAGES_SERVICES_MAX);
    a->services[a->count++] = arg;
    return 0;
}

static int choose(const struct images_arguments *a, struct images *images, struct error *err) {
    const struct plan *plan = images->plan;
    images->chosen = mem_new_array(bool, plan->image_count);
    for (size_t i = 0; i < plan->image_count; i++)
        images->chosen[i] = a->count == 0;
    for (size_t k = 0; k < a->count; k++) {
        const struct project_service *service =
            project_service(images->files.project, a->services[k]);
        if (!service)
            return error_set(err, ERROR_NOT_FOUND, "the project has no service '%s'",
                             a->services[k]);
        for (size_t i = 0; i < plan->image_count; i++)
            images->chosen[i] =
                images->chosen[i] || text_equal(plan->images[i].reference, service->image);
    }
    return 0;
}

int images_open(struct command_context *context, const struct images_arguments *arguments,
                struct images *ret, struct error *err) {
    cleanup(images_deinit) struct images images = IMAGES_NULL;
    struct plan_options options = {.run = "00000000", .no_load = true}; /* no loader is needed */
    if (command_read_files(context, &images.files, err) < 0 ||
        command_engine_options(context, &images.engine, err) < 0 ||
        command_read_lock(&images.files, &images.lock, &images.lock_path, err) < 0 ||
        command_testbed(context, &images.files, &images.testbed, err) < 0)
        return -1;
    options.addresses = images.testbed->addresses;
    if (plan_make(images.files.project, images.files.deployment, &options, &images.plan, err) < 0 ||
        choose(arguments, &images, err) < 0)
        return -1;
    *ret = images;
    images = IMAGES_NULL;
    return 0;
}

void images_deinit(struct images *images) {
    free(images->chosen);
    if (images->plan)
        plan_free(images->plan);
    if (images->testbed)
        testbed_close(images->testbed);
    command_files_deinit(&images->files);
    *images = IMAGES_NULL;
}

int images_write_lock(const struct command_context *context, const struct images *images,
                      struct locked_image *made, size_t count, struct error *err) {
    cleanup(image_lock_deinit) struct image_lock lock =
        pin_keep(images->lock, images->files.project);
    for (size_t i = 0; i < count; i++)
        image_lock_set(&lock, &made[i]);
    int r = image_lock_save(images->lock_path, &lock, err);
    if (r >= 0)
        progress_note(context->progress, "%s '%s'",
                      r == 1 ? "unchanged:" : "written:", images->lock_path);
    return r < 0 ? -1 : 0;
}
