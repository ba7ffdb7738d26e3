#pragma once

/*
 * Hashes, message authentication, random bytes, base64, and keys that sign and agree: OpenSSL's one
 * door.
 *
 * The algorithm is fetched once per process (an implicit fetch costs more than hashing 64 bytes).
 * SHA-256 of memory cannot fail; that OpenSSL has no SHA-256, or no memory, ends the program.
 *
 * Threads: all functions may be called from any thread; one `struct sha256` or `struct hmac`
 * belongs to one thread at a time.
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* HMAC-SHA256 (RFC 2104) with a key that is kept: beginning again costs a fifth of beginning anew.
 */
struct hmac {
    struct evp_mac_ctx_st *context; /* NULL: HMAC_NULL, safe to deinit */
};

#define HMAC_NULL ((struct hmac){.context = NULL})

void hmac_init(struct hmac *h, const void *key, size_t key_size);
void hmac_deinit(struct hmac *h);
/* As for a hash; hmac_init has begun already. */
void hmac_begin(struct hmac *h);
void hmac_add(struct hmac *h, const void *data, size_t size);
void hmac_end(struct hmac *h, unsigned char out[SHA256_SIZE]);
/* All at once. */
void hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                 unsigned char out[SHA256_SIZE]);

/* Unpredictable bytes of the kernel's generator, for identifiers and keys. */
void random_bytes(void *out, size_t size);

/* RFC 4648, section 4: the common alphabet, padded, in one line. Up to 1 GiB; what does not fit
 * makes the buffer overflowed. */
void base64_encode(const void *data, size_t size, struct buffer *out);
/* Exactly what base64_encode writes, appended. ERROR_INVALID for anything else (spaces and missing
 * padding too), ERROR_LIMIT if `out` is too small (and overflowed then). */
int base64_decode(const char *text, size_t size, struct buffer *out, struct error *err);

/* ---- what file formats of others use; for new things there is SHA-256 ---- */

enum { SHA1_SIZE = 20, SHA512_SIZE = 64 };

void sha512_of(const void *data, size_t size, unsigned char out[SHA512_SIZE]);
void hmac_sha1(const void *key, size_t key_size, const void *data, size_t size,
               unsigned char out[SHA1_SIZE]);

/*
 * Decrypts in place, without padding. `cipher` is OpenSSL's name: "AES-256-CTR", "AES-256-CBC",
 * "AES-256-GCM", "DES-EDE3-CBC", "ChaCha20" (its initialisation vector: 64 bits of counter, then 64
 * of nonce, little endian). `tag` (16 bytes) only for GCM. ERROR_INVALID when the tag is not
 * right, or the size not of whole blocks.
 */
struct decryption {
    const char *cipher;
    const unsigned char *key, *vector;
    size_t key_size, vector_size;
    const unsigned char *tag; /* NULL: not an authenticated cipher */
};
int decrypt(const struct decryption *how, unsigned char *data, size_t size, struct error *err);
/* One-time authenticator of RFC 8439, section 2.5. */
void poly1305(const unsigned char key[32], const void *data, size_t size, unsigned char out[16]);
/* Takes as long whatever the difference. */
bool secret_equal(const void *a, const void *b, size_t size);
/* Overwrites it, whatever the compiler thinks of that. */
void secret_forget(void *secret, size_t size);

/* ---- private keys ---- */

enum signing_key_type {
    SIGNING_RSA, /* of 1024 to 16384 bits */
    SIGNING_ED25519,
    SIGNING_P256,
    SIGNING_P384,
    SIGNING_P521,
};
/* Can be used by several threads at once. */
struct signing_key;
/* Another reference to the same key, to be freed like the first. */
struct signing_key *signing_key_share(const struct signing_key *key);
void signing_key_free(struct signing_key *key);
DEFINE_CLEANUP_FREE(signing_key);

/*
 * From PEM text: PKCS#1, PKCS#8, SEC1, encrypted or not. 1: it is encrypted, and the passphrase is
 * NULL or wrong. ERROR_INVALID: no such key in it, or of another type.
 */
int signing_key_from_pem(const char *text, size_t size, const char *passphrase,
                         struct signing_key **ret, struct error *err);

/* Numbers are big endian, leading zeros allowed; ERROR_INVALID where they make no key. */
struct signing_number {
    const unsigned char *bytes;
    size_t size;
};
struct signing_rsa {
    struct signing_number n, e, d, p, q, q_inverse;
};
int signing_key_from_rsa(const struct signing_rsa *rsa, struct signing_key **ret,
                         struct error *err);
int signing_key_from_seed(const unsigned char seed[32], struct signing_key **ret,
                          struct error *err);
/* `point`: the public key, uncompressed as in SEC 1, section 2.3.3. */
int signing_key_from_scalar(enum signing_key_type type, struct signing_number scalar,
                            struct signing_number point, struct signing_key **ret,
                            struct error *err);

enum signing_key_type signing_key_type(const struct signing_key *key);

/* Appends what others may know, big endian and without leading zeros: the modulus and the exponent
 * of an RSA key, the point of an ECDSA key, the 32 bytes of an Ed25519 key (`second`: nothing). */
void signing_key_public(const struct signing_key *key, struct buffer *first, struct buffer *second);

enum signing_hash { SIGNING_SHA256, SIGNING_SHA384, SIGNING_SHA512 };
/*
 * Appends the signature: RSA by PKCS#1 v1.5, as long as the modulus; Ed25519: 64 bytes, `hash` has
 * no meaning; ECDSA: r and s, each as long as the curve's order.
 */
int signing_key_sign(const struct signing_key *key, enum signing_hash hash, const void *data,
                     size_t size, struct buffer *ret, struct error *err);

/* ---- Ed25519 signatures of others (RFC 8032) ---- */

enum { ED25519_KEY_SIZE = 32, ED25519_SIGNATURE_SIZE = 64 };

struct verifying_key;
/* ERROR_INVALID: OpenSSL does not take the bytes. That they are a point is seen at the first check.
 */
int verifying_key_from_bytes(const unsigned char bytes[ED25519_KEY_SIZE],
                             struct verifying_key **ret, struct error *err);
void verifying_key_free(struct verifying_key *key);
DEFINE_CLEANUP_FREE(verifying_key);
bool verifying_key_check(const struct verifying_key *key, const void *data, size_t size,
                         const unsigned char signature[ED25519_SIGNATURE_SIZE]);

/* ---- secrets agreed on by X25519 (RFC 7748) ---- */

enum { X25519_SIZE = 32 };

struct agreement_key;
struct agreement_key *agreement_key_from_seed(const unsigned char seed[X25519_SIZE]);
void agreement_key_free(struct agreement_key *key);
DEFINE_CLEANUP_FREE(agreement_key);
void agreement_key_public(const struct agreement_key *key, unsigned char ret[X25519_SIZE]);
/* What both sides know, and nobody else; not evenly distributed: to be hashed before it is a key.
 * ERROR_INVALID: the other side's number is one with which all agree on the same. */
int agreement_key_agree(const struct agreement_key *key, const unsigned char other[X25519_SIZE],
                        unsigned char ret[X25519_SIZE], struct error *err);
