#pragma once

/*
 * What a kind of store implements. How to add one: fill a struct store_backend in a file of its
 * own (a third-party library gets its one door there), and give it a store_open_*.
 */

#include "executor/store/store.h"

struct store {
    const struct store_backend *backend;
    uint64_t height;    /* of the last that was put */
    uint64_t committed; /* what is there if the next commit fails */
};

struct store_backend {
    const char *name;
    bool is_memory;
    void (*free)(struct store *store);
    int (*reserve)(struct store *store, size_t size, uint8_t **ret, struct error *err);
    int (*put)(struct store *store, const struct store_block *block, struct error *err);
    int (*commit)(struct store *store, struct error *err);
    /* NULL: nothing that was put can be taken back */
    void (*drop)(struct store *store);
    int (*read_header)(struct store *store, uint64_t height, struct buffer *ret, struct error *err);
    int (*read_body)(struct store *store, uint64_t height, struct buffer *ret, struct error *err);
    int (*get)(struct store *store, const void *key, size_t key_size, struct buffer *ret,
               struct error *err);
    int (*get_version)(struct store *store, const void *key, size_t key_size, uint64_t *ret,
                       struct error *err);
    /* NULL, all three: nothing is kept beside the blocks */
    int (*side_put)(struct store *store, const void *key, size_t key_size, const void *value,
                    size_t size, struct error *err);
    int (*side_remove)(struct store *store, const void *key, size_t key_size, struct error *err);
    int (*side_get)(struct store *store, const void *key, size_t key_size, struct buffer *ret,
                    struct error *err);
    int (*each_header)(struct store *store, store_visit_header *visit, void *context,
                       struct error *err);
};
