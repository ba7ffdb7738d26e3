#include "runner/remote/bcrypt_pbkdf.h"

#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* ---- Blowfish ---- */

enum { BLOWFISH_ROUNDS = 16, SUBKEYS = BLOWFISH_ROUNDS + 2, BOXES = 4, BOX_SIZE = 256 };

struct blowfish {
    uint32_t subkeys[SUBKEYS];
    uint32_t boxes[BOXES][BOX_SIZE];
};

/*
 * Blowfish begins with the fraction of pi, as many bits as its state has. It is calculated here
 * (30 ms, once) by Machin's formula, pi/4 = 4 arctan(1/5) - arctan(1/239), on fixed-point numbers:
 * word 0 before the point, the fraction behind it, highest word first.
 */
enum {
    PI_WORDS = SUBKEYS + BOXES * BOX_SIZE,
    GUARD_WORDS = 2, /* for what thousands of divisions round off */
    FIXED_WORDS = 1 + PI_WORDS + GUARD_WORDS,
};

/* out = in / divisor, from word `first` on, before which `in` is zero. */
static void fixed_divide(const uint32_t *in, uint32_t divisor, size_t first, uint32_t *out) {
    uint64_t rest = 0;
    for (size_t i = first; i < FIXED_WORDS; i++) {
        uint64_t dividend = rest << 32 | in[i];
        out[i] = (uint32_t)(dividend / divisor);
        rest = dividend % divisor;
    }
}

