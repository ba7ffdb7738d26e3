/*
 * Blocks in RocksDB: the one door to it.
 *
 * Four column families under one write-ahead log, so that one write batch makes a block and its
 * index atomic:
 *   default  "identity", and 'h' + height -> header: a scan of headers reads nothing else
 *   blocks   height -> body: heights only rise, so files never overlap and compaction moves them
 *            without rewriting; each byte is written twice in all (log and table)
 *   keys     key -> height, offset, size of its latest value in the body: small, so that what must
 *            be rewritten by compaction is small too
 *   sides    what is kept beside the blocks: nodes of the Merkle tree, and how to take blocks back
 * One body and small index entries cost half of what one put per value costs (docs: numbers).
 * Heights are stored big endian, so that their order is RocksDB's.
 */

#include "executor/store/backend.h"

#include "lib/bytes.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <rocksdb/c.h>

enum { FAMILY_DEFAULT, FAMILY_BLOCKS, FAMILY_KEYS, FAMILY_SIDES, FAMILIES };

static const char *const family_names[FAMILIES] = {"default", "blocks", "keys", "sides"};

/* A write that fails makes RocksDB read-only, which is a clean end; but then memtables cannot be
 * flushed, and the log of the next start is longer. So we stop while there is still room. */
#define FREE_MIN (256ULL << 20)

enum { VERSION = 3, HEADER_KEY_SIZE = 9, PLACE_SIZE = 8 + 4 + 4 };

static const char identity_key[] = "identity";

struct rocks_store {
    struct store base;
    rocksdb_options_t *options[FAMILIES];
    rocksdb_block_based_table_options_t *table;
    rocksdb_cache_t *cache;
    rocksdb_writeoptions_t *write_options;
    rocksdb_readoptions_t *read_options;
    rocksdb_column_family_handle_t *families[FAMILIES];
    rocksdb_writebatch_t *batch;
    rocksdb_t *db;
    char *folder;
    uint8_t *body; /* the reserved room; the batch copies it */
    size_t body_capacity;
};

static struct rocks_store *rocks_of(struct store *store) {
    return (struct rocks_store *)store;
}

/* Takes RocksDB's text. */
static int rocks_error(char *text, struct error *err) {
    error_set(err, strstr(text, "Corruption") ? ERROR_INVALID : ERROR_IO, "rocksdb: %s", text);
    if (strstr(text, "No space left"))
        error_hint(err, "the disk is full");
    rocksdb_free(text);
    return -1;
}

static void rocks_free(struct store *base) {
    struct rocks_store *store = rocks_of(base);
    for (size_t i = 0; i < FAMILIES; i++)
        if (store->families[i])
            rocksdb_column_family_handle_destroy(store->families[i]);
    if (store->db)
        rocksdb_close(store->db);
    rocksdb_writebatch_destroy(store->batch);
    rocksdb_writeoptions_destroy(store->write_options);
    rocksdb_readoptions_destroy(store->read_options);
    for (size_t i = 0; i < FAMILIES; i++)
        rocksdb_options_destroy(store->options[i]);
    rocksdb_block_based_options_destroy(store->table);
    rocksdb_cache_destroy(store->cache);
    free(store->body);
    free(store->folder);
    free(store);
}

static void put_height(uint8_t out[8], uint64_t height) {
    for (size_t i = 0; i < 8; i++)
        out[i] = (uint8_t)(height >> (56 - 8 * i));
}

static uint64_t get_height(const uint8_t in[8]) {
    uint64_t height = 0;
    for (size_t i = 0; i < 8; i++)
        height = height << 8 | in[i];
    return height;
}

static void header_key(uint8_t out[HEADER_KEY_SIZE], uint64_t height) {
    out[0] = 'h';
    put_height(out + 1, height);
}

