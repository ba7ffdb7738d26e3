/* What blocks and stored nodes are read from: any bytes are refused or mean one thing. The first
 * byte says which kind they are. */

#include "executor/chain/block.h"
#include "executor/chain/tree_node.h"
#include "executor/chain/write_set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_header(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    struct block_header h;
    uint8_t again[BLOCK_HEADER_SIZE];
    if (block_header_decode(data, size, &h, &err) < 0)
        return;
    block_header_encode(&h, again);
    assert(size == sizeof again && memcmp(data, again, size) == 0);
}

static void fuzz_write_set(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    struct write_set set;
    write_set_init(&set, 16);
    if (write_set_read(&set, data, size, &err) == 0) {
        size_t bytes = 0;
        for (size_t i = 0; i < set.count; i++) {
            const struct write_set_entry *e = &set.entries[i];
            bytes += WRITE_SET_ENTRY_HEAD + (size_t)e->key_size + e->value_size;
        }
        assert(bytes == size);
    }
    write_set_deinit(&set);
}

static void fuzz_node(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    struct node *node;
    uint8_t again[TREE_NODE_SIZE_MAX];
    if (node_decode(data, size, &node, &err) < 0)
        return;
    assert(node_encode(node, again) == size && memcmp(data, again, size) == 0);
    for (unsigned slot = 0; slot < NODE_SLOTS; slot++)
        if (node_kind(node, slot) == NODE_LEAF)
            free(node_leaf(node, slot));
    node_free(node);
}

static void fuzz_undo(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    uint8_t root[SHA256_SIZE], undone[SHA256_SIZE];
    struct tree *tree = NULL;
    int r = tree_open(NULL, TREE_BYTES_MIN, &tree, &err);
    assert(r == 0);
    if (tree_undo(tree, data, size, &err) == 0) {
        tree_root(tree, root);
        r = tree_undo(tree, data, size, &err); /* again: the same */
        assert(r == 0);
        tree_root(tree, undone);
        assert(memcmp(root, undone, sizeof root) == 0);
    }
    tree_free(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const kinds[])(const uint8_t *, size_t) = {fuzz_header, fuzz_write_set, fuzz_node,
                                                             fuzz_undo};
    if (size > 0)
        kinds[data[0] % 4](data + 1, size - 1);
    return 0;
}
