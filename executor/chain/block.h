#pragma once

/*
 * Blocks: one per executed request, each chained to the one before by SHA-256 of its header. The
 * header binds the request (its SHA-256, payload included) and what executing it wrote. Height 0 is
 * the empty chain, whose digest is all zero. Pure.
 */

#include "executor/chain/pee.h"

#include "lib/crypto.h"
#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    BLOCK_VERSION = 2,
    /* version, height, parent, client, number, request, shape, keys, write set size, its digest */
    BLOCK_HEADER_SIZE = 4 + 8 + SHA256_SIZE + 8 + 8 + SHA256_SIZE + 3 * 4 + 2 * 8 + 8 + SHA256_SIZE,
};

struct block_header {
    uint64_t height;
    uint8_t parent[SHA256_SIZE]; /* digest of the header of height - 1 */
    uint64_t client;
    uint64_t number;
    uint8_t request[SHA256_SIZE];
    uint32_t key_count;
    uint32_t key_size;
    uint32_t value_size;
    uint64_t key_space;
    uint64_t first_key;
    uint64_t write_set_size;
    uint8_t write_set[SHA256_SIZE]; /* write_set_digest */
};

void block_header_encode(const struct block_header *h, uint8_t out[BLOCK_HEADER_SIZE]);
int block_header_decode(const uint8_t *data, size_t size, struct block_header *ret,
                        struct error *err);

/* Of an encoded header. */
void block_digest(struct sha256 *hash, const uint8_t header[BLOCK_HEADER_SIZE],
                  uint8_t out[SHA256_SIZE]);

/* The end of a chain, to which blocks are added. */
struct chain {
    struct sha256 hash;
    uint64_t height;
    uint8_t digest[SHA256_SIZE];
};

void chain_init(struct chain *chain);
void chain_deinit(struct chain *chain);

/* Adds the block of an executed command; `out` is the encoded header. */
void chain_add(struct chain *chain, const struct pee_command *command,
               const uint8_t request[SHA256_SIZE], const uint8_t *write_set, size_t size,
               uint8_t out[BLOCK_HEADER_SIZE]);

/* Adds a stored block: ERROR_INVALID if it does not follow. */
int chain_follow(struct chain *chain, const uint8_t *header, size_t size, struct block_header *ret,
                 struct error *err);
