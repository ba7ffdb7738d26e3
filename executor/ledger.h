#pragma once

/*
 * The chain on its store: makes the block of an executed request, takes over a block that another
 * replica has made, and gives stored blocks to others. What a block says is computed here before it
 * is stored: nothing that is false gets into the store.
 *
 * Every header has the state that the chain has come to: the root of a Merkle tree, if it has one.
 * The tree of keys is stored with the blocks, in one commit. With it is stored, for the last
 * LEDGER_VERSIONS_KEPT blocks, what takes each of them back in the tree, so that what was true then
 * can still be proved.
 *
 * A block travels as one run of bytes: its encoded header (BLOCK_HEADER_SIZE), then its write set.
 *
 * Owns:    the store and the end of the chain.
 * Errors:  < 0: the store has failed, and nothing more can be stored. > 0: the block is refused,
 *          `err` says why, and nothing has changed.
 * Threads: one at a time.
 */

#include "executor/chain/block.h"
#include "executor/chain/merkle.h"
#include "executor/chain/tree.h"
#include "executor/handler.h"
#include "executor/stages.h"
#include "executor/store/store.h"
#include "executor/transport/blob.h"

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LEDGER_BLOCK_MAX = BLOCK_HEADER_SIZE + STORE_BODY_MAX,
    /* Old enough for whoever asks about a block that was answered minutes ago, and some 2 MB. */
    LEDGER_VERSIONS_KEPT = 1000,
};

struct ledger_options {
    const struct handler *handler; /* of the requests; NULL: pee */
    enum merkle merkle;
    uint64_t tree_bytes_max; /* the tree of keys, in memory; all of it where the store is memory */
    enum store_durability durability;
};

struct ledger;

/* Takes both, also when it fails. `chain` is the end of what is in the store. ERROR_INVALID: its
 * last block does not have the state that the store has. */
int ledger_open(struct store *store, const struct chain *chain,
                const struct ledger_options *options, struct ledger **ret, struct error *err);
/* Gives the store. */
struct store *ledger_free(struct ledger *ledger);

/* Nothing here waits for a disk. */
bool ledger_in_memory(const struct ledger *ledger);
/* Of the last block that was put. */
uint64_t ledger_height(const struct ledger *ledger);

/* A request that is to become block `height`. */
struct ledger_request {
    uint64_t height;
    uint64_t sequence; /* of the batch that ordered it */
    const struct command *command;
    const uint8_t *digest;   /* of its bytes, SHA256_SIZE */
    struct buffer *answer;   /* what a handler that gives values has read is appended; or NULL */
    struct stopwatch *watch; /* for STAGE_EXECUTE and STAGE_TREE; NULL */
};

/* Both put a block, and give the digest of its header; ledger_commit makes it durable. Before a
 * request that reads, everything that was put has been committed. */
int ledger_execute(struct ledger *ledger, const struct ledger_request *request,
                   uint8_t ret_digest[SHA256_SIZE], struct error *err);
/* Refuses what does not follow as block `height`, and what its header does not say rightly. The
 * bytes may come from anybody. */
int ledger_accept(struct ledger *ledger, uint64_t height, const uint8_t *block, size_t size,
                  uint8_t ret_digest[SHA256_SIZE], struct error *err);

int ledger_commit(struct ledger *ledger, struct error *err);

/* A committed block, with one reference. ERROR_NOT_FOUND. */
int ledger_fetch(struct ledger *ledger, uint64_t height, struct blob **ret, struct error *err);

/* The tree of keys as it was with block `height`; it can be asked, and taken back further. Only of
 * a store with sides and a tree of keys. ERROR_NOT_FOUND: that is too long ago. */
int ledger_tree_at(struct store *store, uint64_t height, uint64_t bytes_max, struct tree **ret,
                   struct error *err);

/* What was committed: the latest value of a key, if there is one, is appended to `ret`. */
int ledger_get(struct ledger *ledger, const void *key, size_t key_size, struct buffer *ret,
               bool *ret_found, struct error *err);
/* The digest of the read set that the command has by what was committed (chain/read_set.h); zeros
 * if it reads nothing. */
int ledger_read_set(struct ledger *ledger, const struct command *command, uint8_t ret[SHA256_SIZE],
                    struct error *err);
