#pragma once

/*
 * Which part of a context a Dockerfile can reach: the paths of images/dockerfile.h, asked while a
 * folder is walked from the top down.
 *
 * Engines follow the symbolic links that a source of COPY leads through, and take what they lead
 * to. Where one of the paths meets a link, nothing is left out.
 *
 * Threads: may be shared once made.
 */

#include "lib/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

struct reach;

enum reached {
    REACHED_NOT,   /* nothing of it, nor below it */
    REACHED_ABOVE, /* a folder that may hold something */
    REACHED,       /* with all that is below it */
};

/* Copies the paths. All of the context: NULL. */
struct reach *reach_new(char *const *paths, size_t count);
void reach_free(struct reach *reach);
DEFINE_CLEANUP_FREE(reach);

/* `path` is relative to the root. Pure. */
enum reached reach_ask(const struct reach *reach, const char *path);

/* Whether one of the paths meets a symbolic link in the folder `root`, or is not to be looked
 * through. */
bool reach_meets_link(const struct reach *reach, const char *root);
