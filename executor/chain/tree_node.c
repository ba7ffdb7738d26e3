#include "executor/chain/tree_node.h"

#include "lib/bytes.h"
#include "lib/memory.h"
#include "lib/sha256_many.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct tree_leaf) == 72, "a leaf is hashed as it is");

enum { NODE_VERSION = 1 };

struct small_slot {
    void *below; /* leaf or node */
    uint8_t digest[SHA256_SIZE];
};

struct small_node {
    struct node base;
    struct small_slot slots[NODE_SMALL_SLOTS]; /* of the used ones, in order */
};

struct large_node {
    struct node base;
    void *below[NODE_SLOTS];
    struct node_heap heap;
};

static struct small_node *small_of(const struct node *node) {
    return (struct small_node *)(uintptr_t)node;
}

static struct large_node *large_of(const struct node *node) {
    return (struct large_node *)(uintptr_t)node;
}

struct node *node_new(void) {
    return &mem_new(struct small_node)->base;
}

void node_free(struct node *node) {
    free(node);
}

size_t node_bytes(const struct node *node) {
    return node->large ? sizeof(struct large_node) : sizeof(struct small_node);
}

static unsigned used(const struct node *node) {
    return node->leaves | node->inner;
}

enum node_kind node_kind(const struct node *node, unsigned slot) {
    if (node->leaves >> slot & 1)
        return NODE_LEAF;
    return node->inner >> slot & 1 ? NODE_INNER : NODE_NOTHING;
}

unsigned node_count(const struct node *node) {
    return (unsigned)__builtin_popcount(used(node));
}

/* The place of a used slot in a small node. */
static unsigned place_of(const struct node *node, unsigned slot) {
    return (unsigned)__builtin_popcount(used(node) & ((1u << slot) - 1));
}

static void **below(const struct node *node, unsigned slot) {
    return node->large ? &large_of(node)->below[slot]
                       : &small_of(node)->slots[place_of(node, slot)].below;
}

const uint8_t *node_digest(const struct node *node, unsigned slot) {
    return node->large ? large_of(node)->heap.digests[NODE_SLOTS + slot]
                       : small_of(node)->slots[place_of(node, slot)].digest;
}

void node_set_digest(struct node *node, unsigned slot, const uint8_t digest[SHA256_SIZE]) {
    uint8_t *to = node->large ? large_of(node)->heap.digests[NODE_SLOTS + slot]
                              : small_of(node)->slots[place_of(node, slot)].digest;
    memcpy(to, digest, SHA256_SIZE);
}

struct tree_leaf *node_leaf(const struct node *node, unsigned slot) {
    return *below(node, slot);
}

struct node *node_child(const struct node *node, unsigned slot) {
    return *below(node, slot);
}

void node_set_child(struct node *node, unsigned slot, struct node *child) {
    *below(node, slot) = child;
    if (child) {
        child->parent = node;
        child->slot = (uint8_t)slot;
    }
}

/* All that points to a node which has moved. */
static void moved(struct node *from, struct node *to) {
    if (to->parent)
        *below(to->parent, to->slot) = to;
    if (from->older)
        from->older->newer = to;
    if (from->newer)
        from->newer->older = to;
    for (unsigned left = to->inner; left; left &= left - 1) {
        struct node *child = node_child(to, (unsigned)__builtin_ctz(left));
        if (child)
            child->parent = to;
    }
}

static struct node *enlarge(struct node *node) {
    struct large_node *large = mem_new(struct large_node);
    struct small_slot *from = small_of(node)->slots;
    large->base = *node;
    large->base.large = true;
    for (unsigned left = used(node); left; left &= left - 1, from++) {
        unsigned slot = (unsigned)__builtin_ctz(left);
        large->below[slot] = from->below;
        memcpy(large->heap.digests[NODE_SLOTS + slot], from->digest, SHA256_SIZE);
    }
    large->heap.present = used(node) << NODE_SLOTS;
    large->heap.inner = (uint32_t)node->inner << NODE_SLOTS;
    node_fold_all(&large->heap);
    moved(node, &large->base);
    free(node);
    return &large->base;
}

