#include "executor/ledger.h"

#include "executor/chain/block_tree.h"
#include "executor/chain/read_set.h"
#include "executor/chain/write_set.h"
#include "executor/written.h"

#include "lib/memory.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)COMMAND_WRITE_SET_MAX <= (int)STORE_BODY_MAX, "a write set can be stored");
_Static_assert((int)BLOCK_HEADER_SIZE <= (int)STORE_HEADER_MAX, "every header can be stored");
_Static_assert((int)COMMAND_KEY_SIZE_MAX <= (int)STORE_KEY_MAX, "every key can be stored");

struct ledger {
    struct store *store;
    const struct handler *handler;
    struct sha256 hash;  /* of a read set */
    struct buffer value; /* that was read last */
    struct chain chain;
    struct write_set set;        /* of the block that is made */
    struct store_entry *entries; /* the same for the store */
    enum merkle merkle;
    uint32_t maker;    /* of its write sets; 0: they are hashed */
    struct tree *tree; /* NULL: none of keys */
    bool tree_failed;  /* an update of it has ended in the middle */
    struct block_tree block_tree, block_tree_before;
    struct buffer undo; /* what takes the last block back in the tree of keys */
};

/* ---- what is kept beside the blocks: nodes under 'n' and their path, undos under 'u' ---- */

enum { UNDO_KEY_SIZE = 1 + 8 };

static void undo_key(uint64_t height, uint8_t out[UNDO_KEY_SIZE]) {
    out[0] = 'u';
    for (size_t i = 0; i < 8; i++)
        out[1 + i] = (uint8_t)(height >> (56 - 8 * i));
}

static size_t node_key(const uint8_t *path, size_t size, uint8_t out[1 + TREE_PATH_MAX]) {
    out[0] = 'n';
    memcpy(out + 1, path, size);
    return 1 + size;
}

static int get_node(void *context, const uint8_t *path, size_t size, struct buffer *ret,
                    struct error *err) {
    uint8_t key[1 + TREE_PATH_MAX];
    return store_side_get(context, key, node_key(path, size, key), ret, err);
}

static int put_node(void *context, const uint8_t *path, size_t size, const void *node,
                    size_t node_size, struct error *err) {
    uint8_t key[1 + TREE_PATH_MAX];
    return store_side_put(context, key, node_key(path, size, key), node, node_size, err);
}

static int remove_node(void *context, const uint8_t *path, size_t size, struct error *err) {
    uint8_t key[1 + TREE_PATH_MAX];
    return store_side_remove(context, key, node_key(path, size, key), err);
}

static struct tree_store nodes_of(struct store *store) {
    return (struct tree_store){
        .context = store, .get = get_node, .put = put_node, .remove = remove_node};
}

/* ---- the state ---- */

static bool removes_key(const void *context, size_t i) {
    return ((const struct write_set *)context)->entries[i].deletes;
}

/* Takes in the write set that was read. */
static int add_state(struct ledger *l, uint8_t ret_state[SHA256_SIZE], struct error *err) {
    memset(ret_state, 0, SHA256_SIZE);
    if (l->merkle == MERKLE_BLOCK) {
        l->block_tree_before = l->block_tree;
        block_tree_add(&l->block_tree, l->set.digest);
        block_tree_root(&l->block_tree, ret_state);
    } else if (l->merkle == MERKLE_KEYS) {
        const struct tree_changes changes = {
            .height = l->chain.height + 1,
            .count = l->set.count,
            .keys = (const uint8_t(*)[SHA256_SIZE])l->set.keys,
            .values = (const uint8_t(*)[SHA256_SIZE])l->set.values,
            .removes = removes_key,
            .context = &l->set,
        };
        buffer_clear(&l->undo);
        if (tree_update(l->tree, &changes, &l->undo, err) < 0) {
            l->tree_failed = store_keeps_sides(l->store); /* else nothing has changed */
            if (err->kind == ERROR_LIMIT)
                error_hint(err, "give it more by --tree-memory, or run with --merkle block");
            return -1;
        }
        tree_root(l->tree, ret_state);
    }
    return 0;
}

/* Takes the last one back. */
static int take_back_state(struct ledger *l, struct error *err) {
    if (l->merkle == MERKLE_BLOCK)
        l->block_tree = l->block_tree_before;
    if (l->merkle != MERKLE_KEYS || tree_undo(l->tree, l->undo.data, l->undo.size, err) == 0)
        return 0;
    l->tree_failed = store_keeps_sides(l->store);
    return -1;
}

