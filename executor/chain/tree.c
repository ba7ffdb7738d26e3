#include "executor/chain/tree.h"

#include "executor/chain/tree_state.h"

#include "lib/bytes.h"
#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What a new key takes at most, but for keys whose hashes begin alike on purpose. */
enum { BYTES_OF_KEY = 2048 };

static int compare_changes(const void *a, const void *b) {
    const struct tree_change *x = a, *y = b;
    int order = memcmp(x->key, y->key, SHA256_SIZE);
    if (order != 0)
        return order;
    return x->order < y->order ? -1 : 1;
}

/* In order of keys; of those that come twice the last. */
static void sort_changes(struct tree *tree) {
    size_t kept = 0;
    if (tree->change_count == 0)
        return; /* nor is there a list that qsort may be given */
    qsort(tree->changes, tree->change_count, sizeof *tree->changes, compare_changes);
    for (size_t i = 0; i < tree->change_count; i++) {
        bool again =
            kept > 0 && memcmp(tree->changes[kept - 1].key, tree->changes[i].key, SHA256_SIZE) == 0;
        tree->changes[kept - again] = tree->changes[i];
        kept += !again;
    }
    tree->change_count = kept;
}

static void add_change(struct tree *tree, const uint8_t *key, const uint8_t *value,
                       const uint8_t height[8]) {
    mem_grow(tree->changes, tree->change_count, tree->change_capacity);
    struct tree_change *change = &tree->changes[tree->change_count];
    *change = (struct tree_change){.key = key, .value = value, .order = tree->change_count};
    memcpy(change->height, height, sizeof change->height);
    tree->change_count++;
}

/* What was there before a change; NULL: nothing. */
static void remember(struct buffer *undo, const struct tree_change *change,
                     const struct tree_leaf *before) {
    static const struct tree_leaf nothing;
    const uint8_t there = before != NULL;
    if (!undo)
        return;
    buffer_append(undo, change->key, SHA256_SIZE);
    buffer_append(undo, &there, 1);
    before = before ? before : &nothing;
    buffer_append(undo, before->value, sizeof before->value);
    buffer_append(undo, before->height, sizeof before->height);
}

/* ---- the way down, all changes side by side ---- */

static void push_work(struct tree *tree, const struct tree_work *work) {
    mem_grow(tree->works, tree->work_count, tree->work_capacity);
    tree->works[tree->work_count++] = *work;
    /* Its turn comes when all others of its depth have been pushed: time to fetch it. */
    const char *at = (const char *)work->node;
    for (size_t line = 0; line < 4; line++)
        __builtin_prefetch(at + 64 * line);
}

static void make_pending(struct tree *tree, size_t work, unsigned slot,
                         const struct tree_leaf *leaf) {
    mem_grow(tree->pending, tree->pending_count, tree->pending_capacity);
    tree->pending[tree->pending_count++] =
        (struct tree_pending){.work = work, .slot = slot, .leaf = leaf};
    tree->works[work].changed |= 1u << (NODE_SLOTS + slot);
}

static void put_leaf(struct tree *tree, size_t work, unsigned slot, struct tree_leaf *leaf) {
    struct node *before = tree->works[work].node, *node = before;
    size_t bytes = node_bytes(before);
    node_put_leaf(&node, slot, leaf);
    tree_moved(tree, before, bytes, node);
    tree->works[work].node = node;
}

/* A new node below a slot. Its parent stays where it is if the slot was used. */
static void put_child(struct tree *tree, size_t work, unsigned slot, struct node *child) {
    struct node *before = tree->works[work].node, *node = before;
    size_t bytes = node_bytes(before);
    node_put_inner(&node, slot, child);
    tree_moved(tree, before, bytes, node);
    tree->works[work].node = node;
    tree->bytes += node_bytes(child);
    tree_link(tree, child);
}

static void go_below(struct tree *tree, size_t work, unsigned slot, struct node *child,
                     size_t begin, size_t end) {
    const struct tree_work below = {
        .node = child,
        .parent = work,
        .slot = slot,
        .depth = tree->works[work].depth + 1,
        .begin = begin,
        .end = end,
    };
    assert(below.depth < 2 * SHA256_SIZE);
    push_work(tree, &below);
}

static void forget_changes(struct tree *tree, size_t begin, size_t end, struct buffer *undo) {
    for (size_t i = begin; i < end; i++)
        remember(undo, &tree->changes[i], NULL);
}

static bool all_remove(const struct tree *tree, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++)
        if (tree->changes[i].value)
            return false;
    return true;
}

static void change_nothing(struct tree *tree, size_t work, unsigned slot, size_t begin, size_t end,
                           struct buffer *undo) {
    if (all_remove(tree, begin, end)) {
        forget_changes(tree, begin, end, undo);
    } else if (end - begin == 1) {
        struct tree_leaf *leaf = tree_leaf_new(tree, &tree->changes[begin]);
        remember(undo, &tree->changes[begin], NULL);
        put_leaf(tree, work, slot, leaf);
        make_pending(tree, work, slot, leaf);
    } else {
        struct node *child = node_new();
        put_child(tree, work, slot, child);
        go_below(tree, work, slot, child, begin, end);
    }
}

