#pragma once

/*
 * Where a client stands in a table. Loaders choose their clients' ids, so the hash is keyed by a
 * secret of this process: nobody can choose ids that fall together, and make every look-up a walk
 * through all of them. Not for the core, in which all replicas do alike.
 */

#include "lib/crypto.h"

#include <stdint.h>

struct client_hash {
    uint64_t secret[2];
};

static inline struct client_hash client_hash_new(void) {
    struct client_hash h;
    random_bytes(h.secret, sizeof h.secret);
    return h;
}

static inline uint64_t client_hash_fold(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t client_hash_of(const struct client_hash *h, uint64_t client) {
    uint64_t hash = client_hash_fold(client ^ h->secret[0], h->secret[1] | 1);
    return client_hash_fold(hash ^ h->secret[0], UINT64_C(0x9e3779b97f4a7c15));
}
