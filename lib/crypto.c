#include "lib/crypto.h"

#include "lib/text.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* What can only fail for want of memory or of a working OpenSSL: no caller can do better. */
static void must(bool good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "seatrial: OpenSSL cannot %s\n", what);
    abort();
}

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *sha256_algorithm; /* for the life of the process: other threads may hash at exit */
static pthread_key_t thread_context;

static void free_context(void *context) {
    EVP_MD_CTX_free(context);
}

static void fetch(void) {
    sha256_algorithm = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    must(sha256_algorithm, "provide SHA-256");
    must(pthread_key_create(&thread_context, free_context) == 0, "get a thread key");
}

void sha256_init(struct sha256 *h) {
    pthread_once(&fetched, fetch);
    h->context = EVP_MD_CTX_new();
    must(h->context, "allocate a hash");
    sha256_begin(h);
}

void sha256_deinit(struct sha256 *h) {
    EVP_MD_CTX_free(h->context);
    h->context = NULL;
}

void sha256_begin(struct sha256 *h) {
    must(EVP_DigestInit_ex2(h->context, sha256_algorithm, NULL) == 1, "begin SHA-256");
}

void sha256_add(struct sha256 *h, const void *data, size_t size) {
    must(EVP_DigestUpdate(h->context, data, size) == 1, "continue SHA-256");
}

void sha256_end(struct sha256 *h, unsigned char out[SHA256_SIZE]) {
    must(EVP_DigestFinal_ex(h->context, out, NULL) == 1, "finish SHA-256");
}

void sha256_of(const void *data, size_t size, unsigned char out[SHA256_SIZE]) {
    pthread_once(&fetched, fetch);
    /* One context per thread, kept: making one costs as much as hashing a small message. */
    struct sha256 h = {.context = pthread_getspecific(thread_context)};
    if (!h.context) {
        sha256_init(&h);
        must(pthread_setspecific(thread_context, h.context) == 0, "keep a hash");
    } else {
        sha256_begin(&h);
    }
    sha256_add(&h, data, size);
    sha256_end(&h, out);
}

static const char prefix[] = "sha256:";

const char *digest_text(const unsigned char hash[SHA256_SIZE], char text[DIGEST_TEXT_SIZE]) {
    memcpy(text, prefix, sizeof prefix - 1);
    text_hex(hash, SHA256_SIZE, text + sizeof prefix - 1);
    return text;
}

static bool decode(const char *text, unsigned char hash[SHA256_SIZE]) {
    return text_starts(text, prefix) &&
           text_unhex(text + sizeof prefix - 1, hash, SHA256_SIZE) == 0;
}

bool digest_text_valid(const char *text) {
    unsigned char hash[SHA256_SIZE];
    return decode(text, hash);
}

int digest_parse(const char *text, unsigned char ret_hash[SHA256_SIZE], struct error *err) {
    unsigned char hash[SHA256_SIZE];
    if (!decode(text, hash))
        return error_set(err, ERROR_INVALID,
                         "'%.100s' is not a digest: sha256: and 64 lower-case hexadecimal digits",
                         text);
    memcpy(ret_hash, hash, SHA256_SIZE);
    return 0;
}

void random_bytes(void *out, size_t size) {
    char *at = out;
    while (size > 0) {
        ssize_t n = getrandom(at, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            perror("seatrial: getrandom");
            abort();
        }
        at += n;
        size -= (size_t)n;
    }
}

enum { BASE64_SIZE_MAX = 1 << 30 }; /* OpenSSL counts in int */

void base64_encode(const void *data, size_t size, struct buffer *out) {
    assert(size <= BASE64_SIZE_MAX);
    unsigned char *room = buffer_reserve(out, (size + 2) / 3 * 4);
    if (room && size)
        buffer_commit(out, (size_t)EVP_EncodeBlock(room, data, (int)size));
}

int base64_decode(const char *text, size_t size, struct buffer *out, struct error *err) {
    if (size == 0)
        return 0;
    if (size % 4 != 0 || size > BASE64_SIZE_MAX)
        return error_set(err, ERROR_INVALID, "%zu characters are not base64", size);
    size_t padding = text[size - 1] != '=' ? 0 : text[size - 2] != '=' ? 1 : 2;
    size_t decoded = size / 4 * 3;
    unsigned char *room = buffer_reserve(out, decoded);
    if (!room)
        return error_set(err, ERROR_LIMIT, "base64 of more than %zu bytes", out->size_max);
    /* OpenSSL reads padding anywhere as zero bits, and leaves out white space at both ends. */
    bool good = !memchr(text, '=', size - padding) &&
                EVP_DecodeBlock(room, (const unsigned char *)text, (int)size) == (int)decoded;
    buffer_commit(out, good ? decoded - padding : 0);
    return good ? 0 : error_set(err, ERROR_INVALID, "text that is not base64");
}
