#pragma once

/*
 * A file or folder of ours as a tar for a container: what `seatrial cp` sends. Names, modes and
 * times are kept, everything belongs to root there. Symbolic links are sent as links and never
 * followed, but for the path itself where that is asked for. Sockets, fifos and devices are left
 * out and counted.
 */

#include "lib/archive.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

struct copy_in;

struct copy_in_source {
    const char *path;
    const char *name; /* what stands for the path in the tar; "": the folder's contents alone */
    bool follow;      /* the path itself, if it is a link */
};

/* Copies the source. Errors: ERROR_NOT_FOUND, ERROR_IO. */
int copy_in_open(const struct copy_in_source *source, struct copy_in **ret, struct error *err);
void copy_in_free(struct copy_in *c);
DEFINE_CLEANUP_FREE(copy_in);

/* For archive_stream_new; borrows it. Errors: ERROR_IO, ERROR_LIMIT, naming the file. */
struct archive_items copy_in_items(struct copy_in *c);

struct copy_in_stats {
    uint64_t files, bytes, left_out;
};
struct copy_in_stats copy_in_stats(const struct copy_in *c);
