#pragma once

/*
 * Files of a container, brought home: archives from containers are hostile and are unpacked by
 * lib/archive.h, which lets nothing escape from the folder.
 */

#include "lib/archive.h"
#include "lib/error.h"
#include "runner/engine/engine.h"

enum files_as {
    FILES_NAMED,    /* `/var/cores` becomes `folder/cores/...`, a file `folder/<its name>` */
    FILES_CONTENTS, /* what is in the folder `/seatrial/out` lands in `folder` itself */
};

/*
 * Brings what is at `path` in the container below `folder` (made if missing). Returns 1 when the
 * container has no such path.
 */
int files_fetch(struct engine *engine, const char *container, const char *path, enum files_as as,
                const char *folder, const struct task *task, struct archive_stats *ret,
                struct error *err);

/* Removes `folder` if it is empty. */
void files_remove_empty(const char *folder);
