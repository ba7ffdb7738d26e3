#pragma once

/*
 * From keys to where their latest values are, in memory: extendible hashing. Pages of fixed size
 * hold the keys whose hashes begin alike; a page that fills is split in two, by one more bit. So
 * the index grows a page at a time, no part of it is ever given up for a larger one, and nothing
 * that grows stops the replica for long. That matters because memory that is new costs several
 * times what writing to it costs.
 *
 * Keys are not kept: whoever asks compares. Hashes are keyed by a secret of this process, so that
 * nobody can choose keys that fall together.
 *
 * Owns:    the directory; pages are whose who gives them.
 * Threads: one at a time.
 * Source:  Fagin, Nievergelt, Pippenger, Strong: Extendible Hashing, TODS 1979.
 */

#include "executor/store/store.h"

#include "lib/error.h"
#include "lib/keyed_hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INDEX_PAGE_SLOTS = 128 };

/* 0 is a free slot: no block has height 0. */
struct index_slot {
    uint64_t hash;
    uint64_t height;
    struct store_entry entry;
};

struct index_page {
    uint32_t count;
    uint32_t depth; /* so many first bits of their hashes are alike */
    uint64_t zero[7];
    struct index_slot slots[INDEX_PAGE_SLOTS];
};

struct index_options {
    void *context;
    /* Room for a page, aligned to 64 bytes and zeroed; ERROR_LIMIT. */
    int (*page)(void *context, struct index_page **ret, struct error *err);
    /* So many bytes more are in the directory; ERROR_LIMIT. */
    int (*account)(void *context, size_t size, struct error *err);
    /* Whether the slot is of that key; their hashes are the same. */
    bool (*is_of)(const void *context, const struct index_slot *slot, const void *key, size_t size);
};

struct index {
    struct index_options options;
    struct keyed_hash hash;
    struct index_page **pages; /* by the first `depth` bits of a hash; NULL before the first key */
    uint32_t depth;
};

void index_init(struct index *index, const struct index_options *options);
void index_deinit(struct index *index);

uint64_t index_hash(const struct index *index, const void *key, size_t size);
/* Its slot is wanted soon. */
void index_prefetch(const struct index *index, uint64_t hash);
/* NULL: it was never put. */
const struct index_slot *index_find(const struct index *index, uint64_t hash, const void *key,
                                    size_t size);
/* The key's slot, or a free one that is its own now and has its hash. ERROR_LIMIT: there is no room
 * for a page that is needed; nothing has changed. */
int index_put(struct index *index, uint64_t hash, const void *key, size_t size,
              struct index_slot **ret, struct error *err);
