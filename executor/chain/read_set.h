#pragma once

/*
 * A fingerprint of what a read-only request has read: of the values of its keys in their order, and
 * of which keys had none. Values are taken in as write sets are (write_set_digest), for the same
 * reason: SHA-256 of every byte would cost more than reading them. Pure.
 */

#include "lib/crypto.h"

#include <stddef.h>
#include <stdint.h>

struct read_digest {
    struct sha256 all;
    struct sha256 one;
};

void read_digest_init(struct read_digest *d);
void read_digest_deinit(struct read_digest *d);

void read_digest_begin(struct read_digest *d);
void read_digest_value(struct read_digest *d, const uint8_t *value, size_t size);
/* The next key was never written. */
void read_digest_absent(struct read_digest *d);
void read_digest_end(struct read_digest *d, uint8_t out[SHA256_SIZE]);
