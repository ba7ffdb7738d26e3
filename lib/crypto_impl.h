#pragma once

/* Inside of lib/crypto: what sha256.c asks of OpenSSL where the processor has no instructions for
 * SHA-256. Contexts are OpenSSL's own. None of it can fail. */

#include "lib/crypto.h"

struct evp_md_ctx_st *openssl_sha256_new(void);
void openssl_sha256_free(struct evp_md_ctx_st *context); /* NULL is allowed */
void openssl_sha256_begin(struct evp_md_ctx_st *context);
void openssl_sha256_add(struct evp_md_ctx_st *context, const void *data, size_t size);
void openssl_sha256_end(struct evp_md_ctx_st *context, unsigned char out[SHA256_SIZE]);

/* It has begun. */
struct evp_mac_ctx_st *openssl_hmac_new(const void *key, size_t key_size);
void openssl_hmac_free(struct evp_mac_ctx_st *context); /* NULL is allowed */
void openssl_hmac_begin(struct evp_mac_ctx_st *context);
void openssl_hmac_add(struct evp_mac_ctx_st *context, const void *data, size_t size);
void openssl_hmac_end(struct evp_mac_ctx_st *context, unsigned char out[SHA256_SIZE]);
