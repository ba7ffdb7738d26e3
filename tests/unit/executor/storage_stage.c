#include "tests/unit/executor/storage_stage.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct ledger_options options = {.merkle = MERKLE_KEYS, .tree_bytes_max = 64 << 20};

struct storage *start_on(struct store *store) {
    struct error err = ERROR_NULL;
    struct chain chain;
    struct storage *s;
    chain_init(&chain);
    assert_int_equal(storage_start(store, &chain, &options, 4096, &s, &err), 0);
    return s;
}

struct storage *start(uint64_t bytes_max) {
    struct error err = ERROR_NULL;
    struct store *store;
    assert_int_equal(store_open_memory(bytes_max, 0, &store, &err), 0);
    return start_on(store);
}

struct storage_job job_of(uint64_t height, uint32_t value_size) {
    return (struct storage_job){
        .height = height,
        .request = (void *)(uintptr_t)height,
        .command = {.client = height % 3,
                    .number = height,
                    .key_count = 2,
                    .key_size = 20,
                    .value_size = value_size},
    };
}

void wait_for(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 60000), 1);
}
