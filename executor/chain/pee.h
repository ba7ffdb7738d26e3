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
 * request stands for reading the latest values of its keys, which are of a key space. A request may
 * also read keys before it writes: `read_count` of them in a row, from the first one on that it
 * writes.
 *
 * The time that execution is to take is spent by the shell (executor/storage.c), not here.
 */

#include "executor/chain/command.h"

#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

/* From nothing at all (no keys) to these; a value may be empty. */
enum {
    PEE_KEYS_MAX = COMMAND_KEYS_MAX,
    PEE_KEY_SIZE_MIN = 8, /* what makes them distinct */
    PEE_KEY_SIZE_MAX = COMMAND_KEY_SIZE_MAX,
    PEE_VALUE_SIZE_MAX = COMMAND_VALUE_SIZE_MAX,
    PEE_WRITE_SET_MAX = COMMAND_WRITE_SET_MAX,
    PEE_EXECUTION_MS_MAX = 60 * 1000, /* a replica executes in order: longer stops the cluster */
};

/* ERROR_LIMIT naming the field and its bounds; ERROR_REFUSED. */
int pee_check(const struct command *command, struct error *err);

/* Of the write set (write_set.h). The command was checked. */
size_t pee_write_set_size(const struct command *command);

/* Fills exactly pee_write_set_size bytes. */
void pee_expand(const struct command *command, uint8_t *out);

/* Key `i` of a command that has a key space, counted from its first one: fills key_size bytes. */
void pee_key(const struct command *command, uint32_t i, uint8_t *out);

/* What it reads, as a handler (executor/handler.h). */
uint32_t pee_read_count(const struct command *command);
uint32_t pee_read_key(const struct command *command, uint32_t i, uint8_t *out);
