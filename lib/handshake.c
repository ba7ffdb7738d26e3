#include "lib/handshake.h"

#include "lib/bytes.h"

#include <assert.h>
#include <string.h>

static const char title[] = "seatrial handshake 1";
static const char responder_title[] = "seatrial handshake 1 responder";
static const char initiator_title[] = "seatrial handshake 1 initiator";

void handshake_deinit(struct handshake *h) {
    agreement_key_free(h->ephemeral);
    secret_forget(h, sizeof *h);
    *h = HANDSHAKE_NULL;
}

static void make_ephemeral(struct handshake *h, uint8_t nonce[WIRE_NONCE_SIZE],
                           uint8_t public[X25519_SIZE]) {
    uint8_t seed[X25519_SIZE];
    random_bytes(seed, sizeof seed);
    random_bytes(nonce, WIRE_NONCE_SIZE);
    h->ephemeral = agreement_key_from_seed(seed);
    secret_forget(seed, sizeof seed);
    agreement_key_public(h->ephemeral, public);
}

static struct principal principal_of(const struct wire_hello *hello) {
    return (struct principal){.role = hello->role == WIRE_ROLE_CLIENT ? PRINCIPAL_LOADER
                                                                      : PRINCIPAL_REPLICA,
                              .index = (uint16_t)hello->id};
}

/* Both messages with their sizes, the answer without its signature: what the responder signs. */
static void hash_messages(const struct handshake *h, const uint8_t *answer, size_t answer_size,
                          uint8_t ret[SHA256_SIZE]) {
    uint8_t sizes[8];
    struct byte_writer w = byte_writer(sizes, sizeof sizes);
    bytes_put_u32(&w, (uint32_t)h->hello_size);
    bytes_put_u32(&w, (uint32_t)answer_size);
    cleanup(sha256_deinit) struct sha256 hash;
    sha256_init(&hash);
    sha256_add(&hash, title, sizeof title);
    sha256_add(&hash, sizes, sizeof sizes);
    sha256_add(&hash, h->hello, h->hello_size);
    sha256_add(&hash, answer, answer_size);
    sha256_end(&hash, ret);
}

enum { SIGNED_SIZE = sizeof responder_title + SHA256_SIZE };
_Static_assert(sizeof responder_title == sizeof initiator_title, "one size for both");

static void put_signed(const char side[sizeof responder_title], const uint8_t hash[SHA256_SIZE],
                       uint8_t ret[SIGNED_SIZE]) {
    memcpy(ret, side, sizeof responder_title);
    memcpy(ret + sizeof responder_title, hash, SHA256_SIZE);
}

static void sign(const struct handshake *h, const char *side, const uint8_t hash[SHA256_SIZE],
                 uint8_t ret[WIRE_SIGNATURE_SIZE]) {
    uint8_t text[SIGNED_SIZE];
    put_signed(side, hash, text);
    identity_sign(h->identity, text, sizeof text, ret);
}

static bool is_signed(const struct handshake *h, const char *side, const uint8_t hash[SHA256_SIZE],
                      const uint8_t signature[WIRE_SIGNATURE_SIZE]) {
    uint8_t text[SIGNED_SIZE];
    put_signed(side, hash, text);
    return identity_check(h->identity, h->other, text, sizeof text, signature);
}

/* The messages with the responder's signature. */
static void hash_proven(const uint8_t messages[SHA256_SIZE],
                        const uint8_t signature[WIRE_SIGNATURE_SIZE], uint8_t ret[SHA256_SIZE]) {
    uint8_t both[SHA256_SIZE + WIRE_SIGNATURE_SIZE];
    memcpy(both, messages, SHA256_SIZE);
    memcpy(both + SHA256_SIZE, signature, WIRE_SIGNATURE_SIZE);
    sha256_of(both, sizeof both, ret);
}

/* HKDF: the hash is the salt. */
static int derive_keys(struct handshake *h, const uint8_t other[X25519_SIZE], bool initiator,
                       struct error *err) {
    uint8_t agreed[X25519_SIZE], extracted[SHA256_SIZE], session[SHA256_SIZE];
    if (agreement_key_agree(h->ephemeral, other, agreed, err) < 0)
        return -1;
    hmac_sha256(h->proven, sizeof h->proven, agreed, sizeof agreed, extracted);
    secret_derive(extracted, "initiator sends", initiator ? h->keys.send : h->keys.receive);
    secret_derive(extracted, "responder sends", initiator ? h->keys.receive : h->keys.send);
    secret_derive(extracted, "session", session);
    memcpy(&h->keys.session, session, sizeof h->keys.session);
    secret_forget(agreed, sizeof agreed);
    secret_forget(extracted, sizeof extracted);
    return 0;
}

static void give_keys(struct handshake *h, struct seal_keys *ret) {
    *ret = h->keys;
    handshake_deinit(h);
}

/* ---- the initiator ---- */

size_t handshake_begin(struct handshake *h, const struct identity *identity, uint16_t replica,
                       struct wire_hello *hello, uint8_t ret[WIRE_HELLO_SIZE_MAX]) {
    handshake_deinit(h);
    h->identity = identity;
    h->other = (struct principal){.role = PRINCIPAL_REPLICA, .index = replica};
    hello->authenticates = identity != NULL;
    if (identity) {
        memcpy(hello->cluster, identity_cluster(identity), sizeof hello->cluster);
        make_ephemeral(h, hello->nonce, hello->ephemeral);
    }
    size_t size = wire_hello_encode(hello, ret);
    h->hello_size = size - WIRE_HEADER_SIZE;
    memcpy(h->hello, ret + WIRE_HEADER_SIZE, h->hello_size);
    return size;
}

