#pragma once

/*
 * SHA-256 of many runs of bytes at once. One hash after the other leaves most of a processor idle,
 * because each step waits for the one before; four side by side take little longer than one. With
 * the SHA instructions of x86 they do; on other processors OpenSSL does one after the other, with
 * the same results.
 *
 * Threads: any.
 * Source:  FIPS 180-4, section 6.2.
 */

#include "lib/crypto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sha256_input {
    const void *data; /* borrowed */
    size_t size;
};

/* `out[i]` is of `in[i]`. Fastest with the long ones first. */
void sha256_many(const struct sha256_input *in, size_t count, uint8_t (*out)[SHA256_SIZE]);

/* Of runs of 64 bytes each: what nodes of trees are made of. `out` may not overlap `in`. */
void sha256_pairs(const uint8_t (*in)[2 * SHA256_SIZE], size_t count, uint8_t (*out)[SHA256_SIZE]);

/* Whether this processor does it side by side. */
bool sha256_many_is_fast(void);

/* What is done without those instructions; for tests and benchmarks. */
void sha256_many_plain(const struct sha256_input *in, size_t count, uint8_t (*out)[SHA256_SIZE]);
