#include "executor/chain/tree_state.h"

#include "lib/bytes.h"

#include <assert.h>
#include <string.h>

static unsigned bit_of(const uint8_t *key, unsigned i) {
    return key[i / 8] >> (7 - i % 8) & 1;
}

/* From the top of a node down, until there is nothing, one leaf, or a slot with a node below. Gives
 * that place of the heap. */
static unsigned go_through(const struct node_heap *heap, const uint8_t *key,
                           struct tree_proof *proof) {
    unsigned i = 1;
    while (i < NODE_SLOTS && heap->inner >> i & 1) {
        unsigned next = 2 * i + bit_of(key, proof->sibling_count);
        memcpy(proof->siblings[proof->sibling_count++], heap->digests[next ^ 1], SHA256_SIZE);
        i = next;
    }
    return i;
}

/* Those that were used last are those nearest to the root (see struct tree). */
static void touch_up(struct tree *tree, struct node *node) {
    for (; node; node = node->parent)
        tree_touch(tree, node);
}

int tree_prove(struct tree *tree, const uint8_t key[SHA256_SIZE], struct tree_proof *ret,
               struct error *err) {
    struct node *node = tree->root;
    ret->sibling_count = 0;
    for (unsigned depth = 1;; depth++) {
        struct node_heap room, *heap = node_heap(node, &room);
        if (heap == &room)
            node_fold_all(heap);
        unsigned i = go_through(heap, key, ret);
        if (i >= NODE_SLOTS && heap->inner >> i & 1) {
            if (tree_child(tree, node, i - NODE_SLOTS, key, depth, &node, err) < 0)
                return -1;
            continue;
        }
        ret->has_leaf = heap->present >> i & 1;
        if (ret->has_leaf)
            ret->leaf = *node_leaf_below(node, heap, i);
        touch_up(tree, node);
        return 0;
    }
}

/* Whether two keys go the same way for so many forks. */
static bool same_way(const uint8_t *a, const uint8_t *b, unsigned forks) {
    for (unsigned i = 0; i < forks; i++)
        if (bit_of(a, i) != bit_of(b, i))
            return false;
    return true;
}

int tree_verify(const uint8_t root[SHA256_SIZE], const uint8_t key[SHA256_SIZE],
                const struct tree_proof *proof, enum tree_answer *ret, struct error *err) {
    uint8_t digest[SHA256_SIZE] = {0}, pair[2 * SHA256_SIZE];
    if (proof->sibling_count > TREE_DEPTH_MAX)
        return error_set(err, ERROR_INVALID, "a proof of %u forks, at most %d",
                         proof->sibling_count, TREE_DEPTH_MAX);
    if (proof->has_leaf) {
        if (!same_way(proof->leaf.key, key, proof->sibling_count))
            return error_set(err, ERROR_INVALID, "the proof leads to another place");
        sha256_of(&proof->leaf, sizeof proof->leaf, digest);
    }
    for (unsigned i = proof->sibling_count; i-- > 0;) {
        unsigned right = bit_of(key, i);
        memcpy(pair + (right ? SHA256_SIZE : 0), digest, SHA256_SIZE);
        memcpy(pair + (right ? 0 : SHA256_SIZE), proof->siblings[i], SHA256_SIZE);
        sha256_of(pair, sizeof pair, digest);
    }
    if (memcmp(digest, root, SHA256_SIZE) != 0)
        return error_set(err, ERROR_INVALID, "the proof does not lead to the root");
    bool present = proof->has_leaf && memcmp(proof->leaf.key, key, SHA256_SIZE) == 0;
    *ret = present ? TREE_PRESENT : TREE_ABSENT;
    return 0;
}

uint64_t tree_leaf_height(const struct tree_leaf *leaf) {
    struct byte_reader r = byte_reader(leaf->height, sizeof leaf->height);
    return bytes_get_u64(&r);
}
