#include "executor/chain/tree_state.h"

#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { REMOVED_MAX = 64 * 1024 * 1024 };

struct tree_path tree_path_of(const uint8_t *key, unsigned depth) {
    struct tree_path path = {.size = 1 + (depth + 1) / 2};
    path.bytes[0] = (uint8_t)depth;
    memcpy(path.bytes + 1, key, path.size - 1);
    if (depth % 2)
        path.bytes[path.size - 1] &= 0xf0;
    return path;
}

/* ---- the list of use ---- */

void tree_link(struct tree *tree, struct node *node) {
    node->older = tree->newest;
    node->newer = NULL;
    if (tree->newest)
        tree->newest->newer = node;
    else
        tree->oldest = node;
    tree->newest = node;
}

void tree_unlink(struct tree *tree, struct node *node) {
    *(node->older ? &node->older->newer : &tree->oldest) = node->newer;
    *(node->newer ? &node->newer->older : &tree->newest) = node->older;
}

void tree_touch(struct tree *tree, struct node *node) {
    if (!tree->has_store || tree->newest == node)
        return;
    tree_unlink(tree, node);
    tree_link(tree, node);
}

void tree_moved(struct tree *tree, struct node *from, size_t bytes_before, struct node *to) {
    tree->bytes += node_bytes(to) - bytes_before;
    if (tree->root == from)
        tree->root = to;
    if (tree->oldest == from)
        tree->oldest = to;
    if (tree->newest == from)
        tree->newest = to;
}

/* ---- leaves ---- */

struct tree_leaf *tree_leaf_new(struct tree *tree, const struct tree_change *change) {
    struct tree_leaf *leaf = mem_alloc(sizeof *leaf);
    memcpy(leaf->key, change->key, sizeof leaf->key);
    memcpy(leaf->value, change->value, sizeof leaf->value);
    memcpy(leaf->height, change->height, sizeof leaf->height);
    tree->bytes += sizeof *leaf;
    return leaf;
}

void tree_leaf_free(struct tree *tree, struct tree_leaf *leaf) {
    tree->bytes -= sizeof *leaf;
    free(leaf);
}

/* ---- nodes that come and go ---- */

static uint64_t bytes_of(const struct node *node) {
    return node_bytes(node) + (uint64_t)__builtin_popcount(node->leaves) * sizeof(struct tree_leaf);
}

static void free_with_leaves(struct node *node) {
    for (unsigned left = node->leaves; left; left &= left - 1)
        free(node_leaf(node, (unsigned)__builtin_ctz(left)));
    node_free(node);
}

static int load(struct tree *tree, const struct tree_path *path, struct node **ret,
                struct error *err) {
    buffer_clear(&tree->loaded);
    if (tree->store.get(tree->store.context, path->bytes, path->size, &tree->loaded, err) < 0 ||
        buffer_check(&tree->loaded, "a node of the Merkle tree", err) < 0)
        return -1;
    return node_decode(tree->loaded.data, tree->loaded.size, ret, err);
}

static void digest_of(struct node *node, uint8_t out[SHA256_SIZE]) {
    struct node_heap room, *heap = node_heap(node, &room);
    if (heap == &room)
        node_fold_all(heap);
    memcpy(out, heap->digests[1], SHA256_SIZE);
}

int tree_child(struct tree *tree, struct node *parent, unsigned slot, const uint8_t *key,
               unsigned depth, struct node **ret, struct error *err) {
    uint8_t digest[SHA256_SIZE];
    struct node *child = node_child(parent, slot);
    if (!child) {
        assert(tree->has_store);
        const struct tree_path path = tree_path_of(key, depth);
        if (load(tree, &path, &child, err) < 0)
            return error_wrap(err, "load a node of the Merkle tree");
        digest_of(child, digest);
        if (memcmp(digest, node_digest(parent, slot), SHA256_SIZE) != 0) {
            free_with_leaves(child);
            return error_set(err, ERROR_INVALID,
                             "a stored node of the Merkle tree is not the one above says");
        }
        tree->bytes += bytes_of(child);
        node_set_child(parent, slot, child);
        tree_link(tree, child);
    }
    *ret = child;
    return 0;
}

