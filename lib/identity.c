#include "lib/identity.h"

#include "lib/file.h"
#include "lib/memory.h"

#include <stdlib.h>
#include <string.h>

struct identity {
    struct cluster_keys keys;
    struct principal self;
    struct signing_key *signing;
    struct agreement_key *agreeing;
    struct verifying_key **others; /* as keys.list */
};

void identity_free(struct identity *id) {
    size_t count = (size_t)id->keys.replicas + id->keys.loaders;
    for (size_t i = 0; id->others && i < count; i++)
        verifying_key_free(id->others[i]);
    free(id->others);
    signing_key_free(id->signing);
    agreement_key_free(id->agreeing);
    cluster_keys_deinit(&id->keys);
    free(id);
}

static int check_private(const struct identity *id, const struct private_key *key, const char *path,
                         struct error *err) {
    struct principal_keys public;
    const struct principal_keys *listed = cluster_keys_of(&id->keys, id->self);
    if (memcmp(key->cluster, id->keys.cluster, sizeof key->cluster) != 0)
        return error_set(err, ERROR_CONFIG, "'%s' is a key of another cluster than %s beside it",
                         path, KEYS_PUBLIC_FILE);
    if (key->principal.role != id->self.role || key->principal.index != id->self.index)
        return error_set(err, ERROR_CONFIG, "'%s' is the key of %s %u, and this is %s %u", path,
                         principal_role_name(key->principal.role), key->principal.index,
                         principal_role_name(id->self.role), id->self.index);
    principal_keys_of(key->secret, &public);
    if (memcmp(&public, listed, sizeof public) != 0)
        return error_set(err, ERROR_CONFIG, "'%s' does not fit what %s says of %s %u", path,
                         KEYS_PUBLIC_FILE, principal_role_name(id->self.role), id->self.index);
    return 0;
}

static int use_private(struct identity *id, const struct private_key *key, struct error *err) {
    uint8_t seed[KEYS_SECRET_SIZE];
    secret_derive(key->secret, "seatrial signing", seed);
    int r = signing_key_from_seed(seed, &id->signing, err);
    secret_derive(key->secret, "seatrial agreeing", seed);
    id->agreeing = agreement_key_from_seed(seed);
    secret_forget(seed, sizeof seed);
    return r;
}

static int load_private(struct identity *id, const char *folder, struct error *err) {
    char name[KEYS_FOLDER_SIZE];
    cleanup_free char *own = path_join(folder, principal_folder(id->self, name));
    cleanup_free char *path = path_join(own, KEYS_PRIVATE_FILE);
    cleanup(private_key_deinit) struct private_key key = {0};
    if (private_key_load(path, &key, err) < 0 || check_private(id, &key, path, err) < 0)
        return -1;
    return use_private(id, &key, err);
}

static int use_public(struct identity *id, struct error *err) {
    size_t count = (size_t)id->keys.replicas + id->keys.loaders;
    id->others = mem_new_array(struct verifying_key *, count);
    for (size_t i = 0; i < count; i++)
        if (verifying_key_from_bytes(id->keys.list[i].signing, &id->others[i], err) < 0)
            return -1;
    return 0;
}

int identity_open(const char *folder, struct principal self, uint16_t replicas,
                  struct identity **ret, struct error *err) {
    cleanup(identity_freep) struct identity *id = mem_new(struct identity);
    cleanup_free char *path = path_join(folder, KEYS_PUBLIC_FILE);
    id->self = self;
    if (cluster_keys_load(path, &id->keys, err) < 0)
        return -1;
    if (id->keys.replicas != replicas)
        return error_set(err, ERROR_CONFIG,
                         "'%s' has keys of %u replicas, but the cluster file names %u", path,
                         id->keys.replicas, replicas);
    if (!cluster_keys_of(&id->keys, self))
        return error_set(err, ERROR_CONFIG, "'%s' has no key of %s %u", path,
                         principal_role_name(self.role), self.index);
    if (load_private(id, folder, err) < 0)
        return -1;
    if (use_public(id, err) < 0)
        return error_wrap(err, "'%s'", path);
    *ret = take_ptr(id);
    return 0;
}

struct principal identity_self(const struct identity *id) {
    return id->self;
}

const uint8_t *identity_cluster(const struct identity *id) {
    return id->keys.cluster;
}

uint16_t identity_replicas(const struct identity *id) {
    return id->keys.replicas;
}

uint16_t identity_loaders(const struct identity *id) {
    return id->keys.loaders;
}

void identity_sign(const struct identity *id, const void *data, size_t size,
                   uint8_t ret[ED25519_SIGNATURE_SIZE]) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer signature;
    buffer_init(&signature, ED25519_SIGNATURE_SIZE);
    if (signing_key_sign(id->signing, SIGNING_SHA512, data, size, &signature, &err) < 0 ||
        signature.size != ED25519_SIGNATURE_SIZE)
        abort(); /* a key from a seed signs anything */
    memcpy(ret, signature.data, ED25519_SIGNATURE_SIZE);
}

bool identity_check(const struct identity *id, struct principal signer, const void *data,
                    size_t size, const uint8_t signature[ED25519_SIGNATURE_SIZE]) {
    const struct principal_keys *keys = cluster_keys_of(&id->keys, signer);
    return keys && verifying_key_check(id->others[keys - id->keys.list], data, size, signature);
}

/* HKDF-Extract (RFC 5869, section 2.2) salted by the cluster, then one block of HKDF-Expand. The
 * run's id ends the text, so that no two pairs of purpose and run make the same. */
static void derive_shared(const struct identity *id, const uint8_t agreed[X25519_SIZE],
                          const char *purpose, const char *run, uint8_t ret[KEYS_SECRET_SIZE]) {
    uint8_t extracted[SHA256_SIZE];
    struct hmac h;
    hmac_sha256(id->keys.cluster, KEYS_CLUSTER_SIZE, agreed, X25519_SIZE, extracted);
    hmac_init(&h, extracted, sizeof extracted);
    hmac_add(&h, purpose, strlen(purpose) + 1);
    hmac_add(&h, run, strlen(run) + 1);
    hmac_add(&h, "\1", 1);
    hmac_end(&h, ret);
    hmac_deinit(&h);
    secret_forget(extracted, sizeof extracted);
}

int identity_shared_key(const struct identity *id, struct principal other, const char *purpose,
                        const char *run, uint8_t ret[KEYS_SECRET_SIZE], struct error *err) {
    uint8_t agreed[X25519_SIZE];
    const struct principal_keys *keys = cluster_keys_of(&id->keys, other);
    if (!keys)
        return error_set(err, ERROR_NOT_FOUND, "there is no key of %s %u",
                         principal_role_name(other.role), other.index);
    if (agreement_key_agree(id->agreeing, keys->agreeing, agreed, err) < 0)
        return error_wrap(err, "the key of %s %u", principal_role_name(other.role), other.index);
    derive_shared(id, agreed, purpose, run, ret);
    secret_forget(agreed, sizeof agreed);
    return 0;
}
