#pragma once

/*
 * What a request asks the replica to execute: the fields of REQUEST (lib/wire.h), and its payload.
 * What they mean, the handler says that the replica runs with (executor/handler.h).
 */

#include <stdbool.h>
#include <stdint.h>

/* Of every handler: what a block, its tree and the store have room for. */
enum {
    COMMAND_KEYS_MAX = 10 * 1000, /* written, and as many read */
    COMMAND_KEY_SIZE_MAX = 4096,
    COMMAND_VALUE_SIZE_MAX = 1024 * 1024,
    COMMAND_WRITE_SET_MAX = 64 * 1024 * 1024,
};

struct command {
    uint64_t client;
    uint64_t number;
    bool read_only;      /* it is not ordered, and writes nothing */
    uint32_t key_count;  /* that are written; read, if it is read-only */
    uint32_t read_count; /* that are read before anything is written */
    uint32_t key_size;
    uint32_t value_size;
    uint32_t execution_ms;
    uint64_t key_space; /* 0: keys of its own */
    uint64_t first_key; /* below key_space; the last key is followed by the first */
    const uint8_t *payload;
    uint32_t payload_size;
};
