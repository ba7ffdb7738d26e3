#pragma once

/*
 * Bytes on the move between two rooms that do not know each other: a *source* is pulled, a *sink*
 * is pushed into. An HTTP upload pulls an archive that is still being written; a download pushes
 * into a file, a splitter or a counter. Neither side ever holds more than one piece.
 *
 * Both are plain values that borrow `arg`; the callbacks run on the thread of whoever uses them.
 */

#include "lib/error.h"

#include <stddef.h>
#include <sys/types.h>

struct source {
    /* Writes up to `size` (never 0) bytes to `data`: how many, 0 at the end, -1 with `err` set. */
    ssize_t (*pull)(void *arg, void *data, size_t size, struct error *err);
    void *arg;
};

struct sink {
    /* 0 to go on; -1 with `err` set; positive: that is enough, stop without a fault. */
    int (*push)(void *arg, const void *data, size_t size, struct error *err);
    void *arg;
};

/* A source over memory, for what is already there. Borrows the bytes. */
struct memory_source {
    const char *data;
    size_t size;
};

struct source memory_source(struct memory_source *m);
