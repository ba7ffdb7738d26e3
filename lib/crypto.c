#include "lib/crypto.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
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
static EVP_MAC *hmac_algorithm;
static EVP_MD *sha256_algorithm; /* for the life of the process: other threads may hash at exit */
static pthread_key_t thread_context;

static void free_context(void *context) {
    EVP_MD_CTX_free(context);
}

static void fetch(void) {
    sha256_algorithm = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    must(sha256_algorithm, "provide SHA-256");
    hmac_algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(hmac_algorithm, "provide HMAC");
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

void hmac_init(struct hmac *h, const void *key, size_t key_size) {
    char hash[] = "SHA2-256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash, 0),
        OSSL_PARAM_construct_end(),
    };
    pthread_once(&fetched, fetch);
    h->context = EVP_MAC_CTX_new(hmac_algorithm);
    must(h->context && EVP_MAC_init(h->context, key, key_size, parameters) == 1, "begin HMAC");
}

void hmac_deinit(struct hmac *h) {
    EVP_MAC_CTX_free(h->context);
    h->context = NULL;
}

void hmac_begin(struct hmac *h) {
    must(EVP_MAC_init(h->context, NULL, 0, NULL) == 1, "begin HMAC");
}

void hmac_add(struct hmac *h, const void *data, size_t size) {
    must(EVP_MAC_update(h->context, data, size) == 1, "continue HMAC");
}

void hmac_end(struct hmac *h, unsigned char out[SHA256_SIZE]) {
    size_t size = 0;
    must(EVP_MAC_final(h->context, out, &size, SHA256_SIZE) == 1 && size == SHA256_SIZE,
         "finish HMAC");
}

void hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                 unsigned char out[SHA256_SIZE]) {
    struct hmac h;
    hmac_init(&h, key, key_size);
    hmac_add(&h, data, size);
    hmac_end(&h, out);
    hmac_deinit(&h);
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

/* ---- what file formats of others use ---- */

void sha512_of(const void *data, size_t size, unsigned char out[SHA512_SIZE]) {
    must(EVP_Q_digest(NULL, "SHA2-512", NULL, data, size, out, NULL) == 1, "hash by SHA-512");
}

void hmac_sha1(const void *key, size_t key_size, const void *data, size_t size,
               unsigned char out[SHA1_SIZE]) {
    must(EVP_Q_mac(NULL, "HMAC", NULL, "SHA1", NULL, key, key_size, data, size, out, SHA1_SIZE,
                   NULL) != NULL,
         "authenticate by HMAC-SHA1");
}

void poly1305(const unsigned char key[32], const void *data, size_t size, unsigned char out[16]) {
    must(EVP_Q_mac(NULL, "POLY1305", NULL, NULL, NULL, key, 32, data, size, out, 16, NULL) != NULL,
         "authenticate by Poly1305");
}

bool secret_equal(const void *a, const void *b, size_t size) {
    return CRYPTO_memcmp(a, b, size) == 0;
}

void secret_forget(void *secret, size_t size) {
    OPENSSL_cleanse(secret, size);
}

/* OpenSSL's own words go no further: they name its files and functions. */
static int invalid(struct error *err, const char *what) {
    ERR_clear_error();
    return error_set(err, ERROR_INVALID, "%s", what);
}

static bool decrypt_with(EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher,
                         const struct decryption *how, unsigned char *data, int size) {
    assert(EVP_CIPHER_get_key_length(cipher) == (int)how->key_size);
    assert(how->tag || EVP_CIPHER_get_iv_length(cipher) == (int)how->vector_size);
    int done = 0, rest = 0;
    unsigned char tag[16] = {0};
    if (how->tag)
        memcpy(tag, how->tag, sizeof tag);
    return EVP_DecryptInit_ex2(context, cipher, how->key, how->vector, NULL) == 1 &&
           EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
           EVP_DecryptUpdate(context, data, &done, data, size) == 1 &&
           (!how->tag ||
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1) &&
           EVP_DecryptFinal_ex(context, data + done, &rest) == 1 && done + rest == size;
}

int decrypt(const struct decryption *how, unsigned char *data, size_t size, struct error *err) {
    if (size > INT_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d bytes to decrypt", INT_MAX);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, how->cipher, NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    must(cipher && context, how->cipher);
    bool good = decrypt_with(context, cipher, how, data, (int)size);
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    return good ? 0 : invalid(err, "what was encrypted cannot be decrypted");
}

/* ---- private keys ---- */

struct signing_key {
    enum signing_key_type type;
    EVP_PKEY *key;
};

enum {
    RSA_BITS_MIN = 1024, /* as ssh: below, factoring is within reach of many */
    RSA_BITS_MAX = 16384,
};

static const struct {
    enum signing_key_type type;
    const char *curve; /* OpenSSL's name */
    size_t size;       /* of a coordinate, and of the order */
} curves[] = {
    {SIGNING_P256, "prime256v1", 32},
    {SIGNING_P384, "secp384r1", 48},
    {SIGNING_P521, "secp521r1", 66},
};
enum { CURVES = sizeof curves / sizeof *curves, CURVE_SIZE_MAX = 66 };

static size_t curve_of(enum signing_key_type type) {
    for (size_t i = 0; i < CURVES; i++)
        if (curves[i].type == type)
            return i;
    assert(false && "a type of ECDSA key");
    return 0;
}

void signing_key_free(struct signing_key *key) {
    if (!key)
        return;
    EVP_PKEY_free(key->key);
    free(key);
}

struct signing_key *signing_key_share(const struct signing_key *key) {
    must(EVP_PKEY_up_ref(key->key) == 1, "share a key");
    struct signing_key *other = mem_new(struct signing_key);
    *other = *key;
    return other;
}

static int type_of_ec(EVP_PKEY *pkey, enum signing_key_type *ret, struct error *err) {
    char group[32] = "";
    if (EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) != 1)
        return invalid(err, "an ECDSA key of no named curve");
    for (size_t i = 0; i < CURVES; i++)
        if (strcmp(curves[i].curve, group) == 0) {
            *ret = curves[i].type;
            return 0;
        }
    return error_set(err, ERROR_INVALID, "an ECDSA key of the curve %s", group);
}

static int type_of(EVP_PKEY *pkey, enum signing_key_type *ret, struct error *err) {
    if (EVP_PKEY_is_a(pkey, "EC"))
        return type_of_ec(pkey, ret, err);
    if (EVP_PKEY_is_a(pkey, "ED25519")) {
        *ret = SIGNING_ED25519;
        return 0;
    }
    if (!EVP_PKEY_is_a(pkey, "RSA"))
        return error_set(err, ERROR_INVALID, "a key of the type %s",
                         EVP_PKEY_get0_type_name(pkey) ? EVP_PKEY_get0_type_name(pkey) : "unknown");
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
        return error_set(err, ERROR_INVALID, "an RSA key of %d bits, not %d to %d", bits,
                         RSA_BITS_MIN, RSA_BITS_MAX);
    *ret = SIGNING_RSA;
    return 0;
}

/* Takes the key. */
static int adopt(EVP_PKEY *pkey, struct signing_key **ret, struct error *err) {
    enum signing_key_type type = SIGNING_RSA;
    if (type_of(pkey, &type, err) < 0) {
        EVP_PKEY_free(pkey);
        return -1;
    }
    *ret = mem_new(struct signing_key);
    **ret = (struct signing_key){.type = type, .key = pkey};
    return 0;
}

struct pem_passphrase {
    const char *text;
    bool asked;
};

static int give_passphrase(char *room, int room_size, int writing, void *context) {
    (void)writing;
    struct pem_passphrase *passphrase = context;
    passphrase->asked = true;
    size_t size = passphrase->text ? strlen(passphrase->text) : 0;
    if (!passphrase->text || size > (size_t)room_size)
        return -1;
    memcpy(room, passphrase->text, size);
    return (int)size;
}

int signing_key_from_pem(const char *text, size_t size, const char *passphrase,
                         struct signing_key **ret, struct error *err) {
    if (size > INT_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d bytes of PEM", INT_MAX);
    BIO *bio = BIO_new_mem_buf(text, (int)size);
    must(bio, "read memory");
    struct pem_passphrase given = {.text = passphrase};
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &given);
    BIO_free(bio);
    if (!pkey && given.asked) {
        ERR_clear_error();
        return 1;
    }
    return pkey ? adopt(pkey, ret, err) : invalid(err, "no private key in PEM format");
}

static BIGNUM *number(struct signing_number n) {
    BIGNUM *bn = BN_secure_new();
    must(bn && BN_bin2bn(n.bytes, (int)n.size, bn), "hold a number");
    return bn;
}

/* The two halves belong together. Not asked of RSA: it takes seconds, and OpenSSL verifies what it
 * has signed there. */
static bool halves_match(EVP_PKEY *pkey) {
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    must(context, "check a key");
    bool match = EVP_PKEY_is_a(pkey, "RSA") || EVP_PKEY_pairwise_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return match;
}

static int from_parameters(const char *type, OSSL_PARAM_BLD *builder, struct signing_key **ret,
                           struct error *err) {
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    must(parameters && context, "make a key");
    EVP_PKEY *pkey = NULL;
    bool good = EVP_PKEY_fromdata_init(context) == 1 &&
                EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, parameters) == 1;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    if (!good || !pkey || !halves_match(pkey)) {
        EVP_PKEY_free(pkey);
        return invalid(err, "numbers that make no key");
    }
    return adopt(pkey, ret, err);
}

