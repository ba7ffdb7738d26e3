#include "lib/hdr_encoding.h"

#include "lib/deflate.h"

#include "lib/cleanup.h"

#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <string.h>

/* The second half of the low byte is the word size; 1 says ZigZag LEB128. */
#define COOKIE_WORD_SIZE UINT32_C(0xf0)
#define COOKIE_ZIGZAG UINT32_C(0x10)

enum {
    COOKIE_V0 = 0x1c849308,
    COOKIE_V0_COMPRESSED = 0x1c849309,
    COOKIE_V1 = 0x1c849301,
    COOKIE_V1_COMPRESSED = 0x1c849302,
    COOKIE_V2 = 0x1c849303,
    COOKIE_V2_COMPRESSED = 0x1c849304,
    COOKIE_DOUBLE = 0x0c72124e,
    COOKIE_DOUBLE_COMPRESSED = 0x0c72124f,
};

enum { ZIGZAG_SIZE_MAX = 9, COMPRESSED_HEADER_SIZE = 8, DIGITS_MAX = 5 };

/* Exactly as the bytes are. */
struct header {
    uint32_t cookie;
    uint32_t payload_size;
    uint32_t normalizing_offset;
    uint32_t digits;
    uint64_t lowest;
    uint64_t highest;
    uint64_t ratio; /* the bits of a double */
} __attribute__((packed));
_Static_assert(sizeof(struct header) == HDR_HEADER_SIZE, "no padding");

#define RATIO_ONE UINT64_C(0x3ff0000000000000)

/* --- encoding --- */

/* 64b9B: seven bits per byte, least first; the ninth byte has eight. */
static uint8_t *put_zigzag(uint8_t *at, int64_t number) {
    uint64_t bits = ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);
    for (int i = 0; i < ZIGZAG_SIZE_MAX - 1 && bits >= 0x80; i++, bits >>= 7)
        *at++ = (uint8_t)(bits | 0x80);
    *at++ = (uint8_t)bits;
    return at;
}

/* A single zero is a zero; two or more are minus their number. */
static uint8_t *put_counts(uint8_t *at, const uint64_t *counts, size_t size) {
    for (size_t i = 0; i < size;) {
        size_t zeros_from = i;
        while (i < size && counts[i] == 0)
            i++;
        size_t zeros = i - zeros_from;
        if (zeros)
            at = put_zigzag(at, zeros > 1 ? -(int64_t)zeros : 0);
        else
            at = put_zigzag(at, (int64_t)counts[i++]);
    }
    return at;
}

void hdr_encode(const struct histogram *h, struct buffer *out) {
    assert(h->count <= INT64_MAX);
    size_t counts_size = h->count ? histogram_index(h->seen_max) + 1 : 1;
    uint8_t *room = buffer_reserve(out, HDR_HEADER_SIZE + counts_size * ZIGZAG_SIZE_MAX);
    if (!room)
        return;
    uint8_t *end = put_counts(room + HDR_HEADER_SIZE, h->counts, counts_size);
    struct header header = {
        .cookie = htobe32(COOKIE_V2 | COOKIE_ZIGZAG),
        .payload_size = htobe32((uint32_t)(end - room) - HDR_HEADER_SIZE),
        .digits = htobe32(HISTOGRAM_DIGITS),
        .lowest = htobe64(1),
        .highest = htobe64(h->value_max),
        .ratio = htobe64(RATIO_ONE),
    };
    memcpy(room, &header, sizeof header);
    buffer_commit(out, (size_t)(end - room));
}

void hdr_encode_compressed(const struct histogram *h, struct buffer *out) {
    cleanup(buffer_deinit) struct buffer plain;
    buffer_init(&plain, HDR_ENCODED_SIZE_MAX);
    hdr_encode(h, &plain);
    size_t start = out->size;
    uint32_t header[2] = {htobe32(COOKIE_V2_COMPRESSED | COOKIE_ZIGZAG)};
    buffer_append(out, header, sizeof header);
    deflate_pack(plain.data, plain.size, out);
    if (out->overflowed)
        return;
    header[1] = htobe32((uint32_t)(out->size - start - sizeof header));
    memcpy(out->data + start, header, sizeof header);
}

/* --- decoding --- */

/* Where the counts of an encoding stand: as ours, with other bits. */
struct layout {
    unsigned unit_bits; /* of the resolution of the lowest values */
    unsigned sub_bits;  /* of the number of sub-buckets */
    size_t counts_size;
};

struct encoded {
    struct layout layout;
    const uint8_t *counts, *end;
};

