#include "executor/chain/write_set.h"

#include "executor/chain/lanes.h"

bool write_set_next(struct byte_reader *r, struct write_set_entry *ret) {
    if (r->failed || r->at == r->end)
        return false;
    struct write_set_entry entry = {0};
    entry.key_size = bytes_get_u32(r);
    entry.value_size = bytes_get_u32(r);
    entry.key = bytes_take(r, entry.key_size);
    entry.value = bytes_take(r, entry.value_size);
    if (r->failed)
        return false;
    *ret = entry;
    return true;
}

/* Each lane adds and rotates, so that place and value of every bit count. */
LANES_CLONES
static void checksum(const uint8_t *at, size_t size, uint64_t out[LANES]) {
    lanes sum = {1, 2, 3, 4, 5, 6, 7, 8}, more;
    for (; size >= sizeof sum; at += sizeof sum, size -= sizeof sum) {
        memcpy(&more, at, sizeof more);
        sum += more;
        sum = (sum << 23) | (sum >> 41);
    }
    memset(&more, 0, sizeof more);
    if (size)
        memcpy(&more, at, size);
    sum += more;
    memcpy(out, &sum, sizeof sum);
}

void write_set_digest(struct sha256 *hash, const uint8_t *set, size_t size,
                      uint8_t out[SHA256_SIZE]) {
    uint64_t lanes_sum[LANES];
    checksum(set, size, lanes_sum);
    uint8_t bytes[8 * LANES + 8];
    struct byte_writer w = byte_writer(bytes, sizeof bytes);
    for (size_t i = 0; i < LANES; i++)
        bytes_put_u64(&w, lanes_sum[i]);
    bytes_put_u64(&w, size);
    sha256_begin(hash);
    sha256_add(hash, bytes, sizeof bytes);
    sha256_end(hash, out);
}
