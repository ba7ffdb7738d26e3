#pragma once

/*
 * Images on the move: pulled from a registry, saved as a tar that another engine loads. Nothing is
 * kept on the way.
 *
 * Progress comes as events. A transfer that fails after it has begun is ERROR_FAILED with the
 * engine's text, as with builds. All are limited by silence (`build_idle_ns`), not by total time:
 * an engine may unpack a large layer without a word.
 */

#include "lib/stream.h"
#include "runner/engine/engine.h"

struct engine_transfer_event {
    const char *status;   /* "Downloading", "Loading layer", "Pull complete", ...; "" if none */
    const char *id;       /* of the layer; "" */
    const char *text;     /* a line of its own: "Loaded image: x:1"; "" */
    uint64_t done, total; /* bytes of the layer; 0: not known */
};

struct engine_transfer {
    /* NULL, or called for every event; a negative return ends the transfer with that error. */
    int (*on_event)(void *arg, const struct engine_transfer_event *event, struct error *err);
    void *arg;
};

/* The images, with their tags, as one tar. `references` NULL-terminated, at least one.
 * Returns 1 when the sink stopped it; ERROR_NOT_FOUND when the engine has not all of them. */
int engine_image_save(struct engine *engine, const char *const *references, const struct sink *sink,
                      const struct task *task, struct error *err);

/* What a load brought. */
struct engine_loaded {
    char **references; /* "name:tag", or "sha256:..." of an image without a name; NULL-terminated */
    size_t count;
};
#define ENGINE_LOADED_NULL ((struct engine_loaded){.references = NULL})
enum { ENGINE_LOADED_MAX = 1024 }; /* images in one tar */

int engine_image_load(struct engine *engine, const struct source *tar,
                      const struct engine_transfer *transfer, const struct task *task,
                      struct engine_loaded *ret, struct error *err);
void engine_loaded_deinit(struct engine_loaded *loaded);

/* Makes an image "repository:tag" of one layer, the root that is in the tar. `changes`: lines as in
 * a Dockerfile (`LABEL a="b"`), NULL-terminated; or NULL. */
int engine_image_import(struct engine *engine, const char *name, const char *const *changes,
                        const struct source *tar, const struct task *task, struct error *err);

/* How we are known to a registry. */
struct engine_registry_auth {
    const char *username, *password;
    const char *identity_token; /* instead of both */
    const char *server;         /* "registry:5000"; or NULL */
};

enum { ENGINE_DIGEST_SIZE = 72 };

/* `reference` is "repository:tag"; `auth` and `ret_digest` as below. Layers go side by side, and
 * those that the registry has are not sent. */
int engine_image_push(struct engine *engine, const char *reference,
                      const struct engine_registry_auth *auth,
                      const struct engine_transfer *transfer, const struct task *task,
                      char ret_digest[ENGINE_DIGEST_SIZE], struct error *err);

/*
 * `reference` is "repository:tag", "repository@sha256:..." or "repository" (then "latest"). `auth`
 * NULL: anonymous. `ret_digest`: of the manifest, "sha256:..."; one other than the one asked for is
 * ERROR_INVALID. ERROR_NOT_FOUND, ERROR_REFUSED as the registry says.
 */
int engine_image_pull(struct engine *engine, const char *reference,
                      const struct engine_registry_auth *auth,
                      const struct engine_transfer *transfer, const struct task *task,
                      char ret_digest[ENGINE_DIGEST_SIZE], struct error *err);
