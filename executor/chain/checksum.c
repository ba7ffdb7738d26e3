#include "executor/chain/checksum.h"

#include "executor/chain/lanes.h"

#include "lib/bytes.h"

#include <string.h>

/* Each lane adds and rotates, so that place and value of every bit count. The vectors have names of
 * their own, because an array of them would go through memory. */
LANES_CLONES
static void add_lanes(const uint8_t *at, size_t size, uint64_t out[LANES]) {
    lanes a = {1, 2, 3, 4}, b = {5, 6, 7, 8}, more_a, more_b;
    uint8_t rest[LANES_VECTORS * sizeof a] = {0};
    _Static_assert(LANES_VECTORS == 2, "two names");
    for (; size >= sizeof rest; at += sizeof rest, size -= sizeof rest) {
        memcpy(&more_a, at, sizeof more_a);
        memcpy(&more_b, at + sizeof more_a, sizeof more_b);
        a += more_a;
        b += more_b;
        a = a << 23 | a >> 41;
        b = b << 23 | b >> 41;
    }
    if (size)
        memcpy(rest, at, size);
    memcpy(&more_a, rest, sizeof more_a);
    memcpy(&more_b, rest + sizeof more_a, sizeof more_b);
    a += more_a;
    b += more_b;
    memcpy(out, &a, sizeof a);
    memcpy(out + LANES / LANES_VECTORS, &b, sizeof b);
}

void checksum_digest(const void *data, size_t size, uint8_t out[SHA256_SIZE]) {
    uint64_t sums[LANES];
    uint8_t bytes[8 * LANES + 8];
    struct byte_writer w = byte_writer(bytes, sizeof bytes);
    add_lanes(data, size, sums);
    for (size_t i = 0; i < LANES; i++)
        bytes_put_u64(&w, sums[i]);
    bytes_put_u64(&w, size);
    sha256_of(bytes, sizeof bytes, out);
}
