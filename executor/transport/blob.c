#include "executor/transport/blob.h"

#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>

struct blob *blob_new(size_t size) {
    assert(size <= UINT32_MAX);
    struct blob *blob = mem_alloc(sizeof *blob + size);
    blob->references = 1;
    blob->size = (uint32_t)size;
    blob->hashed_from = BLOB_NOT_HASHED;
    return blob;
}

struct blob *blob_ref(struct blob *blob) {
    assert(blob->references > 0 && blob->references < UINT32_MAX);
    blob->references++;
    return blob;
}

void blob_unref(struct blob *blob) {
    if (!blob)
        return;
    assert(blob->references > 0);
    if (--blob->references == 0)
        free(blob);
}
