/* Any bytes as a client-pool file: a pool that holds what it promises, or an error with a place. */

#include "lib/cleanup.h"
#include "loader/pool.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(pool_freep) struct pool *pool = NULL;
    if (pool_parse("f", (const char *)data, size, &pool, &err) < 0) {
        assert(err.kind == ERROR_CONFIG && *err.text);
        return 0;
    }
    assert((int64_t)pool->replica_count == pool->n && pool->n == 3 * pool->f + 2 * pool->c + 1);
    for (size_t i = 0; i < pool->replica_count; i++)
        assert(pool->replicas[i].id == (int64_t)i && *pool->replicas[i].host);
    return 0;
}
