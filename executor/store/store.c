#include "executor/store/backend.h"

#include "lib/text.h"

#include <assert.h>

static const char *const durability_names[] = {
    [STORE_SYNC_NONE] = "none", [STORE_SYNC_GROUP] = "group", [STORE_SYNC_EACH] = "each"};

const char *store_durability_name(enum store_durability durability) {
    return durability_names[durability];
}

int store_durability_parse(const char *name, enum store_durability *ret, struct error *err) {
    for (size_t i = 0; i < sizeof durability_names / sizeof *durability_names; i++)
        if (text_equal(name, durability_names[i])) {
            *ret = (enum store_durability)i;
            return 0;
        }
    return error_set(err, ERROR_USAGE, "durability is 'none', 'group' or 'each', not '%s'", name);
}

void store_free(struct store *store) {
    if (store)
        store->backend->free(store);
}

const char *store_name(const struct store *store) {
    return store->backend->name;
}

bool store_is_memory(const struct store *store) {
    return store->backend->is_memory;
}

uint64_t store_height(const struct store *store) {
    return store->height;
}

int store_reserve(struct store *store, size_t size, uint8_t **ret, struct error *err) {
    assert(size <= STORE_BODY_MAX);
    return store->backend->reserve(store, size, ret, err);
}

int store_put(struct store *store, const struct store_block *block, struct error *err) {
    assert(block->height == store->height + 1 && block->header_size <= STORE_HEADER_MAX);
    if (store->backend->put(store, block, err) < 0)
        return error_wrap(err, "store block %llu", (unsigned long long)block->height);
    store->height = block->height;
    return 0;
}

int store_commit(struct store *store, struct error *err) {
    if (store->backend->commit(store, err) < 0) {
        error_wrap(err, "store blocks up to %llu", (unsigned long long)store->height);
        store->height = store->committed;
        return -1;
    }
    store->committed = store->height;
    return 0;
}

void store_drop(struct store *store) {
    store->backend->drop(store);
    store->height = store->committed;
}

int store_read_header(struct store *store, uint64_t height, struct buffer *ret, struct error *err) {
    if (store->backend->read_header(store, height, ret, err) < 0)
        return error_wrap(err, "read the header of block %llu", (unsigned long long)height);
    return 0;
}

int store_read_body(struct store *store, uint64_t height, struct buffer *ret, struct error *err) {
    if (store->backend->read_body(store, height, ret, err) < 0)
        return error_wrap(err, "read the body of block %llu", (unsigned long long)height);
    return 0;
}

int store_get(struct store *store, const void *key, size_t key_size, struct buffer *ret,
              struct error *err) {
    return store->backend->get(store, key, key_size, ret, err);
}

int store_get_version(struct store *store, const void *key, size_t key_size, uint64_t *ret,
                      struct error *err) {
    return store->backend->get_version(store, key, key_size, ret, err);
}

bool store_keeps_sides(const struct store *store) {
    return store->backend->side_put;
}

int store_side_put(struct store *store, const void *key, size_t key_size, const void *value,
                   size_t size, struct error *err) {
    return store->backend->side_put(store, key, key_size, value, size, err);
}

int store_side_remove(struct store *store, const void *key, size_t key_size, struct error *err) {
    return store->backend->side_remove(store, key, key_size, err);
}

int store_side_get(struct store *store, const void *key, size_t key_size, struct buffer *ret,
                   struct error *err) {
    return store->backend->side_get(store, key, key_size, ret, err);
}

int store_each_header(struct store *store, store_visit_header *visit, void *context,
                      struct error *err) {
    return store->backend->each_header(store, visit, context, err);
}
