#pragma once

/*
 * `seatrial.lock`: every image of a project by digest, and what it was built from. `run` writes it,
 * `run --frozen` obeys it, and people commit it beside their Compose file; so it is JSON with
 * sorted keys, one value a line, and the same images make the same bytes.
 *
 *     {
 *       "images": {
 *         "shop-replica:latest": {
 *           "build": {
 *             "args": {"MODE": "fast"},
 *             "bases": {"debian:bookworm-slim": {"digest": "sha256:...", "id": "sha256:..."}},
 *             "commit": "4f1c...", "dirty": false,
 *             "context": "sha256:...", "dockerfile": "Dockerfile", "dockerfile_digest":
 * "sha256:...", "key": "sha256:..."
 *           },
 *           "content": "sha256:...",
 *           "digest": null,
 *           "id": "sha256:..."
 *         }
 *       },
 *       "version": 1
 *     }
 *
 * An image is known by three names, for no single one serves: `id` is what the engine that built or
 * found it calls it, which another kind of engine may not; `digest` is what a registry calls it,
 * null where it never was in one; `content` is computed here of its layers and of what its
 * configuration says, and is the same everywhere, but for an image that was built anew.
 *
 * Pure but for load and save.
 *
 * Owns:   all texts, malloc()ed.
 * Errors: ERROR_CONFIG for a file that is not such a lock; ERROR_CONFLICT for drift.
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/json.h"

#include <stdbool.h>
#include <stddef.h>

#define IMAGE_LOCK_NAME "seatrial.lock"

enum {
    IMAGE_LOCK_BYTES_MAX = 4 << 20, /* people commit it */
    IMAGE_LOCK_IMAGES_MAX = 1024,   /* more than a project has services */
    IMAGE_LOCK_BASES_MAX = 256,
};

struct locked_base {
    char *reference; /* as the Dockerfile says it, its variables filled in */
    char *id;        /* NULL: not known */
    char *digest;    /* NULL: it never was in a registry */
};

struct locked_arg {
    char *name;
    char *value; /* NULL: the Dockerfile's default; "<redacted>": not for this file */
};

struct locked_build {
    char *key;     /* equal for what would be built from the same; NULL: no such promise */
    char *context; /* digest of what was sent */
    char *dockerfile, *dockerfile_digest;
    char *commit; /* of the context's repository; NULL: in none */
    bool dirty;   /* ... where something was not committed */
    struct locked_arg *args;
    size_t arg_count, arg_capacity;
    struct locked_base *bases;
    size_t base_count, base_capacity;
};

struct locked_image {
    char *reference; /* "repository:tag" */
    char *id, *content;
    char *digest;               /* NULL: it never was in a registry */
    struct locked_build *build; /* NULL: not ours */
};

struct image_lock {
    struct locked_image *images; /* sorted by reference */
    size_t count, capacity;
};
#define IMAGE_LOCK_NULL ((struct image_lock){.images = NULL})

int image_lock_parse(const char *text, size_t size, struct image_lock *ret, struct error *err);
void image_lock_write(const struct image_lock *lock, struct buffer *out);
void image_lock_deinit(struct image_lock *lock);

/* 1: there is no such file. */
int image_lock_load(const char *path, struct image_lock *ret, struct error *err);
/* 1: the file says the same already, and was left as it is. */
int image_lock_save(const char *path, const struct image_lock *lock, struct error *err);

/* NULL: it is not locked. */
const struct locked_image *image_lock_find(const struct image_lock *lock, const char *reference);
/* Takes what `image` points to, in the place of what was locked for its reference. */
void image_lock_set(struct image_lock *lock, struct locked_image *image);
void locked_image_deinit(struct locked_image *image);
void locked_build_free(struct locked_build *build);
DEFINE_CLEANUP_FREE(locked_build);
struct locked_image locked_image_copy(const struct locked_image *image);
/* It was built from what `from`, which is the same image, was built from, as far as that is known.
 */
void locked_image_copy_build(struct locked_image *image, const struct locked_image *from);
/* What stands for it in the file, its reference apart; gives. */
struct json *locked_image_json(const struct locked_image *image);
int locked_image_read(const char *reference, const struct json *object, struct locked_image *ret,
                      struct error *err);

/* Takes nothing, copies all. A value whose name says that it is a secret is redacted: returns
 * whether it was. */
bool locked_build_add_arg(struct locked_build *build, const char *name, const char *value);
void locked_build_add_base(struct locked_build *build, const char *reference, const char *id,
                           const char *digest);

/* What an engine has under a reference. */
struct image_seen {
    const char *id;
    const char *content;        /* NULL: not known */
    const char *const *digests; /* of registries, NULL-terminated; NULL: none */
};

/* Whether it is the locked image: by id, by a registry's digest, or by content. */
bool locked_image_is(const struct locked_image *locked, const struct image_seen *seen);
/* ERROR_CONFLICT, which names the reference and both digests, unless it is. */
int locked_image_check(const struct locked_image *locked, const struct image_seen *seen,
                       struct error *err);