static int rocks_reserve(struct store *base, size_t size, uint8_t **ret, struct error *err) {
    struct rocks_store *store = rocks_of(base);
    (void)err;
    if (size > store->body_capacity) {
        free(store->body);
        store->body = mem_alloc(size);
        store->body_capacity = size;
    }
    *ret = store->body;
    return 0;
}

static void put_entry(struct rocks_store *store, const struct store_block *block,
                      const struct store_entry *entry) {
    const char *key = (const char *)block->body + entry->key_offset;
    uint8_t place[PLACE_SIZE];
    if (entry->value_size == STORE_DELETED) {
        rocksdb_writebatch_delete_cf(store->batch, store->families[FAMILY_KEYS], key,
                                     entry->key_size);
        return;
    }
    struct byte_writer w = byte_writer(place, sizeof place);
    bytes_put_u64(&w, block->height);
    bytes_put_u32(&w, entry->value_offset);
    bytes_put_u32(&w, entry->value_size);
    rocksdb_writebatch_put_cf(store->batch, store->families[FAMILY_KEYS], key, entry->key_size,
                              (const char *)place, sizeof place);
}

static int rocks_put(struct store *base, const struct store_block *block, struct error *err) {
    struct rocks_store *store = rocks_of(base);
    (void)err;
    uint8_t key[HEADER_KEY_SIZE];
    header_key(key, block->height);
    rocksdb_writebatch_put(store->batch, (const char *)key, sizeof key, (const char *)block->header,
                           block->header_size);
    if (block->body_size)
        rocksdb_writebatch_put_cf(store->batch, store->families[FAMILY_BLOCKS],
                                  (const char *)key + 1, sizeof key - 1, (const char *)block->body,
                                  block->body_size);
    for (size_t i = 0; i < block->entry_count; i++)
        put_entry(store, block, &block->entries[i]);
    return 0;
}

static int check_room(const char *folder, struct error *err) {
    struct statvfs fs;
    if (statvfs(folder, &fs) < 0 || fs.f_bavail * fs.f_frsize >= FREE_MIN)
        return 0;
    error_set(err, ERROR_LIMIT,
              "the disk of the data folder '%s' is full: only %llu bytes are free", folder,
              (unsigned long long)(fs.f_bavail * fs.f_frsize));
    return error_hint(err, "at least %llu are needed", FREE_MIN);
}

static int rocks_commit(struct store *base, struct error *err) {
    struct rocks_store *store = rocks_of(base);
    char *problem = NULL;
    int room = check_room(store->folder, err);
    if (room == 0)
        rocksdb_write(store->db, store->write_options, store->batch, &problem);
    rocksdb_writebatch_clear(store->batch);
    if (room < 0)
        return -1;
    if (problem) {
        rocks_error(problem, err);
        return error_wrap(err, "write to the data folder '%s'", store->folder);
    }
    return 0;
}

static void rocks_drop(struct store *base) {
    rocksdb_writebatch_clear(rocks_of(base)->batch);
}

/* Appends the value of a key, or a part of it (size_max bytes from offset). */
static int get_part(struct rocks_store *store, int family, const void *key, size_t key_size,
                    size_t offset, size_t size_max, struct buffer *ret, struct error *err) {
    char *problem = NULL;
    rocksdb_pinnableslice_t *slice = rocksdb_get_pinned_cf(
        store->db, store->read_options, store->families[family], key, key_size, &problem);
    if (problem)
        return rocks_error(problem, err);
    if (!slice)
        return error_set(err, ERROR_NOT_FOUND, "rocksdb has no such key");
    size_t size;
    const char *data = rocksdb_pinnableslice_value(slice, &size);
    bool there = offset <= size && (size_max == SIZE_MAX || size_max <= size - offset);
    if (there)
        buffer_append(ret, data + offset, size_max == SIZE_MAX ? size - offset : size_max);
    rocksdb_pinnableslice_destroy(slice);
    if (!there)
        return error_set(err, ERROR_INVALID, "rocksdb: an index entry points outside of its block");
    return buffer_check(ret, "a stored value", err);
}

