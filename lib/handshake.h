#pragma once

/*
 * How two principals of a cluster (identity.h) make sure who the other is, and agree on the keys
 * that seal the frames between them (seal.h). Pure: bytes in, bytes out. Who connects is the
 * *initiator*, the *responder* is always a replica:
 *
 *     I -> R   HELLO         role, id, run | cluster, nonce, ephemeral X25519 key
 *     R -> I   HELLO_ANSWER  replica, n, ... | nonce, ephemeral X25519 key | signature of R
 *     I -> R   HELLO_PROOF   signature of I
 *     R -> I   WELCOME       sealed: the first frame under the new keys
 *
 * The responder signs the hash of both messages so far, the initiator the same with that signature.
 * So both have signed both identities, nonces and ephemeral keys, the run and the cluster (ISO/IEC
 * 9798-3 in the form whose security Canetti and Krawczyk proved, EUROCRYPT 2001); each signature
 * begins with which side's it is. The two keys follow from the ephemeral secret and that hash by
 * HKDF (RFC 5869).
 *
 * Without keys on both sides HELLO and HELLO_ANSWER do as they are, and nothing is sealed. One side
 * with keys and one without do not talk.
 *
 * Errors: ERROR_INVALID (malformed, or a proof that is none), ERROR_REFUSED (it does not want us),
 * ERROR_CONFLICT (somebody else is there, or authenticates otherwise).
 */

#include "lib/identity.h"
#include "lib/seal.h"
#include "lib/wire.h"

#include <stddef.h>
#include <stdint.h>

struct handshake {
    const struct identity *identity; /* borrowed; NULL: without authentication */
    struct agreement_key *ephemeral;
    struct principal other;
    uint8_t hello[WIRE_HELLO_SIZE_MAX]; /* its body, until it is answered */
    size_t hello_size;
    uint8_t proven[SHA256_SIZE]; /* what the initiator signs */
    struct seal_keys keys;
};

#define HANDSHAKE_NULL ((struct handshake){.identity = NULL})

void handshake_deinit(struct handshake *h);

/* ---- the initiator: connects to a replica ---- */

/* The frame that begins it; `hello` says role, id and run. Begins anew when called again. */
size_t handshake_begin(struct handshake *h, const struct identity *identity, uint16_t replica,
                       struct wire_hello *hello, uint8_t ret[WIRE_HELLO_SIZE_MAX]);
/*
 * The body of HELLO_ANSWER. 0: done, nothing is sealed. 1: `ret_proof` is to be sent, `ret_keys`
 * seal everything after it, and the other side's WELCOME is to be waited for.
 */
int handshake_take_answer(struct handshake *h, const uint8_t *body, size_t size,
                          struct wire_hello_answer *ret, uint8_t ret_proof[WIRE_HELLO_PROOF_SIZE],
                          struct seal_keys *ret_keys, struct error *err);

/* ---- the responder: a replica ---- */

/*
 * The body of HELLO. 0: it can be answered. 1: it is decoded, but to be refused, and `ret_why`
 * (constant) says why. Whether run, role and id are right is the caller's to say.
 */
int handshake_take_hello(struct handshake *h, const struct identity *identity, const uint8_t *body,
                         size_t size, struct wire_hello *ret, const char **ret_why,
                         struct error *err);
/*
 * The frame that answers; `answer` is signed if it accepts and there are keys: then the proof is to
 * be waited for. ERROR_INVALID: the other's ephemeral key is no good.
 */
int handshake_answer(struct handshake *h, struct wire_hello_answer *answer,
                     uint8_t ret[WIRE_HELLO_ANSWER_SIZE_MAX], size_t *ret_size, struct error *err);
/* The body of HELLO_PROOF: from now on everything is sealed, beginning with a WELCOME. */
int handshake_take_proof(struct handshake *h, const uint8_t *body, size_t size,
                         struct seal_keys *ret_keys, struct error *err);
