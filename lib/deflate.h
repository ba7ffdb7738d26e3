#pragma once

/*
 * Compressed bytes as RFC 1950 has them ("zlib format": a header, deflated blocks, a checksum):
 * zlib's one door.
 *
 * Both functions append, and never past the maximum of the buffer, so that a small input of a
 * hostile peer cannot become a large output.
 *
 * Threads: any; nothing is shared.
 */

#include "lib/buffer.h"
#include "lib/error.h"

#include <stddef.h>

/* With zlib's usual level. What does not fit makes the buffer overflowed. */
void deflate_pack(const void *data, size_t size, struct buffer *out);

/*
 * Exactly one whole stream, without a rest. ERROR_INVALID if it is anything else, ERROR_LIMIT if
 * `out` is too small for it; `out` then has a part of it.
 */
int deflate_unpack(const void *data, size_t size, struct buffer *out, struct error *err);