/* Makes a slot used. */
static void use(struct node **node, unsigned slot, enum node_kind kind, void *what) {
    if (!(*node)->large && node_kind(*node, slot) == NODE_NOTHING) {
        unsigned count = node_count(*node);
        if (count == NODE_SMALL_SLOTS) {
            *node = enlarge(*node);
        } else {
            struct small_slot *place = &small_of(*node)->slots[place_of(*node, slot)];
            size_t behind = (size_t)(&small_of(*node)->slots[count] - place);
            memmove(place + 1, place, behind * sizeof *place);
        }
    }
    struct node *n = *node;
    n->leaves = (uint16_t)(n->leaves & ~(1u << slot));
    n->inner = (uint16_t)(n->inner & ~(1u << slot));
    if (kind == NODE_LEAF)
        n->leaves = (uint16_t)(n->leaves | 1u << slot);
    else
        n->inner = (uint16_t)(n->inner | 1u << slot);
    *below(n, slot) = what;
    if (!n->large)
        return;
    struct node_heap *heap = &large_of(n)->heap;
    uint32_t bit = 1u << (NODE_SLOTS + slot);
    heap->present |= bit;
    heap->inner = kind == NODE_INNER ? heap->inner | bit : heap->inner & ~bit;
}

void node_put_leaf(struct node **node, unsigned slot, struct tree_leaf *leaf) {
    use(node, slot, NODE_LEAF, leaf);
}

void node_put_inner(struct node **node, unsigned slot, struct node *child) {
    use(node, slot, NODE_INNER, child);
    if (child)
        node_set_child(*node, slot, child);
}

void node_clear(struct node *node, unsigned slot) {
    assert(used(node) >> slot & 1);
    if (node->large) {
        struct node_heap *heap = &large_of(node)->heap;
        uint32_t bit = 1u << (NODE_SLOTS + slot);
        heap->present &= ~bit;
        heap->inner &= ~bit;
        memset(heap->digests[NODE_SLOTS + slot], 0, SHA256_SIZE);
        large_of(node)->below[slot] = NULL;
    } else {
        struct small_slot *place = &small_of(node)->slots[place_of(node, slot)];
        size_t behind = (size_t)(&small_of(node)->slots[node_count(node)] - place) - 1;
        memmove(place, place + 1, behind * sizeof *place);
    }
    node->leaves = (uint16_t)(node->leaves & ~(1u << slot));
    node->inner = (uint16_t)(node->inner & ~(1u << slot));
    node->changed_below = (uint16_t)(node->changed_below & ~(1u << slot));
}

/* ---- forks ---- */

struct node_heap *node_heap(struct node *node, struct node_heap *room) {
    if (node->large)
        return &large_of(node)->heap;
    const struct small_slot *from = small_of(node)->slots;
    memset(room, 0, sizeof *room);
    for (unsigned left = used(node); left; left &= left - 1, from++)
        memcpy(room->digests[NODE_SLOTS + (unsigned)__builtin_ctz(left)], from->digest,
               SHA256_SIZE);
    room->present = used(node) << NODE_SLOTS;
    room->inner = (uint32_t)node->inner << NODE_SLOTS;
    return room;
}

bool node_fold(struct node_heap *heap, unsigned i, uint8_t pair[2 * SHA256_SIZE]) {
    uint32_t there = heap->present >> (2 * i) & 3, inner = heap->inner >> (2 * i) & 3;
    uint32_t bit = 1u << i;
    heap->present = there ? heap->present | bit : heap->present & ~bit;
    bool fork = there == 3 || inner != 0;
    heap->inner = fork ? heap->inner | bit : heap->inner & ~bit;
    if (fork)
        memcpy(pair, heap->digests[2 * i], 2 * SHA256_SIZE); /* one behind the other */
    else if (there)
        memcpy(heap->digests[i], heap->digests[2 * i + (there == 2)], SHA256_SIZE);
    else
        memset(heap->digests[i], 0, SHA256_SIZE);
    return fork;
}

