#include "lib/request_auth.h"

#include "lib/bytes.h"
#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char purpose[] = "seatrial requests 1";
static const char title[] = "seatrial request signature 1";

void request_digest(struct sha256 *hash, const uint8_t *fields,
                    const uint8_t payload_hash[SHA256_SIZE], uint8_t ret[SHA256_SIZE]) {
    sha256_begin(hash);
    sha256_add(hash, fields, WIRE_REQUEST_FIELDS_SIZE);
    sha256_add(hash, payload_hash, SHA256_SIZE);
    sha256_end(hash, ret);
}

/* Keys with all of the other role. */
static int make_macs(const struct identity *identity, enum principal_role role, uint16_t count,
                     const char *run, struct hmac *macs, struct error *err) {
    for (uint16_t i = 0; i < count; i++) {
        uint8_t key[KEYS_SECRET_SIZE];
        const struct principal other = {.role = role, .index = i};
        if (identity_shared_key(identity, other, purpose, run, key, err) < 0)
            return -1;
        hmac_init(&macs[i], key, sizeof key);
        secret_forget(key, sizeof key);
    }
    return 0;
}

static void free_macs(struct hmac *macs, uint16_t count) {
    for (uint16_t i = 0; macs && i < count; i++)
        hmac_deinit(&macs[i]);
    free(macs);
}

static void compute_mac(struct hmac *mac, const uint8_t digest[SHA256_SIZE],
                        uint8_t ret[WIRE_MAC_SIZE]) {
    uint8_t whole[SHA256_SIZE];
    hmac_begin(mac);
    hmac_add(mac, digest, SHA256_SIZE);
    hmac_end(mac, whole);
    memcpy(ret, whole, WIRE_MAC_SIZE);
}

enum { SIGNED_SIZE = (int)sizeof title + (int)WIRE_RUN_SIZE + (int)SHA256_SIZE };

static size_t put_signed(const char *run, const uint8_t digest[SHA256_SIZE],
                         uint8_t out[SIGNED_SIZE]) {
    struct byte_writer w = byte_writer(out, SIGNED_SIZE);
    bytes_put(&w, title, sizeof title);
    bytes_put(&w, run, strlen(run) + 1);
    bytes_put(&w, digest, SHA256_SIZE);
    return bytes_written(&w);
}

/* ---- a loader's side ---- */

int request_prover_init(struct request_prover *p, const struct identity *identity, const char *run,
                        enum wire_authenticator kind, struct error *err) {
    *p = (struct request_prover){.identity = identity};
    if (!identity)
        return 0;
    assert(strlen(run) < sizeof p->run);
    strcpy(p->run, run);
    sha256_init(&p->hash);
    p->replicas = identity_replicas(identity);
    if (kind == WIRE_AUTHENTICATOR_SIGNATURE)
        return 0;
    p->macs = mem_new_array(struct hmac, p->replicas);
    return make_macs(identity, PRINCIPAL_REPLICA, p->replicas, run, p->macs, err);
}

void request_prover_deinit(struct request_prover *p) {
    free_macs(p->macs, p->replicas);
    if (p->identity)
        sha256_deinit(&p->hash);
    *p = REQUEST_PROVER_NULL;
}

size_t request_prove(struct request_prover *p, const struct wire_request *request,
                     const uint8_t payload_hash[SHA256_SIZE],
                     uint8_t ret[WIRE_REQUEST_HEAD_SIZE_MAX]) {
    uint8_t digest[SHA256_SIZE], text[SIGNED_SIZE];
    struct wire_request proven = *request;
    proven.authenticator = p->identity ? WIRE_AUTHENTICATOR_MACS : WIRE_AUTHENTICATOR_NONE;
    proven.macs = p->macs ? p->replicas : 0;
    if (p->identity && !p->macs)
        proven.authenticator = WIRE_AUTHENTICATOR_SIGNATURE;
    proven.proof = NULL; /* it is written below, over the fields that are encoded then */
    size_t size = wire_request_encode_head(&proven, ret);
    if (!p->identity)
        return size;
    request_digest(&p->hash, ret + size - WIRE_REQUEST_FIELDS_SIZE, payload_hash, digest);
    uint8_t *proof = ret + WIRE_HEADER_SIZE + WIRE_AUTHENTICATOR_SIZE_MIN;
    for (uint16_t i = 0; p->macs && i < p->replicas; i++)
        compute_mac(&p->macs[i], digest, proof + (size_t)i * WIRE_MAC_SIZE);
    if (!p->macs)
        identity_sign(p->identity, text, put_signed(p->run, digest, text), proof);
    return size;
}

/* ---- a replica's side ---- */

int request_checker_init(struct request_checker *c, const struct identity *identity,
                         const char *run, enum wire_authenticator kind, struct error *err) {
    *c = (struct request_checker){.identity = identity, .kind = kind};
    if (!identity)
        return 0;
    assert(strlen(run) < sizeof c->run);
    strcpy(c->run, run);
    uint16_t loaders = identity_loaders(identity);
    c->macs = mem_new_array(struct hmac, loaders ? loaders : 1);
    return make_macs(identity, PRINCIPAL_LOADER, loaders, run, c->macs, err);
}

void request_checker_deinit(struct request_checker *c) {
    if (c->identity)
        free_macs(c->macs, identity_loaders(c->identity));
    *c = REQUEST_CHECKER_NULL;
}

static enum request_authentic check_mac(struct request_checker *c, uint16_t loader,
                                        const struct wire_request *request,
                                        const uint8_t digest[SHA256_SIZE], const char **ret_why) {
    uint8_t mac[WIRE_MAC_SIZE];
    uint16_t self = identity_self(c->identity).index;
    if (request->macs != identity_replicas(c->identity)) {
        *ret_why = "it does not have a MAC for each replica";
        return REQUEST_FORGED;
    }
    compute_mac(&c->macs[loader], digest, mac);
    if (secret_equal(mac, request->proof + (size_t)self * WIRE_MAC_SIZE, sizeof mac))
        return REQUEST_AUTHENTIC;
    *ret_why = "its MAC for this replica is wrong";
    return REQUEST_UNKNOWN;
}

static enum request_authentic check_signature(const struct request_checker *c, uint16_t loader,
                                              const struct wire_request *request,
                                              const uint8_t digest[SHA256_SIZE],
                                              const char **ret_why) {
    uint8_t text[SIGNED_SIZE];
    const struct principal signer = {.role = PRINCIPAL_LOADER, .index = loader};
    if (identity_check(c->identity, signer, text, put_signed(c->run, digest, text), request->proof))
        return REQUEST_AUTHENTIC;
    *ret_why = "its signature is wrong";
    return REQUEST_FORGED;
}

enum request_authentic request_check_authenticator(struct request_checker *c,
                                                   const struct wire_request *request,
                                                   const uint8_t digest[SHA256_SIZE],
                                                   const char **ret_why) {
    uint64_t loader = request_principal(request->client);
    if (!c->identity)
        return REQUEST_AUTHENTIC;
    if (loader >= identity_loaders(c->identity)) {
        *ret_why = "its client belongs to no loader that there are keys of";
        return REQUEST_FORGED;
    }
    if (request->authenticator != c->kind) {
        *ret_why = c->kind == WIRE_AUTHENTICATOR_MACS
                       ? "it is not authenticated by MACs"
                       : "it is not signed (--client-auth signature)";
        return REQUEST_FORGED;
    }
    return c->kind == WIRE_AUTHENTICATOR_MACS
               ? check_mac(c, (uint16_t)loader, request, digest, ret_why)
               : check_signature(c, (uint16_t)loader, request, digest, ret_why);
}
