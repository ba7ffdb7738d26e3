/*
 * Blocks in memory: bodies one behind the other in large chunks (huge pages where the system gives
 * them: a fresh 4 KiB page costs more than filling it), and an index from key to place. The index
 * is split into shards by hash, so that growing one never stops the replica for long.
 */

#include "executor/store/backend.h"

#include "lib/memory.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum {
    CHUNK_SIZE = 66 * 1024 * 1024, /* the largest body and its header, in whole huge pages */
    SHARDS = 256,
    SHARD_SLOTS_MIN = 64,
};

_Static_assert((int)CHUNK_SIZE >= (int)STORE_BODY_MAX + 2 * (int)STORE_HEADER_MAX,
               "every block fits");

struct block {
    const uint8_t *header;
    const uint8_t *body;
    uint32_t header_size;
    uint32_t body_size;
};

/* 0 is a free slot: no block has height 0. */
struct slot {
    uint64_t hash;
    uint64_t height;
    struct store_entry entry;
};

struct shard {
    struct slot *slots;
    size_t capacity; /* a power of two */
    size_t count;
};

struct memory_store {
    struct store base;
    uint64_t bytes_max;
    uint64_t bytes; /* of chunks, blocks and index */
    uint8_t **chunks;
    size_t chunk_count;
    size_t chunk_capacity;
    size_t chunk_next; /* those before it are in use, the last of them up to chunk_used */
    size_t chunk_used;
    struct block *blocks; /* by height - 1 */
    size_t block_count;
    size_t block_capacity;
    struct shard shards[SHARDS];
};

static struct memory_store *memory_of(struct store *store) {
    return (struct memory_store *)store;
}

static void memory_free(struct store *base) {
    struct memory_store *store = memory_of(base);
    for (size_t i = 0; i < store->chunk_count; i++)
        munmap(store->chunks[i], CHUNK_SIZE);
    for (size_t i = 0; i < SHARDS; i++)
        free(store->shards[i].slots);
    free(store->chunks);
    free(store->blocks);
    free(store);
}

static int account(struct memory_store *store, size_t size, struct error *err) {
    if (size > store->bytes_max - store->bytes) {
        error_set(err, ERROR_LIMIT, "the memory store is full: %llu of %llu bytes, %zu more needed",
                  (unsigned long long)store->bytes, (unsigned long long)store->bytes_max, size);
        return error_hint(err, "give it more by --memory-max, send less, or store in rocksdb");
    }
    store->bytes += size;
    return 0;
}

static int add_chunk(struct memory_store *store, struct error *err) {
    if (account(store, CHUNK_SIZE, err) < 0)
        return -1;
    void *chunk =
        mmap(NULL, CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED) {
        store->bytes -= CHUNK_SIZE;
        return error_set_os(err, ERROR_LIMIT, errno, "map %d bytes of memory", CHUNK_SIZE);
    }
    madvise(chunk, CHUNK_SIZE, MADV_HUGEPAGE); /* a wish */
    madvise(chunk, CHUNK_SIZE, MADV_DONTDUMP); /* cores hold the program, not the load */
    mem_grow(store->chunks, store->chunk_count, store->chunk_capacity);
    store->chunks[store->chunk_count++] = chunk;
    return 0;
}

/* Chunks whose pages are there already. */
static int reserve_chunks(struct memory_store *store, uint64_t bytes, struct error *err) {
    while (store->chunk_count * (uint64_t)CHUNK_SIZE < bytes) {
        if (add_chunk(store, err) < 0)
            return -1;
        if (madvise(store->chunks[store->chunk_count - 1], CHUNK_SIZE, MADV_POPULATE_WRITE) < 0)
            return error_set_os(err, ERROR_LIMIT, errno, "reserve %llu bytes of memory",
                                (unsigned long long)bytes);
    }
    return 0;
}

static int next_chunk(struct memory_store *store, struct error *err) {
    if (store->chunk_next == store->chunk_count && add_chunk(store, err) < 0)
        return -1;
    store->chunk_next++;
    store->chunk_used = 0;
    return 0;
}

