/* SHA-256 and HMAC-SHA256 of lib/crypto.h, by the processor's own instructions if it has them
 * (sha256_many.h), else by OpenSSL. FIPS 180-4, section 6.2; RFC 2104. */

#include "lib/crypto_impl.h"
#include "lib/memory.h"
#include "lib/sha256_many.h"

#include <stdlib.h>
#include <string.h>

/* Whole blocks are hashed as they come; what is left over waits for the rest of its block. */
struct running {
    struct sha256_state state;
    uint64_t size; /* of all that was added */
    uint8_t rest[SHA256_BLOCK_SIZE];
};

static void running_add(struct running *r, const void *data, size_t size) {
    const uint8_t *at = data;
    size_t have = r->size % SHA256_BLOCK_SIZE, room = SHA256_BLOCK_SIZE - have;
    r->size += size;
    if (have > 0 && size >= room) {
        memcpy(r->rest + have, at, room);
        sha256_state_add(&r->state, r->rest, 1);
        at += room;
        size -= room;
        have = 0;
    }
    if (size >= SHA256_BLOCK_SIZE) {
        size_t blocks = size / SHA256_BLOCK_SIZE;
        sha256_state_add(&r->state, at, blocks);
        at += blocks * SHA256_BLOCK_SIZE;
        size -= blocks * SHA256_BLOCK_SIZE;
    }
    if (size > 0)
        memcpy(r->rest + have, at, size);
}

struct sha256_context {
    struct evp_md_ctx_st *openssl; /* NULL: the processor has the instructions */
    struct running running;
};

void sha256_init(struct sha256 *h) {
    h->context = mem_new(struct sha256_context);
    if (!sha256_many_is_fast())
        h->context->openssl = openssl_sha256_new();
    sha256_begin(h);
}

void sha256_deinit(struct sha256 *h) {
    if (h->context)
        openssl_sha256_free(h->context->openssl);
    free(h->context);
    h->context = NULL;
}

void sha256_begin(struct sha256 *h) {
    if (h->context->openssl) {
        openssl_sha256_begin(h->context->openssl);
        return;
    }
    h->context->running.size = 0;
    sha256_state_begin(&h->context->running.state);
}

void sha256_add(struct sha256 *h, const void *data, size_t size) {
    if (h->context->openssl)
        openssl_sha256_add(h->context->openssl, data, size);
    else
        running_add(&h->context->running, data, size);
}

void sha256_end(struct sha256 *h, unsigned char out[SHA256_SIZE]) {
    struct running *r = &h->context->running;
    if (h->context->openssl)
        openssl_sha256_end(h->context->openssl, out);
    else
        sha256_state_pad(&r->state, r->rest, r->size, out);
}

void sha256_of(const void *data, size_t size, unsigned char out[SHA256_SIZE]) {
    if (!sha256_many_is_fast()) {
        sha256_by_openssl(data, size, out);
        return;
    }
    struct sha256_state state;
    const uint8_t *at = data;
    size_t blocks = size / SHA256_BLOCK_SIZE;
    sha256_state_begin(&state);
    if (blocks > 0) {
        sha256_state_add(&state, at, blocks);
        at += blocks * SHA256_BLOCK_SIZE;
    }
    sha256_state_pad(&state, at, size, out);
}

/* ---- HMAC ---- */

struct hmac_context {
    struct evp_mac_ctx_st *openssl; /* NULL: the processor has the instructions */
    /* What is left of the key: the states behind its two blocks (RFC 2104, section 4). */
    struct sha256_state inner, outer;
    struct running running;
};

static void absorb_key(struct sha256_state *state, const uint8_t *key, uint8_t pad) {
    uint8_t block[SHA256_BLOCK_SIZE];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = key[i] ^ pad;
    sha256_state_begin(state);
    sha256_state_add(state, block, 1);
    secret_forget(block, sizeof block);
}

void hmac_init(struct hmac *h, const void *key, size_t key_size) {
    h->context = mem_new(struct hmac_context);
    if (!sha256_many_is_fast()) {
        h->context->openssl = openssl_hmac_new(key, key_size);
        return;
    }
    uint8_t block[SHA256_BLOCK_SIZE] = {0};
    if (key_size > sizeof block)
        sha256_of(key, key_size, block);
    else if (key_size > 0)
        memcpy(block, key, key_size);
    absorb_key(&h->context->inner, block, 0x36);
    absorb_key(&h->context->outer, block, 0x5c);
    secret_forget(block, sizeof block);
    hmac_begin(h);
}

void hmac_deinit(struct hmac *h) {
    if (!h->context)
        return;
    openssl_hmac_free(h->context->openssl);
    secret_forget(h->context, sizeof *h->context);
    free(h->context);
    h->context = NULL;
}

void hmac_begin(struct hmac *h) {
    struct hmac_context *c = h->context;
    if (c->openssl) {
        openssl_hmac_begin(c->openssl);
        return;
    }
    c->running.state = c->inner;
    c->running.size = SHA256_BLOCK_SIZE;
}

void hmac_add(struct hmac *h, const void *data, size_t size) {
    if (h->context->openssl)
        openssl_hmac_add(h->context->openssl, data, size);
    else
        running_add(&h->context->running, data, size);
}

void hmac_end(struct hmac *h, unsigned char out[SHA256_SIZE]) {
    struct hmac_context *c = h->context;
    if (c->openssl) {
        openssl_hmac_end(c->openssl, out);
        return;
    }
    struct sha256_state outer = c->outer;
    uint8_t inner[SHA256_SIZE];
    sha256_state_pad(&c->running.state, c->running.rest, c->running.size, inner);
    sha256_state_pad(&outer, inner, SHA256_BLOCK_SIZE + SHA256_SIZE, out);
}

void hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                 unsigned char out[SHA256_SIZE]) {
    struct hmac h;
    hmac_init(&h, key, key_size);
    hmac_add(&h, data, size);
    hmac_end(&h, out);
    hmac_deinit(&h);
}