void tree_drop(struct tree *tree, struct node *node, const uint8_t *key, unsigned depth) {
    const struct tree_path path = tree_path_of(key, depth);
    if (tree->has_store) {
        buffer_append(&tree->removed, &path.size, 1);
        buffer_append(&tree->removed, path.bytes, path.size);
    }
    tree_unlink(tree, node);
    tree->bytes -= node_bytes(node);
    node_free(node);
}

/* ---- the whole ---- */

int tree_open(const struct tree_store *store, uint64_t bytes_max, struct tree **ret,
              struct error *err) {
    cleanup(tree_freep) struct tree *tree = mem_new(struct tree);
    tree->bytes_max = bytes_max < TREE_BYTES_MIN ? TREE_BYTES_MIN : bytes_max;
    buffer_init(&tree->loaded, TREE_NODE_SIZE_MAX);
    buffer_init(&tree->removed, REMOVED_MAX);
    if (store) {
        const struct tree_path root = {.size = 1};
        tree->store = *store;
        tree->has_store = true;
        if (load(tree, &root, &tree->root, err) < 0) {
            if (err->kind != ERROR_NOT_FOUND)
                return error_wrap(err, "load the root of the Merkle tree");
            error_clear(err);
        }
    }
    if (!tree->root)
        tree->root = node_new();
    digest_of(tree->root, tree->root_digest);
    tree->bytes = bytes_of(tree->root);
    tree_link(tree, tree->root);
    *ret = take_ptr(tree);
    return 0;
}

void tree_free(struct tree *tree) {
    if (!tree)
        return;
    for (struct node *node = tree->oldest, *next; node; node = next) {
        next = node->newer;
        free_with_leaves(node);
    }
    buffer_deinit(&tree->loaded);
    buffer_deinit(&tree->removed);
    free(tree->changes);
    free(tree->works);
    free(tree->pending);
    free(tree);
}

void tree_root(const struct tree *tree, uint8_t out[SHA256_SIZE]) {
    memcpy(out, tree->root_digest, SHA256_SIZE);
}

uint64_t tree_bytes(const struct tree *tree) {
    return tree->bytes;
}

/* ---- flush and trim ---- */

static int flush_removed(struct tree *tree, struct error *err) {
    if (buffer_check(&tree->removed, "the removed nodes of the Merkle tree", err) < 0)
        return -1;
    const uint8_t *at = (const uint8_t *)tree->removed.data;
    const uint8_t *end = at + tree->removed.size;
    for (; at < end; at += 1 + at[0])
        if (tree->store.remove(tree->store.context, at + 1, at[0], err) < 0)
            return -1;
    buffer_clear(&tree->removed);
    return 0;
}

/* `nibbles` lead to the node. */
static int flush_node(struct tree *tree, struct node *node, uint8_t *nibbles, unsigned depth,
                      struct error *err) {
    uint8_t bytes[TREE_NODE_SIZE_MAX], key[SHA256_SIZE] = {0};
    for (unsigned i = 0; i < depth; i++)
        key[i / 2] = (uint8_t)(key[i / 2] | nibbles[i] << (i % 2 ? 0 : 4));
    const struct tree_path path = tree_path_of(key, depth);
    size_t size = node_encode(node, bytes);
    if (tree->store.put(tree->store.context, path.bytes, path.size, bytes, size, err) < 0)
        return -1;
    for (unsigned left = node->changed_below; left; left &= left - 1) {
        unsigned slot = (unsigned)__builtin_ctz(left);
        nibbles[depth] = (uint8_t)slot;
        if (flush_node(tree, node_child(node, slot), nibbles, depth + 1, err) < 0)
            return -1;
    }
    node->changed_below = 0;
    node->changed = false;
    return 0;
}

int tree_flush(struct tree *tree, struct error *err) {
    uint8_t nibbles[2 * SHA256_SIZE];
    if (!tree->has_store)
        return 0;
    if (flush_removed(tree, err) < 0 ||
        (tree->root->changed && flush_node(tree, tree->root, nibbles, 0, err) < 0))
        return error_wrap(err, "write the Merkle tree");
    return 0;
}

void tree_trim(struct tree *tree) {
    if (!tree->has_store)
        return;
    while (tree->bytes > tree->bytes_max && tree->oldest != tree->root) {
        struct node *node = tree->oldest;
        assert(!node->changed);
        tree_unlink(tree, node);
        node_set_child(node->parent, node->slot, NULL);
        tree->bytes -= bytes_of(node);
        free_with_leaves(node);
    }
}
