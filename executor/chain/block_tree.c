#include "executor/chain/block_tree.h"

#include <assert.h>
#include <string.h>

static void hash_leaf(const uint8_t leaf[SHA256_SIZE], uint8_t out[SHA256_SIZE]) {
    uint8_t bytes[1 + SHA256_SIZE] = {0};
    memcpy(bytes + 1, leaf, SHA256_SIZE);
    sha256_of(bytes, sizeof bytes, out);
}

static void hash_node(const uint8_t left[SHA256_SIZE], const uint8_t right[SHA256_SIZE],
                      uint8_t out[SHA256_SIZE]) {
    uint8_t bytes[1 + 2 * SHA256_SIZE] = {1};
    memcpy(bytes + 1, left, SHA256_SIZE);
    memcpy(bytes + 1 + SHA256_SIZE, right, SHA256_SIZE);
    sha256_of(bytes, sizeof bytes, out);
}

void block_tree_add(struct block_tree *tree, const uint8_t leaf[SHA256_SIZE]) {
    uint8_t digest[SHA256_SIZE];
    unsigned i = 0;
    hash_leaf(leaf, digest);
    for (; tree->count >> i & 1; i++)
        hash_node(tree->peaks[i], digest, digest);
    memcpy(tree->peaks[i], digest, SHA256_SIZE);
    tree->count++;
}

void block_tree_root(const struct block_tree *tree, uint8_t out[SHA256_SIZE]) {
    if (tree->count == 0) {
        sha256_of(NULL, 0, out);
        return;
    }
    unsigned i = (unsigned)__builtin_ctzll(tree->count);
    memcpy(out, tree->peaks[i], SHA256_SIZE);
    for (i++; i < BLOCK_TREE_DEPTH_MAX && tree->count >> i; i++)
        if (tree->count >> i & 1)
            hash_node(tree->peaks[i], out, out);
}

/* MTH of `count` leaves. */
static void root_of(const uint8_t (*leaves)[SHA256_SIZE], uint64_t count,
                    uint8_t out[SHA256_SIZE]) {
    struct block_tree tree = BLOCK_TREE_EMPTY;
    for (uint64_t i = 0; i < count; i++)
        block_tree_add(&tree, leaves[i]);
    block_tree_root(&tree, out);
}

/* The largest power of two below `count`, which is above 1. */
static uint64_t split(uint64_t count) {
    return UINT64_C(1) << (63 - __builtin_clzll(count - 1));
}

void block_tree_prove(const uint8_t (*leaves)[SHA256_SIZE], uint64_t count, uint64_t i,
                      struct block_tree_proof *ret) {
    uint8_t siblings[BLOCK_TREE_DEPTH_MAX][SHA256_SIZE];
    uint32_t depth = 0;
    assert(i < count);
    while (count > 1) { /* PATH(m, D[n]) from the outside in */
        uint64_t k = split(count);
        if (i < k) {
            root_of(leaves + k, count - k, siblings[depth++]);
            count = k;
        } else {
            root_of(leaves, k, siblings[depth++]);
            leaves += k;
            count -= k;
            i -= k;
        }
    }
    ret->sibling_count = depth;
    for (uint32_t k = 0; k < depth; k++)
        memcpy(ret->siblings[k], siblings[depth - 1 - k], SHA256_SIZE);
}

int block_tree_verify(const uint8_t root[SHA256_SIZE], uint64_t count, uint64_t i,
                      const uint8_t leaf[SHA256_SIZE], const struct block_tree_proof *proof,
                      struct error *err) {
    uint8_t digest[SHA256_SIZE];
    uint64_t fn = i, sn = count - 1; /* as in section 2.1.3.2 */
    if (i >= count || proof->sibling_count > BLOCK_TREE_DEPTH_MAX)
        return error_set(err, ERROR_INVALID, "there is no leaf %llu of %llu", (unsigned long long)i,
                         (unsigned long long)count);
    hash_leaf(leaf, digest);
    uint32_t k = 0;
    for (; k < proof->sibling_count && sn > 0; k++) {
        if (fn & 1 || fn == sn) {
            hash_node(proof->siblings[k], digest, digest);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            hash_node(digest, proof->siblings[k], digest);
        }
        fn >>= 1;
        sn >>= 1;
    }
    if (k != proof->sibling_count || sn != 0 || memcmp(digest, root, SHA256_SIZE) != 0)
        return error_set(err, ERROR_INVALID, "the proof does not lead to the root");
    return 0;
}
