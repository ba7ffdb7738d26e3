#pragma once

/*
 * A hash for tables of what others name: keyed by a secret, so that nobody can choose keys that
 * fall together, and make every look-up a walk through all of them. Sixteen bytes at a time are
 * multiplied and folded, as wyhash does (Wang Yi, github.com/wangyi-fudan/wyhash). Not
 * cryptographic: hashes are not to be shown to anybody. Pure.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct keyed_hash {
    uint64_t secret[2]; /* random_bytes (lib/crypto.h); zeros where nobody is hostile */
};

static inline uint64_t keyed_hash_fold(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t keyed_hash_of(const struct keyed_hash *h, const void *key, size_t size) {
    const uint8_t *at = (const uint8_t *)key;
    uint64_t hash = h->secret[0] ^ size * UINT64_C(0x9e3779b97f4a7c15), words[2];
    for (; size > sizeof words; at += sizeof words, size -= sizeof words) {
        memcpy(words, at, sizeof words);
        hash = keyed_hash_fold(words[0] ^ hash, words[1] ^ h->secret[1]);
    }
    memset(words, 0, sizeof words);
    if (size)
        memcpy(words, at, size);
    hash = keyed_hash_fold(words[0] ^ hash, words[1] ^ h->secret[1]);
    return keyed_hash_fold(hash ^ h->secret[0], UINT64_C(0xa0761d6478bd642f));
}
