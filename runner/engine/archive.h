#pragma once

/*
 * Files into and out of containers, running or not, as tars. Limited by silence (the call timeout),
 * not by total time.
 */

#include "lib/buffer.h"
#include "lib/stream.h"
#include "runner/engine/engine.h"

/*
 * Sends the tar of `path` (a file, or a folder with all in it; the entries begin with the last part
 * of `path`) to the sink. Returns 1 when container or path do not exist, 2 when the sink stopped
 * it.
 */
int engine_archive_get(struct engine *engine, const char *container, const char *path,
                       const struct sink *sink, const struct task *task, struct error *err);

/* Unpacks the tar below the folder `path`, which must exist (ERROR_NOT_FOUND). A file does not
 * replace a folder, nor a folder a file. */
int engine_archive_put(struct engine *engine, const char *container, const char *path,
                       const struct source *tar, const struct task *task, struct error *err);
int engine_archive_put_memory(struct engine *engine, const char *container, const char *path,
                              const void *tar, size_t size, const struct task *task,
                              struct error *err);

struct engine_path {
    bool directory;
    bool symlink; /* the path itself; what it points to is `target` */
    uint64_t size_bytes;
    unsigned mode;        /* permission bits */
    struct buffer target; /* as written in the link, or resolved by the engine; "" */
};
#define ENGINE_PATH_NULL ((struct engine_path){.target = BUFFER_NULL})

/* What is at `path`. Returns 1 when container or path do not exist. */
int engine_archive_stat(struct engine *engine, const char *container, const char *path,
                        const struct task *task, struct engine_path *ret, struct error *err);
void engine_path_deinit(struct engine_path *path);
