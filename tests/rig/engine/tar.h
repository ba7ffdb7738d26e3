#pragma once

/* Small tars made and looked at by hand, so that these tests depend on nothing else. */

#include "lib/buffer.h"

#include <stddef.h>

void tar_add(struct buffer *tar, const char *name, unsigned mode, const void *data, size_t size);
void tar_add_folder(struct buffer *tar, const char *name, unsigned mode);
void tar_end(struct buffer *tar);
/* The content of a file in the tar, as a malloc()ed string; NULL when it is not there. */
char *tar_find(const struct buffer *tar, const char *name);