static int rocks_read_header(struct store *base, uint64_t height, struct buffer *ret,
                             struct error *err) {
    uint8_t key[HEADER_KEY_SIZE];
    header_key(key, height);
    return get_part(rocks_of(base), FAMILY_DEFAULT, key, sizeof key, 0, SIZE_MAX, ret, err);
}

static int rocks_read_body(struct store *base, uint64_t height, struct buffer *ret,
                           struct error *err) {
    uint8_t key[8];
    put_height(key, height);
    int r = get_part(rocks_of(base), FAMILY_BLOCKS, key, sizeof key, 0, SIZE_MAX, ret, err);
    if (r < 0 && err->kind == ERROR_NOT_FOUND && height > 0 && height <= base->height) {
        error_clear(err);
        return 0; /* a block that wrote nothing */
    }
    return r;
}

static int rocks_get(struct store *base, const void *key, size_t key_size, struct buffer *ret,
                     struct error *err) {
    struct rocks_store *store = rocks_of(base);
    cleanup(buffer_deinit) struct buffer place;
    buffer_init(&place, PLACE_SIZE);
    if (get_part(store, FAMILY_KEYS, key, key_size, 0, SIZE_MAX, &place, err) < 0)
        return -1;
    struct byte_reader r = byte_reader(place.data, place.size);
    uint8_t body_key[8];
    put_height(body_key, bytes_get_u64(&r));
    uint32_t offset = bytes_get_u32(&r);
    uint32_t size = bytes_get_u32(&r);
    return get_part(store, FAMILY_BLOCKS, body_key, sizeof body_key, offset, size, ret, err);
}

static int rocks_get_version(struct store *base, const void *key, size_t key_size, uint64_t *ret,
                             struct error *err) {
    cleanup(buffer_deinit) struct buffer place;
    buffer_init(&place, PLACE_SIZE);
    if (get_part(rocks_of(base), FAMILY_KEYS, key, key_size, 0, SIZE_MAX, &place, err) < 0) {
        if (err->kind != ERROR_NOT_FOUND)
            return -1;
        error_clear(err);
        *ret = 0;
        return 0;
    }
    struct byte_reader r = byte_reader(place.data, place.size);
    *ret = bytes_get_u64(&r);
    return 0;
}

static int rocks_side_put(struct store *base, const void *key, size_t key_size, const void *value,
                          size_t size, struct error *err) {
    struct rocks_store *store = rocks_of(base);
    (void)err;
    rocksdb_writebatch_put_cf(store->batch, store->families[FAMILY_SIDES], key, key_size, value,
                              size);
    return 0;
}

static int rocks_side_remove(struct store *base, const void *key, size_t key_size,
                             struct error *err) {
    struct rocks_store *store = rocks_of(base);
    (void)err;
    rocksdb_writebatch_delete_cf(store->batch, store->families[FAMILY_SIDES], key, key_size);
    return 0;
}

static int rocks_side_get(struct store *base, const void *key, size_t key_size, struct buffer *ret,
                          struct error *err) {
    return get_part(rocks_of(base), FAMILY_SIDES, key, key_size, 0, SIZE_MAX, ret, err);
}

static int visit_headers(struct store *base, rocksdb_iterator_t *it, store_visit_header *visit,
                         void *context, struct error *err) {
    uint64_t expected = 1;
    for (rocksdb_iter_seek(it, "h", 1); rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        size_t key_size, size;
        const char *key = rocksdb_iter_key(it, &key_size);
        if (key_size != HEADER_KEY_SIZE || key[0] != 'h')
            break;
        uint64_t height = get_height((const uint8_t *)key + 1);
        if (height != expected++)
            return error_set(err, ERROR_INVALID, "block %llu is missing in the store",
                             (unsigned long long)expected - 1);
        const char *header = rocksdb_iter_value(it, &size);
        if (visit(context, height, (const uint8_t *)header, size, err) < 0)
            return -1;
    }
    char *problem = NULL;
    rocksdb_iter_get_error(it, &problem);
    if (problem)
        return rocks_error(problem, err);
    if (expected != base->height + 1)
        return error_set(err, ERROR_INVALID, "the store ends at block %llu instead of %llu",
                         (unsigned long long)expected - 1, (unsigned long long)base->height);
    return 0;
}

