#pragma once

/*
 * How far the load is, while it runs, on stderr: one live line that is rewritten every second on a
 * terminal, a plain line every five seconds elsewhere. Warnings stand above it; a flood of them is
 * cut, and counted.
 */

#include "lib/buffer.h"
#include "loader/engine.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
    FILE *to;
    bool live; /* a terminal */
    uint64_t requests;
    uint64_t lines;    /* told so far, shown or not */
    uint64_t warnings; /* shown or not */
    bool line_open;    /* the live line stands there */
};

void progress_init(struct progress *p, FILE *to, bool live, uint64_t requests);
/* Once a second. */
void progress_tell(struct progress *p, const struct engine_progress *progress);
void progress_note(struct progress *p, const char *text);
/* Ends the live line, and says how many warnings were not shown. */
void progress_end(struct progress *p);

/* Pure. `12 s  1,234 of 2,000 (61.7 %)  ...` without a newline. */
void progress_line(const struct engine_progress *progress, uint64_t requests, struct buffer *out);