/* The reserved room is claimed by put; a header follows its body. */
static int memory_reserve(struct store *base, size_t size, uint8_t **ret, struct error *err) {
    struct memory_store *store = memory_of(base);
    if (store->chunk_next == 0 || CHUNK_SIZE - store->chunk_used < size + STORE_HEADER_MAX)
        if (next_chunk(store, err) < 0)
            return -1;
    *ret = store->chunks[store->chunk_next - 1] + store->chunk_used;
    return 0;
}

/* FNV-1a is too slow for keys of 118 bytes; this folds eight at a time (as wyhash does). */
static uint64_t hash_of(const uint8_t *key, size_t size) {
    uint64_t hash = size * UINT64_C(0x9e3779b97f4a7c15);
    for (;;) {
        uint64_t word = 0;
        memcpy(&word, key, size < 8 ? size : 8);
        __uint128_t product = (__uint128_t)(hash ^ word) * UINT64_C(0xd6e8feb86659fd93) +
                              UINT64_C(0xa0761d6478bd642f);
        hash = (uint64_t)product ^ (uint64_t)(product >> 64);
        if (size <= 8)
            return hash;
        key += 8;
        size -= 8;
    }
}

static const uint8_t *key_of(const struct memory_store *store, const struct slot *slot) {
    return store->blocks[slot->height - 1].body + slot->entry.key_offset;
}

static struct slot *find_slot(const struct memory_store *store, const struct shard *shard,
                              uint64_t hash, const uint8_t *key, size_t size) {
    size_t i = (size_t)hash & (shard->capacity - 1);
    for (;; i = (i + 1) & (shard->capacity - 1)) {
        struct slot *slot = &shard->slots[i];
        if (slot->height == 0)
            return slot;
        if (slot->hash == hash && slot->entry.key_size == size &&
            memcmp(key_of(store, slot), key, size) == 0)
            return slot;
    }
}

static int grow_shard(struct memory_store *store, struct shard *shard, struct error *err) {
    struct shard larger = {.capacity = shard->capacity ? 2 * shard->capacity : SHARD_SLOTS_MIN,
                           .count = shard->count};
    if (account(store, (larger.capacity - shard->capacity) * sizeof(struct slot), err) < 0)
        return -1;
    larger.slots = mem_new_array(struct slot, larger.capacity);
    for (size_t i = 0; i < shard->capacity; i++) {
        if (shard->slots[i].height == 0)
            continue;
        size_t at = (size_t)shard->slots[i].hash & (larger.capacity - 1);
        while (larger.slots[at].height != 0)
            at = (at + 1) & (larger.capacity - 1);
        larger.slots[at] = shard->slots[i];
    }
    free(shard->slots);
    *shard = larger;
    return 0;
}

static int index_entry(struct memory_store *store, const struct store_block *block,
                       const struct store_entry *entry, struct error *err) {
    const uint8_t *key = block->body + entry->key_offset;
    uint64_t hash = hash_of(key, entry->key_size);
    struct shard *shard = &store->shards[hash >> 56];
    if (2 * (shard->count + 1) > shard->capacity && grow_shard(store, shard, err) < 0)
        return -1;
    struct slot *slot = find_slot(store, shard, hash, key, entry->key_size);
    if (slot->height == 0)
        shard->count++;
    *slot = (struct slot){.hash = hash, .height = block->height, .entry = *entry};
    return 0;
}

static int memory_put(struct store *base, const struct store_block *block, struct error *err) {
    struct memory_store *store = memory_of(base);
    uint8_t *body;
    if (memory_reserve(base, block->body_size, &body, err) < 0)
        return -1;
    assert(block->body_size == 0 || block->body == body);
    uint8_t *header = body + block->body_size;
    memcpy(header, block->header, block->header_size);
    if (store->block_count == store->block_capacity &&
        account(store, (store->block_capacity ? store->block_capacity : 8) * sizeof(struct block),
                err) < 0)
        return -1;
    mem_grow(store->blocks, store->block_count, store->block_capacity);
    store->blocks[store->block_count++] =
        (struct block){.header = header,
                       .body = body,
                       .header_size = (uint32_t)block->header_size,
                       .body_size = (uint32_t)block->body_size};
    store->chunk_used += block->body_size + block->header_size;
    for (size_t i = 0; i < block->entry_count; i++)
        if (index_entry(store, block, &block->entries[i], err) < 0)
            return -1; /* full: nothing comes after this */
    return 0;
}

