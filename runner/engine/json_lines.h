#pragma once

/*
 * Cuts a stream into lines, whatever the pieces it arrives in: the engine writes one JSON value per
 * line. A line that passes the maximum is ERROR_LIMIT, long before it could fill the memory.
 */

#include "lib/buffer.h"
#include "lib/error.h"

#include <stddef.h>

enum { ENGINE_JSON_LINE_MAX = 1024 * 1024 };

struct json_lines {
    struct buffer line; /* what has no end yet */
    /* Without the newline, never empty; not followed by a NUL. Non-zero ends the push with it. */
    int (*on_line)(void *arg, const char *line, size_t size, struct error *err);
    void *arg;
};

void json_lines_init(struct json_lines *lines, size_t line_size_max,
                     int (*on_line)(void *arg, const char *line, size_t size, struct error *err),
                     void *arg);
void json_lines_deinit(struct json_lines *lines);

/* Shape of a sink's push. */
int json_lines_push(void *lines, const void *data, size_t size, struct error *err);
/* The stream is over: what is left is the last line. */
int json_lines_end(struct json_lines *lines, struct error *err);
