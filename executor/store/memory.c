/*
 * Blocks in memory: bodies one behind the other in large chunks (huge pages where the system gives
 * them: a fresh 4 KiB page costs more than filling it), and an index from key to place, whose pages
 * lie in the same chunks.
 */

#include "executor/store/backend.h"
#include "executor/store/index.h"

#include "lib/memory.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum {
    CHUNK_SIZE = 66 * 1024 * 1024,     /* the largest body and its header, in whole huge pages */
    INDEX_PART_SIZE = 2 * 1024 * 1024, /* of a chunk, for pages of the index: they lie together */
    ALIGNMENT = 64,
    TOGETHER = 32, /* keys whose places in the index are fetched together */
};

_Static_assert((int)CHUNK_SIZE >= (int)STORE_BODY_MAX + 2 * (int)STORE_HEADER_MAX,
               "every block fits");

struct block {
    const uint8_t *header;
    const uint8_t *body;
    uint32_t header_size;
    uint32_t body_size;
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
    struct index index;
    uint8_t *index_part; /* what is left of it is for pages */
    size_t index_left;
};

static struct memory_store *memory_of(struct store *store) {
    return (struct memory_store *)store;
}

static void memory_free(struct store *base) {
    struct memory_store *store = memory_of(base);
    for (size_t i = 0; i < store->chunk_count; i++)
        munmap(store->chunks[i], CHUNK_SIZE);
    index_deinit(&store->index);
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

/* ---- the index ---- */

/* From the end of what is used of the chunks: nothing is reserved now. */
static int next_index_part(struct memory_store *store, struct error *err) {
    size_t at = (store->chunk_used + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (store->chunk_next == 0 || at > (size_t)CHUNK_SIZE - INDEX_PART_SIZE) {
        if (next_chunk(store, err) < 0)
            return -1;
        at = 0;
    }
    store->index_part = store->chunks[store->chunk_next - 1] + at;
    store->index_left = INDEX_PART_SIZE;
    store->chunk_used = at + INDEX_PART_SIZE;
    return 0;
}

static int index_page(void *context, struct index_page **ret, struct error *err) {
    struct memory_store *store = context;
    if (store->index_left < sizeof **ret && next_index_part(store, err) < 0)
        return -1;
    *ret = (struct index_page *)(void *)store->index_part;
    memset(*ret, 0, sizeof **ret); /* a block that was refused may have left something there */
    store->index_part += sizeof **ret;
    store->index_left -= sizeof **ret;
    return 0;
}

static int account_directory(void *context, size_t size, struct error *err) {
    return account(context, size, err);
}

static bool is_of(const void *context, const struct index_slot *slot, const void *key,
                  size_t size) {
    const struct memory_store *store = context;
    const uint8_t *body = store->blocks[slot->height - 1].body;
    return slot->entry.key_size == size && memcmp(body + slot->entry.key_offset, key, size) == 0;
}

static int index_entry(struct memory_store *store, const struct store_block *block,
                       const struct store_entry *entry, uint64_t hash, struct error *err) {
    struct index_slot *slot;
    if (index_put(&store->index, hash, block->body + entry->key_offset, entry->key_size, &slot,
                  err) < 0)
        return -1;
    slot->height = block->height;
    slot->entry = *entry;
    return 0;
}

static int index_block(struct memory_store *store, const struct store_block *block,
                       struct error *err) {
    uint64_t hashes[TOGETHER];
    for (size_t i = 0; i < block->entry_count; i += TOGETHER) {
        const struct store_entry *entries = &block->entries[i];
        size_t left = block->entry_count - i, count = left < TOGETHER ? left : TOGETHER;
        for (size_t k = 0; k < count; k++) {
            hashes[k] =
                index_hash(&store->index, block->body + entries[k].key_offset, entries[k].key_size);
            index_prefetch(&store->index, hashes[k]);
        }
        for (size_t k = 0; k < count; k++)
            if (index_entry(store, block, &entries[k], hashes[k], err) < 0)
                return -1;
    }
    return 0;
}

/* ---- blocks ---- */

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
    return index_block(store, block, err); /* full: nothing comes after this */
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

/* `ret` is NULL if there is no such key, or it was deleted. Its last block may be one that was put
 * in part, when nothing was left for the index: where the value before was is not known any more.
 */
static int find_key(const struct memory_store *store, const void *key, size_t size,
                    const struct index_slot **ret, struct error *err) {
    const struct index_slot *slot =
        index_find(&store->index, index_hash(&store->index, key, size), key, size);
    if (slot && slot->height > store->base.height)
        return error_set(err, ERROR_LIMIT,
                         "the key was to be written by a block that there was no room for");
    *ret = slot && slot->entry.value_size != STORE_DELETED ? slot : NULL;
    return 0;
}

static int memory_get(struct store *base, const void *key, size_t key_size, struct buffer *ret,
                      struct error *err) {
    const struct memory_store *store = memory_of(base);
    const struct index_slot *slot;
    if (find_key(store, key, key_size, &slot, err) < 0)
        return -1;
    if (!slot)
        return error_set(err, ERROR_NOT_FOUND, "there is no such key");
    buffer_append(ret, store->blocks[slot->height - 1].body + slot->entry.value_offset,
                  slot->entry.value_size);
    return buffer_check(ret, "a value", err);
}

static int memory_get_version(struct store *base, const void *key, size_t key_size, uint64_t *ret,
                              struct error *err) {
    const struct index_slot *slot;
    if (find_key(memory_of(base), key, key_size, &slot, err) < 0)
        return -1;
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
    .is_memory = true,
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
    const struct index_options options = {
        .context = memory, .page = index_page, .account = account_directory, .is_of = is_of};
    index_init(&memory->index, &options);
    cleanup(store_freep) struct store *store = &memory->base;
    if (reserve_chunks(memory, bytes_reserved, err) < 0)
        return -1;
    *ret = take_ptr(store);
    return 0;
}
