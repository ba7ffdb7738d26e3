#pragma once

/*
 * Blocks: one per executed request, each chained to the one before by SHA-256 of its header. The
 * header binds the request (its SHA-256, payload included), the versions of the keys that it read,
 * every byte that executing it wrote (by a hash or by what makes it: executor/written.h), and the
 * state that the chain has come to (its Merkle tree's root). Height 0 is the empty chain, whose
 * digest is all zero. Pure.
 */

#include "executor/chain/command.h"

#include "lib/crypto.h"
#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    BLOCK_VERSION = 5,
    /* version, height, sequence, parent, client, number, request, shape, keys, read set, write
     * set's size, maker and digest, state */
    BLOCK_HEADER_SIZE =
        4 + 2 * 8 + SHA256_SIZE + 2 * 8 + SHA256_SIZE + 3 * 4 + 3 * 8 + 2 * 4 + 3 * SHA256_SIZE,
};

struct block_header {
    uint64_t height;
    uint64_t sequence;           /* number of the batch that ordered the request */
    uint8_t parent[SHA256_SIZE]; /* digest of the header of height - 1 */
    uint64_t client;
    uint64_t number;
    uint8_t request[SHA256_SIZE];
    uint32_t key_count;
    uint32_t key_size;
    uint32_t value_size;
    uint64_t key_space;
    uint64_t first_key;
    uint32_t read_count;           /* keys that were read before it wrote */
    uint8_t read_set[SHA256_SIZE]; /* digest of their versions (read_set.h); zeros if none */
    uint64_t write_set_size;
    uint32_t maker; /* the handler that makes it again from this header (handler.h); 0: none */
    uint8_t write_set[SHA256_SIZE]; /* digest, see write_set.h; with a maker of its checksum */
    uint8_t state[SHA256_SIZE];     /* root of the Merkle tree with this block; zeros without one */
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

/* The fields that a command and its request give; the others are zero. */
struct block_header block_of(const struct command *command, const uint8_t request[SHA256_SIZE]);

/* The command again, with what a header has of it: no payload, reads or execution time. */
struct command block_command(const struct block_header *h);

/* Adds a block to the chain, which gives it height and parent; `out` is the encoded header. */
void chain_add(struct chain *chain, const struct block_header *block,
               uint8_t out[BLOCK_HEADER_SIZE]);

/* Whether a header follows: ERROR_INVALID. */
int chain_check(const struct chain *chain, const uint8_t *header, size_t size,
                struct block_header *ret, struct error *err);
/* Adds a stored block: ERROR_INVALID if it does not follow. */
int chain_follow(struct chain *chain, const uint8_t *header, size_t size, struct block_header *ret,
                 struct error *err);
