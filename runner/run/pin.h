#pragma once

/*
 * Between an engine's images and those that are locked (images/lock.h): what an engine has, in the
 * words of the lock.
 */

#include "compose/project.h"
#include "images/lock.h"
#include "runner/engine/image.h"

/* The RepoDigest by which a registry has it ("repository@sha256:..."); NULL: it never was in one.
 * That a runner has served it is none. Borrowed from the image. */
const char *pin_digest(const struct engine_image *found);

/* Gives what is to be locked of it. */
struct locked_image pin_of(const struct engine_image *found, const char *reference);

/* Copies what is locked (`old` NULL: nothing); images that are no service's any more do not stay.
 */
struct image_lock pin_keep(const struct image_lock *old, const struct project *project);

/* Whether it is the locked one; ERROR_CONFLICT naming both unless it is. */
bool pin_fits(const struct locked_image *locked, const struct engine_image *found);
int pin_check(const struct locked_image *locked, const struct engine_image *found,
              struct error *err);

/* 1: the engine has no image of that reference or id. */
int pin_look(struct engine *engine, const char *name, const char *reference,
             const struct task *task, struct locked_image *ret, struct error *err);
