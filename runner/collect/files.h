#pragma once

/*
 * Files of a container, brought home: archives from containers are hostile and are unpacked by
 * lib/archive.h, which lets nothing escape from the folder. They are unpacked beside their place
 * and moved into it when all is there, so that a transfer that broke can simply be done again.
 */

#include "lib/archive.h"
#include "lib/error.h"
#include "runner/engine/engine.h"

enum files_as {
    FILES_NAMED,    /* `/var/cores` becomes `folder/cores/...`, a file `folder/<its name>` */
    FILES_CONTENTS, /* what is in the folder `/seatrial/out` lands in `folder` itself */
};

struct files_want {
    const char *path; /* in the container */
    enum files_as as;
    const char *folder;         /* made if missing */
    const char *const *kept;    /* names in `folder` that are never replaced; NULL: none */
    const char *const *without; /* absolute paths in the container that stay there; NULL: none */
};

/*
 * Brings what is at `want->path` home. What an earlier fetch brought is replaced. Returns 1 when
 * the container has no such path.
 */
int files_fetch(struct engine *engine, const char *container, const struct files_want *want,
                const struct task *task, struct archive_stats *ret, struct error *err);

/* Removes `folder` if it is empty. */
void files_remove_empty(const char *folder);
