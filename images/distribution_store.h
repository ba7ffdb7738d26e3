#pragma once

/*
 * Layers and configurations that were saved from an engine, by digest, in a folder of this machine:
 * what is there need not be saved again. What lies under a digest was seen to have it when it was
 * put there, and gets its name only then.
 *
 * It is a cache: anything in it may be removed at any time, and what is in use is held open.
 *
 * Shape:   FOLDER/sha256/<64 digits>, FOLDER/names/<id> (what an engine calls a layer: its digest),
 *          FOLDER/part-* (being written).
 * Errors:  ERROR_IO naming the path; ERROR_LIMIT when the disk would be filled to its end.
 * Threads: several processes and threads at once; a writer belongs to one.
 */

#include "lib/crypto.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

/* What is kept when it is tidied: so much, and nothing that was not used for so long. */
#define DISTRIBUTION_BYTES_MAX (UINT64_C(16) << 30)
#define DISTRIBUTION_AGE_S_MAX (INT64_C(14) * 24 * 3600)
/* Left free on its disk: results are written there as well. */
#define DISTRIBUTION_FREE_BYTES_MIN (UINT64_C(512) << 20)

struct distribution_store {
    char *folder;
};
#define DISTRIBUTION_STORE_NULL ((struct distribution_store){.folder = NULL})

/* Makes the folders (0700). `named` NULL: "layers" of the user's cache (images/cache.h);
 * ERROR_CONFIG if there is none, or others can write there. */
int distribution_store_open(const char *named, struct distribution_store *ret, struct error *err);
void distribution_store_deinit(struct distribution_store *store);

/* A descriptor of it, and that it was used is noted; -1: it is not there. */
int distribution_store_find(const struct distribution_store *store, const char *digest,
                            uint64_t *ret_bytes);
void distribution_store_drop(const struct distribution_store *store, const char *digest);

/* What an engine calls a layer; "" while nobody knows. */
void distribution_store_name(const struct distribution_store *store, const char *id,
                             char ret_digest[DIGEST_TEXT_SIZE]);
void distribution_store_set_name(const struct distribution_store *store, const char *id,
                                 const char *digest);

struct distribution_writer {
    const struct distribution_store *store;
    char *path;
    int fd;
    struct sha256 hash;
    uint64_t bytes;
};
#define DISTRIBUTION_WRITER_NULL ((struct distribution_writer){.fd = -1, .hash = SHA256_NULL})

int distribution_writer_begin(const struct distribution_store *store, uint64_t bytes_expected,
                              struct distribution_writer *ret, struct error *err);
int distribution_writer_add(struct distribution_writer *w, const void *data, size_t size,
                            struct error *err);
/* Its digest, by which it can be found from now on. */
int distribution_writer_end(struct distribution_writer *w, char ret_digest[DIGEST_TEXT_SIZE],
                            struct error *err);
/* What was not ended is gone. */
void distribution_writer_deinit(struct distribution_writer *w);

/* Removes what is too old, then what was used least lately, until it is small enough, and what
 * writers that died left. Faults are nobody's business: it is tried again next time. */
void distribution_store_tidy(const struct distribution_store *store, uint64_t bytes_max,
                             int64_t age_s_max);
