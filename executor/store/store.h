#pragma once

/*
 * Where blocks are kept. A block is a header of fixed meaning to others, a body (what its execution
 * wrote), and an index of the keys and values in it, so that the latest value of a key is found.
 * Blocks are appended in order of their heights, from 1; a commit makes all blocks put since the
 * last one durable together, each whole or not at all.
 *
 * Durability: with rocksdb, what was committed survives the process at any instant. Whether it
 * survives the power, enum store_durability says; without it the last seconds may be missing, but
 * what is there is whole, up to some height. memory survives nothing; it really stores every byte,
 * up to a stated maximum.
 *
 * A write that fails (a full disk) is an error of that commit. Nothing can be stored from then on;
 * what was stored before can be read, but in memory the keys that a block was to write which did
 * not fit: asking for one of them is ERROR_LIMIT.
 *
 * Threads: one thread at a time.
 * Errors:  ERROR_LIMIT (the memory store is full), ERROR_IO, ERROR_CONFLICT (the folder is in use,
 *          or belongs to another cluster or replica), ERROR_NOT_FOUND, ERROR_INVALID (damaged).
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORE_BODY_MAX = 64 * 1024 * 1024,
    STORE_HEADER_MAX = 1024,
    STORE_KEY_MAX = 4096,
};

#define STORE_DELETED UINT32_MAX

/* Where a key and its value lie in the body. With a value size of STORE_DELETED the key is deleted:
 * it is found no more, until it is written again. */
struct store_entry {
    uint32_t key_offset;
    uint32_t key_size;
    uint32_t value_offset;
    uint32_t value_size;
};

struct store_block {
    uint64_t height; /* the one before plus 1 */
    const uint8_t *header;
    size_t header_size;
    const uint8_t *body; /* of store_reserve; may be NULL when there are no bytes */
    size_t body_size;
    const struct store_entry *entries; /* later ones win */
    size_t entry_count;
};

struct store;

/* Whose data it is. The same folder is opened again only by the same. */
struct store_identity {
    const char *run;
    uint16_t replica;
    uint16_t n;
    const char *merkle; /* which tree its headers have the root of */
};

enum store_durability {
    STORE_SYNC_NONE,  /* written into the system's cache: it decides when that gets to the disk */
    STORE_SYNC_GROUP, /* each commit is on the disk when it returns */
    STORE_SYNC_EACH,  /* the same; and every block is a commit of its own (the ledger sees to it) */
};
/* "none", "group", "each" */
const char *store_durability_name(enum store_durability durability);
/* ERROR_USAGE */
int store_durability_parse(const char *name, enum store_durability *ret, struct error *err);

/* Creates the folder below an existing, writable one. */
int store_open_rocksdb(const char *folder, const struct store_identity *identity,
                       enum store_durability durability, struct store **ret, struct error *err);
/* Whose data a folder holds. */
struct store_owner {
    char run[64];
    uint16_t replica;
    uint16_t n;
    char merkle[16];
};

/* Of anybody, and only to be read: what was there at this moment, even if a replica goes on with
 * it. ERROR_NOT_FOUND: there is no data; ERROR_CONFLICT: of another version, or not of a replica.
 */
int store_open_rocksdb_to_read(const char *folder, struct store_owner *ret_owner,
                               struct store **ret, struct error *err);
/* `bytes_max`: everything together, index included. `bytes_reserved` of it are got from the system
 * before it returns: a page that is new costs several times what filling it costs. */
int store_open_memory(uint64_t bytes_max, uint64_t bytes_reserved, struct store **ret,
                      struct error *err);
void store_free(struct store *store);
DEFINE_CLEANUP_FREE(store);

/* "rocksdb", "memory" */
const char *store_name(const struct store *store);
/* Putting and committing wait for no disk. */
bool store_is_memory(const struct store *store);
/* Of the last block that was put; 0: empty. */
uint64_t store_height(const struct store *store);

/* Room for the body of the next block, to be filled in place and then put. Any alignment. */
int store_reserve(struct store *store, size_t size, uint8_t **ret, struct error *err);
int store_put(struct store *store, const struct store_block *block, struct error *err);
/* When it fails, what was put since the last commit is gone. */
int store_commit(struct store *store, struct error *err);
/* Instead of a commit: what was put since the last one is gone, also beside the blocks. Only of a
 * store that keeps sides. */
void store_drop(struct store *store);

/* What was committed. Append to `ret`. */
int store_read_header(struct store *store, uint64_t height, struct buffer *ret, struct error *err);
int store_read_body(struct store *store, uint64_t height, struct buffer *ret, struct error *err);
/* The latest value of a key; ERROR_NOT_FOUND. */
int store_get(struct store *store, const void *key, size_t key_size, struct buffer *ret,
              struct error *err);

/* The height of the block that wrote the latest value of a key; 0: there is none. Reads no value.
 */
int store_get_version(struct store *store, const void *key, size_t key_size, uint64_t *ret,
                      struct error *err);

/*
 * Data beside the blocks, under keys of its own: what is put or removed is committed with the
 * blocks that are put, in one. The memory store keeps none; then nothing but store_keeps_sides may
 * be called. `get` sees what was committed: ERROR_NOT_FOUND.
 */
bool store_keeps_sides(const struct store *store);
int store_side_put(struct store *store, const void *key, size_t key_size, const void *value,
                   size_t size, struct error *err);
int store_side_remove(struct store *store, const void *key, size_t key_size, struct error *err);
int store_side_get(struct store *store, const void *key, size_t key_size, struct buffer *ret,
                   struct error *err);

/* All headers from height 1 on, in order; bodies are not read. Ends with the visitor's error. */
typedef int store_visit_header(void *context, uint64_t height, const uint8_t *header, size_t size,
                               struct error *err);
int store_each_header(struct store *store, store_visit_header *visit, void *context,
                      struct error *err);
