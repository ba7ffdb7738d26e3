#pragma once

/*
 * What the files of the tree of keys share: tree.c changes keys, tree_hash.c makes the digests
 * right again, tree_keep.c loads, stores and forgets nodes, tree_proof.c shows what there is.
 */

#include "executor/chain/tree_node.h"

/* A key to change: later gone through in order of keys. */
struct tree_change {
    const uint8_t *key;
    const uint8_t *value; /* NULL: it is removed */
    uint8_t height[8];
    size_t order; /* in which they came */
};

/* A node on the way of some changes. */
struct tree_work {
    struct node *node;
    size_t parent; /* the work of its parent; unless depth is 0 */
    unsigned slot; /* there */
    unsigned depth;
    size_t begin, end; /* the changes that lead through it */
    uint32_t changed;  /* places of its heap (node_heap) to be made again */
};

/* A leaf whose digest is to be made. */
struct tree_pending {
    size_t work;
    unsigned slot;
    const struct tree_leaf *leaf;
};

struct tree {
    struct tree_store store;
    bool has_store;
    uint64_t bytes, bytes_max;
    struct node *root;
    uint8_t root_digest[SHA256_SIZE];
    struct node *oldest, *newest; /* in order of last use; a node is never older than those below */
    struct buffer loaded;
    struct buffer removed; /* paths of stored nodes that are gone: size u8, path */

    /* Of the update that is made: */
    struct tree_change *changes;
    size_t change_count, change_capacity;
    struct tree_work *works; /* the root first, then depth by depth */
    size_t work_count, work_capacity;
    struct tree_pending *pending;
    size_t pending_count, pending_capacity;
};

/* Nibble `depth` of a key. */
static inline unsigned tree_nibble(const uint8_t *key, unsigned depth) {
    return key[depth / 2] >> (depth % 2 ? 0 : 4) & 15;
}

/* ---- tree_keep.c ---- */

struct tree_path {
    size_t size;
    uint8_t bytes[TREE_PATH_MAX];
};

/* Of the node at `depth` on the way to a key. */
struct tree_path tree_path_of(const uint8_t *key, unsigned depth);

/* The list of use. */
void tree_link(struct tree *tree, struct node *node);
void tree_unlink(struct tree *tree, struct node *node);
void tree_touch(struct tree *tree, struct node *node);
/* After a node may have moved. */
void tree_moved(struct tree *tree, struct node *from, size_t bytes_before, struct node *to);

/* The node below a slot, from memory or from the store. `depth` is its own. */
int tree_child(struct tree *tree, struct node *parent, unsigned slot, const uint8_t *key,
               unsigned depth, struct node **ret, struct error *err);
/* A node that was emptied: unlinked, freed, and forgotten in the store at the next flush. */
void tree_drop(struct tree *tree, struct node *node, const uint8_t *key, unsigned depth);

struct tree_leaf *tree_leaf_new(struct tree *tree, const struct tree_change *change);
void tree_leaf_free(struct tree *tree, struct tree_leaf *leaf);

/* ---- tree_hash.c ---- */

void tree_hash(struct tree *tree);
