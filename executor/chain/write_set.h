#pragma once

/*
 * What executing a request writes: keys and their values, as one run of bytes, entry after entry:
 *
 *     key size u32 | value size u32 | key | value
 *
 * little endian. An entry whose value size is WRITE_SET_DELETED has no value, and deletes its key.
 *
 * Every key and every value is hashed once (SHA-256, several side by side). The digest of the write
 * set is made of those hashes, and so are the leaves of the Merkle tree:
 *
 *     SHA-256(count u32 | for each entry: 1 (0: deletes) u8 | SHA-256(key) | SHA-256(value))
 *
 * with zeros in place of a hash of no value. Where nobody needs hashes, and the write set is bound
 * by other means (executor/written.h), it is read without: its digest is a checksum's (checksum.h).
 * Pure; borrows everything.
 */

#include "lib/bytes.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/sha256_many.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WRITE_SET_ENTRY_HEAD = 8 };

#define WRITE_SET_DELETED UINT32_MAX

struct write_set_entry {
    const uint8_t *key;
    const uint8_t *value;
    uint32_t key_size;
    uint32_t value_size; /* 0 if it deletes */
    bool deletes;
};

/*
 *     struct byte_reader r = byte_reader(set, size);
 *     while (write_set_next(&r, &entry)) ...
 *
 * False at the end, and where the bytes are no write set (then r.failed).
 */
bool write_set_next(struct byte_reader *r, struct write_set_entry *ret);

/* A write set that was read; all room is got at the start. */
struct write_set {
    size_t count;
    struct write_set_entry *entries; /* borrow from what was read */
    uint8_t (*keys)[SHA256_SIZE];    /* hash of each key; NULL if it was read without hashes */
    uint8_t (*values)[SHA256_SIZE];  /* of each value; zeros if it deletes; NULL as well */
    uint8_t digest[SHA256_SIZE];

    size_t count_max;
    struct sha256_input *inputs;
    uint8_t (*hashes)[SHA256_SIZE];
    uint8_t *records;
};

void write_set_init(struct write_set *ws, size_t count_max);
void write_set_deinit(struct write_set *ws);

/* ERROR_INVALID: the bytes are no write set. ERROR_LIMIT: it has more entries than count_max. What
 * was read before is forgotten. */
int write_set_read(struct write_set *ws, const uint8_t *set, size_t size, struct error *err);
/* The same without hashes: `digest` is that of the checksum of all its bytes. */
int write_set_sum(struct write_set *ws, const uint8_t *set, size_t size, struct error *err);
