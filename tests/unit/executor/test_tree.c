/* The Merkle trees: against a naive model, with and without a store, over old versions, and what
 * proofs show. */

#include "executor/chain/block_tree.h"
#include "executor/chain/tree.h"

#include "lib/bytes.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Of the definition in tree.h, by a program in another language. */
#define GOLDEN_ROOT "d78236c2a8a29c2a2dbb32c54a578f36cbccbc840052ddd1f2f6264caf8a51ae"

static uint64_t seed;

static uint64_t random_next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void seed_from(uint64_t value) {
    seed = value * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < 8; i++)
        random_next();
}

/* ---- the model: a list of leaves, and the definition of the root word by word ---- */

enum { KEYS_MAX = 4000 };

struct model {
    size_t count;
    struct tree_leaf leaves[KEYS_MAX]; /* in order of keys */
};

static void put_height(uint8_t out[8], uint64_t height) {
    struct byte_writer w = byte_writer(out, 8);
    bytes_put_u64(&w, height);
}

static size_t place_of(const struct model *m, const uint8_t *key) {
    size_t i = 0;
    while (i < m->count && memcmp(m->leaves[i].key, key, SHA256_SIZE) < 0)
        i++;
    return i;
}

static const struct tree_leaf *model_find(const struct model *m, const uint8_t *key) {
    size_t i = place_of(m, key);
    return i < m->count && memcmp(m->leaves[i].key, key, SHA256_SIZE) == 0 ? &m->leaves[i] : NULL;
}

/* `value` NULL: removes. */
static void model_set(struct model *m, const uint8_t *key, const uint8_t *value, uint64_t height) {
    size_t i = place_of(m, key);
    bool there = model_find(m, key);
    if (!value) {
        if (there)
            memmove(&m->leaves[i], &m->leaves[i + 1], (--m->count - i) * sizeof *m->leaves);
        return;
    }
    if (!there) {
        assert_true(m->count < KEYS_MAX);
        memmove(&m->leaves[i + 1], &m->leaves[i], (m->count++ - i) * sizeof *m->leaves);
    }
    memcpy(m->leaves[i].key, key, SHA256_SIZE);
    memcpy(m->leaves[i].value, value, SHA256_SIZE);
    put_height(m->leaves[i].height, height);
}

static void root_of(const struct tree_leaf *leaves, size_t count, unsigned depth,
                    uint8_t out[SHA256_SIZE]) {
    uint8_t pair[2 * SHA256_SIZE];
    size_t left = 0;
    memset(out, 0, SHA256_SIZE);
    if (count == 1)
        sha256_of(leaves, sizeof *leaves, out);
    if (count < 2)
        return;
    while (left < count && !(leaves[left].key[depth / 8] >> (7 - depth % 8) & 1))
        left++;
    root_of(leaves, left, depth + 1, pair);
    root_of(leaves + left, count - left, depth + 1, pair + SHA256_SIZE);
    sha256_of(pair, sizeof pair, out);
}

/* ---- a store of nodes: a list, which is slow and right ---- */

struct pair {
    size_t key_size, size;
    uint8_t key[TREE_PATH_MAX];
    uint8_t data[TREE_NODE_SIZE_MAX];
};

struct node_list {
    struct pair **pairs;
    size_t count, capacity;
    uint64_t gets;
};

static struct pair *find_pair(const struct node_list *list, const uint8_t *path, size_t size) {
    for (size_t i = 0; i < list->count; i++)
        if (list->pairs[i]->key_size == size && memcmp(list->pairs[i]->key, path, size) == 0)
            return list->pairs[i];
    return NULL;
}

static int list_get(void *context, const uint8_t *path, size_t size, struct buffer *ret,
                    struct error *err) {
    struct node_list *list = context;
    const struct pair *pair = find_pair(list, path, size);
    list->gets++;
    if (!pair)
        return error_set(err, ERROR_NOT_FOUND, "no such node");
    buffer_append(ret, pair->data, pair->size);
    return 0;
}

static int list_put(void *context, const uint8_t *path, size_t size, const void *node,
                    size_t node_size, struct error *err) {
    struct node_list *list = context;
    struct pair *pair = find_pair(list, path, size);
    (void)err;
    if (!pair) {
        pair = mem_new(struct pair);
        mem_grow(list->pairs, list->count, list->capacity);
        list->pairs[list->count++] = pair;
        memcpy(pair->key, path, size);
        pair->key_size = size;
    }
    memcpy(pair->data, node, node_size);
    pair->size = node_size;
    return 0;
}

