#pragma once

/*
 * The keys of a cluster: who may speak in it. Each replica and each loader is a *principal* with
 * one secret of 32 bytes, from which its Ed25519 key (it signs) and its X25519 key (it agrees on
 * secrets with others) follow. What everybody may know of all principals is one file, the same for
 * all:
 *
 *     seatrial cluster keys 1
 *     cluster 5f0c...                        16 bytes, by which clusters are told apart
 *     replicas 4
 *     loaders 1
 *     replica 0 <Ed25519> <X25519>           public keys, 32 bytes each, in the order of the
 * indexes
 *     ...
 *     loader 0 <Ed25519> <X25519>
 *
 * and what a principal alone may know is another, which nobody else can read:
 *
 *     seatrial private key 1
 *     cluster 5f0c...
 *     replica 0
 *     secret <32 bytes>
 *
 * Bytes are lower-case hexadecimal. Exactly these lines, each ended by a newline, are read: a file
 * says one thing in one way.
 *
 * In the folder that a key generator makes, the first is KEYS_PUBLIC_FILE, and the second
 * "for/ROLE-INDEX/private.key": the runner gives what is below for/ROLE-INDEX to that container
 * only (docs/TRIALS.md).
 */

#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

#define KEYS_PUBLIC_FILE "cluster.keys"
#define KEYS_PRIVATE_FILE "private.key"

enum {
    KEYS_CLUSTER_SIZE = 16,
    KEYS_SECRET_SIZE = 32,
    KEYS_REPLICAS_MAX = 31,  /* an authenticator has a MAC for each (lib/wire.h) */
    KEYS_LOADERS_MAX = 1024, /* ids of clients have ten bits for theirs (lib/wire.h) */
    KEYS_FILE_SIZE_MAX = 256 * 1024,
    KEYS_FOLDER_SIZE = 32, /* "for/loader-1023" */
};

enum principal_role { PRINCIPAL_REPLICA, PRINCIPAL_LOADER };

struct principal {
    enum principal_role role;
    uint16_t index; /* within its role */
};

struct principal_keys {
    uint8_t signing[ED25519_KEY_SIZE];
    uint8_t agreeing[X25519_SIZE];
};

struct cluster_keys {
    uint8_t cluster[KEYS_CLUSTER_SIZE];
    uint16_t replicas, loaders;
    struct principal_keys *list; /* replicas, then loaders */
};

#define CLUSTER_KEYS_NULL ((struct cluster_keys){.list = NULL})

void cluster_keys_deinit(struct cluster_keys *keys);

struct private_key {
    uint8_t cluster[KEYS_CLUSTER_SIZE];
    struct principal principal;
    uint8_t secret[KEYS_SECRET_SIZE];
};

void private_key_deinit(struct private_key *key); /* overwrites it */

/* "replica", "loader": as in the cluster file. */
const char *principal_role_name(enum principal_role role);
/* NULL when there is no such principal. */
const struct principal_keys *cluster_keys_of(const struct cluster_keys *keys, struct principal p);

/* New keys: the public ones, and the private ones in the same order. */
void cluster_keys_generate(uint16_t replicas, uint16_t loaders, struct cluster_keys *ret,
                           struct private_key **ret_private);
/* The public keys that follow from a secret. */
void principal_keys_of(const uint8_t secret[KEYS_SECRET_SIZE], struct principal_keys *ret);
/* From a secret to the seed of one of its keys; `purpose` keeps them apart. */
void secret_derive(const uint8_t secret[KEYS_SECRET_SIZE], const char *purpose,
                   uint8_t ret[KEYS_SECRET_SIZE]);

/* Texts. `path` is how errors name it: ERROR_CONFIG with the line. */
void cluster_keys_write(const struct cluster_keys *keys, struct buffer *out);
int cluster_keys_parse(const char *path, const char *text, size_t size, struct cluster_keys *ret,
                       struct error *err);
void private_key_write(const struct private_key *key, struct buffer *out);
int private_key_parse(const char *path, const char *text, size_t size, struct private_key *ret,
                      struct error *err);

/*
 * Files. A private key that others than its owner can read is refused.
 * Errors: ERROR_NOT_FOUND, ERROR_IO, ERROR_CONFIG.
 */
int cluster_keys_load(const char *path, struct cluster_keys *ret, struct error *err);
int private_key_load(const char *path, struct private_key *ret, struct error *err);
/* Makes the folder and all files in it. Refuses one that has keys already: ERROR_CONFLICT. */
int cluster_keys_save(const char *folder, const struct cluster_keys *keys,
                      const struct private_key *list, struct error *err);
/* "for/ROLE-INDEX", within the folder. */
const char *principal_folder(struct principal p, char out[KEYS_FOLDER_SIZE]);
