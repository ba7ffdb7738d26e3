#pragma once

/*
 * Bytes that several owners share without copying: a request goes from the connection that brought
 * it into the log, to the store and to each peer. References are counted without locks: only the
 * thread of the event loop counts.
 */

#include <stddef.h>
#include <stdint.h>

struct blob {
    uint32_t references;
    uint32_t size;
    uint8_t data[];
};

/* With one reference; the bytes are not set. */
struct blob *blob_new(size_t size);
struct blob *blob_ref(struct blob *blob);
/* NULL is allowed. */
void blob_unref(struct blob *blob);
