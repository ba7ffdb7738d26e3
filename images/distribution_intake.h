#pragma once

/*
 * Takes what an engine saves of an image (GET /images/NAME/get) as it comes, and keeps the layers
 * and the configuration that are wanted and not there yet: nothing is written that is known
 * already. Both forms of the tar are understood: one folder per layer (Docker before 25) and OCI's
 * blobs. Hostile: bounded, and nothing of it becomes a path.
 *
 * Source: moby, image/tarexport/save.go; OCI image layout 1.0; POSIX pax, "ustar Interchange
 * Format".
 */

#include "images/distribution_store.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/stream.h"

#include <stddef.h>

struct distribution_wanted {
    const char *config;        /* "sha256:..." of the configuration */
    const char *const *layers; /* of the uncompressed layers, from the base up */
    size_t layer_count;
};

struct distribution_intake;

/* Borrows both. */
struct distribution_intake *distribution_intake_new(const struct distribution_store *store,
                                                    const struct distribution_wanted *wanted);
void distribution_intake_free(struct distribution_intake *intake);
DEFINE_CLEANUP_FREE(distribution_intake);

/* A digest that is wanted and not there; NULL: all are, and nothing has to be saved. */
const char *distribution_intake_missing(const struct distribution_intake *intake);

/*
 * Stops (1) once nothing is missing any more. Errors: ERROR_INVALID (no tar, or a content that is
 * not what its name says), ERROR_IO, ERROR_LIMIT.
 */
struct sink distribution_intake_sink(struct distribution_intake *intake);
/* Bytes that came, and bytes that were kept. */
void distribution_intake_count(const struct distribution_intake *intake, uint64_t *ret_came,
                               uint64_t *ret_kept);
