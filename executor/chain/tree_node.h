#pragma once

/*
 * A node of the tree of keys: sixteen slots, each with nothing, a leaf, or a node below it, and the
 * fifteen digests of the forks above them.
 *
 * Most nodes of a large tree are at its bottom and have two or three leaves, so there are two
 * forms: a small node has room for four used slots and keeps no forks (making them again is one or
 * two hashes), a large one has all in place. Only this file knows which is which.
 */

#include "executor/chain/tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NODE_SLOTS = 16, NODE_SMALL_SLOTS = 4, NODE_LEVELS = 4 };

enum node_kind { NODE_NOTHING, NODE_LEAF, NODE_INNER };

/*
 * The forks of a node as a heap: 1 is the node's own digest, 2i and 2i + 1 are below i, and 16 to
 * 31 are the slots.
 */
struct node_heap {
    uint32_t present;                             /* bit i: there is something */
    uint32_t inner;                               /* ... and more than one leaf */
    uint8_t digests[2 * NODE_SLOTS][SHA256_SIZE]; /* zeros where there is nothing */
};

struct node {
    struct node *parent; /* NULL: the root */
    struct node *older;  /* in order of last use */
    struct node *newer;
    uint16_t leaves;        /* slots with a leaf */
    uint16_t inner;         /* slots with a node below, in memory or not */
    uint16_t changed_below; /* slots whose node is changed */
    uint8_t slot;           /* of the parent */
    bool large;
    bool changed; /* since the last flush */
};

struct node *node_new(void);
/* The node alone, not what is below it. */
void node_free(struct node *node);
size_t node_bytes(const struct node *node);

enum node_kind node_kind(const struct node *node, unsigned slot);
unsigned node_count(const struct node *node);
/* Of a slot with something. */
const uint8_t *node_digest(const struct node *node, unsigned slot);
void node_set_digest(struct node *node, unsigned slot, const uint8_t digest[SHA256_SIZE]);
struct tree_leaf *node_leaf(const struct node *node, unsigned slot);
struct node *node_child(const struct node *node, unsigned slot); /* NULL: not in memory */
void node_set_child(struct node *node, unsigned slot, struct node *child);

/* Puts something into a slot, whatever was there. The node may move: what points to it is changed,
 * but for the caller's own `*node`. */
void node_put_leaf(struct node **node, unsigned slot, struct tree_leaf *leaf);
void node_put_inner(struct node **node, unsigned slot, struct node *child);
void node_clear(struct node *node, unsigned slot);

/* The forks: a large node's own, or made in `room` (slots only; forks are up to node_fold). */
struct node_heap *node_heap(struct node *node, struct node_heap *room);
/* What is above two places of a heap. True: it is the hash of `pair`, which is then filled. */
bool node_fold(struct node_heap *heap, unsigned i, uint8_t pair[2 * SHA256_SIZE]);
/* All forks of a heap whose slots are there. */
void node_fold_all(struct node_heap *heap);
/* The one leaf below a place whose kind is a leaf. */
const struct tree_leaf *node_leaf_below(const struct node *node, const struct node_heap *heap,
                                        unsigned i);

/* As it is stored. Returns the size. */
size_t node_encode(const struct node *node, uint8_t out[TREE_NODE_SIZE_MAX]);
/* A node with its leaves and all digests. ERROR_INVALID. */
int node_decode(const void *data, size_t size, struct node **ret, struct error *err);