static int read_layout(const struct header *header, struct layout *ret, struct error *err) {
    /* The power of two that holds 2 * 10^digits. */
    static const unsigned bits_of_digits[] = {1, 5, 8, 11, 15, 18};
    uint32_t digits = be32toh(header->digits);
    uint64_t lowest = be64toh(header->lowest), highest = be64toh(header->highest);
    if (digits > DIGITS_MAX)
        return error_set(err, ERROR_INVALID,
                         "a histogram of %" PRIu32 " significant digits: 0 to %d are possible",
                         digits, DIGITS_MAX);
    if (lowest < 1 || highest > INT64_MAX || highest / 2 < lowest)
        return error_set(err, ERROR_INVALID,
                         "a histogram from %" PRIu64 " to %" PRIu64 ": not a range", lowest,
                         highest);
    struct layout layout = {.unit_bits = 63U - (unsigned)__builtin_clzll(lowest),
                            .sub_bits = bits_of_digits[digits]};
    unsigned first_bits = layout.unit_bits + layout.sub_bits; /* of bucket 0 */
    if (first_bits > 62)
        return error_set(err, ERROR_INVALID,
                         "a histogram from %" PRIu64 ": no room for %" PRIu32
                         " significant digits above it",
                         lowest, digits);
    unsigned top_bits = 64U - (unsigned)__builtin_clzll(highest);
    size_t buckets = top_bits > first_bits ? top_bits - first_bits + 1 : 1;
    layout.counts_size = (buckets + 1) << (layout.sub_bits - 1);
    *ret = layout;
    return 0;
}

/*
 * The offset says where a shifted histogram begins in the memory of its writer; counts are encoded
 * in the order of their values all the same, so it means nothing here (and hdr-histogram-js writes
 * 1). The ratio is 1.0, or the integer 1 by hdr-histogram-js, in every histogram of whole numbers.
 */
static int check_ratio(const struct header *header, struct error *err) {
    uint64_t ratio = be64toh(header->ratio);
    if (ratio != RATIO_ONE && ratio != 1)
        return error_set(err, ERROR_INVALID, "a histogram with scaled values cannot be read");
    return 0;
}

/* Positive: the number of bytes. 0 if they end too early. */
static size_t get_zigzag(const uint8_t *at, const uint8_t *end, int64_t *ret) {
    uint64_t bits = 0;
    size_t i = 0;
    for (; i < ZIGZAG_SIZE_MAX; i++) {
        if (at + i == end)
            return 0;
        uint64_t byte = at[i];
        if (i == ZIGZAG_SIZE_MAX - 1) {
            bits |= byte << 56;
            break;
        }
        bits |= (byte & 0x7f) << (7 * i);
        if (!(byte & 0x80))
            break;
    }
    *ret = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
    return i + 1;
}

struct counted {
    uint64_t lowest, highest; /* of the values that cannot be told apart */
    uint64_t count;
};

struct walk {
    const uint8_t *at;
    size_t index;
};

static void values_at(const struct layout *layout, size_t index, struct counted *c) {
    unsigned half_bits = layout->sub_bits - 1;
    unsigned bucket = 0;
    if (index >> layout->sub_bits)
        bucket = (unsigned)(index >> half_bits) - 1;
    unsigned shift = bucket + layout->unit_bits;
    c->lowest = (uint64_t)(index - ((size_t)bucket << half_bits)) << shift;
    c->highest = c->lowest + ((UINT64_C(1) << shift) - 1);
}

/* The next count that is not zero. 1 at the end. */
static int walk_next(const struct encoded *e, struct walk *w, struct counted *ret,
                     struct error *err) {
    while (w->at < e->end) {
        int64_t number = 0;
        size_t size = get_zigzag(w->at, e->end, &number);
        if (size == 0)
            return error_set(err, ERROR_INVALID, "the counts of a histogram are cut off");
        w->at += size;
        size_t left = e->layout.counts_size - w->index;
        size_t indices = number < 0 ? (uint64_t)0 - (uint64_t)number : 1;
        if (indices > left)
            return error_set(err, ERROR_INVALID, "a histogram with more counts than its range");
        if (number > 0) {
            values_at(&e->layout, w->index, ret);
            ret->count = (uint64_t)number;
        }
        w->index += indices;
        if (number > 0)
            return 0;
    }
    return 1;
}

