#pragma once

/*
 * The names of one folder in bytewise order. Private to images/context.c.
 */

#include "lib/buffer.h"
#include "lib/error.h"

#include <stddef.h>

/* Of the names of one folder together: a million long ones. */
enum { FOLDER_NAMES_BYTES_MAX = 64 << 20 };

struct folder_name {
    size_t offset;      /* in `bytes` */
    unsigned char type; /* DT_... of <dirent.h>, or DT_UNKNOWN */
};

struct folder_names {
    struct buffer bytes;
    struct folder_name *names;
    size_t count, capacity;
};

#define FOLDER_NAMES_NULL ((struct folder_names){.bytes = BUFFER_NULL})

/* Borrows `fd`, an open folder. */
int folder_names_read(int fd, struct folder_names *ret, struct error *err);
void folder_names_deinit(struct folder_names *f);
const char *folder_names_get(const struct folder_names *f, size_t i);