static int rocks_each_header(struct store *base, store_visit_header *visit, void *context,
                             struct error *err) {
    struct rocks_store *store = rocks_of(base);
    rocksdb_iterator_t *it = rocksdb_create_iterator(store->db, store->read_options);
    int r = visit_headers(base, it, visit, context, err);
    rocksdb_iter_destroy(it);
    return r;
}

static const struct store_backend rocks_backend = {
    .name = "rocksdb",
    .free = rocks_free,
    .reserve = rocks_reserve,
    .put = rocks_put,
    .commit = rocks_commit,
    .drop = rocks_drop,
    .read_header = rocks_read_header,
    .read_body = rocks_read_body,
    .get = rocks_get,
    .get_version = rocks_get_version,
    .side_put = rocks_side_put,
    .side_remove = rocks_side_remove,
    .side_get = rocks_side_get,
    .each_header = rocks_each_header,
};

/* ---- opening ---- */

/* Nothing is compressed: every byte of a write set is really stored. */
static rocksdb_options_t *family_options(struct rocks_store *store) {
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_options_set_compression(o, rocksdb_no_compression);
    rocksdb_options_set_block_based_table_factory(o, store->table);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
    return o;
}

static void set_options(struct rocks_store *store, enum store_durability durability) {
    store->cache = rocksdb_cache_create_lru(64 << 20);
    store->table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(store->table, store->cache);
    rocksdb_block_based_options_set_block_size(store->table, 16 << 10);
    for (size_t i = 0; i < FAMILIES; i++)
        store->options[i] = family_options(store);

    /* Bodies fill memtables; more of them bridge a slow disk before writes are held back. */
    rocksdb_options_set_write_buffer_size(store->options[FAMILY_BLOCKS], 64 << 20);
    rocksdb_options_set_max_write_buffer_number(store->options[FAMILY_BLOCKS], 4);
    rocksdb_options_set_target_file_size_base(store->options[FAMILY_BLOCKS], 64 << 20);
    rocksdb_options_set_write_buffer_size(store->options[FAMILY_KEYS], 32 << 20);
    /* Nodes near the root are written again and again: much of that never leaves the memtable. */
    rocksdb_options_set_write_buffer_size(store->options[FAMILY_SIDES], 64 << 20);

    rocksdb_options_t *db = store->options[FAMILY_DEFAULT];
    rocksdb_options_set_create_if_missing(db, 1);
    rocksdb_options_set_create_missing_column_families(db, 1);
    rocksdb_options_set_max_background_jobs(db, 2);
    /* The slowly filling families must not keep old logs alive. */
    rocksdb_options_set_max_total_wal_size(db, 512 << 20);
    /* Hand dirty pages to the disk steadily instead of in one stall; this does not wait. */
    rocksdb_options_set_bytes_per_sync(db, 1 << 20);
    rocksdb_options_set_wal_bytes_per_sync(db, 1 << 20);
    rocksdb_options_set_allow_concurrent_memtable_write(db, 0); /* there is one writer */
    rocksdb_options_set_max_open_files(db, 512);
    /* Nothing is logged (4: fatal only). On a full disk RocksDB as Debian builds it, with its
     * assertions, would end the process: the first failed write is noted in its log, whose file
     * cannot be written either, and the second note asserts that there was no error before. All
     * that goes wrong comes back as an error anyway. */
    rocksdb_options_set_info_log_level(db, 4);
    rocksdb_options_set_keep_log_file_num(db, 2);

    /* In the cache of the operating system after each write: a killed process loses nothing. */
    store->write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->write_options, durability != STORE_SYNC_NONE);
    store->read_options = rocksdb_readoptions_create();
    store->batch = rocksdb_writebatch_create();
}

