#pragma once

/*
 * What a replica signs so that it can be shown to others: VIEW-CHANGE and the like. Whatever is
 * between two parties only is authenticated by their link (transport.h), at a hundredth of the
 * cost.
 *
 * What is signed are the caller's bytes behind their purpose, the run and the signer's index: no
 * signature can be taken for one of another purpose, run or replica, and none for what the
 * handshake signs. `purpose` is a short constant text, "view-change".
 *
 * Without keys (`--insecure`) `identity` is NULL: signatures are zeros, and any is accepted.
 */

#include "lib/identity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct auth {
    const struct identity *identity; /* borrowed; NULL: insecure */
    const char *run;                 /* borrowed */
};

enum {
    AUTH_SIGNATURE_SIZE = ED25519_SIGNATURE_SIZE,
    AUTH_PURPOSE_SIZE_MAX = 32, /* with its NUL */
};

/* As this replica, which `identity` says. */
void auth_sign(const struct auth *auth, const char *purpose, const void *data, size_t size,
               uint8_t ret[AUTH_SIGNATURE_SIZE]);
/* Whether the replica has signed that. */
bool auth_verify(const struct auth *auth, uint16_t replica, const char *purpose, const void *data,
                 size_t size, const uint8_t signature[AUTH_SIGNATURE_SIZE]);