/* That all of it can be added to `into` without an error, and without making anything up. */
static int check_counts(const struct encoded *e, const struct histogram *into, struct error *err) {
    struct walk walk = {.at = e->counts};
    struct counted c;
    uint64_t total = into->count;
    int result;
    while ((result = walk_next(e, &walk, &c, err)) == 0) {
        if (histogram_index(c.lowest) != histogram_index(c.highest))
            return error_set(err, ERROR_INVALID,
                             "a histogram that cannot tell %" PRIu64 " from %" PRIu64
                             ": less than %d significant digits",
                             c.lowest, c.highest, HISTOGRAM_DIGITS);
        total += c.count; /* both are below 2^63 */
        if (total > INT64_MAX)
            return error_set(err, ERROR_LIMIT, "more than 2^63 - 1 records");
    }
    return result < 0 ? -1 : 0;
}

static int decode_plain(const void *data, size_t size, struct histogram *into, struct error *err) {
    struct header header;
    if (size < sizeof header)
        return error_set(err, ERROR_INVALID, "a histogram is cut off");
    memcpy(&header, data, sizeof header);
    uint32_t payload_size = be32toh(header.payload_size);
    if (payload_size != size - sizeof header)
        return error_set(err, ERROR_INVALID,
                         "a histogram with %zu bytes of counts that claims to have %" PRIu32,
                         size - sizeof header, payload_size);
    const uint8_t *counts = (const uint8_t *)data + sizeof header;
    struct encoded e = {.counts = counts, .end = counts + payload_size};
    if (check_ratio(&header, err) < 0 || read_layout(&header, &e.layout, err) < 0 ||
        check_counts(&e, into, err) < 0)
        return -1;
    struct walk walk = {.at = counts};
    struct counted c;
    while (walk_next(&e, &walk, &c, err) == 0)
        histogram_record_many(into, c.lowest, c.count);
    return 0;
}

/* What is not the V2 cookie that was expected. */
static int refuse(uint32_t cookie, struct error *err) {
    const char *name = NULL;
    switch (cookie & ~COOKIE_WORD_SIZE) {
    case COOKIE_V0:
    case COOKIE_V0_COMPRESSED: name = "in V0 encoding"; break;
    case COOKIE_V1:
    case COOKIE_V1_COMPRESSED: name = "in V1 encoding"; break;
    case COOKIE_V2_COMPRESSED: name = "compressed twice"; break;
    default:
        if (cookie == COOKIE_DOUBLE || cookie == COOKIE_DOUBLE_COMPRESSED)
            name = "of floating-point values (DoubleHistogram)";
    }
    if (name)
        return error_set(err, ERROR_INVALID, "a histogram %s cannot be read, only V2 encoding",
                         name);
    return error_set(err, ERROR_INVALID, "not an encoded histogram: it begins with %08" PRIx32,
                     cookie);
}

static uint32_t get_u32(const void *data) {
    uint32_t number;
    memcpy(&number, data, sizeof number);
    return be32toh(number);
}

static int check_cookie(const void *data, size_t size, uint32_t cookie, struct error *err) {
    if (size < COMPRESSED_HEADER_SIZE)
        return error_set(err, ERROR_INVALID, "a histogram is cut off");
    uint32_t found = get_u32(data);
    return (found & ~COOKIE_WORD_SIZE) == cookie ? 0 : refuse(found, err);
}

static int decode_compressed(const uint8_t *data, size_t size, struct histogram *into,
                             struct error *err) {
    uint32_t stream_size = get_u32(data + 4);
    data += COMPRESSED_HEADER_SIZE;
    size -= COMPRESSED_HEADER_SIZE;
    if (stream_size != size)
        return error_set(err, ERROR_INVALID,
                         "a histogram of %zu compressed bytes that claims to have %" PRIu32, size,
                         stream_size);
    cleanup(buffer_deinit) struct buffer plain;
    buffer_init(&plain, HDR_ENCODED_SIZE_MAX);
    if (deflate_unpack(data, size, &plain, err) < 0)
        return error_wrap(err, "a histogram");
    if (check_cookie(plain.data, plain.size, COOKIE_V2, err) < 0)
        return -1;
    return decode_plain(plain.data, plain.size, into, err);
}

int hdr_decode(const void *data, size_t size, struct histogram *into, struct error *err) {
    if (size >= COMPRESSED_HEADER_SIZE &&
        (get_u32(data) & ~COOKIE_WORD_SIZE) == COOKIE_V2_COMPRESSED)
        return decode_compressed(data, size, into, err);
    if (check_cookie(data, size, COOKIE_V2, err) < 0)
        return -1;
    return decode_plain(data, size, into, err);
}