/* d modulo (prime - 1), which the format of OpenSSH leaves out and OpenSSL wants. */
static BIGNUM *exponent_of(const BIGNUM *d, const BIGNUM *prime, BN_CTX *context) {
    BIGNUM *less = BN_secure_new(), *exponent = BN_secure_new();
    must(less && exponent && BN_sub(less, prime, BN_value_one()), "subtract");
    bool good = !BN_is_zero(less) && BN_mod(exponent, d, less, context) == 1;
    BN_clear_free(less);
    if (good)
        return exponent;
    BN_clear_free(exponent);
    return NULL;
}

enum { RSA_NUMBERS = 8 };

static int build_rsa(BIGNUM *numbers[RSA_NUMBERS], struct signing_key **ret, struct error *err) {
    static const char *const names[RSA_NUMBERS] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2,
    };
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    must(builder, "make a key");
    bool good = true;
    for (size_t i = 0; i < RSA_NUMBERS; i++)
        good = good && numbers[i] && OSSL_PARAM_BLD_push_BN(builder, names[i], numbers[i]) == 1;
    int result = good ? from_parameters("RSA", builder, ret, err)
                      : invalid(err, "numbers that make no RSA key");
    OSSL_PARAM_BLD_free(builder);
    return result;
}

int signing_key_from_rsa(const struct signing_rsa *rsa, struct signing_key **ret,
                         struct error *err) {
    const struct signing_number given[] = {rsa->n, rsa->e, rsa->d, rsa->p, rsa->q, rsa->q_inverse};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (given[i].size > RSA_BITS_MAX / 8 + 1)
            return error_set(err, ERROR_INVALID, "an RSA key of more than %d bits", RSA_BITS_MAX);
    BIGNUM *numbers[RSA_NUMBERS];
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        numbers[i] = number(given[i]);
    BN_CTX *context = BN_CTX_secure_new();
    must(context, "calculate");
    numbers[6] = exponent_of(numbers[2], numbers[3], context);
    numbers[7] = exponent_of(numbers[2], numbers[4], context);
    BN_CTX_free(context);
    int r = build_rsa(numbers, ret, err);
    for (size_t i = 0; i < RSA_NUMBERS; i++)
        BN_clear_free(numbers[i]);
    return r;
}

int signing_key_from_seed(const unsigned char seed[32], struct signing_key **ret,
                          struct error *err) {
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, seed, 32);
    return pkey ? adopt(pkey, ret, err) : invalid(err, "bytes that make no Ed25519 key");
}

int signing_key_from_scalar(enum signing_key_type type, struct signing_number scalar,
                            struct signing_number point, struct signing_key **ret,
                            struct error *err) {
    size_t i = curve_of(type);
    if (scalar.size > CURVE_SIZE_MAX + 1 || point.size != 2 * curves[i].size + 1)
        return error_set(err, ERROR_INVALID, "numbers too large for the curve %s", curves[i].curve);
    BIGNUM *secret = number(scalar);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    must(builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
                                                    curves[i].curve, 0) == 1,
         "make a key");
    must(OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.bytes,
                                          point.size) == 1 &&
             OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, secret) == 1,
         "make a key");
    int r = from_parameters("EC", builder, ret, err);
    OSSL_PARAM_BLD_free(builder);
    BN_clear_free(secret);
    return r;
}

enum signing_key_type signing_key_type(const struct signing_key *key) {
    return key->type;
}

/* `size` 0: as many bytes as the number has. */
static void append_number(const BIGNUM *n, size_t size, struct buffer *out) {
    if (size == 0)
        size = (size_t)BN_num_bytes(n);
    unsigned char *room = buffer_reserve(out, size);
    if (!room)
        return;
    must(BN_bn2binpad(n, room, (int)size) == (int)size, "write a number");
    buffer_commit(out, size);
}

static void append_parameter(const struct signing_key *key, const char *name, size_t size,
                             struct buffer *out) {
    BIGNUM *n = NULL;
    must(EVP_PKEY_get_bn_param(key->key, name, &n) == 1, "tell a public key");
    append_number(n, size, out);
    BN_free(n);
}

void signing_key_public(const struct signing_key *key, struct buffer *first,
                        struct buffer *second) {
    if (key->type == SIGNING_RSA) {
        append_parameter(key, OSSL_PKEY_PARAM_RSA_N, 0, first);
        append_parameter(key, OSSL_PKEY_PARAM_RSA_E, 0, second);
    } else if (key->type == SIGNING_ED25519) {
        unsigned char bytes[32];
        size_t size = sizeof bytes;
        must(EVP_PKEY_get_raw_public_key(key->key, bytes, &size) == 1, "tell a public key");
        buffer_append(first, bytes, size);
    } else {
        size_t size = curves[curve_of(key->type)].size;
        buffer_append(first, "\4", 1);
        append_parameter(key, OSSL_PKEY_PARAM_EC_PUB_X, size, first);
        append_parameter(key, OSSL_PKEY_PARAM_EC_PUB_Y, size, first);
    }
}

