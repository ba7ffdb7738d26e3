#include "executor/auth.h"

#include "lib/bytes.h"
#include "lib/wire.h"

#include <assert.h>
#include <string.h>

static const char domain[] = "seatrial replica signature 1";

enum {
    SIGNED_SIZE =
        (int)sizeof domain + (int)AUTH_PURPOSE_SIZE_MAX + (int)WIRE_RUN_SIZE + 2 + (int)SHA256_SIZE
};

/* Texts with their NULs and a hash of fixed size: read in one way only. */
static size_t put_signed(const struct auth *auth, uint16_t replica, const char *purpose,
                         const void *data, size_t size, uint8_t out[SIGNED_SIZE]) {
    uint8_t hash[SHA256_SIZE];
    struct byte_writer w = byte_writer(out, SIGNED_SIZE);
    assert(strlen(purpose) < AUTH_PURPOSE_SIZE_MAX && strlen(auth->run) < WIRE_RUN_SIZE);
    sha256_of(data, size, hash);
    bytes_put(&w, domain, sizeof domain);
    bytes_put(&w, purpose, strlen(purpose) + 1);
    bytes_put(&w, auth->run, strlen(auth->run) + 1);
    bytes_put_u16(&w, replica);
    bytes_put(&w, hash, sizeof hash);
    return bytes_written(&w);
}

void auth_sign(const struct auth *auth, const char *purpose, const void *data, size_t size,
               uint8_t ret[AUTH_SIGNATURE_SIZE]) {
    uint8_t text[SIGNED_SIZE];
    memset(ret, 0, AUTH_SIGNATURE_SIZE);
    if (!auth->identity)
        return;
    uint16_t self = identity_self(auth->identity).index;
    identity_sign(auth->identity, text, put_signed(auth, self, purpose, data, size, text), ret);
}

bool auth_verify(const struct auth *auth, uint16_t replica, const char *purpose, const void *data,
                 size_t size, const uint8_t signature[AUTH_SIGNATURE_SIZE]) {
    uint8_t text[SIGNED_SIZE];
    const struct principal signer = {.role = PRINCIPAL_REPLICA, .index = replica};
    if (!auth->identity)
        return true;
    return identity_check(auth->identity, signer, text,
                          put_signed(auth, replica, purpose, data, size, text), signature);
}
