#pragma once

/*
 * What executing a request writes: keys and their values, as one run of bytes, entry after entry:
 *
 *     key size u32 | value size u32 | key | value
 *
 * little endian. Pure; borrows everything.
 */

#include "lib/bytes.h"
#include "lib/crypto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WRITE_SET_ENTRY_HEAD = 8 };

struct write_set_entry {
    const uint8_t *key;
    const uint8_t *value;
    uint32_t key_size;
    uint32_t value_size;
};

/*
 *     struct byte_reader r = byte_reader(set, size);
 *     while (write_set_next(&r, &entry)) ...
 *
 * False at the end, and where the bytes are no write set (then r.failed).
 */
bool write_set_next(struct byte_reader *r, struct write_set_entry *ret);

/*
 * A fingerprint of the bytes, 256 bits. It is SHA-256 of a fast checksum of eight lanes: it finds
 * every change by accident (faulty memory, disk or code), not one that is made on purpose. That is
 * enough here: a write set is a function of its request, which the block binds by SHA-256, so
 * whoever doubts a write set makes it again. SHA-256 of every byte would cost as much as all of the
 * rest of a block (numbers: 41 us of 91 kB).
 */
void write_set_digest(struct sha256 *hash, const uint8_t *set, size_t size,
                      uint8_t out[SHA256_SIZE]);
