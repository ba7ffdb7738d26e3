#pragma once

/*
 * The tar of a path, kept as it came and compressed by zstd. Frame by frame: after each, the file
 * is good up to there, and that is noted, so that a transfer that broke goes on with the next.
 */

#include "lib/cleanup.h"
#include "lib/stream.h"
#include "runner/collect/kept.h"

/* In the folder of what is kept. */
#define PACKED_NAME "packed"

struct packed;

/* Goes on with what is kept, which it borrows. */
int packed_open(struct kept *kept, struct packed **ret, struct error *err);
/* Ends nothing. */
void packed_close(struct packed *p);
static inline void packed_closep(struct packed **p) {
    if (*p)
        packed_close(*p);
}

/* The place in the archive of the first byte that it wants. */
uint64_t packed_offset(const struct packed *p);
/* Errors: ERROR_LIMIT, ERROR_IO, ERROR_CONFLICT: it is not the archive any more that was begun. */
struct sink packed_sink(struct packed *p);
/* All came. ERROR_INVALID: it did not. */
int packed_end(struct packed *p, struct error *err);