static int check_folder(const char *folder, struct error *err) {
    if (mkdir(folder, 0755) < 0 && errno != EEXIST) {
        error_set_os(err, ERROR_IO, errno, "create the data folder '%s'", folder);
        return error_hint(err, "give a writable folder by --data, or store in memory");
    }
    if (access(folder, R_OK | W_OK | X_OK) < 0) {
        error_set_os(err, ERROR_IO, errno, "the data folder '%s' is not writable", folder);
        return error_hint(err, "give a writable folder by --data, or store in memory");
    }
    return check_room(folder, err);
}

static int open_db(struct rocks_store *store, const char *folder, struct error *err) {
    char *problem = NULL;
    store->db = rocksdb_open_column_families(
        store->options[FAMILY_DEFAULT], folder, FAMILIES, family_names,
        (const rocksdb_options_t *const *)store->options, store->families, &problem);
    if (!problem)
        return 0;
    if (strstr(problem, "lock")) {
        rocksdb_free(problem);
        return error_set(err, ERROR_CONFLICT, "the data folder '%s' is in use by another process",
                         folder);
    }
    rocks_error(problem, err);
    return error_wrap(err, "open the data folder '%s'", folder);
}

static int check_identity(struct rocks_store *store, const char *folder,
                          const struct store_identity *identity, struct error *err) {
    cleanup_free char *ours =
        text_format("seatrial %d, run %s, replica %u of %u, merkle %s", VERSION, identity->run,
                    identity->replica, identity->n, identity->merkle);
    cleanup(buffer_deinit) struct buffer theirs;
    buffer_init(&theirs, 4096);
    if (get_part(store, FAMILY_DEFAULT, identity_key, sizeof identity_key - 1, 0, SIZE_MAX, &theirs,
                 err) == 0) {
        if (text_equal(buffer_string(&theirs), ours))
            return 0;
        error_set(err, ERROR_CONFLICT, "the data folder '%s' belongs to %s, this is %s", folder,
                  buffer_string(&theirs), ours);
        return error_hint(err, "give an empty folder by --data");
    }
    if (err->kind != ERROR_NOT_FOUND)
        return -1;
    error_clear(err);
    rocksdb_writebatch_put(store->batch, identity_key, sizeof identity_key - 1, ours, strlen(ours));
    return rocks_commit(&store->base, err);
}

/* The last header says how high the chain is. */
static int find_height(struct rocks_store *store, struct error *err) {
    rocksdb_iterator_t *it = rocksdb_create_iterator(store->db, store->read_options);
    uint8_t last[HEADER_KEY_SIZE];
    header_key(last, UINT64_MAX);
    rocksdb_iter_seek_for_prev(it, (const char *)last, sizeof last);
    if (rocksdb_iter_valid(it)) {
        size_t size;
        const char *key = rocksdb_iter_key(it, &size);
        if (size == HEADER_KEY_SIZE && key[0] == 'h')
            store->base.height = store->base.committed = get_height((const uint8_t *)key + 1);
    }
    char *problem = NULL;
    rocksdb_iter_get_error(it, &problem);
    rocksdb_iter_destroy(it);
    if (problem)
        return rocks_error(problem, err);
    return 0;
}

int store_open_rocksdb(const char *folder, const struct store_identity *identity,
                       enum store_durability durability, struct store **ret, struct error *err) {
    if (check_folder(folder, err) < 0)
        return -1;
    struct rocks_store *rocks = mem_new(struct rocks_store);
    rocks->base.backend = &rocks_backend;
    rocks->folder = text_dup(folder);
    set_options(rocks, durability);
    cleanup(store_freep) struct store *store = &rocks->base;
    if (open_db(rocks, folder, err) < 0 || check_identity(rocks, folder, identity, err) < 0 ||
        find_height(rocks, err) < 0)
        return -1;
    *ret = take_ptr(store);
    return 0;
}