static int put_undo(struct ledger *l, struct error *err) {
    uint8_t key[UNDO_KEY_SIZE];
    if (!l->tree || !store_keeps_sides(l->store))
        return 0;
    undo_key(l->chain.height, key);
    if (store_side_put(l->store, key, sizeof key, l->undo.data, l->undo.size, err) < 0)
        return -1;
    if (l->chain.height <= LEDGER_VERSIONS_KEPT)
        return 0;
    undo_key(l->chain.height - LEDGER_VERSIONS_KEPT, key);
    return store_side_remove(l->store, key, sizeof key, err);
}

int ledger_tree_at(struct store *store, uint64_t height, uint64_t bytes_max, struct tree **ret,
                   struct error *err) {
    const struct tree_store nodes = nodes_of(store);
    cleanup(tree_freep) struct tree *tree = NULL;
    cleanup(buffer_deinit) struct buffer undo;
    buffer_init(&undo, COMMAND_KEYS_MAX * TREE_UNDO_SIZE);
    if (tree_open(&nodes, bytes_max, &tree, err) < 0)
        return -1;
    for (uint64_t at = store_height(store); at > height; at--) {
        uint8_t key[UNDO_KEY_SIZE];
        undo_key(at, key);
        buffer_clear(&undo);
        if (store_side_get(store, key, sizeof key, &undo, err) < 0 ||
            tree_undo(tree, undo.data, undo.size, err) < 0)
            return error_wrap(err, "take block %llu back in the Merkle tree",
                              (unsigned long long)at);
    }
    *ret = take_ptr(tree);
    return 0;
}

/* ---- opening ---- */

static int add_leaf(void *context, uint64_t height, const uint8_t *header, size_t size,
                    struct error *err) {
    struct block_header h;
    (void)height;
    if (block_header_decode(header, size, &h, err) < 0)
        return -1;
    block_tree_add(context, h.write_set);
    return 0;
}

static int open_state(struct ledger *l, const struct ledger_options *options,
                      uint8_t ret_state[SHA256_SIZE], struct error *err) {
    memset(ret_state, 0, SHA256_SIZE);
    if (l->merkle == MERKLE_BLOCK) {
        if (store_each_header(l->store, add_leaf, &l->block_tree, err) < 0)
            return -1;
        block_tree_root(&l->block_tree, ret_state);
    } else if (l->merkle == MERKLE_KEYS) {
        const struct tree_store nodes = nodes_of(l->store);
        bool keeps = store_keeps_sides(l->store);
        if (tree_open(keeps ? &nodes : NULL, options->tree_bytes_max, &l->tree, err) < 0)
            return -1;
        tree_root(l->tree, ret_state);
    }
    return 0;
}

/* The last block has to have the state that was opened. */
static int check_state(struct ledger *l, const uint8_t state[SHA256_SIZE], struct error *err) {
    struct block_header h;
    cleanup(buffer_deinit) struct buffer header;
    buffer_init(&header, STORE_HEADER_MAX);
    if (l->chain.height == 0)
        return 0;
    if (store_read_header(l->store, l->chain.height, &header, err) < 0 ||
        block_header_decode((const uint8_t *)header.data, header.size, &h, err) < 0)
        return -1;
    if (memcmp(h.state, state, SHA256_SIZE) == 0)
        return 0;
    error_set(err, ERROR_INVALID, "block %llu has another state than the store (merkle %s)",
              (unsigned long long)h.height, merkle_name(l->merkle));
    return error_hint(err, "'replica inspect --verify' says more; an empty folder by --data begins "
                           "anew");
}

int ledger_open(struct store *store, const struct chain *chain,
                const struct ledger_options *options, struct ledger **ret, struct error *err) {
    uint8_t state[SHA256_SIZE];
    struct ledger *l = mem_new(struct ledger);
    l->store = store;
    l->chain = *chain;
    l->merkle = options->merkle;
    l->handler = options->handler ? options->handler : &handler_pee;
    l->maker = written_maker(l->handler, l->merkle);
    sha256_init(&l->hash);
    buffer_init(&l->value, COMMAND_VALUE_SIZE_MAX);
    write_set_init(&l->set, COMMAND_KEYS_MAX);
    l->entries = mem_new_array(struct store_entry, COMMAND_KEYS_MAX);
    buffer_init(&l->undo, COMMAND_KEYS_MAX * TREE_UNDO_SIZE);
    if (open_state(l, options, state, err) < 0 || check_state(l, state, err) < 0) {
        store_free(ledger_free(l));
        return -1;
    }
    *ret = l;
    return 0;
}

