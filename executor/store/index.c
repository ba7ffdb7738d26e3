#include "executor/store/index.h"

#include "lib/crypto.h"
#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE_KEYS_MAX = INDEX_PAGE_SLOTS / 4 * 3, /* more would be searched for too long */
    /* The directory has up to 2^DEPTH_MAX entries of 8 bytes. With hashes that nobody can choose,
     * that many are not needed below a hundred billion keys. */
    DEPTH_MAX = 32,
};

_Static_assert(sizeof(struct index_slot) == 32, "no slot is in two cache lines");
_Static_assert(sizeof(struct index_page) % 64 == 0, "pages follow one another");

void index_init(struct index *index, const struct index_options *options) {
    *index = (struct index){.options = *options};
    random_bytes(index->hash.secret, sizeof index->hash.secret);
}

void index_deinit(struct index *index) {
    free(index->pages);
    index->pages = NULL;
}

uint64_t index_hash(const struct index *index, const void *key, size_t size) {
    return keyed_hash_of(&index->hash, key, size);
}

static size_t directory_place(const struct index *index, uint64_t hash) {
    return index->depth ? (size_t)(hash >> (64 - index->depth)) : 0;
}

static struct index_page *page_of(const struct index *index, uint64_t hash) {
    return index->pages[directory_place(index, hash)];
}

void index_prefetch(const struct index *index, uint64_t hash) {
    if (!index->pages)
        return;
    const struct index_page *page = page_of(index, hash);
    __builtin_prefetch(&page->count, 1);
    __builtin_prefetch(&page->slots[hash % INDEX_PAGE_SLOTS], 1);
}

/* The key's, or the free one that is found first. */
static struct index_slot *search(const struct index *index, struct index_page *page, uint64_t hash,
                                 const void *key, size_t size) {
    for (size_t i = hash % INDEX_PAGE_SLOTS;; i = (i + 1) % INDEX_PAGE_SLOTS) {
        struct index_slot *slot = &page->slots[i];
        if (slot->height == 0 ||
            (slot->hash == hash && index->options.is_of(index->options.context, slot, key, size)))
            return slot;
    }
}

const struct index_slot *index_find(const struct index *index, uint64_t hash, const void *key,
                                    size_t size) {
    if (!index->pages)
        return NULL;
    const struct index_slot *slot = search(index, page_of(index, hash), hash, key, size);
    return slot->height ? slot : NULL;
}

/* ---- growing ---- */

static int account(const struct index *index, size_t entries, struct error *err) {
    return index->options.account(index->options.context, entries * sizeof *index->pages, err);
}

static int begin(struct index *index, struct error *err) {
    struct index_page *page;
    if (account(index, 1, err) < 0 || index->options.page(index->options.context, &page, err) < 0)
        return -1;
    index->pages = mem_new_array(struct index_page *, 1);
    index->pages[0] = page;
    return 0;
}

/* Each entry twice. */
static int double_directory(struct index *index, struct error *err) {
    size_t count = (size_t)1 << index->depth;
    if (index->depth == DEPTH_MAX)
        return error_set(err, ERROR_LIMIT, "the index of the memory store is full");
    if (account(index, count, err) < 0)
        return -1;
    index->pages = mem_resize(index->pages, 2 * count, sizeof *index->pages);
    for (size_t i = count; i-- > 0;)
        index->pages[2 * i] = index->pages[2 * i + 1] = index->pages[i];
    index->depth++;
    return 0;
}

static void add(struct index_page *page, const struct index_slot *slot) {
    size_t i = slot->hash % INDEX_PAGE_SLOTS;
    while (page->slots[i].height != 0)
        i = (i + 1) % INDEX_PAGE_SLOTS;
    page->slots[i] = *slot;
    page->count++;
}

/* Those with the next bit go to the new page. */
static void divide(struct index_page *page, struct index_page *other) {
    struct index_slot slots[INDEX_PAGE_SLOTS];
    uint32_t depth = page->depth + 1;
    memcpy(slots, page->slots, sizeof slots);
    memset(page->slots, 0, sizeof page->slots);
    page->count = other->count = 0;
    page->depth = other->depth = depth;
    for (size_t i = 0; i < INDEX_PAGE_SLOTS; i++)
        if (slots[i].height != 0)
            add(slots[i].hash >> (64 - depth) & 1 ? other : page, &slots[i]);
}

static int split(struct index *index, uint64_t hash, struct error *err) {
    struct index_page *page = page_of(index, hash), *other;
    if (page->depth == index->depth && double_directory(index, err) < 0)
        return -1;
    if (index->options.page(index->options.context, &other, err) < 0)
        return -1;
    divide(page, other);
    /* The entries of the page were a row of 2^(depth of the directory - of the page). */
    size_t count = (size_t)1 << (index->depth - page->depth);
    size_t first = directory_place(index, hash) & ~(2 * count - 1);
    for (size_t i = first + count; i < first + 2 * count; i++)
        index->pages[i] = other;
    return 0;
}

int index_put(struct index *index, uint64_t hash, const void *key, size_t size,
              struct index_slot **ret, struct error *err) {
    if (!index->pages && begin(index, err) < 0)
        return -1;
    for (;;) {
        struct index_page *page = page_of(index, hash);
        struct index_slot *slot = search(index, page, hash, key, size);
        if (slot->height == 0 && page->count == PAGE_KEYS_MAX) {
            if (split(index, hash, err) < 0)
                return -1;
            continue;
        }
        if (slot->height == 0) {
            page->count++;
            slot->hash = hash;
        }
        *ret = slot;
        return 0;
    }
}
