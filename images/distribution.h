#pragma once

/*
 * A registry that exists for a few minutes: read-only, for what was saved from one engine, so that
 * others pull it by digest with their own parallel code, and only what they lack. It listens where
 * it is told to, and serves the images that were offered, nothing else.
 *
 * Manifests are made here, of the configuration as it was saved and of layers as they are: not
 * compressed. The same image gives the same digest.
 *
 * Threads: all functions from any.
 * Source:  distribution/spec/api.md, "Pulling an Image".
 */

#include "images/distribution_intake.h"
#include "images/distribution_store.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdbool.h>

enum {
    DISTRIBUTION_OFFERS_MAX = 1024,
    DISTRIBUTION_CONNECTIONS_MAX = 4096, /* an engine makes three for layers, of each host */
    DISTRIBUTION_TIMEOUT_S = 600,        /* an engine unpacks before it reads on */
};

/* By which engines ask for them; whatever stands there is of no meaning. */
#define DISTRIBUTION_NAME "seatrial/image"

/* Of a RepoDigest ("127.0.0.1:4711/seatrial/image@sha256:..."): an engine pulled it from one. */
bool distribution_is_name(const char *text);

struct distribution;

/* Takes the socket, which listens. Borrows the store. */
int distribution_open(int listen_fd, const struct distribution_store *store,
                      struct distribution **ret, struct error *err);
void distribution_close(struct distribution *d);
static inline void distribution_closep(struct distribution **d) {
    if (*d)
        distribution_close(*d);
}

/* From now on it is served, and held open. 1: something of it is not in the store. */
int distribution_offer(struct distribution *d, const struct distribution_wanted *image,
                       char ret_digest[DIGEST_TEXT_SIZE], struct error *err);
