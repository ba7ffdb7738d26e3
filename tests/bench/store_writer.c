/*
 * RocksDB alone: batches of one block of 91,729 bytes that nothing can compress and 31 small index
 * entries, with a write-ahead log that is not synced, one after the other.
 *
 *     bench_store_writer FOLDER BATCHES
 *
 * prints batches/s. The folder must not exist yet.
 */

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/memory.h"

#include <inttypes.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 91729, KEYS = 31, KEY = 118, PLACE = 16, POOL = 64 << 20 };

static void check(const char *error) {
    if (!error)
        return;
    fprintf(stderr, "bench_store_writer: %s\n", error);
    exit(1);
}

static rocksdb_t *open_database(const char *folder) {
    char *error = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_error_if_exists(options, 1);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_t *database = rocksdb_open(options, folder, &error);
    check(error);
    rocksdb_options_destroy(options);
    return database;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    uint64_t count = strtoull(argv[2], NULL, 10);
    char *pool = mem_new_array(char, POOL), *error = NULL;
    random_bytes(pool, POOL);
    rocksdb_t *database = open_database(argv[1]);
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    uint64_t began = clock_instant().ns;
    for (uint64_t height = 0; height < count; height++) {
        char name[KEY + 1] = "", place[PLACE] = "";
        size_t from = height * 4099 % (POOL - BLOCK);
        rocksdb_writebatch_clear(batch);
        snprintf(name, sizeof name, "block %016" PRIx64, height);
        rocksdb_writebatch_put(batch, name, strlen(name), pool + from, BLOCK);
        for (unsigned i = 0; i < KEYS; i++) {
            snprintf(name, sizeof name, "key %0110" PRIx64 "%02x", height, i);
            rocksdb_writebatch_put(batch, name, KEY, place, PLACE);
        }
        rocksdb_write(database, options, batch, &error);
        check(error);
    }
    printf("%.1f\n", (double)count * 1e9 / (double)(clock_instant().ns - began));
    rocksdb_writebatch_destroy(batch);
    rocksdb_writeoptions_destroy(options);
    rocksdb_close(database);
    free(pool);
    return 0;
}
