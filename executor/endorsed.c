#include "executor/endorsed.h"

#include "lib/bytes.h"

enum { SIGNED_SIZE = 3 * SHA256_SIZE };

static const char purpose[] = "execution";

size_t endorsed_encode(const struct endorsed *e, uint8_t out[ENDORSED_SIZE_MAX]) {
    struct byte_writer w = byte_writer(out, ENDORSED_SIZE_MAX);
    bytes_put(&w, e->execution.read_set, SHA256_SIZE);
    bytes_put(&w, e->execution.write_set, SHA256_SIZE);
    bytes_put_u8(&w, (uint8_t)e->count);
    for (uint32_t i = 0; i < e->count; i++) {
        bytes_put_u16(&w, e->by[i].replica);
        bytes_put(&w, e->by[i].signature, AUTH_SIGNATURE_SIZE);
    }
    return bytes_written(&w);
}

int endorsed_decode(const uint8_t *bytes, size_t size, struct endorsed *ret, struct error *err) {
    struct byte_reader r = byte_reader(bytes, size);
    struct endorsed e;
    bytes_get(&r, e.execution.read_set, SHA256_SIZE);
    bytes_get(&r, e.execution.write_set, SHA256_SIZE);
    e.count = bytes_get_u8(&r);
    bool good = e.count > 0 && e.count <= ENDORSEMENTS_MAX;
    for (uint32_t i = 0; good && i < e.count; i++) {
        e.by[i].replica = bytes_get_u16(&r);
        bytes_get(&r, e.by[i].signature, AUTH_SIGNATURE_SIZE);
        good = e.by[i].replica < PBFT_REPLICAS_MAX &&
               (i == 0 || e.by[i].replica > e.by[i - 1].replica);
    }
    if (!good || !bytes_complete(&r))
        return error_set(err, ERROR_INVALID, "no endorsements of an execution (%zu bytes)", size);
    *ret = e;
    return 0;
}

static void put_signed(const uint8_t request[SHA256_SIZE], const struct execution *execution,
                       uint8_t out[SIGNED_SIZE]) {
    struct byte_writer w = byte_writer(out, SIGNED_SIZE);
    bytes_put(&w, request, SHA256_SIZE);
    bytes_put(&w, execution->read_set, SHA256_SIZE);
    bytes_put(&w, execution->write_set, SHA256_SIZE);
}

void execution_sign(const struct auth *auth, const uint8_t request[SHA256_SIZE],
                    const struct execution *execution, uint8_t ret[AUTH_SIGNATURE_SIZE]) {
    uint8_t bytes[SIGNED_SIZE];
    put_signed(request, execution, bytes);
    auth_sign(auth, purpose, bytes, sizeof bytes, ret);
}

bool execution_verify(const struct auth *auth, uint16_t replica, const uint8_t request[SHA256_SIZE],
                      const struct execution *execution,
                      const uint8_t signature[AUTH_SIGNATURE_SIZE]) {
    uint8_t bytes[SIGNED_SIZE];
    put_signed(request, execution, bytes);
    return auth_verify(auth, replica, purpose, bytes, sizeof bytes, signature);
}

bool endorsed_verify(const struct auth *auth, const uint8_t request[SHA256_SIZE],
                     const struct endorsed *e) {
    for (uint32_t i = 0; i < e->count; i++)
        if (!execution_verify(auth, e->by[i].replica, request, &e->execution, e->by[i].signature))
            return false;
    return true;
}
