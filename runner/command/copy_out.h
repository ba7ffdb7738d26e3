#pragma once

/*
 * What a container sends as a tar, into a folder of ours: what `seatrial cp` fetches. The tar is
 * hostile: it is first unpacked into a folder of its own beside the destination (lib/archive.h, so
 * that nothing escapes), then moved into place file by file, following no link there either. A file
 * that exists is replaced, a folder is joined; a folder never replaces a file, nor a file a folder.
 */

#include "lib/archive.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/stream.h"

#include <stdbool.h>

struct copy_out;

/* `beside`: an existing folder on the file system of the destination. */
int copy_out_begin(const char *beside, const struct archive_extract_options *options,
                   struct copy_out **ret, struct error *err);
/* Removes what was not put into place. */
void copy_out_free(struct copy_out *c);
DEFINE_CLEANUP_FREE(copy_out);

struct sink copy_out_sink(struct copy_out *c);

/* All came: checks that the archive was whole. */
int copy_out_end(struct copy_out *c, struct archive_stats *ret, struct error *err);

/* The file that the archive held as `name` becomes `to`. ERROR_INVALID when it held none. */
int copy_out_place_file(struct copy_out *c, const char *name, const char *to, struct error *err);
/* All that was unpacked lands in the folder `to`, which is made if missing. */
int copy_out_place_folder(struct copy_out *c, const char *to, struct error *err);
