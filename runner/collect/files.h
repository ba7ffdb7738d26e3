#pragma once

/*
 * Files of a container, brought home: archives from containers are hostile and are unpacked by
 * lib/archive.h, which lets nothing escape from the folder. They are unpacked beside their place
 * and moved into it when all is there. A transfer that broke is done again, and goes on where it
 * was, also by another process (decision 0018).
 */

#include "lib/archive.h"
#include "lib/error.h"
#include "runner/collect/from_container.h"

#include <stdbool.h>

enum files_as {
    FILES_NAMED,    /* `/var/cores` becomes `folder/cores/...`, a file `folder/<its name>` */
    FILES_CONTENTS, /* what is in the folder `/seatrial/out` lands in `folder` itself */
    FILES_PACKED,   /* `/data` becomes `folder/data.tar.zst`: the engine's tar, as it is */
};

struct files_want {
    const char *path; /* in the container */
    enum files_as as;
    const char *folder;         /* made if missing */
    const char *const *kept;    /* names in `folder` that are never replaced; NULL: none */
    const char *const *without; /* absolute paths in the container that stay there; NULL: none */
};

/* Where it comes from, and what goes with the transfer. */
struct files_from {
    struct engine *engine;
    struct host *host;
    const char *container; /* id */
    const char *ended; /* when, as the engine says it; NULL: it runs, and nothing is gone on with */
    const char *work;  /* a folder on the file system of the results, out of the container's reach:
                          for what is under way */
    /* Told of what arrived so far, in bytes of the archive. May be NULL. */
    void (*arrived)(void *arg, uint64_t bytes);
    /* Told of each entry left out, as archive_extract_options. May be NULL. */
    void (*skipped)(void *arg, const char *path, const char *target, enum archive_skip why);
    void *arg;
};

struct files_result {
    struct archive_stats stats;
    uint64_t bytes;  /* of the archive */
    uint64_t before; /* of these came in an earlier try */
    bool complete;   /* all of it came in an earlier try: nothing was done */
    bool dropped;    /* the beginning came again all the same: see from_container.h */
    bool begun_anew; /* it had changed */
};

/*
 * Brings what is at `want->path` home. What an earlier fetch brought is replaced. Returns 1 when
 * the container has no such path, or is not there. After ERROR_LIMIT what came before it is in its
 * place.
 */
int files_fetch(const struct files_from *from, const struct files_want *want,
                const struct task *task, struct files_result *ret, struct error *err);

/* Removes `folder` if it is empty. */
void files_remove_empty(const char *folder);
