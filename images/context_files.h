#pragma once

/*
 * The two files that decide what a context is: the Dockerfile, and the ignore file that goes with
 * it. Private to images/context.c.
 */

#include "images/context.h"
#include "images/ignore.h"
#include "lib/buffer.h"

#include <stdbool.h>

struct context_files {
    char *dockerfile; /* its name in the stream */
    struct buffer dockerfile_text;
    bool injected;             /* it lies outside of the root, and is sent by that text */
    struct buffer ignore_text; /* ... with the root's .dockerignore, its name appended */
    struct ignore *rules;
};

#define CONTEXT_FILES_NULL                                                                         \
    ((struct context_files){.dockerfile_text = BUFFER_NULL, .ignore_text = BUFFER_NULL})

int context_files_find(const struct context_options *options, struct context_files *ret,
                       struct error *err);
void context_files_deinit(struct context_files *f);
