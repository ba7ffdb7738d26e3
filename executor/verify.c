#include "executor/verify.h"

#include "executor/chain/block_tree.h"
#include "executor/chain/tree.h"
#include "executor/chain/write_set.h"
#include "executor/ledger.h"
#include "executor/written.h"

#include <string.h>

struct walk {
    struct store *store;
    enum merkle merkle;
    struct chain chain;
    struct write_set set;
    struct buffer body;
    struct tree *tree;
    struct block_tree block_tree;
    struct tree *stored; /* the second time: what is stored, to be compared with `tree` */
    struct verified result;
};

static bool removes_key(const void *context, size_t i) {
    return ((const struct write_set *)context)->entries[i].deletes;
}

static int add_state(struct walk *w, uint64_t height, uint8_t out[SHA256_SIZE], struct error *err) {
    memset(out, 0, SHA256_SIZE);
    if (w->merkle == MERKLE_BLOCK) {
        block_tree_add(&w->block_tree, w->set.digest);
        block_tree_root(&w->block_tree, out);
    } else if (w->merkle == MERKLE_KEYS) {
        const struct tree_changes changes = {
            .height = height,
            .count = w->set.count,
            .keys = (const uint8_t(*)[SHA256_SIZE])w->set.keys,
            .values = (const uint8_t(*)[SHA256_SIZE])w->set.values,
            .removes = removes_key,
            .context = &w->set,
        };
        if (tree_update(w->tree, &changes, NULL, err) < 0)
            return -1;
        tree_root(w->tree, out);
    }
    return 0;
}

static int read_body(struct walk *w, uint64_t height, struct error *err) {
    buffer_clear(&w->body);
    return store_read_body(w->store, height, &w->body, err);
}

static int check_block(struct walk *w, uint64_t height, const uint8_t *header, size_t size,
                       struct error *err) {
    struct block_header h;
    uint8_t state[SHA256_SIZE];
    if (chain_follow(&w->chain, header, size, &h, err) < 0 || read_body(w, height, err) < 0)
        return -1;
    if (w->body.size != h.write_set_size)
        return error_set(err, ERROR_INVALID, "a write set of %zu bytes, its header says %llu",
                         w->body.size, (unsigned long long)h.write_set_size);
    if (written_fits(&h, w->merkle, err) < 0 ||
        written_check(&w->set, &h, (const uint8_t *)w->body.data, w->body.size, err) < 0)
        return -1;
    if (add_state(w, height, state, err) < 0)
        return -1;
    if (memcmp(state, h.state, sizeof state) != 0)
        return error_set(err, ERROR_INVALID, "its state is not what the blocks up to it lead to");
    w->result.writes += w->set.count;
    w->result.bytes += w->body.size;
    return 0;
}

static int visit_block(void *context, uint64_t height, const uint8_t *header, size_t size,
                       struct error *err) {
    if (check_block(context, height, header, size, err) < 0)
        return error_wrap(err, "block %llu", (unsigned long long)height);
    return 0;
}

/* Proving a key from the store compares every node on the way with the one above it. */
static int compare_key(struct walk *w, const uint8_t key[SHA256_SIZE], struct error *err) {
    struct tree_proof ours, stored;
    if (tree_prove(w->tree, key, &ours, err) < 0 || tree_prove(w->stored, key, &stored, err) < 0)
        return -1;
    if (ours.has_leaf != stored.has_leaf ||
        (ours.has_leaf && memcmp(&ours.leaf, &stored.leaf, sizeof ours.leaf) != 0))
        return error_set(err, ERROR_INVALID, "the stored Merkle tree has another leaf");
    return 0;
}

static int visit_keys(void *context, uint64_t height, const uint8_t *header, size_t size,
                      struct error *err) {
    struct walk *w = context;
    (void)header;
    (void)size;
    if (read_body(w, height, err) < 0 ||
        write_set_read(&w->set, (const uint8_t *)w->body.data, w->body.size, err) < 0)
        return -1;
    for (size_t i = 0; i < w->set.count; i++)
        if (compare_key(w, w->set.keys[i], err) < 0)
            return error_wrap(err, "a key of block %llu", (unsigned long long)height);
    tree_trim(w->stored);
    return 0;
}

static int check_stored_tree(struct walk *w, struct error *err) {
    enum { STORED_BYTES_MAX = 64 << 20 };
    uint8_t ours[SHA256_SIZE], stored[SHA256_SIZE];
    if (ledger_tree_at(w->store, w->chain.height, STORED_BYTES_MAX, &w->stored, err) < 0)
        return -1;
    tree_root(w->tree, ours);
    tree_root(w->stored, stored);
    if (memcmp(ours, stored, SHA256_SIZE) != 0)
        return error_set(err, ERROR_INVALID, "the stored Merkle tree has another root");
    return store_each_header(w->store, visit_keys, w, err);
}

static int walk(struct walk *w, struct error *err) {
    if (w->merkle == MERKLE_KEYS && tree_open(NULL, UINT64_MAX / 2, &w->tree, err) < 0)
        return -1;
    if (store_each_header(w->store, visit_block, w, err) < 0)
        return -1;
    if (w->tree && store_keeps_sides(w->store) && check_stored_tree(w, err) < 0)
        return -1;
    w->result.height = w->chain.height;
    memcpy(w->result.digest, w->chain.digest, SHA256_SIZE);
    return 0;
}

int verify_chain(struct store *store, enum merkle merkle, struct verified *ret, struct error *err) {
    struct walk w = {.store = store, .merkle = merkle};
    chain_init(&w.chain);
    write_set_init(&w.set, COMMAND_KEYS_MAX);
    buffer_init(&w.body, STORE_BODY_MAX);
    int r = walk(&w, err);
    if (r == 0)
        *ret = w.result;
    tree_free(w.tree);
    tree_free(w.stored);
    buffer_deinit(&w.body);
    write_set_deinit(&w.set);
    chain_deinit(&w.chain);
    return r < 0 ? error_wrap(err, "verify the chain") : 0;
}
