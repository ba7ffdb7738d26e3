#pragma once

/*
 * Images into a registry and out of it, by an engine, with what an engine does not do: failures are
 * tried again while that is of use, pauses are as long as the registry wants them, and what was
 * pushed is looked for there. The steps PUSH_IMAGE and PULL_IMAGE and `seatrial images push` and
 * `pull` do it by this.
 *
 * Errors:  those of registry.h and of engine_image_push and _pull, with what to do; of these
 *          ERROR_UNREACHABLE is about the engine alone: a registry that is not reached is
 *          ERROR_FAILED.
 * Threads: a `struct publish` belongs to one; several may share `registries`.
 */

#include "images/reference.h"
#include "runner/engine/image.h"
#include "runner/run/registries.h"

struct publish_options {
    struct registries *registries; /* borrowed, as all of it */
    struct engine *engine;
    struct task task;
    /* What a person reads meanwhile; what is worth a warning. */
    void (*say)(void *arg, const char *text);
    void (*warn)(void *arg, const char *text);
    void *arg;
};

/* One image and its place in a registry. */
struct publish {
    struct publish_options options;
    struct reference name; /* with its tag, or digest */
    char text[REFERENCE_TEXT_SIZE];
    struct registry *registry;
    struct engine_registry_auth auth;
    struct instant said;
};
#define PUBLISH_NULL ((struct publish){.registry = NULL})

/* Nobody is asked anything yet. */
int publish_open(const struct publish_options *options, const char *reference, struct publish *ret,
                 struct error *err);
void publish_deinit(struct publish *p);

/* 0: its registry has it under its tag, with `ret_digest`; 1: it has not. */
int publish_find_tag(const struct publish *p, char ret_digest[ENGINE_DIGEST_SIZE],
                     struct error *err);

/* The digest by which the image has been in that registry before; NULL: never, as far as its engine
 * knows. Borrowed from the image. */
const char *publish_known_digest(const struct publish *p, const struct engine_image *image);
/* 0: the registry has just this image under the tag; 1: another one (`ret_digest`: which), or none.
 */
int publish_is_there(const struct publish *p, const struct engine_image *image,
                     char ret_digest[ENGINE_DIGEST_SIZE], struct error *err);

/* Pushes, unless it is there, and looks for it. The image gets the name by which it is pushed. 1:
 * it was there. */
int publish_push(struct publish *p, const struct engine_image *image,
                 char ret_digest[ENGINE_DIGEST_SIZE], struct error *err);

int publish_pull(struct publish *p, char ret_digest[ENGINE_DIGEST_SIZE], struct error *err);

/* "registry/team/app@sha256:...", malloc()ed. */
char *publish_by_digest(const struct publish *p, const char *digest);