static int check_answer(const struct handshake *h, const struct wire_hello_answer *answer,
                        struct error *err) {
    if (!answer->accepted)
        return error_set(err, ERROR_REFUSED, "it refused us: %s", answer->text);
    if (answer->replica != h->other.index)
        return error_set(err, ERROR_CONFLICT, "replica %u answers there, not replica %u",
                         answer->replica, h->other.index);
    if (answer->authenticates == (h->identity != NULL))
        return 0;
    if (h->identity)
        return error_set(err, ERROR_CONFLICT, "it does not authenticate itself, and we do");
    error_set(err, ERROR_CONFLICT, "it authenticates itself, and we have no keys");
    return error_hint(err, "--cluster-keys says where they are");
}

int handshake_take_answer(struct handshake *h, const uint8_t *body, size_t size,
                          struct wire_hello_answer *ret, uint8_t ret_proof[WIRE_HELLO_PROOF_SIZE],
                          struct seal_keys *ret_keys, struct error *err) {
    uint8_t messages[SHA256_SIZE], signature[WIRE_SIGNATURE_SIZE];
    struct wire_hello_answer answer;
    if (wire_hello_answer_decode(body, size, &answer, err) < 0)
        return error_wrap(err, "its answer to HELLO");
    if (check_answer(h, &answer, err) < 0)
        return -1;
    *ret = answer;
    if (!h->identity)
        return 0;
    hash_messages(h, body, size - WIRE_SIGNATURE_SIZE, messages);
    if (!is_signed(h, responder_title, messages, answer.signature))
        return error_set(err, ERROR_INVALID, "it cannot prove that it is replica %u",
                         h->other.index);
    hash_proven(messages, answer.signature, h->proven);
    if (derive_keys(h, answer.ephemeral, true, err) < 0)
        return -1;
    sign(h, initiator_title, h->proven, signature);
    wire_hello_proof_encode(signature, ret_proof);
    give_keys(h, ret_keys);
    return 1;
}

/* ---- the responder ---- */

static const char *reason_to_refuse(const struct handshake *h, const struct wire_hello *hello) {
    if (!h->identity)
        return hello->authenticates ? "this replica runs without keys (--insecure)" : NULL;
    if (!hello->authenticates)
        return "this replica talks to nobody without keys (--cluster-keys)";
    if (memcmp(hello->cluster, identity_cluster(h->identity), sizeof hello->cluster) != 0)
        return "these keys are of another cluster";
    uint16_t count = hello->role == WIRE_ROLE_CLIENT ? identity_loaders(h->identity)
                                                     : identity_replicas(h->identity);
    return hello->id < count ? NULL : "there is no key of that index";
}

int handshake_take_hello(struct handshake *h, const struct identity *identity, const uint8_t *body,
                         size_t size, struct wire_hello *ret, const char **ret_why,
                         struct error *err) {
    struct wire_hello hello;
    if (wire_hello_decode(body, size, &hello, err) < 0)
        return -1;
    assert(size <= sizeof h->hello);
    handshake_deinit(h);
    h->identity = identity;
    h->other = principal_of(&hello);
    h->hello_size = size;
    memcpy(h->hello, body, size);
    *ret = hello;
    *ret_why = reason_to_refuse(h, &hello);
    return *ret_why != NULL;
}

int handshake_answer(struct handshake *h, struct wire_hello_answer *answer,
                     uint8_t ret[WIRE_HELLO_ANSWER_SIZE_MAX], size_t *ret_size, struct error *err) {
    uint8_t messages[SHA256_SIZE];
    struct wire_hello hello;
    answer->authenticates = answer->accepted && h->identity;
    if (!answer->authenticates) {
        *ret_size = wire_hello_answer_encode(answer, ret);
        return 0;
    }
    if (wire_hello_decode(h->hello, h->hello_size, &hello, err) < 0)
        return -1;
    make_ephemeral(h, answer->nonce, answer->ephemeral);
    size_t size = wire_hello_answer_encode(answer, ret);
    hash_messages(h, ret + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE - WIRE_SIGNATURE_SIZE,
                  messages);
    sign(h, responder_title, messages, answer->signature);
    hash_proven(messages, answer->signature, h->proven);
    if (derive_keys(h, hello.ephemeral, false, err) < 0)
        return -1;
    *ret_size = wire_hello_answer_encode(answer, ret);
    return 0;
}

int handshake_take_proof(struct handshake *h, const uint8_t *body, size_t size,
                         struct seal_keys *ret_keys, struct error *err) {
    uint8_t signature[WIRE_SIGNATURE_SIZE];
    if (wire_hello_proof_decode(body, size, signature, err) < 0)
        return -1;
    if (!is_signed(h, initiator_title, h->proven, signature))
        return error_set(err, ERROR_INVALID, "it cannot prove that it is %s %u",
                         principal_role_name(h->other.role), h->other.index);
    give_keys(h, ret_keys);
    return 0;
}