static int list_remove(void *context, const uint8_t *path, size_t size, struct error *err) {
    struct node_list *list = context;
    struct pair *pair = find_pair(list, path, size);
    (void)err;
    for (size_t i = 0; i < list->count; i++)
        if (list->pairs[i] == pair) {
            list->pairs[i] = list->pairs[--list->count];
            free(pair);
            return 0;
        }
    return 0;
}

static void list_deinit(struct node_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->pairs[i]);
    free(list->pairs);
}

static struct tree_store store_of(struct node_list *list) {
    return (struct tree_store){
        .context = list, .get = list_get, .put = list_put, .remove = list_remove};
}

static struct tree *open_tree(const struct tree_store *store, uint64_t bytes_max) {
    struct error err = ERROR_NULL;
    struct tree *tree = NULL;
    if (tree_open(store, bytes_max, &tree, &err) < 0)
        fail_msg("%s", err.text);
    return tree;
}

/* ---- changes ---- */

enum { BATCH_MAX = 200 };

struct batch {
    size_t count;
    uint8_t keys[BATCH_MAX][SHA256_SIZE];
    uint8_t values[BATCH_MAX][SHA256_SIZE];
    bool removed[BATCH_MAX];
};

static bool is_removed(const void *context, size_t i) {
    return ((const struct batch *)context)->removed[i];
}

/* Of `space` keys. Some of them begin with the same bytes, so that the tree gets deep. */
static void key_of(uint64_t number, uint8_t key[SHA256_SIZE]) {
    sha256_of(&number, sizeof number, key);
    if (number % 7 == 0)
        memset(key, 0x5a, (size_t)(number / 7 % 31));
}

static void random_batch(struct batch *b, uint64_t space, unsigned removes_percent) {
    b->count = random_next() % (BATCH_MAX + 1);
    for (size_t i = 0; i < b->count; i++) {
        uint64_t value = random_next();
        key_of(random_next() % space, b->keys[i]);
        sha256_of(&value, sizeof value, b->values[i]);
        b->removed[i] = random_next() % 100 < removes_percent;
    }
}

static void update(struct tree *tree, const struct batch *b, uint64_t height, struct buffer *undo) {
    struct error err = ERROR_NULL;
    const struct tree_changes changes = {
        .height = height,
        .count = b->count,
        .keys = b->keys,
        .values = b->values,
        .removes = is_removed,
        .context = b,
    };
    if (tree_update(tree, &changes, undo, &err) < 0)
        fail_msg("%s", err.text);
}

static void update_model(struct model *m, const struct batch *b, uint64_t height) {
    for (size_t i = 0; i < b->count; i++)
        model_set(m, b->keys[i], b->removed[i] ? NULL : b->values[i], height);
}

static void flush(struct tree *tree) {
    struct error err = ERROR_NULL;
    if (tree_flush(tree, &err) < 0)
        fail_msg("%s", err.text);
    tree_trim(tree);
}

static void assert_root(const struct tree *tree, const struct model *m) {
    uint8_t root[SHA256_SIZE], expected[SHA256_SIZE];
    root_of(m->leaves, m->count, 0, expected);
    tree_root(tree, root);
    assert_memory_equal(root, expected, SHA256_SIZE);
}

