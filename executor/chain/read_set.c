#include "executor/chain/read_set.h"

#include "executor/chain/write_set.h"

#include <string.h>

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

void read_digest_value(struct read_digest *d, const uint8_t *value, size_t size) {
    uint8_t bytes[1 + SHA256_SIZE] = {PRESENT};
    write_set_digest(&d->one, value, size, bytes + 1);
    sha256_add(&d->all, bytes, sizeof bytes);
}

void read_digest_absent(struct read_digest *d) {
    const uint8_t bytes[1] = {ABSENT};
    sha256_add(&d->all, bytes, sizeof bytes);
}

void read_digest_end(struct read_digest *d, uint8_t out[SHA256_SIZE]) {
    sha256_end(&d->all, out);
}
