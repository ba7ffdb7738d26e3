#pragma once

/*
 * Frames (wire.h) that are authenticated: what a connection carries once its handshake is done
 * (handshake.h). Each frame of a direction ends with a tag of SEAL_TAG_SIZE bytes, which the
 * header's body size counts:
 *
 *     HMAC-SHA256(key of the direction, counter u64 | header | direct part | SHA-256 of the rest)
 *
 * cut to 16 bytes. The counter says how many frames went before, so that one that is repeated, left
 * out or in another place has a wrong tag. The header says how many bytes of the body are in the
 * MAC directly; what follows them up to the tag is in it by its hash. So a payload that goes to
 * several is hashed once, and where its hash is needed anyway, no more than that. Nothing is
 * encrypted: what is measured is no secret.
 *
 * Threads: a seal belongs to one thread at a time.
 */

#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEAL_TAG_SIZE = 16, SEAL_KEY_SIZE = 32 };

struct seal_keys {
    uint8_t send[SEAL_KEY_SIZE], receive[SEAL_KEY_SIZE];
    uint64_t session; /* tells this session from others of this process; no secret */
};

struct seal {
    struct hmac send, receive;
    uint64_t sent, received; /* frames */
    uint64_t session;
};

/* Frames are as they are. */
#define SEAL_NULL ((struct seal){.send = HMAC_NULL})

/* The keys are forgotten. */
void seal_init(struct seal *s, struct seal_keys *keys);
void seal_deinit(struct seal *s);
static inline bool seal_is_on(const struct seal *s) {
    return s->send.context != NULL;
}

/* A frame's bytes but its tag. */
struct sealed {
    const void *parts[2]; /* the direct part of the body, in up to two pieces */
    size_t sizes[2];
    const uint8_t *rest_hash; /* NULL: there is no rest */
};

/* Makes a header of a plain frame one of a sealed frame, whose body has the tag, too. */
void seal_header(uint8_t header[WIRE_HEADER_SIZE], size_t direct_size);
/* The tag of the frame that is the `counter`-th to be sent. The owner counts `sent`. */
void seal_tag(struct seal *s, uint64_t counter, const uint8_t header[WIRE_HEADER_SIZE],
              const struct sealed *frame, uint8_t ret[SEAL_TAG_SIZE]);

/* What a sealed frame that was received has in it. */
struct unsealed {
    size_t size;               /* of the body without its tag */
    size_t rest;               /* where in it the rest begins that is in the MAC by its hash */
    uint8_t hash[SHA256_SIZE]; /* of the rest, unless that is empty */
};

/* Where the rest is of a sealed frame with that header, and how long; 0: there is none, or the
 * header is wrong. */
size_t seal_rest(const struct wire_header *header, size_t *ret_at);
/* Counts it. ERROR_INVALID: it is not the frame that the other side sent next. */
int seal_open(struct seal *s, const struct wire_header *header, const uint8_t *body,
              struct unsealed *ret, struct error *err);
/* The same where the hash of the rest has been made; NULL: it has not. */
int seal_open_hashed(struct seal *s, const struct wire_header *header, const uint8_t *body,
                     const uint8_t *rest_hash, struct unsealed *ret, struct error *err);
