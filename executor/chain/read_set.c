#include "executor/chain/read_set.h"

#include "executor/chain/checksum.h"

#include "lib/bytes.h"

enum { ABSENT, PRESENT };

void read_digest_init(struct read_digest *d) {
    sha256_init(&d->all);
}

void read_digest_deinit(struct read_digest *d) {
    sha256_deinit(&d->all);
}

void read_digest_begin(struct read_digest *d) {
    sha256_begin(&d->all);
}

void read_digest_value(struct read_digest *d, const uint8_t *value, size_t size) {
    uint8_t bytes[1 + SHA256_SIZE] = {PRESENT};
    checksum_digest(value, size, bytes + 1);
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
