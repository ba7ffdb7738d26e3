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
    bool replace;         /* a file that is there already */
    uint64_t directories; /* created so far */
};

/*
 * Both return 0 done, 1 nothing to do (the name is empty once stripped), 2 not to be written for
 * the reason *ret_why; -1 for what the system refused.
 */
int archive_target_directory(struct archive_target *t, const char *path, enum archive_skip *ret_why,
                             struct error *err);
/* Whether a file can be made there; its parents are. */
int archive_target_vacant(struct archive_target *t, const char *path, enum archive_skip *ret_why,
                          struct error *err);
/* The file `name` of another folder becomes this one. */
int archive_target_place(struct archive_target *t, const char *path, int from_fd, const char *name,
                         enum archive_skip *ret_why, struct error *err);
/* Another name for the file `to`, which was made before. */
int archive_target_link(struct archive_target *t, const char *path, const char *to,
                        enum archive_skip *ret_why, struct error *err);
/* A new empty file, open for writing. */
int archive_target_file(struct archive_target *t, const char *path, bool executable, int *ret_fd,
                        enum archive_skip *ret_why, struct error *err);