/* DER to r and s. */
static bool append_ecdsa(const unsigned char *der, size_t der_size, size_t size,
                         struct buffer *ret) {
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)der_size);
    if (!signature)
        return false;
    append_number(ECDSA_SIG_get0_r(signature), size, ret);
    append_number(ECDSA_SIG_get0_s(signature), size, ret);
    ECDSA_SIG_free(signature);
    return true;
}

static bool sign(const struct signing_key *key, const char *hash, const void *data, size_t size,
                 unsigned char *out, size_t *out_size) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context, "sign");
    bool good = EVP_DigestSignInit_ex(context, NULL, hash, NULL, NULL, key->key, NULL) == 1 &&
                EVP_DigestSign(context, out, out_size, data, size) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

int signing_key_sign(const struct signing_key *key, enum signing_hash hash, const void *data,
                     size_t size, struct buffer *ret, struct error *err) {
    static const char *const hashes[] = {
        [SIGNING_SHA256] = "SHA2-256",
        [SIGNING_SHA384] = "SHA2-384",
        [SIGNING_SHA512] = "SHA2-512",
    };
    unsigned char signature[RSA_BITS_MAX / 8];
    size_t signature_size = sizeof signature;
    bool good = sign(key, key->type == SIGNING_ED25519 ? NULL : hashes[hash], data, size, signature,
                     &signature_size);
    if (good && key->type != SIGNING_RSA && key->type != SIGNING_ED25519)
        good = append_ecdsa(signature, signature_size, curves[curve_of(key->type)].size, ret);
    else if (good)
        buffer_append(ret, signature, signature_size);
    return good ? 0 : invalid(err, "this private key cannot sign: its numbers do not fit together");
}

/* ---- signatures of others ---- */

struct verifying_key {
    EVP_PKEY *key;
};

int verifying_key_from_bytes(const unsigned char bytes[ED25519_KEY_SIZE],
                             struct verifying_key **ret, struct error *err) {
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, bytes, ED25519_KEY_SIZE);
    if (!pkey)
        return invalid(err, "bytes that make no public Ed25519 key");
    *ret = mem_new(struct verifying_key);
    (*ret)->key = pkey;
    return 0;
}

void verifying_key_free(struct verifying_key *key) {
    if (!key)
        return;
    EVP_PKEY_free(key->key);
    free(key);
}

bool verifying_key_check(const struct verifying_key *key, const void *data, size_t size,
                         const unsigned char signature[ED25519_SIGNATURE_SIZE]) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context && EVP_DigestVerifyInit_ex(context, NULL, NULL, NULL, NULL, key->key, NULL) == 1,
         "check a signature");
    bool good = EVP_DigestVerify(context, signature, ED25519_SIGNATURE_SIZE, data, size) == 1;
    EVP_MD_CTX_free(context);
    if (!good)
        ERR_clear_error();
    return good;
}

/* ---- agreement ---- */

struct agreement_key {
    EVP_PKEY *key;
};

struct agreement_key *agreement_key_from_seed(const unsigned char seed[X25519_SIZE]) {
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, seed, X25519_SIZE);
    must(pkey, "make an X25519 key"); /* any bytes are one */
    struct agreement_key *key = mem_new(struct agreement_key);
    key->key = pkey;
    return key;
}

void agreement_key_free(struct agreement_key *key) {
    if (!key)
        return;
    EVP_PKEY_free(key->key);
    free(key);
}

void agreement_key_public(const struct agreement_key *key, unsigned char ret[X25519_SIZE]) {
    size_t size = X25519_SIZE;
    must(EVP_PKEY_get_raw_public_key(key->key, ret, &size) == 1, "tell a public key");
}

int agreement_key_agree(const struct agreement_key *key, const unsigned char other[X25519_SIZE],
                        unsigned char ret[X25519_SIZE], struct error *err) {
    size_t size = X25519_SIZE;
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, other, X25519_SIZE);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->key, NULL);
    must(peer && context && EVP_PKEY_derive_init(context) == 1 &&
             EVP_PKEY_derive_set_peer(context, peer) == 1,
         "agree on a secret");
    bool good = EVP_PKEY_derive(context, ret, &size) == 1 && size == X25519_SIZE;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    return good ? 0 : invalid(err, "an X25519 key with which all agree on the same");
}