static void assert_proves(struct tree *tree, const struct model *m, uint64_t number) {
    struct error err = ERROR_NULL;
    struct tree_proof proof;
    enum tree_answer answer = TREE_ABSENT;
    uint8_t root[SHA256_SIZE], key[SHA256_SIZE];
    key_of(number, key);
    tree_root(tree, root);
    const struct tree_leaf *leaf = model_find(m, key);
    if (tree_prove(tree, key, &proof, &err) < 0 ||
        tree_verify(root, key, &proof, &answer, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(answer, leaf ? TREE_PRESENT : TREE_ABSENT);
    if (leaf)
        assert_memory_equal(&proof.leaf, leaf, sizeof *leaf);
}

/* ---- the tree of keys ---- */

static void it_is_what_the_definition_says(void **state) {
    (void)state;
    for (uint64_t round = 1; round <= 12; round++) {
        seed_from(round);
        struct model *m = mem_new(struct model);
        cleanup(tree_freep) struct tree *tree = open_tree(NULL, UINT64_C(1) << 30);
        struct batch b;
        uint64_t space = round % 3 == 0 ? 20 : round % 3 == 1 ? 300 : 3000;
        for (uint64_t height = 1; height <= 30; height++) {
            random_batch(&b, space, height % 3 == 0 ? 90 : 20);
            update(tree, &b, height, NULL);
            update_model(m, &b, height);
            assert_root(tree, m);
            for (int i = 0; i < 20; i++)
                assert_proves(tree, m, random_next() % (space + 5));
        }
        free(m);
    }
}

static void a_store_makes_no_difference(void **state) {
    (void)state;
    seed_from(77);
    struct model *m = mem_new(struct model);
    struct node_list list = {0};
    const struct tree_store store = store_of(&list);
    struct batch b;
    cleanup(tree_freep) struct tree *tree = open_tree(&store, 0);
    for (uint64_t height = 1; height <= 60; height++) {
        random_batch(&b, 2000, height % 5 == 0 ? 80 : 10);
        update(tree, &b, height, NULL);
        update_model(m, &b, height);
        assert_root(tree, m);
        if (height % 3 == 0)
            flush(tree);
        if (height % 9 == 0) { /* what was flushed is all there is */
            tree_free(tree);
            tree = open_tree(&store, 0);
            assert_root(tree, m);
        }
        for (int i = 0; i < 10; i++)
            assert_proves(tree, m, random_next() % 2000);
    }
    /* Once all keys are gone, so are all nodes but the root. */
    for (uint64_t height = 61; m->count > 0; height++) {
        b.count = m->count < BATCH_MAX ? m->count : BATCH_MAX;
        for (size_t i = 0; i < b.count; i++) {
            memcpy(b.keys[i], m->leaves[i].key, SHA256_SIZE);
            b.removed[i] = true;
        }
        update(tree, &b, height, NULL);
        update_model(m, &b, height);
    }
    flush(tree);
    assert_root(tree, m);
    assert_int_equal(list.count, 1);
    list_deinit(&list);
    free(m);
}

static void what_is_not_used_is_forgotten_and_loaded_again(void **state) {
    (void)state;
    seed_from(5);
    struct node_list list = {0};
    const struct tree_store store = store_of(&list);
    struct batch b;
    cleanup(tree_freep) struct tree *all = open_tree(NULL, UINT64_C(1) << 30);
    cleanup(tree_freep) struct tree *some = open_tree(&store, TREE_BYTES_MIN);
    uint8_t root[SHA256_SIZE], expected[SHA256_SIZE];
    for (uint64_t height = 1; height <= 60; height++) {
        b.count = BATCH_MAX;
        for (size_t i = 0; i < b.count; i++) {
            uint64_t value = random_next();
            sha256_of(&value, sizeof value, b.keys[i]);
            b.removed[i] = false;
        }
        memcpy(b.values, b.keys, sizeof b.values);
        update(all, &b, height, NULL);
        update(some, &b, height, NULL);
        flush(some);
        assert_true(tree_bytes(some) <= TREE_BYTES_MIN);
        tree_root(all, expected);
        tree_root(some, root);
        assert_memory_equal(root, expected, SHA256_SIZE);
    }
    assert_true(tree_bytes(all) > 2 * TREE_BYTES_MIN);
    assert_true(list.gets > 100);
    list_deinit(&list);
}

static void updates_can_be_taken_back_to_every_version(void **state) {
    (void)state;
    enum { HEIGHTS = 40 };
    seed_from(9);
    struct error err = ERROR_NULL;
    struct node_list list = {0};
    const struct tree_store store = store_of(&list);
    struct model *models = mem_new_array(struct model, HEIGHTS + 1);
    struct buffer undos[HEIGHTS + 1];
    struct batch b;
    cleanup(tree_freep) struct tree *tree = open_tree(&store, 0);
    for (uint64_t height = 1; height <= HEIGHTS; height++) {
        random_batch(&b, 500, 30);
        buffer_init(&undos[height], BATCH_MAX * TREE_UNDO_SIZE);
        update(tree, &b, height, &undos[height]);
        models[height] = models[height - 1];
        update_model(&models[height], &b, height);
    }
    flush(tree);
    /* A second one over the same store goes back, and the store never hears of it. */
    cleanup(tree_freep) struct tree *old = open_tree(&store, 0);
    for (uint64_t height = HEIGHTS; height > 0; height--) {
        assert_root(old, &models[height]);
        for (int i = 0; i < 20; i++)
            assert_proves(old, &models[height], random_next() % 500);
        if (tree_undo(old, undos[height].data, undos[height].size, &err) < 0)
            fail_msg("%s", err.text);
        buffer_deinit(&undos[height]);
    }
    assert_root(old, &models[0]);
    assert_root(tree, &models[HEIGHTS]);
    assert_int_equal(tree_undo(old, "x", 1, &err), -1);
    list_deinit(&list);
    free(models);
}

/* A change of this root is a change of the protocol. */
static void a_known_tree_has_a_known_root(void **state) {
    (void)state;
    struct batch b = {.count = 100};
    char hex[2 * SHA256_SIZE + 1];
    uint8_t root[SHA256_SIZE];
    cleanup(tree_freep) struct tree *tree = open_tree(NULL, UINT64_C(1) << 30);
    tree_root(tree, root);
    text_hex(root, sizeof root, hex);
    assert_string_equal(hex, "0000000000000000000000000000000000000000000000000000000000000000");
    for (size_t i = 0; i < b.count; i++) {
        char text[32];
        snprintf(text, sizeof text, "key %zu", i);
        sha256_of(text, strlen(text), b.keys[i]);
        snprintf(text, sizeof text, "value %zu", i);
        sha256_of(text, strlen(text), b.values[i]);
    }
    update(tree, &b, 7, NULL);
    tree_root(tree, root);
    text_hex(root, sizeof root, hex);
    assert_string_equal(hex, GOLDEN_ROOT);
}

static void proofs_that_were_changed_show_nothing(void **state) {
    (void)state;
    seed_from(3);
    struct batch b;
    struct tree_proof proof, changed;
    enum tree_answer answer;
    uint8_t root[SHA256_SIZE], key[SHA256_SIZE];
    cleanup(tree_freep) struct tree *tree = open_tree(NULL, UINT64_C(1) << 30);
    b.count = 0;
    while (b.count < 100)
        random_batch(&b, 100000, 0);
    update(tree, &b, 1, NULL);
    tree_root(tree, root);
    for (int round = 0; round < 2; round++) {
        struct error err = ERROR_NULL;
        if (round == 0)
            memcpy(key, b.keys[5], SHA256_SIZE);
        else
            sha256_of("nowhere", 7, key);
        assert_int_equal(tree_prove(tree, key, &proof, &err), 0);
        assert_int_equal(tree_verify(root, key, &proof, &answer, &err), 0);
        assert_int_equal(answer, round == 0 ? TREE_PRESENT : TREE_ABSENT);
        size_t size = offsetof(struct tree_proof, siblings) + proof.sibling_count * SHA256_SIZE;
        for (size_t i = offsetof(struct tree_proof, leaf); i < size; i++) {
            if (i >= offsetof(struct tree_proof, leaf) + sizeof proof.leaf &&
                i < offsetof(struct tree_proof, siblings))
                continue; /* the count, see below */
            if (!proof.has_leaf && i < offsetof(struct tree_proof, siblings))
                continue;
            changed = proof;
            ((uint8_t *)&changed)[i] ^= 4;
            assert_int_equal(tree_verify(root, key, &changed, &answer, &err), -1);
        }
        for (uint32_t count = 0; count <= TREE_DEPTH_MAX + 1; count++) {
            changed = proof;
            changed.sibling_count = count;
            if (count != proof.sibling_count)
                assert_int_equal(tree_verify(root, key, &changed, &answer, &err), -1);
        }
        changed = proof;
        changed.has_leaf = !changed.has_leaf;
        assert_int_equal(tree_verify(root, key, &changed, &answer, &err), -1);
    }
}

static void a_damaged_store_is_found_out(void **state) {
    (void)state;
    seed_from(4);
    struct error err = ERROR_NULL;
    struct node_list list = {0};
    const struct tree_store store = store_of(&list);
    struct batch b;
    do
        random_batch(&b, 100000, 0);
    while (b.count < 100);
    cleanup(tree_freep) struct tree *tree = open_tree(&store, 0);
    update(tree, &b, 1, NULL);
    flush(tree);
    for (size_t i = 0; i < list.count; i++)
        if (list.pairs[i]->key_size > 1)
            list.pairs[i]->data[list.pairs[i]->size - 1] ^= 1;
    cleanup(tree_freep) struct tree *again = open_tree(&store, 0);
    struct tree_proof proof;
    bool found = false;
    for (size_t i = 0; i < b.count && !found; i++)
        found = tree_prove(again, b.keys[i], &proof, &err) < 0;
    assert_true(found);
    assert_int_equal(err.kind, ERROR_INVALID);
    list_deinit(&list);
}

static void a_full_tree_in_memory_says_so_and_stays_what_it_was(void **state) {
    (void)state;
    seed_from(6);
    struct error err = ERROR_NULL;
    struct batch b;
    uint8_t before[SHA256_SIZE], after[SHA256_SIZE];
    cleanup(tree_freep) struct tree *tree = open_tree(NULL, 0);
    const struct tree_changes changes = {.count = BATCH_MAX, .keys = b.keys, .values = b.values};
    for (;;) {
        for (size_t i = 0; i < BATCH_MAX; i++) {
            uint64_t value = random_next();
            sha256_of(&value, sizeof value, b.keys[i]);
        }
        memcpy(b.values, b.keys, sizeof b.values);
        tree_root(tree, before);
        if (tree_update(tree, &changes, NULL, &err) < 0)
            break;
        assert_true(tree_bytes(tree) <= TREE_BYTES_MIN);
    }
    assert_int_equal(err.kind, ERROR_LIMIT);
    tree_root(tree, after);
    assert_memory_equal(before, after, SHA256_SIZE);
}

/* ---- the tree of blocks ---- */

/* RFC 6962's own test vectors are of leaves of other sizes; these are ours, and the verifier is the
 * RFC's. */
static void every_block_is_proved_and_no_other(void **state) {
    (void)state;
    enum { BLOCKS = 40 };
    struct error err = ERROR_NULL;
    struct block_tree tree = BLOCK_TREE_EMPTY;
    uint8_t leaves[BLOCKS][SHA256_SIZE], root[SHA256_SIZE];
    for (uint64_t count = 1; count <= BLOCKS; count++) {
        sha256_of(&count, sizeof count, leaves[count - 1]);
        block_tree_add(&tree, leaves[count - 1]);
        block_tree_root(&tree, root);
        for (uint64_t i = 0; i < count; i++) {
            struct block_tree_proof proof;
            block_tree_prove((const uint8_t(*)[SHA256_SIZE])leaves, count, i, &proof);
            if (block_tree_verify(root, count, i, leaves[i], &proof, &err) < 0)
                fail_msg("%s", err.text);
            for (uint64_t k = 0; k < count; k++) {
                if (k == i)
                    continue;
                assert_int_equal(block_tree_verify(root, count, k, leaves[i], &proof, &err), -1);
                assert_int_equal(block_tree_verify(root, count, i, leaves[k], &proof, &err), -1);
            }
            proof.sibling_count++;
            assert_int_equal(block_tree_verify(root, count, i, leaves[i], &proof, &err), -1);
        }
        assert_int_equal(
            block_tree_verify(root, count, count, leaves[0], &(struct block_tree_proof){0}, &err),
            -1);
    }
}

/* The structure of RFC 9162: ((0 1) (2 3)) (4), and the hash of an empty tree. */
static void the_tree_of_blocks_is_that_of_the_rfc(void **state) {
    (void)state;
    struct block_tree tree = BLOCK_TREE_EMPTY;
    uint8_t root[SHA256_SIZE], h[5][SHA256_SIZE], leaf[SHA256_SIZE] = {0};
    uint8_t bytes[1 + 2 * SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    block_tree_root(&tree, root);
    text_hex(root, sizeof root, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (uint8_t i = 0; i < 5; i++) {
        leaf[0] = i;
        block_tree_add(&tree, leaf);
        bytes[0] = 0;
        memcpy(bytes + 1, leaf, SHA256_SIZE);
        sha256_of(bytes, 1 + SHA256_SIZE, h[i]);
    }
    const unsigned pairs[4][3] = {{0, 1, 0}, {2, 3, 2}, {0, 2, 0}, {0, 4, 0}};
    for (size_t i = 0; i < 4; i++) {
        bytes[0] = 1;
        memcpy(bytes + 1, h[pairs[i][0]], SHA256_SIZE);
        memcpy(bytes + 1 + SHA256_SIZE, h[pairs[i][1]], SHA256_SIZE);
        sha256_of(bytes, sizeof bytes, h[pairs[i][2]]);
    }
    block_tree_root(&tree, root);
    assert_memory_equal(root, h[0], SHA256_SIZE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_what_the_definition_says),
        cmocka_unit_test(a_store_makes_no_difference),
        cmocka_unit_test(what_is_not_used_is_forgotten_and_loaded_again),
        cmocka_unit_test(updates_can_be_taken_back_to_every_version),
        cmocka_unit_test(a_known_tree_has_a_known_root),
        cmocka_unit_test(proofs_that_were_changed_show_nothing),
        cmocka_unit_test(a_damaged_store_is_found_out),
        cmocka_unit_test(a_full_tree_in_memory_says_so_and_stays_what_it_was),
        cmocka_unit_test(every_block_is_proved_and_no_other),
        cmocka_unit_test(the_tree_of_blocks_is_that_of_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