void node_fold_all(struct node_heap *heap) {
    for (unsigned first = NODE_SLOTS / 2; first > 0; first /= 2) {
        uint8_t pairs[NODE_SLOTS / 2][2 * SHA256_SIZE], digests[NODE_SLOTS / 2][SHA256_SIZE];
        unsigned places[NODE_SLOTS / 2], count = 0;
        for (unsigned i = first; i < 2 * first; i++)
            if (node_fold(heap, i, pairs[count]))
                places[count++] = i;
        sha256_pairs((const uint8_t(*)[2 * SHA256_SIZE]) pairs, count, digests);
        for (unsigned k = 0; k < count; k++)
            memcpy(heap->digests[places[k]], digests[k], SHA256_SIZE);
    }
}

const struct tree_leaf *node_leaf_below(const struct node *node, const struct node_heap *heap,
                                        unsigned i) {
    while (i < NODE_SLOTS)
        i = 2 * i + !(heap->present >> (2 * i) & 1);
    return node_leaf(node, i - NODE_SLOTS);
}

/* ---- stored ---- */

size_t node_encode(const struct node *node, uint8_t out[TREE_NODE_SIZE_MAX]) {
    struct byte_writer w = byte_writer(out, TREE_NODE_SIZE_MAX);
    bytes_put_u8(&w, NODE_VERSION);
    bytes_put_u16(&w, node->leaves);
    bytes_put_u16(&w, node->inner);
    for (unsigned left = used(node); left; left &= left - 1) {
        unsigned slot = (unsigned)__builtin_ctz(left);
        if (node_kind(node, slot) == NODE_LEAF)
            bytes_put(&w, node_leaf(node, slot), sizeof(struct tree_leaf));
        else
            bytes_put(&w, node_digest(node, slot), SHA256_SIZE);
    }
    return bytes_written(&w);
}

static void hash_leaves(struct node *node) {
    struct sha256_input in[NODE_SLOTS];
    uint8_t digests[NODE_SLOTS][SHA256_SIZE];
    size_t count = 0;
    for (unsigned left = node->leaves; left; left &= left - 1)
        in[count++] = (struct sha256_input){node_leaf(node, (unsigned)__builtin_ctz(left)),
                                            sizeof(struct tree_leaf)};
    sha256_many(in, count, digests);
    count = 0;
    for (unsigned left = node->leaves; left; left &= left - 1)
        node_set_digest(node, (unsigned)__builtin_ctz(left), digests[count++]);
}

int node_decode(const void *data, size_t size, struct node **ret, struct error *err) {
    struct byte_reader r = byte_reader(data, size);
    unsigned version = bytes_get_u8(&r), leaves = bytes_get_u16(&r), inner = bytes_get_u16(&r);
    size_t expected = (size_t)__builtin_popcount(leaves) * sizeof(struct tree_leaf) +
                      (size_t)__builtin_popcount(inner) * SHA256_SIZE;
    if (r.failed || version != NODE_VERSION || (leaves & inner) || bytes_left(&r) != expected)
        return error_set(err, ERROR_INVALID, "a node of the Merkle tree is damaged (%zu bytes)",
                         size);
    struct node *node = node_new();
    for (unsigned left = leaves | inner; left; left &= left - 1) {
        unsigned slot = (unsigned)__builtin_ctz(left);
        if (inner >> slot & 1) {
            node_put_inner(&node, slot, NULL);
            node_set_digest(node, slot, bytes_take(&r, SHA256_SIZE));
        } else {
            node_put_leaf(
                &node, slot,
                mem_dup(bytes_take(&r, sizeof(struct tree_leaf)), sizeof(struct tree_leaf)));
        }
    }
    hash_leaves(node);
    if (node->large)
        node_fold_all(&large_of(node)->heap);
    *ret = node;
    return 0;
}
