#pragma once

/*
 * A fingerprint of what a read-only request has read: of the values of its keys in their order, and
 * of which keys had none. Values are taken in by a fast checksum (checksum.h), because SHA-256 of
 * every byte would cost more than reading them. That is enough here: an answer is believed because
 * of who gives it. Pure.
 */

#include "lib/crypto.h"

#include <stddef.h>
#include <stdint.h>

struct read_digest {
    struct sha256 all;
};

void read_digest_init(struct read_digest *d);
void read_digest_deinit(struct read_digest *d);

void read_digest_begin(struct read_digest *d);
void read_digest_value(struct read_digest *d, const uint8_t *value, size_t size);
/* The next key was never written. */
void read_digest_absent(struct read_digest *d);
void read_digest_end(struct read_digest *d, uint8_t out[SHA256_SIZE]);

/*
 * The read set of a request that is ordered: which versions its keys had, in their order. A version
 * is the height of the block that wrote the key; 0: it is not there. The digest is
 *
 *     SHA-256(version u64 | ...)
 *
 * little endian. Which keys they are, follows from the request.
 */
void read_set_begin(struct sha256 *hash);
void read_set_version(struct sha256 *hash, uint64_t version);
void read_set_end(struct sha256 *hash, uint8_t out[SHA256_SIZE]);
