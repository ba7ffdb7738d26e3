#pragma once

/*
 * Whether a stored chain is what it says: every header follows the one before, every write set is
 * the one that its header names, every state is what the write sets up to there lead to, and the
 * stored tree of keys, node by node, is the one that they make. Everything is computed anew; the
 * tree of keys takes some 220 bytes of memory a key.
 *
 * Errors: ERROR_INVALID naming the first block that is wrong; those of the store.
 */

#include "executor/chain/block.h"
#include "executor/chain/merkle.h"
#include "executor/store/store.h"

#include "lib/error.h"

#include <stdint.h>

struct verified {
    uint64_t height;
    uint8_t digest[SHA256_SIZE]; /* of the last header */
    uint64_t writes;             /* keys written, counted as often as they were */
    uint64_t bytes;              /* of all write sets */
};

int verify_chain(struct store *store, enum merkle merkle, struct verified *ret, struct error *err);
