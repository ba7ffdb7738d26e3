#pragma once

/*
 * A sparse Merkle tree of every key: whoever knows its root can be shown which value a key has, and
 * which block wrote it, or that there is no such key.
 *
 * The place of a key is SHA-256 of it, bit by bit from the root down. Digests are
 *
 *     a leaf        SHA-256(SHA-256(key) | SHA-256(value) | height u64, little endian)
 *     a fork        SHA-256(left | right)
 *     nothing       32 zeros
 *
 * and a subtree in which there is one leaf only is that leaf, so that a tree of n keys is about
 * log2(n) forks deep. A leaf is of 72 bytes and a fork of 64: neither can be taken for the other.
 * The root follows from the keys, their values and heights alone, not from how they came.
 *
 * Four levels of forks are one node, which is kept, read and written as a whole, under its path
 * (number of nibbles, nibbles). Nodes are of the latest version. Older versions are had by taking
 * changes back: each update tells what was there before, in few bytes, and whoever keeps that can
 * go back as far as it was kept.
 *
 * With a store, nodes are loaded when they are needed, written by tree_flush, and forgotten beyond
 * `bytes_max` (those unused for longest); without one all of them stay in memory.
 *
 * Shape:   tree_update, ... tree_flush (puts what has changed into the store's batch), the store's
 *          commit, tree_trim.
 * Errors:  ERROR_LIMIT (without a store: no more room; nothing has changed), ERROR_INVALID (a
 *          stored node is damaged), and those of the store. After all but the first the tree cannot
 *          be used any more.
 * Threads: one at a time. Pure but for the store.
 * Source:  Jellyfish Merkle tree (Gao et al., 2021) for the compact form; old versions differ.
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TREE_DEPTH_MAX = 8 * SHA256_SIZE, /* forks above a leaf */
    TREE_PATH_MAX = 1 + SHA256_SIZE,  /* bytes of a node's path */
    TREE_NODE_SIZE_MAX = 1 + 4 + 16 * 72,
    TREE_UNDO_SIZE = SHA256_SIZE + 1 + SHA256_SIZE + 8, /* of each changed key */
    TREE_BYTES_MIN = 1024 * 1024,
};

/* As it is hashed. */
struct tree_leaf {
    uint8_t key[SHA256_SIZE];   /* SHA-256 of it */
    uint8_t value[SHA256_SIZE]; /* SHA-256 of it */
    uint8_t height[8];          /* of the block that wrote it, little endian */
};

/* Where nodes are kept. `get` appends, or is ERROR_NOT_FOUND; it sees what was committed. */
struct tree_store {
    void *context;
    int (*get)(void *context, const uint8_t *path, size_t size, struct buffer *ret,
               struct error *err);
    int (*put)(void *context, const uint8_t *path, size_t size, const void *node, size_t node_size,
               struct error *err);
    int (*remove)(void *context, const uint8_t *path, size_t size, struct error *err);
};

struct tree;

/* Of what is in the store; NULL: empty, and all in memory. `store` is copied. */
int tree_open(const struct tree_store *store, uint64_t bytes_max, struct tree **ret,
              struct error *err);
void tree_free(struct tree *tree);
DEFINE_CLEANUP_FREE(tree);

void tree_root(const struct tree *tree, uint8_t out[SHA256_SIZE]);
/* What its nodes take in memory. */
uint64_t tree_bytes(const struct tree *tree);

/* Key `i` gets value `i`, or is removed. All are hashes; of keys that come twice the last counts.
 */
struct tree_changes {
    uint64_t height;
    size_t count;
    const uint8_t (*keys)[SHA256_SIZE];
    const uint8_t (*values)[SHA256_SIZE];
    bool (*removes)(const void *context, size_t i); /* NULL: none */
    const void *context;
};

/* Appends to `undo` (NULL: nobody wants to know) what takes it back. */
int tree_update(struct tree *tree, const struct tree_changes *changes, struct buffer *undo,
                struct error *err);
/* Takes the last update back, then the one before, ... ERROR_INVALID: those bytes are no undo. */
int tree_undo(struct tree *tree, const void *undo, size_t size, struct error *err);

int tree_flush(struct tree *tree, struct error *err);
/* After what was flushed is committed: forgets nodes beyond bytes_max. */
void tree_trim(struct tree *tree);

/* ---- proofs ---- */

enum tree_answer {
    TREE_ABSENT,
    TREE_PRESENT,
};

/* What there is at the place of a key, and the digests beside the way to it, from the root down. */
struct tree_proof {
    bool has_leaf;         /* else there is nothing */
    struct tree_leaf leaf; /* of the key, or of another one that is alone there */
    uint32_t sibling_count;
    uint8_t siblings[TREE_DEPTH_MAX][SHA256_SIZE];
};

/* `key` is SHA-256 of it. */
int tree_prove(struct tree *tree, const uint8_t key[SHA256_SIZE], struct tree_proof *ret,
               struct error *err);

/* What a proof shows about a key to whoever believes in the root: ERROR_INVALID if it is no proof.
 * If the key is present, its value and height are those of the proof's leaf. */
int tree_verify(const uint8_t root[SHA256_SIZE], const uint8_t key[SHA256_SIZE],
                const struct tree_proof *proof, enum tree_answer *ret, struct error *err);

/* The height in a leaf. */
uint64_t tree_leaf_height(const struct tree_leaf *leaf);
