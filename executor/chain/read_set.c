#include "executor/chain/read_set.h"

#include "executor/chain/lanes.h"

#include "lib/bytes.h"

enum { ABSENT, PRESENT };

void read_digest_init(struct read_digest *d) {
    sha256_init(&d->all);
    sha256_init(&d->one);
}

void read_digest_deinit(struct read_digest *d) {
    sha256_deinit(&d->all);
    sha256_deinit(&d->one);
}

void read_digest_begin(struct read_digest *d) {
    sha256_begin(&d->all);
}

/* Each lane adds and rotates, so that place and value of every bit count. */
LANES_CLONES
static void checksum(const uint8_t *at, size_t size, uint64_t out[LANES]) {
    lanes sum[LANES_VECTORS] = {{1, 2, 3, 4}, {5, 6, 7, 8}}, more[LANES_VECTORS];
    for (; size >= sizeof sum; at += sizeof sum, size -= sizeof sum) {
        memcpy(more, at, sizeof more);
        for (size_t v = 0; v < LANES_VECTORS; v++) {
            sum[v] += more[v];
            sum[v] = (sum[v] << 23) | (sum[v] >> 41);
        }
    }
    memset(more, 0, sizeof more);
    if (size)
        memcpy(more, at, size);
    for (size_t v = 0; v < LANES_VECTORS; v++)
        sum[v] += more[v];
    memcpy(out, sum, sizeof sum);
}

static void fingerprint(struct sha256 *hash, const uint8_t *value, size_t size,
                        uint8_t out[SHA256_SIZE]) {
    uint64_t lanes_sum[LANES];
    checksum(value, size, lanes_sum);
    uint8_t bytes[8 * LANES + 8];
    struct byte_writer w = byte_writer(bytes, sizeof bytes);
    for (size_t i = 0; i < LANES; i++)
        bytes_put_u64(&w, lanes_sum[i]);
    bytes_put_u64(&w, size);
    sha256_begin(hash);
    sha256_add(hash, bytes, sizeof bytes);
    sha256_end(hash, out);
}

void read_digest_value(struct read_digest *d, const uint8_t *value, size_t size) {
    uint8_t bytes[1 + SHA256_SIZE] = {PRESENT};
    fingerprint(&d->one, value, size, bytes + 1);
    sha256_add(&d->all, bytes, sizeof bytes);
}

void read_digest_absent(struct read_digest *d) {
    const uint8_t bytes[1] = {ABSENT};
    sha256_add(&d->all, bytes, sizeof bytes);
}

void read_digest_end(struct read_digest *d, uint8_t out[SHA256_SIZE]) {
    sha256_end(&d->all, out);
}

void read_set_begin(struct sha256 *hash) {
    sha256_begin(hash);
}

void read_set_version(struct sha256 *hash, uint64_t version) {
    uint8_t bytes[8];
    struct byte_writer w = byte_writer(bytes, sizeof bytes);
    bytes_put_u64(&w, version);
    sha256_add(hash, bytes, sizeof bytes);
}

void read_set_end(struct sha256 *hash, uint8_t out[SHA256_SIZE]) {
    sha256_end(hash, out);
}
