#pragma once

/*
 * Private keys that were unlocked, for the other hosts of this process: deriving a key from its
 * passphrase takes a third of a second on purpose, and forty hosts would wait for one another.
 * Forgotten when the process ends.
 *
 * Threads: any.
 */

#include "lib/crypto.h"

#include <stddef.h>

/* By its public blob; gives another reference, NULL when it is not there. */
struct signing_key *key_ring_find(const void *blob, size_t size);
void key_ring_add(const void *blob, size_t size, const struct signing_key *key);
