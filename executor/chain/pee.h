#pragma once

/*
 * The Performance Execution Engine: a request stands for a write set of a chosen size, which it is
 * expanded into. The expansion is a function of client, number, shape and keys alone, so that all
 * replicas write the same bytes; every byte of every key and value is pseudo-random (xoshiro256++,
 * eight streams side by side), so that no layer below can compress or share them. The keys of one
 * write set are distinct.
 *
 * Keys are either the request's own, which no other request writes, or a row of those of a key
 * space, which all requests share: what such a key is follows from its number and size alone (not
 * from the size of the space), what is written there from client, number and key. A read-only
 * request stands for reading the latest values of its keys, which are of a key space.
 *
 * The time that execution is to take is spent by the shell (executor/storage.c), not here.
 */

#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    PEE_KEYS_MAX = 10 * 1000,
    PEE_KEY_SIZE_MIN = 8, /* what makes them distinct */
    PEE_KEY_SIZE_MAX = 4096,
    PEE_VALUE_SIZE_MAX = 1024 * 1024,
    PEE_WRITE_SET_MAX = 64 * 1024 * 1024,
    PEE_EXECUTION_MS_MAX = 60 * 1000, /* a replica executes in order: longer stops the cluster */
};

struct pee_command {
    uint64_t client;
    uint64_t number;
    uint32_t key_count; /* 0: the request writes nothing, and key_size does not matter */
    uint32_t key_size;
    uint32_t value_size;
    uint32_t execution_ms;
    uint64_t key_space; /* 0: keys of its own */
    uint64_t first_key; /* below key_space; the last key is followed by the first */
};

/* ERROR_LIMIT naming the field and its bounds. */
int pee_check(const struct pee_command *command, struct error *err);
/* Of a read-only command; also ERROR_REFUSED. */
int pee_check_read(const struct pee_command *command, struct error *err);

/* Of the write set (write_set.h). The command was checked. */
size_t pee_write_set_size(const struct pee_command *command);

/* Fills exactly pee_write_set_size bytes. */
void pee_expand(const struct pee_command *command, uint8_t *out);

/* Key `i` below key_count of a command that has a key space: fills key_size bytes. */
void pee_key(const struct pee_command *command, uint32_t i, uint8_t *out);
