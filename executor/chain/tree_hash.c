/*
 * Digests of what was changed, from the bottom up. Hashes that do not depend on each other are made
 * side by side: first those of all leaves, then, depth by depth and level by level, those of all
 * nodes that the update has come through.
 */

#include "executor/chain/tree_state.h"

#include "lib/memory.h"
#include "lib/sha256_many.h"

#include <assert.h>
#include <string.h>

/* Works that are hashed together: more would not fit into the first cache. */
enum { TOGETHER = 32, PAIRS_MAX = TOGETHER * NODE_SLOTS / 2 };

static void hash_leaves(struct tree *tree) {
    struct sha256_input in[TOGETHER];
    uint8_t digests[TOGETHER][SHA256_SIZE];
    for (size_t i = 0; i < tree->pending_count; i += TOGETHER) {
        const struct tree_pending *pending = &tree->pending[i];
        size_t left = tree->pending_count - i, count = left < TOGETHER ? left : TOGETHER;
        for (size_t k = 0; k < count; k++)
            in[k] = (struct sha256_input){pending[k].leaf, sizeof(struct tree_leaf)};
        sha256_many(in, count, digests);
        for (size_t k = 0; k < count; k++)
            node_set_digest(tree->works[pending[k].work].node, pending[k].slot, digests[k]);
    }
}

static void mark(struct tree *tree, const struct tree_work *work) {
    tree->works[work->parent].changed |= 1u << (NODE_SLOTS + work->slot);
}

/* A node that is left with one leaf, or nothing, gives way to it. */
static bool give_way(struct tree *tree, struct tree_work *work) {
    struct node *node = work->node;
    unsigned count = node_count(node);
    if (work->depth == 0 || count > 1 || (count == 1 && node->inner))
        return false;
    struct tree_work *parent = &tree->works[work->parent];
    if (count == 0) {
        node_clear(parent->node, work->slot);
    } else {
        unsigned slot = (unsigned)__builtin_ctz(node->leaves);
        uint8_t digest[SHA256_SIZE];
        memcpy(digest, node_digest(node, slot), sizeof digest);
        struct node *above = parent->node;
        node_put_leaf(&above, work->slot, node_leaf(node, slot));
        assert(above == parent->node); /* the slot was used */
        node_set_digest(above, work->slot, digest);
        above->changed_below = (uint16_t)(above->changed_below & ~(1u << work->slot));
    }
    tree_drop(tree, node, tree->changes[work->begin].key, work->depth);
    mark(tree, work);
    work->node = NULL;
    return true;
}

struct fold {
    struct tree_work *work;
    struct node_heap *heap;
    struct node_heap room;
};

/* One level of forks of all of them. */
static void fold_level(struct fold *folds, size_t count, unsigned first) {
    static _Thread_local uint8_t pairs[PAIRS_MAX][2 * SHA256_SIZE];
    static _Thread_local uint8_t digests[PAIRS_MAX][SHA256_SIZE];
    uint8_t *to[PAIRS_MAX];
    size_t pair_count = 0;
    for (size_t k = 0; k < count; k++) {
        uint32_t changed = folds[k].work->changed;
        for (unsigned i = first; i < 2 * first; i++) {
            if (!(changed >> (2 * i) & 3))
                continue;
            folds[k].work->changed |= 1u << i;
            if (node_fold(folds[k].heap, i, pairs[pair_count]))
                to[pair_count++] = folds[k].heap->digests[i];
        }
    }
    sha256_pairs((const uint8_t(*)[2 * SHA256_SIZE]) pairs, pair_count, digests);
    for (size_t k = 0; k < pair_count; k++)
        memcpy(to[k], digests[k], SHA256_SIZE);
}

static void finish(struct tree *tree, const struct fold *fold) {
    const struct tree_work *work = fold->work;
    work->node->changed = true;
    tree_touch(tree, work->node);
    if (work->depth == 0) {
        memcpy(tree->root_digest, fold->heap->digests[1], SHA256_SIZE);
        return;
    }
    struct node *parent = tree->works[work->parent].node;
    node_set_digest(parent, work->slot, fold->heap->digests[1]);
    parent->changed_below = (uint16_t)(parent->changed_below | 1u << work->slot);
    mark(tree, work);
}

/* Works [begin, end) are of one depth, and no more than TOGETHER. */
static void hash_works(struct tree *tree, size_t begin, size_t end) {
    static _Thread_local struct fold folds[TOGETHER];
    size_t count = 0;
    for (size_t i = begin; i < end; i++) {
        struct tree_work *work = &tree->works[i];
        if (give_way(tree, work))
            continue;
        struct fold *fold = &folds[count++];
        fold->work = work;
        fold->heap = node_heap(work->node, &fold->room);
        if (fold->heap == &fold->room)
            work->changed |= fold->heap->present; /* a small node keeps no forks */
    }
    for (unsigned first = NODE_SLOTS / 2; first > 0; first /= 2)
        fold_level(folds, count, first);
    for (size_t k = 0; k < count; k++)
        finish(tree, &folds[k]);
}

void tree_hash(struct tree *tree) {
    hash_leaves(tree);
    for (size_t end = tree->work_count; end > 0;) {
        size_t begin = end;
        unsigned depth = tree->works[end - 1].depth;
        while (begin > 0 && tree->works[begin - 1].depth == depth && end - begin < TOGETHER)
            begin--;
        hash_works(tree, begin, end);
        end = begin;
    }
}
