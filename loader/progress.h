#pragma once

/*
 * How far the load is, while it runs, on stderr: one live line that is rewritten every second on a
 * terminal, a plain line every five seconds elsewhere. Warnings stand above it; a flood of them is
 * cut, and counted.
 */

#include "lib/buffer.h"
#include "loader/engine.h"
#include "loader/options.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
    FILE *to;
    bool live;                     /* a terminal */
    const struct options *options; /* borrowed */
    uint64_t lines;                /* told so far, shown or not */
    uint64_t warnings;             /* shown or not */
    bool line_open;                /* the live line stands there */
};

void progress_init(struct progress *p, FILE *to, bool live, const struct options *options);
/* Once a second. */
void progress_tell(struct progress *p, const struct engine_progress *progress);
void progress_note(struct progress *p, const char *text);
/* Ends the live line, and says how many warnings were not shown. */
void progress_end(struct progress *p);

/* Pure. `12 s  1000/s asked  12000 sent  11990 done  0 errors  last second: ...  48 s left`,
 * without a newline. */
void progress_line(const struct engine_progress *progress, const struct options *o,
                   struct buffer *out);
