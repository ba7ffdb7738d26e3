#pragma once

/*
 * Builds an image of the project: sends its context to an engine, and says what was built from
 * what, in the words of seatrial.lock. The step BUILD_IMAGE and `seatrial images build` do it by
 * this.
 *
 * Sent is only what the Dockerfile can reach, and nothing at all where the lock says that an image
 * was built from just that, and the engine still has it (decision 0026). Base images that the
 * engine lacks are pulled before.
 *
 * Threads: those of `wanted` are called on the caller's thread.
 */

#include "images/context.h"
#include "images/lock.h"
#include "runner/engine/image.h"
#include "runner/run/registries.h"

#include <stdio.h>

struct project_service;

struct build_wanted {
    const struct project_service *service; /* has a build */
    const char *reference;
    const char *context;           /* folder */
    const char *const *left_out;   /* paths that are never sent; NULL: none */
    const char *owner;             /* label of the image: whose it is */
    struct registries *registries; /* who we are where base images are pulled */
    const struct image_lock *lock; /* what was built before; NULL: nothing is known */
    FILE *log;                     /* gets the whole output; NULL: nobody does */
    /* A line of output, harmless or not. */
    void (*say)(void *arg, const char *text);
    void *arg;
};

struct build_made {
    struct locked_image locked;    /* its id is that of the image */
    struct context_result context; /* what was sent, or would be; of that no digest is known */
    bool sent;                     /* false: it was built already, and nothing was sent */
    bool unchanged;                /* the image is the one that had its name before */
};
#define BUILD_MADE_NULL ((struct build_made){.locked = {.reference = NULL}})

/* A build that fails is ERROR_FAILED with the end of its output. */
int build_image(struct engine *engine, const struct build_wanted *wanted, const struct task *task,
                struct build_made *ret, struct error *err);
/* What would be sent, as far as it can be told without asking the engine; nothing is. */
int build_look(const struct build_wanted *wanted, struct context_result *ret, struct error *err);
void build_made_deinit(struct build_made *made);
/* In one line, for people. malloc()ed. */
char *build_summary(const struct build_made *made);
