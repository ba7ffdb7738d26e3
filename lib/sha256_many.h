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

/* ---- one after the other, by the same instructions: what lib/crypto is made of ---- */

enum { SHA256_BLOCK_SIZE = 64 };

/* The eight words of a hash that is under way, as the instructions want them. */
struct sha256_state {
    uint32_t words[8];
} __attribute__((aligned(16)));

/* Only where sha256_many_is_fast. A hash ends with a block that has its padding and length. */
void sha256_state_begin(struct sha256_state *state);
void sha256_state_add(struct sha256_state *state, const void *blocks, size_t count);
void sha256_state_end(const struct sha256_state *state, uint8_t out[SHA256_SIZE]);
/* The end of what has `size` bytes in all, of which `rest` are the last ones and not added yet:
 * fewer than a block. */
void sha256_state_pad(struct sha256_state *state, const void *rest, uint64_t size,
                      uint8_t out[SHA256_SIZE]);

/* What is done without those instructions; for tests and benchmarks. */
void sha256_many_plain(const struct sha256_input *in, size_t count, uint8_t (*out)[SHA256_SIZE]);
