#pragma once

/*
 * Where hostile names become files: beneath one open folder, one component at a time, following no
 * link. Private to lib/archive.c.
 */

#include "lib/archive.h"

#include <stdbool.h>
#include <stddef.h>

struct archive_target {
    int dir_fd; /* borrowed */
    size_t path_max, depth_max, strip;
    uint64_t directories; /* created so far */
};

/*
 * Both return 0 done, 1 nothing to do (the name is empty once stripped), 2 not to be written for
 * the reason *ret_why; -1 for what the system refused.
 */
int archive_target_directory(struct archive_target *t, const char *path, enum archive_skip *ret_why,
                             struct error *err);
/* A new empty file, open for writing. */
int archive_target_file(struct archive_target *t, const char *path, bool executable, int *ret_fd,
                        enum archive_skip *ret_why, struct error *err);