/* ---- only to be read ---- */

/* Back from what check_identity writes. */
static int parse_identity(const char *text, const char *folder, struct store_owner *ret,
                          struct error *err) {
    struct store_owner owner = {0};
    int end = 0;
    unsigned version = 0;
    if (sscanf(text, "seatrial %u,", &version) == 1 && version != VERSION)
        return error_set(err, ERROR_CONFLICT,
                         "the data folder '%s' is of version %u, this replica knows %d", folder,
                         version, VERSION);
    if (sscanf(text, "seatrial %u, run %63[^,], replica %hu of %hu, merkle %15s%n", &version,
               owner.run, &owner.replica, &owner.n, owner.merkle, &end) != 5 ||
        text[end] != '\0')
        return error_set(err, ERROR_CONFLICT, "the data folder '%s' is not of a replica", folder);
    *ret = owner;
    return 0;
}

static int open_to_read(struct rocks_store *store, const char *folder, int families,
                        struct error *err) {
    char *problem = NULL;
    store->db = rocksdb_open_for_read_only_column_families(
        store->options[FAMILY_DEFAULT], folder, families, family_names,
        (const rocksdb_options_t *const *)store->options, store->families, 0, &problem);
    if (!problem)
        return 0;
    rocks_error(problem, err);
    return error_wrap(err, "open the data folder '%s' to read it", folder);
}

static struct rocks_store *new_to_read(const char *folder) {
    struct rocks_store *rocks = mem_new(struct rocks_store);
    rocks->base.backend = &rocks_backend;
    rocks->folder = text_dup(folder);
    set_options(rocks, STORE_SYNC_NONE);
    rocksdb_options_set_create_if_missing(rocks->options[FAMILY_DEFAULT], 0);
    rocksdb_options_set_create_missing_column_families(rocks->options[FAMILY_DEFAULT], 0);
    return rocks;
}

/* With the first family alone, which every version has. */
static int read_owner(const char *folder, struct store_owner *ret, struct error *err) {
    cleanup(store_freep) struct store *store = &new_to_read(folder)->base;
    struct rocks_store *rocks = rocks_of(store);
    cleanup(buffer_deinit) struct buffer identity;
    buffer_init(&identity, 4096);
    if (open_to_read(rocks, folder, 1, err) < 0)
        return -1;
    if (get_part(rocks, FAMILY_DEFAULT, identity_key, sizeof identity_key - 1, 0, SIZE_MAX,
                 &identity, err) < 0 &&
        err->kind != ERROR_NOT_FOUND)
        return -1;
    error_clear(err);
    return parse_identity(buffer_string(&identity), folder, ret, err);
}

int store_open_rocksdb_to_read(const char *folder, struct store_owner *ret_owner,
                               struct store **ret, struct error *err) {
    struct store_owner owner;
    cleanup_free char *current = text_format("%s/CURRENT", folder);
    if (access(current, R_OK) < 0) {
        error_set_os(err, errno == EACCES ? ERROR_IO : ERROR_NOT_FOUND, errno,
                     "there is no data of a replica in '%s'", folder);
        return error_hint(err, "name the folder by --data; with --store memory there is none");
    }
    if (read_owner(folder, &owner, err) < 0)
        return -1;
    struct rocks_store *rocks = new_to_read(folder);
    cleanup(store_freep) struct store *store = &rocks->base;
    if (open_to_read(rocks, folder, FAMILIES, err) < 0 || find_height(rocks, err) < 0)
        return -1;
    *ret_owner = owner;
    *ret = take_ptr(store);
    return 0;
}
