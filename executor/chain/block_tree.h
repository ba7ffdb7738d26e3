#pragma once

/*
 * A Merkle tree with one leaf per block, to which leaves are only added: leaf `height` - 1 is the
 * digest of the write set of block `height`. Whoever knows the root can be shown that a block is in
 * the chain, and what it wrote, by log2(height) digests.
 *
 * It is the tree of RFC 9162 (Certificate Transparency), so that others' tools verify the same
 * proofs. Kept are only the roots of its full subtrees, which any list of its leaves gives again.
 *
 * Pure. Source: RFC 9162, section 2.1.
 */

#include "lib/crypto.h"
#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

enum { BLOCK_TREE_DEPTH_MAX = 64 };

struct block_tree {
    uint64_t count;
    /* peaks[i]: of 2^i leaves; there if bit i of `count` is set */
    uint8_t peaks[BLOCK_TREE_DEPTH_MAX][SHA256_SIZE];
};

#define BLOCK_TREE_EMPTY ((struct block_tree){.count = 0})

void block_tree_add(struct block_tree *tree, const uint8_t leaf[SHA256_SIZE]);
/* Of an empty tree: SHA-256 of nothing. */
void block_tree_root(const struct block_tree *tree, uint8_t out[SHA256_SIZE]);

struct block_tree_proof {
    uint32_t sibling_count;
    uint8_t siblings[BLOCK_TREE_DEPTH_MAX][SHA256_SIZE];
};

/* That leaf `i` is among `count`, all of which are at `leaves`. */
void block_tree_prove(const uint8_t (*leaves)[SHA256_SIZE], uint64_t count, uint64_t i,
                      struct block_tree_proof *ret);
/* ERROR_INVALID: it does not show that `leaf` is leaf `i` of the tree of `count` with this root. */
int block_tree_verify(const uint8_t root[SHA256_SIZE], uint64_t count, uint64_t i,
                      const uint8_t leaf[SHA256_SIZE], const struct block_tree_proof *proof,
                      struct error *err);