struct store *ledger_free(struct ledger *l) {
    struct store *store = l->store;
    chain_deinit(&l->chain);
    write_set_deinit(&l->set);
    tree_free(l->tree);
    sha256_deinit(&l->hash);
    buffer_deinit(&l->value);
    buffer_deinit(&l->undo);
    free(l->entries);
    free(l);
    return store;
}

/* ---- blocks ---- */

bool ledger_in_memory(const struct ledger *l) {
    return store_is_memory(l->store);
}

/* The chain is further where a block could not be put. */
uint64_t ledger_height(const struct ledger *l) {
    return store_height(l->store);
}

/* The block of the write set that was read; its header is complete. */
static int put_block(struct ledger *l, const uint8_t *header, const uint8_t *body, size_t size,
                     struct error *err) {
    for (size_t i = 0; i < l->set.count; i++) {
        const struct write_set_entry *e = &l->set.entries[i];
        l->entries[i] = (struct store_entry){
            .key_offset = (uint32_t)(e->key - body),
            .key_size = e->key_size,
            .value_offset = (uint32_t)(e->value - body),
            .value_size = e->deletes ? STORE_DELETED : e->value_size,
        };
    }
    struct store_block block = {
        .height = l->chain.height,
        .header = header,
        .header_size = BLOCK_HEADER_SIZE,
        .body = body,
        .body_size = size,
        .entries = l->entries,
        .entry_count = l->set.count,
    };
    return put_undo(l, err) < 0 ? -1 : store_put(l->store, &block, err);
}

static int refuse(const struct ledger *l, uint64_t height, struct error *err) {
    error_wrap(err, "block %llu is refused at height %llu", (unsigned long long)height,
               (unsigned long long)l->chain.height);
    return 1;
}

/* ---- reading ---- */

int ledger_get(struct ledger *l, const void *key, size_t key_size, struct buffer *ret,
               bool *ret_found, struct error *err) {
    int r = store_get(l->store, key, key_size, ret, err);
    if (r < 0 && err->kind != ERROR_NOT_FOUND)
        return -1;
    if (r < 0)
        error_clear(err);
    *ret_found = r == 0;
    return 0;
}

int ledger_read_set(struct ledger *l, const struct command *command, uint8_t ret[SHA256_SIZE],
                    struct error *err) {
    uint8_t key[COMMAND_KEY_SIZE_MAX];
    uint32_t count = l->handler->read_count(command);
    uint64_t version;
    memset(ret, 0, SHA256_SIZE);
    if (count == 0)
        return 0;
    read_set_begin(&l->hash);
    for (uint32_t i = 0; i < count; i++) {
        if (store_get_version(l->store, key, l->handler->read_key(command, i, key), &version, err) <
            0)
            return -1;
        read_set_version(&l->hash, version);
    }
    read_set_end(&l->hash, ret);
    return 0;
}

/* Reads its keys, values too. */
static int read_before(struct ledger *l, const struct ledger_request *request,
                       struct block_header *block, struct error *err) {
    uint8_t key[COMMAND_KEY_SIZE_MAX];
    uint64_t version = 0;
    block->read_count = l->handler->read_count(request->command);
    if (block->read_count == 0)
        return 0;
    read_set_begin(&l->hash);
    for (uint32_t i = 0; i < block->read_count; i++) {
        uint32_t size = l->handler->read_key(request->command, i, key);
        buffer_clear(&l->value);
        if (store_get_version(l->store, key, size, &version, err) < 0 ||
            (version > 0 && store_get(l->store, key, size, &l->value, err) < 0))
            return -1;
        read_set_version(&l->hash, version);
    }
    read_set_end(&l->hash, block->read_set);
    if (l->handler->gives_value && request->answer)
        handler_answer(version > 0, &l->value, request->answer);
    return 0;
}

