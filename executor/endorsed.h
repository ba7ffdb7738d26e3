#pragma once

/*
 * What executing a request ahead of its order has given, and who says so: its *execution* is the
 * digests of what it read and of what it wrote. A replica that has executed a request endorses
 * that by its signature, so that it can be shown: f + 1 endorsements of different replicas hold one
 * of a correct one, whoever shows them.
 *
 * As bytes, which travel before the request and are kept with it:
 *
 *     read set | write set | count u8 | count times: replica u16 | signature
 *
 * Replicas rise from one to the next. The bytes may come from anybody.
 */

#include "executor/auth.h"
#include "executor/pbft/codec.h"

#include "lib/crypto.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct execution {
    uint8_t read_set[SHA256_SIZE];  /* chain/read_set.h */
    uint8_t write_set[SHA256_SIZE]; /* chain/write_set.h */
};

enum {
    ENDORSEMENTS_MAX = (PBFT_REPLICAS_MAX - 1) / 3 + 1,
    ENDORSED_SIZE_MAX = 2 * SHA256_SIZE + 1 + ENDORSEMENTS_MAX * (2 + AUTH_SIGNATURE_SIZE),
};

_Static_assert((int)ENDORSED_SIZE_MAX <= (int)CODEC_AHEAD_SIZE_MAX, "it fits before a request");

struct endorsement {
    uint16_t replica;
    uint8_t signature[AUTH_SIGNATURE_SIZE];
};

struct endorsed {
    struct execution execution;
    uint32_t count;
    struct endorsement by[ENDORSEMENTS_MAX];
};

static inline bool execution_equal(const struct execution *a, const struct execution *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

size_t endorsed_encode(const struct endorsed *e, uint8_t out[ENDORSED_SIZE_MAX]);
/* ERROR_INVALID */
int endorsed_decode(const uint8_t *bytes, size_t size, struct endorsed *ret, struct error *err);

/* As this replica, of the request with that digest. Any thread may. */
void execution_sign(const struct auth *auth, const uint8_t request[SHA256_SIZE],
                    const struct execution *execution, uint8_t ret[AUTH_SIGNATURE_SIZE]);
bool execution_verify(const struct auth *auth, uint16_t replica, const uint8_t request[SHA256_SIZE],
                      const struct execution *execution,
                      const uint8_t signature[AUTH_SIGNATURE_SIZE]);
/* All of them. */
bool endorsed_verify(const struct auth *auth, const uint8_t request[SHA256_SIZE],
                     const struct endorsed *e);
