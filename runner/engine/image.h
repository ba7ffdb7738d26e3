#pragma once

/*
 * Images of an engine: build, inspect, tag, remove, list.
 *
 * A build streams its context (a tar of unknown size) up while its output comes down as events: by
 * the classic builder, which refuses `RUN --mount` and here-documents, or by BuildKit, without a
 * session of its own. A step that fails is ERROR_FAILED with the engine's text; what the step
 * printed has come as events.
 */

#include "lib/stream.h"
#include "runner/engine/engine.h"

struct engine_build_event {
    enum engine_build_event_kind {
        ENGINE_BUILD_TEXT,   /* `text`: output of the build, any number of lines or parts of one */
        ENGINE_BUILD_STATUS, /* `text`, `id` and `progress`: a pull or other transfer */
        ENGINE_BUILD_IMAGE,  /* `id`: an image exists now; the last one is the result */
        ENGINE_BUILD_ERROR,  /* `text`: the build failed; also the error of the call */
    } kind;
    const char *text; /* "" where it does not apply; the engine's bytes, not made harmless */
    const char *id;
    const char *progress;
};

struct engine_build {
    const char *const *tags;        /* NULL-terminated "name:tag"; NULL: none */
    const char *dockerfile;         /* path in the context; NULL: Dockerfile */
    const char *target;             /* NULL: the last stage */
    const struct engine_pair *args; /* value NULL: not given, Dockerfile's default */
    const struct engine_pair *labels;
    const char *network_mode;      /* NULL: the engine's default */
    const char *platform;          /* "linux/arm64"; NULL: the engine's own */
    const char *const *cache_from; /* images, NULL-terminated; NULL: none */
    bool buildkit;                 /* by BuildKit, which the engine must have */
    bool no_cache;
    bool pull;
    struct source context; /* an uncompressed tar */
    /* NULL, or called for every event; a negative return ends the build with that error. */
    int (*on_event)(void *arg, const struct engine_build_event *event, struct error *err);
    void *arg;
};

enum { ENGINE_IMAGE_ID_SIZE = 72 }; /* "sha256:" and 64 digits and a NUL */

/* Whether it can build with BuildKit: Docker's engines on Linux can, Podman's service cannot. */
int engine_has_buildkit(struct engine *engine, const struct task *task, bool *ret,
                        struct error *err);

int engine_image_build(struct engine *engine, const struct engine_build *build,
                       const struct task *task, char ret_id[ENGINE_IMAGE_ID_SIZE],
                       struct error *err);

struct engine_image {
    struct json *json;
    const char *id;
    const struct json *tags;    /* array of strings; or NULL */
    const struct json *digests; /* RepoDigests: array of strings; or NULL */
    const struct json *labels;  /* object; or NULL */
    const char *architecture;
    const char *os;
    const char *created;
    const char *user;               /* Config.User */
    const char *working_dir;        /* Config.WorkingDir; "" is "/" */
    const char *stop_signal;        /* "" when the image sets none */
    const struct json *healthcheck; /* Config.Healthcheck: object; or NULL */
    int64_t size_bytes;
};
#define ENGINE_IMAGE_NULL ((struct engine_image){.json = NULL})

/* By reference or id. Returns 1, and nothing else, when there is no such image. */
int engine_image_inspect(struct engine *engine, const char *reference, const struct task *task,
                         struct engine_image *ret, struct error *err);
void engine_image_deinit(struct engine_image *image);

/* A digest of its layers and of what its configuration tells a container: the same on every engine
 * that has the image, whatever id it has there. Pure. */
void engine_image_content(const struct engine_image *image, char ret[ENGINE_IMAGE_ID_SIZE]);

/* `name` is "repository:tag" or "repository" (then "latest"). */
int engine_image_tag(struct engine *engine, const char *reference, const char *name,
                     const struct task *task, struct error *err);

/* Returns 1 when there is no such image. ERROR_CONFLICT when a container uses it. */
int engine_image_remove(struct engine *engine, const char *reference, bool force,
                        const struct task *task, struct error *err);

struct engine_image_entry {
    const char *id;
    const struct json *tags, *digests; /* arrays of strings; or NULL */
    const struct json *labels;
    int64_t created_s;
    int64_t size_bytes;
};
struct engine_image_list {
    struct json *json;
    struct engine_image_entry *entries;
    size_t count;
};
#define ENGINE_IMAGE_LIST_NULL ((struct engine_image_list){.json = NULL})

/* Images that carry all of these labels (a NULL value: whatever its value). NULL: all. */
int engine_image_list(struct engine *engine, const struct engine_pair *labels,
                      const struct task *task, struct engine_image_list *ret, struct error *err);
void engine_image_list_deinit(struct engine_image_list *list);
