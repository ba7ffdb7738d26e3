#pragma once

/*
 * Execution handlers: what a request means. A replica runs with one of them, chosen by name
 * (`--handler`, `handler:` in its configuration file); all replicas of a cluster need the same.
 *
 *     pee  the Performance Execution Engine: a request stands for a write set of a chosen size
 *          (chain/pee.h). The default.
 *     kv   a key-value store for ordinary use: put, delete and get (chain/kv.h).
 *
 * A handler is pure. What a request writes is a function of the request alone, the same bytes on
 * every replica; which keys it reads is, too. So whoever has a request and its place in the chain
 * has its block. Reads come before writes: they see every block before the request's own and
 * nothing of it. The *read set* is the keys with their versions, which are the heights of the
 * blocks that wrote them (0: the key is not there): the block's header has its digest, and a
 * request that was executed ahead (executor/pre_execution.h) is in conflict where it has become
 * another one.
 *
 * The execution time (`execution_ms`) is not the handler's: the shell spends it.
 *
 * To add one: a file in chain/ with these functions, and a row in handler.c. What it gets has come
 * from the network: `check` refuses whatever the others could not work with, and is fuzzed
 * (tests/fuzz/fuzz_handler.c).
 *
 * Limits: those of chain/command.h.
 */

#include "executor/chain/command.h"

#include "lib/buffer.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct handler {
    const char *name;
    /* Whether a replica can execute it, or, if it is read-only, serve it: ERROR_LIMIT naming the
     * field and its bounds, ERROR_REFUSED, ERROR_INVALID. All others get what was checked. */
    int (*check)(const struct command *command, struct error *err);
    /* Of the write set (chain/write_set.h), whose keys are distinct. */
    size_t (*write_set_size)(const struct command *command);
    /* Fills exactly write_set_size bytes. */
    void (*expand)(const struct command *command, uint8_t *out);
    /* How many keys it reads, and key `i` of them: returns its size; `out` has room for
     * COMMAND_KEY_SIZE_MAX. */
    uint32_t (*read_count)(const struct command *command);
    uint32_t (*read_key)(const struct command *command, uint32_t i, uint8_t *out);
    /* What it writes follows from client, number and shape alone, all of which a block's header
     * has: the number by which headers name it (executor/written.h). 0: it does not. */
    uint32_t maker;
    /* The payload says what to do, also of a read-only request: its bytes have to be kept. */
    bool reads_payload;
    /* What is read is the answer (WIRE_VALUE): 0 or 1 | value, of its one key. Otherwise it is a
     * fingerprint (chain/read_set.h). */
    bool gives_value;
};

/* What is answered where that is what was read: 0 or 1 | value. */
void handler_answer(bool found, const struct buffer *value, struct buffer *out);

/* ERROR_USAGE, with those that there are. */
int handler_find(const char *name, const struct handler **ret, struct error *err);
/* NULL: none has that number. */
const struct handler *handler_of_maker(uint32_t maker);
/* The default. */
extern const struct handler handler_pee;
