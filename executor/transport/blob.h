#pragma once

/*
 * Bytes that several owners share without copying: a request goes from the connection that brought
 * it into the log, to the store and to each peer. References are counted without locks: only the
 * thread of the event loop counts.
 *
 * A blob may know the SHA-256 of its bytes from `hashed_from` on: of a frame that came sealed, or
 * since it was sent sealed for the first time (lib/seal.h).
 */

#include <stddef.h>
#include <stdint.h>

struct blob {
    uint32_t references;
    uint32_t size;
    uint32_t hashed_from; /* BLOB_NOT_HASHED */
    uint8_t hash[32];
    uint8_t data[];
};

#define BLOB_NOT_HASHED UINT32_MAX

/* With one reference; the bytes are not set. */
struct blob *blob_new(size_t size);
struct blob *blob_ref(struct blob *blob);
/* NULL is allowed. */
void blob_unref(struct blob *blob);
