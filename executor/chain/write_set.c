#include "executor/chain/write_set.h"

#include "executor/chain/checksum.h"

#include "lib/memory.h"

#include <stdlib.h>

enum { RECORD_SIZE = 1 + 2 * SHA256_SIZE };

bool write_set_next(struct byte_reader *r, struct write_set_entry *ret) {
    if (r->failed || r->at == r->end)
        return false;
    struct write_set_entry entry = {0};
    entry.key_size = bytes_get_u32(r);
    entry.value_size = bytes_get_u32(r);
    entry.deletes = entry.value_size == WRITE_SET_DELETED;
    if (entry.deletes)
        entry.value_size = 0;
    entry.key = bytes_take(r, entry.key_size);
    entry.value = bytes_take(r, entry.value_size);
    if (r->failed)
        return false;
    *ret = entry;
    return true;
}

void write_set_init(struct write_set *ws, size_t count_max) {
    *ws = (struct write_set){.count_max = count_max};
    ws->entries = mem_new_array(struct write_set_entry, count_max);
    ws->inputs = mem_new_array(struct sha256_input, 2 * count_max);
    ws->hashes = mem_zero(2 * count_max, SHA256_SIZE);
    ws->records = mem_alloc(4 + RECORD_SIZE * count_max);
}

void write_set_deinit(struct write_set *ws) {
    free(ws->entries);
    free(ws->inputs);
    free(ws->hashes);
    free(ws->records);
    *ws = (struct write_set){.count = 0};
}

static int read_entries(struct write_set *ws, const uint8_t *set, size_t size, struct error *err) {
    struct byte_reader r = byte_reader(set, size);
    struct write_set_entry entry;
    ws->count = 0;
    while (write_set_next(&r, &entry)) {
        if (ws->count == ws->count_max)
            return error_set(err, ERROR_LIMIT, "a write set of more than %zu keys", ws->count_max);
        ws->entries[ws->count++] = entry;
    }
    if (r.failed)
        return error_set(err, ERROR_INVALID, "a write set that ends within entry %zu", ws->count);
    return 0;
}

/* Values come first, because they are long: keys fill the lanes that are free at the end. */
static void hash_entries(struct write_set *ws) {
    size_t n = ws->count;
    for (size_t i = 0; i < n; i++) {
        const struct write_set_entry *e = &ws->entries[i];
        ws->inputs[i] = (struct sha256_input){e->value, e->value_size};
        ws->inputs[n + i] = (struct sha256_input){e->key, e->key_size};
    }
    ws->values = ws->hashes;
    ws->keys = ws->hashes + n;
    sha256_many(ws->inputs, 2 * n, ws->hashes);
    for (size_t i = 0; i < n; i++)
        if (ws->entries[i].deletes)
            memset(ws->values[i], 0, SHA256_SIZE);
}

int write_set_read(struct write_set *ws, const uint8_t *set, size_t size, struct error *err) {
    if (read_entries(ws, set, size, err) < 0)
        return -1;
    hash_entries(ws);
    struct byte_writer w = byte_writer(ws->records, 4 + RECORD_SIZE * ws->count);
    bytes_put_u32(&w, (uint32_t)ws->count);
    for (size_t i = 0; i < ws->count; i++) {
        bytes_put_u8(&w, !ws->entries[i].deletes);
        bytes_put(&w, ws->keys[i], SHA256_SIZE);
        bytes_put(&w, ws->values[i], SHA256_SIZE);
    }
    sha256_of(ws->records, bytes_written(&w), ws->digest);
    return 0;
}

int write_set_sum(struct write_set *ws, const uint8_t *set, size_t size, struct error *err) {
    if (read_entries(ws, set, size, err) < 0)
        return -1;
    ws->keys = ws->values = NULL;
    checksum_digest(set, size, ws->digest);
    return 0;
}