static void fixed_add(uint32_t *sum, const uint32_t *term) {
    uint64_t carry = 0;
    for (size_t i = FIXED_WORDS; i-- > 0;) {
        carry += (uint64_t)sum[i] + term[i];
        sum[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static void fixed_subtract(uint32_t *sum, const uint32_t *term) {
    uint64_t borrow = 0;
    for (size_t i = FIXED_WORDS; i-- > 0;) {
        uint64_t difference = (uint64_t)sum[i] - term[i] - borrow;
        sum[i] = (uint32_t)difference;
        borrow = difference >> 63;
    }
}

/* sum += factor * arctan(1/x), or -= : the series 1/x - 1/3x^3 + 1/5x^5 - ... */
static void add_arctan(uint32_t *sum, uint32_t factor, uint32_t x, bool subtract) {
    uint32_t power[FIXED_WORDS] = {factor}, term[FIXED_WORDS] = {0};
    fixed_divide(power, x, 0, power);
    size_t first = 0;
    for (uint32_t odd = 1; first < FIXED_WORDS; odd += 2) {
        fixed_divide(power, odd, first, term);
        if (subtract)
            fixed_subtract(sum, term);
        else
            fixed_add(sum, term);
        subtract = !subtract;
        fixed_divide(power, x * x, first, power);
        while (first < FIXED_WORDS && power[first] == 0)
            term[first++] = 0;
    }
}

static pthread_once_t calculated = PTHREAD_ONCE_INIT;
static struct blowfish fraction_of_pi;

static void calculate(void) {
    uint32_t pi[FIXED_WORDS] = {0};
    add_arctan(pi, 16, 5, false);
    add_arctan(pi, 4, 239, true);
    assert(pi[0] == 3);
    memcpy(fraction_of_pi.subkeys, pi + 1, sizeof fraction_of_pi.subkeys);
    memcpy(fraction_of_pi.boxes, pi + 1 + SUBKEYS, sizeof fraction_of_pi.boxes);
}

static uint32_t mix(const struct blowfish *b, uint32_t x) {
    return ((b->boxes[0][x >> 24] + b->boxes[1][x >> 16 & 0xff]) ^ b->boxes[2][x >> 8 & 0xff]) +
           b->boxes[3][x & 0xff];
}

static void encipher(const struct blowfish *b, uint32_t pair[2]) {
    uint32_t left = pair[0], right = pair[1];
    for (size_t i = 0; i < BLOWFISH_ROUNDS; i += 2) {
        left ^= b->subkeys[i];
        right ^= mix(b, left);
        right ^= b->subkeys[i + 1];
        left ^= mix(b, right);
    }
    pair[0] = right ^ b->subkeys[BLOWFISH_ROUNDS + 1];
    pair[1] = left ^ b->subkeys[BLOWFISH_ROUNDS];
}

/* ---- bcrypt: the expensive key schedule ---- */

enum { HASH_WORDS = SHA512_SIZE / 4, BCRYPT_SIZE = 32, BCRYPT_WORDS = BCRYPT_SIZE / 4 };

static void load_words(const unsigned char *bytes, size_t count, uint32_t *out) {
    for (size_t i = 0; i < count; i++, bytes += 4)
        out[i] = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
                 bytes[3];
}

/* Subkeys take the key in, then everything is replaced by what the cipher makes of `salt`, or of
 * zeros. */
static void expand(struct blowfish *b, const uint32_t salt[HASH_WORDS],
                   const uint32_t key[HASH_WORDS]) {
    for (size_t i = 0; i < SUBKEYS; i++)
        b->subkeys[i] ^= key[i % HASH_WORDS];
    uint32_t pair[2] = {0, 0};
    size_t at = 0;
    uint32_t *boxes = b->boxes[0];
    for (size_t i = 0; i < SUBKEYS + BOXES * BOX_SIZE; i += 2) {
        if (salt) {
            pair[0] ^= salt[at++ % HASH_WORDS];
            pair[1] ^= salt[at++ % HASH_WORDS];
        }
        encipher(b, pair);
        uint32_t *target = i < SUBKEYS ? b->subkeys + i : boxes + (i - SUBKEYS);
        target[0] = pair[0];
        target[1] = pair[1];
    }
}

static void bcrypt_hash(const unsigned char passphrase[SHA512_SIZE],
                        const unsigned char salt[SHA512_SIZE], unsigned char out[BCRYPT_SIZE]) {
    enum { COST = 64, ENCRYPTIONS = 64 };
    static const unsigned char magic[BCRYPT_SIZE + 1] = "OxychromaticBlowfishSwatDynamite";
    uint32_t key_words[HASH_WORDS], salt_words[HASH_WORDS], text[BCRYPT_WORDS];
    load_words(passphrase, HASH_WORDS, key_words);
    load_words(salt, HASH_WORDS, salt_words);
    struct blowfish state = fraction_of_pi;
    expand(&state, salt_words, key_words);
    for (int i = 0; i < COST; i++) {
        expand(&state, NULL, salt_words);
        expand(&state, NULL, key_words);
    }
    load_words(magic, BCRYPT_WORDS, text);
    for (int i = 0; i < ENCRYPTIONS; i++)
        for (size_t j = 0; j < BCRYPT_WORDS; j += 2)
            encipher(&state, text + j);
    for (size_t i = 0; i < BCRYPT_SIZE; i++) /* little endian, unlike everything before */
        out[i] = (unsigned char)(text[i / 4] >> (8 * (i % 4)));
    explicit_bzero(&state, sizeof state);
    explicit_bzero(key_words, sizeof key_words);
    explicit_bzero(text, sizeof text);
}

/* ---- the frame ---- */

/* One block of 32 bytes: the exclusive or of `rounds` hashes, each salted by the one before. */
static void derive_block(const unsigned char passphrase[SHA512_SIZE], const unsigned char *salt,
                         size_t salt_size, unsigned rounds, unsigned char block[BCRYPT_SIZE]) {
    unsigned char hashed_salt[SHA512_SIZE], one[BCRYPT_SIZE];
    sha512_of(salt, salt_size, hashed_salt);
    bcrypt_hash(passphrase, hashed_salt, one);
    memcpy(block, one, BCRYPT_SIZE);
    for (unsigned i = 1; i < rounds; i++) {
        sha512_of(one, sizeof one, hashed_salt);
        bcrypt_hash(passphrase, hashed_salt, one);
        for (size_t j = 0; j < BCRYPT_SIZE; j++)
            block[j] ^= one[j];
    }
    explicit_bzero(one, sizeof one);
}

void bcrypt_pbkdf(const void *passphrase, size_t passphrase_size, const void *salt,
                  size_t salt_size, unsigned rounds, unsigned char *out, size_t out_size) {
    assert(rounds && passphrase_size && salt_size && out_size && out_size <= BCRYPT_PBKDF_OUT_MAX);
    pthread_once(&calculated, calculate);
    unsigned char hashed[SHA512_SIZE], block[BCRYPT_SIZE];
    sha512_of(passphrase, passphrase_size, hashed);
    cleanup_free unsigned char *numbered = mem_alloc(salt_size + 4); /* and the block's number */
    memcpy(numbered, salt, salt_size);
    memset(numbered + salt_size, 0, 4);
    size_t blocks = (out_size + BCRYPT_SIZE - 1) / BCRYPT_SIZE;
    for (size_t i = 0; i < blocks; i++) {
        numbered[salt_size + 3] = (unsigned char)(i + 1); /* at most 32 blocks */
        derive_block(hashed, numbered, salt_size + 4, rounds, block);
        for (size_t j = 0; j < BCRYPT_SIZE && i + j * blocks < out_size; j++)
            out[i + j * blocks] = block[j];
    }
    explicit_bzero(hashed, sizeof hashed);
    explicit_bzero(block, sizeof block);
}
