#pragma once

/*
 * The commands of `seatrial images`: each a file images_NAME.c that defines `images_NAME_argp` and
 * `images_NAME`, and a line in the table. Help, docs/COMMANDS.md and the completion come from it.
 */

#include "runner/command/command.h"

#define IMAGES_COMMANDS(X)                                                                         \
    X(build, "build the project's images on this machine's engine, and lock them")                 \
    X(lock, "lock the images that this machine's engine has now")                                  \
    X(verify, "compare the images and their bases with what is locked")                            \
    X(push, "push what is built to the registry")                                                  \
    X(pull, "pull the images onto this machine's engine, as they are locked")                      \
    X(prune, "remove old images of ours from the hosts")

#define X(name, summary)                                                                           \
    extern const struct argp images_##name##_argp;                                                 \
    int images_##name(struct command_context *context, int argc, char **argv);
IMAGES_COMMANDS(X)
#undef X

/* ---- what they share (images_shared.c) ---- */

struct images {
    struct command_files files;
    struct testbed *testbed;
    struct plan *plan;             /* whose images they are */
    const struct image_lock *lock; /* NULL: there is none */
    const char *lock_path;
    bool *chosen; /* by image: all, or those of the services that were named */
    struct engine_options engine;
};
#define IMAGES_NULL ((struct images){.plan = NULL})

enum { IMAGES_SERVICES_MAX = 256 };
struct images_arguments {
    const char *services[IMAGES_SERVICES_MAX];
    size_t count;
};
/* Shape of an argp parser: its input is struct images_arguments. */
error_t images_parse(int key, char *arg, struct argp_state *state);

/* Reads all files. ERROR_NOT_FOUND for a service that the project has not. */
int images_open(struct command_context *context, const struct images_arguments *arguments,
                struct images *ret, struct error *err);
void images_deinit(struct images *images);

/* Writes the lock with these in the place of what it said of them; takes what they point to. Images
 * that are no service's any more are dropped. Says what has become of it. */
int images_write_lock(const struct command_context *context, const struct images *images,
                      struct locked_image *made, size_t count, struct error *err);

extern const struct command images_commands[];
extern const size_t images_command_count;
