#pragma once

/*
 * Hashes, random bytes and base64: OpenSSL's one door.
 *
 * The algorithm is fetched once per process (an implicit fetch costs more than hashing 64 bytes).
 * SHA-256 of memory cannot fail; that OpenSSL has no SHA-256, or no memory, ends the program.
 *
 * Threads: all functions may be called from any thread; one `struct sha256` belongs to one thread
 * at a time.
 */

#include "lib/buffer.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    SHA256_SIZE = 32,
    /* "sha256:", 64 hexadecimal digits, NUL */
    DIGEST_TEXT_SIZE = 7 + 2 * SHA256_SIZE + 1,
};

/* A hash of bytes that come piece by piece. Can be used again after sha256_begin. */
struct sha256 {
    struct evp_md_ctx_st *context;
};

#define SHA256_NULL ((struct sha256){.context = NULL})

void sha256_init(struct sha256 *h);
void sha256_deinit(struct sha256 *h);
/* Forgets what was added. sha256_init has done it already. */
void sha256_begin(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *data, size_t size);
/* The hash of all that was added; begin again before adding more. */
void sha256_end(struct sha256 *h, unsigned char out[SHA256_SIZE]);

void sha256_of(const void *data, size_t size, unsigned char out[SHA256_SIZE]);

/* "sha256:<64 lower-case digits>", as the OCI image specification writes digests. Returns `text`.
 */
const char *digest_text(const unsigned char hash[SHA256_SIZE], char text[DIGEST_TEXT_SIZE]);
/* Exactly what digest_text writes; upper case is not. */
bool digest_text_valid(const char *text);
/* ERROR_INVALID unless digest_text_valid. */
int digest_parse(const char *text, unsigned char ret_hash[SHA256_SIZE], struct error *err);

/* Unpredictable bytes of the kernel's generator, for identifiers and keys. */
void random_bytes(void *out, size_t size);

/* RFC 4648, section 4: the common alphabet, padded, in one line. Up to 1 GiB; what does not fit
 * makes the buffer overflowed. */
void base64_encode(const void *data, size_t size, struct buffer *out);
/* Exactly what base64_encode writes, appended. ERROR_INVALID for anything else (spaces and missing
 * padding too), ERROR_LIMIT if `out` is too small (and overflowed then). */
int base64_decode(const char *text, size_t size, struct buffer *out, struct error *err);