int ledger_execute(struct ledger *l, const struct ledger_request *request,
                   uint8_t ret_digest[SHA256_SIZE], struct error *err) {
    uint8_t header[BLOCK_HEADER_SIZE];
    uint8_t *body = NULL;
    size_t size = l->handler->write_set_size(request->command);
    struct block_header block = block_of(request->command, request->digest);
    if (request->height != l->chain.height + 1) {
        error_set(err, ERROR_INVALID, "it does not follow");
        return refuse(l, request->height, err);
    }
    if (read_before(l, request, &block, err) < 0 || store_reserve(l->store, size, &body, err) < 0)
        return -1;
    l->handler->expand(request->command, body);
    if (written_read(&l->set, l->maker, body, size, err) < 0)
        return -1;
    stopwatch_lap(request->watch, STAGE_EXECUTE);
    if (add_state(l, block.state, err) < 0)
        return -1;
    stopwatch_lap(request->watch, STAGE_TREE);
    block.sequence = request->sequence;
    block.write_set_size = size;
    block.maker = l->maker;
    memcpy(block.write_set, l->set.digest, sizeof block.write_set);
    chain_add(&l->chain, &block, header);
    memcpy(ret_digest, l->chain.digest, SHA256_SIZE);
    return put_block(l, header, body, size, err);
}

static int check_header(const struct ledger *l, uint64_t height, const uint8_t *block, size_t size,
                        struct block_header *ret, struct error *err) {
    if (size < BLOCK_HEADER_SIZE || size > LEDGER_BLOCK_MAX)
        return error_set(err, ERROR_INVALID, "a block of %zu bytes, only %d to %d", size,
                         (int)BLOCK_HEADER_SIZE, (int)LEDGER_BLOCK_MAX);
    if (chain_check(&l->chain, block, BLOCK_HEADER_SIZE, ret, err) < 0)
        return -1;
    if (ret->height != height)
        return error_set(err, ERROR_INVALID, "it is block %llu", (unsigned long long)ret->height);
    if (ret->write_set_size != size - BLOCK_HEADER_SIZE)
        return error_set(err, ERROR_INVALID, "a write set of %zu bytes, its header says %llu",
                         size - BLOCK_HEADER_SIZE, (unsigned long long)ret->write_set_size);
    return written_fits(ret, l->merkle, err);
}

/* Reads the write set, and compares it with the header. */
static int check_write_set(struct ledger *l, const struct block_header *h, const uint8_t *body,
                           struct error *err) {
    if (written_check(&l->set, h, body, h->write_set_size, err) < 0)
        return -1;
    for (size_t i = 0; i < l->set.count; i++)
        if (l->set.entries[i].key_size > STORE_KEY_MAX)
            return error_set(err, ERROR_INVALID, "a key of %u bytes, at most %d",
                             l->set.entries[i].key_size, STORE_KEY_MAX);
    return 0;
}

int ledger_accept(struct ledger *l, uint64_t height, const uint8_t *block, size_t size,
                  uint8_t ret_digest[SHA256_SIZE], struct error *err) {
    struct block_header h;
    uint8_t state[SHA256_SIZE], *body = NULL;
    if (check_header(l, height, block, size, &h, err) < 0)
        return refuse(l, height, err);
    if (store_reserve(l->store, h.write_set_size, &body, err) < 0)
        return -1;
    if (h.write_set_size)
        memcpy(body, block + BLOCK_HEADER_SIZE, h.write_set_size);
    if (check_write_set(l, &h, body, err) < 0)
        return refuse(l, height, err);
    if (add_state(l, state, err) < 0)
        return -1;
    if (memcmp(state, h.state, sizeof state) != 0) {
        if (take_back_state(l, err) < 0)
            return -1;
        error_set(err, ERROR_INVALID, "it does not lead to the state that its header names");
        return refuse(l, height, err);
    }
    if (chain_follow(&l->chain, block, BLOCK_HEADER_SIZE, &h, err) < 0)
        return -1;
    memcpy(ret_digest, l->chain.digest, SHA256_SIZE);
    return put_block(l, block, body, h.write_set_size, err);
}

int ledger_commit(struct ledger *l, struct error *err) {
    if (l->tree_failed) { /* it is of no block any more: in the store it stays of the last commit */
        store_drop(l->store);
        return error_set(err, ERROR_IO, "the Merkle tree could not be changed");
    }
    if (l->tree && tree_flush(l->tree, err) < 0)
        return -1;
    if (store_commit(l->store, err) < 0)
        return -1;
    if (l->tree)
        tree_trim(l->tree);
    return 0;
}

int ledger_fetch(struct ledger *l, uint64_t height, struct blob **ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer block;
    buffer_init(&block, LEDGER_BLOCK_MAX);
    if (store_read_header(l->store, height, &block, err) < 0 ||
        store_read_body(l->store, height, &block, err) < 0)
        return -1;
    struct blob *blob = blob_new(block.size);
    memcpy(blob->data, block.data, block.size);
    *ret = blob;
    return 0;
}
