#pragma once

/*
 * How a client's request is authenticated to all replicas at once, so that it can be passed on: an
 * *authenticator*, a MAC for each replica (Castro & Liskov, TOCS 2002, section 5.2), or a
 * signature. Both are of the request's digest:
 *
 *     SHA-256(fields of the REQUEST | SHA-256(payload))
 *
 * in which the payload stands by its hash, because frames have that already (seal.h), and a loader
 * knows it before the request is made.
 *
 * A MAC's key is shared by the loader and that replica alone. It follows from their long-lived keys
 * and the run's id, not from a session: so a replica can check requests of a loader that is not
 * connected to it, and goes on doing so when either has been started again. A request that is sent
 * again is the same request: its number says whether it was executed already.
 *
 * A *principal* is a loader with all its clients: the upper bits of a client's id say whose it is.
 *
 * Threads: prover and checker belong to one thread.
 */

#include "lib/identity.h"
#include "lib/wire.h"

#include <stdint.h>

/* The loader whose client that is. */
static inline uint64_t request_principal(uint64_t client) {
    return client >> WIRE_CLIENT_BITS;
}

/* `fields`: WIRE_REQUEST_FIELDS_SIZE bytes as they are on the wire. */
void request_digest(struct sha256 *hash, const uint8_t *fields,
                    const uint8_t payload_hash[SHA256_SIZE], uint8_t ret[SHA256_SIZE]);

/* ---- a loader's side ---- */

struct request_prover {
    const struct identity *identity; /* borrowed; NULL: requests are not authenticated */
    struct hmac *macs;               /* by replica; NULL: signatures */
    uint16_t replicas;
    char run[WIRE_RUN_SIZE];
    struct sha256 hash;
};

#define REQUEST_PROVER_NULL ((struct request_prover){.identity = NULL})

/* `identity` may be NULL. ERROR_INVALID: a replica's key is no good. */
int request_prover_init(struct request_prover *p, const struct identity *identity, const char *run,
                        enum wire_authenticator kind, struct error *err);
void request_prover_deinit(struct request_prover *p);
/*
 * The head of a REQUEST frame with its authenticator. Returns its size; without identity that of an
 * unauthenticated one.
 */
size_t request_prove(struct request_prover *p, const struct wire_request *request,
                     const uint8_t payload_hash[SHA256_SIZE],
                     uint8_t ret[WIRE_REQUEST_HEAD_SIZE_MAX]);

/* ---- a replica's side ---- */

enum request_authentic {
    REQUEST_AUTHENTIC,
    /* The MAC for us is wrong. A MAC convinces nobody but us: the client may have lied to us, or
     * whoever passed it on. */
    REQUEST_UNKNOWN,
    /* Everybody can see that it is wrong: whoever passes it on has not looked. */
    REQUEST_FORGED,
};

struct request_checker {
    const struct identity *identity; /* borrowed; NULL: everything is authentic */
    enum wire_authenticator kind;    /* what is wanted */
    struct hmac *macs;               /* by loader */
    char run[WIRE_RUN_SIZE];
};

#define REQUEST_CHECKER_NULL ((struct request_checker){.identity = NULL})

int request_checker_init(struct request_checker *c, const struct identity *identity,
                         const char *run, enum wire_authenticator kind, struct error *err);
void request_checker_deinit(struct request_checker *c);
/* `ret_why` (constant) says why it is not authentic. */
enum request_authentic request_check_authenticator(struct request_checker *c,
                                                   const struct wire_request *request,
                                                   const uint8_t digest[SHA256_SIZE],
                                                   const char **ret_why);