static int memory_commit(struct store *store, struct error *err) {
    (void)store;
    (void)err;
    return 0;
}

static const struct block *find_block(struct store *base, uint64_t height, struct error *err) {
    struct memory_store *store = memory_of(base);
    if (height == 0 || height > store->base.height) {
        error_set(err, ERROR_NOT_FOUND, "there is no such block");
        return NULL;
    }
    return &store->blocks[height - 1];
}

static int memory_read_header(struct store *base, uint64_t height, struct buffer *ret,
                              struct error *err) {
    const struct block *block = find_block(base, height, err);
    if (!block)
        return -1;
    buffer_append(ret, block->header, block->header_size);
    return buffer_check(ret, "a block's header", err);
}

static int memory_read_body(struct store *base, uint64_t height, struct buffer *ret,
                            struct error *err) {
    const struct block *block = find_block(base, height, err);
    if (!block)
        return -1;
    buffer_append(ret, block->body, block->body_size);
    return buffer_check(ret, "a block's body", err);
}

/* NULL: there is no such key, or it was deleted. */
static const struct slot *find_key(const struct memory_store *store, const void *key, size_t size) {
    uint64_t hash = hash_of(key, size);
    const struct shard *shard = &store->shards[hash >> 56];
    if (!shard->capacity)
        return NULL;
    const struct slot *slot = find_slot(store, shard, hash, key, size);
    return slot->height && slot->entry.value_size != STORE_DELETED ? slot : NULL;
}

static int memory_get(struct store *base, const void *key, size_t key_size, struct buffer *ret,
                      struct error *err) {
    const struct memory_store *store = memory_of(base);
    const struct slot *slot = find_key(store, key, key_size);
    if (!slot)
        return error_set(err, ERROR_NOT_FOUND, "there is no such key");
    buffer_append(ret, store->blocks[slot->height - 1].body + slot->entry.value_offset,
                  slot->entry.value_size);
    return buffer_check(ret, "a value", err);
}

static int memory_get_version(struct store *base, const void *key, size_t key_size, uint64_t *ret,
                              struct error *err) {
    const struct slot *slot = find_key(memory_of(base), key, key_size);
    (void)err;
    *ret = slot ? slot->height : 0;
    return 0;
}

static int memory_each_header(struct store *base, store_visit_header *visit, void *context,
                              struct error *err) {
    const struct memory_store *store = memory_of(base);
    for (uint64_t height = 1; height <= base->height; height++) {
        const struct block *block = &store->blocks[height - 1];
        if (visit(context, height, block->header, block->header_size, err) < 0)
            return -1;
    }
    return 0;
}

static const struct store_backend memory_backend = {
    .name = "memory",
    .free = memory_free,
    .reserve = memory_reserve,
    .put = memory_put,
    .commit = memory_commit,
    .read_header = memory_read_header,
    .read_body = memory_read_body,
    .get = memory_get,
    .get_version = memory_get_version,
    .each_header = memory_each_header,
};

int store_open_memory(uint64_t bytes_max, uint64_t bytes_reserved, struct store **ret,
                      struct error *err) {
    if (bytes_max < 2 * (uint64_t)CHUNK_SIZE)
        return error_set(err, ERROR_LIMIT, "a memory store needs at least %d bytes, %llu given",
                         2 * CHUNK_SIZE, (unsigned long long)bytes_max);
    struct memory_store *memory = mem_new(struct memory_store);
    memory->base.backend = &memory_backend;
    memory->bytes_max = bytes_max;
    cleanup(store_freep) struct store *store = &memory->base;
    if (reserve_chunks(memory, bytes_reserved, err) < 0)
        return -1;
    *ret = take_ptr(store);
    return 0;
}
