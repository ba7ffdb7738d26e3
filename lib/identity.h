#pragma once

/*
 * Who this process is among the principals of a cluster (cluster_keys.h), with its private keys and
 * the public ones of all others ready for use.
 *
 * A signature is of bytes that begin with what they are for: whoever calls sees to it that no two
 * uses sign the same bytes.
 *
 * Threads: constant once open; any number may use it.
 */

#include "lib/cluster_keys.h"

struct identity;

/*
 * The keys in a folder that a key generator made, of which the private one of `self` is needed.
 * `replicas`: how many the cluster file names. Errors: ERROR_NOT_FOUND; ERROR_CONFIG: malformed,
 * read by others, of another cluster or principal, or of another number of replicas.
 */
int identity_open(const char *folder, struct principal self, uint16_t replicas,
                  struct identity **ret, struct error *err);
void identity_free(struct identity *id);
DEFINE_CLEANUP_FREE(identity);

struct principal identity_self(const struct identity *id);
const uint8_t *identity_cluster(const struct identity *id); /* KEYS_CLUSTER_SIZE bytes */
uint16_t identity_replicas(const struct identity *id);
uint16_t identity_loaders(const struct identity *id);

void identity_sign(const struct identity *id, const void *data, size_t size,
                   uint8_t ret[ED25519_SIGNATURE_SIZE]);
/* False also when there is no such principal. */
bool identity_check(const struct identity *id, struct principal signer, const void *data,
                    size_t size, const uint8_t signature[ED25519_SIGNATURE_SIZE]);

/*
 * A key that this process and the other principal share, and nobody else, the same in both: it
 * follows from their X25519 keys, the cluster, `purpose` and `run`. ERROR_NOT_FOUND: there is no
 * such principal; ERROR_INVALID: its key is one with which all agree on the same.
 */
int identity_shared_key(const struct identity *id, struct principal other, const char *purpose,
                        const char *run, uint8_t ret[KEYS_SECRET_SIZE], struct error *err);