/* The leaf of the key itself. */
static void change_key(struct tree *tree, size_t work, unsigned slot,
                       const struct tree_change *change, struct buffer *undo) {
    struct node *node = tree->works[work].node;
    struct tree_leaf *leaf = node_leaf(node, slot);
    remember(undo, change, leaf);
    if (!change->value) {
        node_clear(node, slot);
        tree_leaf_free(tree, leaf);
        tree->works[work].changed |= 1u << (NODE_SLOTS + slot);
        return;
    }
    memcpy(leaf->value, change->value, sizeof leaf->value);
    memcpy(leaf->height, change->height, sizeof leaf->height);
    make_pending(tree, work, slot, leaf);
}

static void change_leaf(struct tree *tree, size_t work, unsigned slot, size_t begin, size_t end,
                        struct buffer *undo) {
    struct node *node = tree->works[work].node;
    struct tree_leaf *leaf = node_leaf(node, slot);
    const struct tree_change *change = &tree->changes[begin];
    if (end - begin == 1 && memcmp(leaf->key, change->key, SHA256_SIZE) == 0) {
        change_key(tree, work, slot, change, undo);
        return;
    }
    /* It moves one node down, and meets the others there. */
    struct node *child = node_new();
    unsigned below = tree_nibble(leaf->key, tree->works[work].depth + 1);
    node_put_leaf(&child, below, leaf);
    node_set_digest(child, below, node_digest(node, slot));
    put_child(tree, work, slot, child);
    go_below(tree, work, slot, child, begin, end);
}

static int change_slot(struct tree *tree, size_t work, unsigned slot, size_t begin, size_t end,
                       struct buffer *undo, struct error *err) {
    struct node *child, *node = tree->works[work].node;
    switch (node_kind(node, slot)) {
    case NODE_NOTHING: change_nothing(tree, work, slot, begin, end, undo); return 0;
    case NODE_LEAF: change_leaf(tree, work, slot, begin, end, undo); return 0;
    case NODE_INNER: break;
    }
    if (tree_child(tree, node, slot, tree->changes[begin].key, tree->works[work].depth + 1, &child,
                   err) < 0)
        return -1;
    go_below(tree, work, slot, child, begin, end);
    return 0;
}

static int go_down(struct tree *tree, struct buffer *undo, struct error *err) {
    tree->work_count = tree->pending_count = 0;
    push_work(tree, &(struct tree_work){.node = tree->root, .end = tree->change_count});
    for (size_t work = 0; work < tree->work_count; work++) {
        size_t end = tree->works[work].end, next;
        unsigned depth = tree->works[work].depth;
        for (size_t i = tree->works[work].begin; i < end; i = next) {
            unsigned slot = tree_nibble(tree->changes[i].key, depth);
            for (next = i + 1; next < end; next++)
                if (tree_nibble(tree->changes[next].key, depth) != slot)
                    break;
            if (change_slot(tree, work, slot, i, next, undo, err) < 0)
                return -1;
        }
    }
    return 0;
}

static int apply(struct tree *tree, struct buffer *undo, struct error *err) {
    sort_changes(tree);
    if (tree->change_count == 0)
        return 0;
    if (go_down(tree, undo, err) < 0)
        return -1;
    tree_hash(tree);
    return undo ? buffer_check(undo, "what a block changes in the Merkle tree", err) : 0;
}

int tree_update(struct tree *tree, const struct tree_changes *changes, struct buffer *undo,
                struct error *err) {
    uint8_t height[8];
    struct byte_writer w = byte_writer(height, sizeof height);
    bytes_put_u64(&w, changes->height);
    if (!tree->has_store && tree->bytes + changes->count * BYTES_OF_KEY > tree->bytes_max)
        return error_set(err, ERROR_LIMIT, "the Merkle tree is full: %llu of %llu bytes",
                         (unsigned long long)tree->bytes, (unsigned long long)tree->bytes_max);
    tree->change_count = 0;
    for (size_t i = 0; i < changes->count; i++) {
        bool removes = changes->removes && changes->removes(changes->context, i);
        add_change(tree, changes->keys[i], removes ? NULL : changes->values[i], height);
    }
    return apply(tree, undo, err);
}

int tree_undo(struct tree *tree, const void *undo, size_t size, struct error *err) {
    struct byte_reader r = byte_reader(undo, size);
    if (size % TREE_UNDO_SIZE != 0)
        return error_set(err, ERROR_INVALID, "%zu bytes do not say what a block changed", size);
    tree->change_count = 0;
    while (bytes_left(&r) > 0) {
        const uint8_t *key = bytes_take(&r, SHA256_SIZE);
        bool there = bytes_get_u8(&r);
        const uint8_t *value = bytes_take(&r, SHA256_SIZE);
        add_change(tree, key, there ? value : NULL, bytes_take(&r, 8));
    }
    return apply(tree, NULL, err);
}
