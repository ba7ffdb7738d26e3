#pragma once

/*
 * Whole files and folders. What others may read while we write is written beside its place and
 * renamed into it, so that nobody ever sees half of it.
 *
 * Errors: ERROR_IO naming the path; ERROR_NOT_FOUND where a file to read does not exist;
 * ERROR_LIMIT.
 */

#include "lib/buffer.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The whole file, at most `size_max` bytes. Refuses what is not a regular file. */
int file_read(const char *path, size_t size_max, struct buffer *ret, struct error *err);

/* Atomically replaces `path`. The temporary file has `mode` from its birth. */
int file_write(const char *path, mode_t mode, const void *data, size_t size, struct error *err);

/* As mkdir -p. */
int file_make_folders(const char *path, mode_t mode, struct error *err);

/* A regular file; the copy gets `mode`. */
int file_copy(const char *from, const char *to, mode_t mode, size_t size_max, struct error *err);

bool file_exists(const char *path);

/* `folder` + "/" + `name`, or `name` alone when it is absolute. malloc()ed. */
char *path_join(const char *folder, const char *name);
/* The folder that holds `path`, "." if it names none. malloc()ed. */
char *path_folder(const char *path);
/* Absolute, by the current folder; not resolved further. malloc()ed. */
char *path_absolute(const char *path);
