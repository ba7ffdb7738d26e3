#pragma once

/*
 * The data types of SSH (RFC 4251, section 5) over the bounded cursors of lib/bytes.h: numbers big
 * endian, strings with their length in front. Reading beyond the end marks the reader as failed.
 * Pure.
 */

#include "lib/buffer.h"
#include "lib/bytes.h"

struct ssh_string {
    const uint8_t *data; /* borrowed from what is read; "" when the reader has failed */
    size_t size;
};

static inline uint32_t ssh_get_u32(struct byte_reader *r) {
    uint32_t little = bytes_get_u32(r);
    return __builtin_bswap32(little);
}

static inline struct ssh_string ssh_get_string(struct byte_reader *r) {
    uint32_t size = ssh_get_u32(r);
    const uint8_t *data = bytes_take(r, size);
    return data ? (struct ssh_string){.data = data, .size = size}
                : (struct ssh_string){.data = (const uint8_t *)""};
}

static inline bool ssh_string_is(struct ssh_string s, const char *text) {
    return s.size == strlen(text) && memcmp(s.data, text, s.size) == 0;
}

static inline void ssh_put_u32(struct buffer *out, uint32_t value) {
    uint8_t big[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                     (uint8_t)value};
    buffer_append(out, big, sizeof big);
}

static inline void ssh_put_string(struct buffer *out, const void *data, size_t size) {
    ssh_put_u32(out, (uint32_t)size);
    buffer_append(out, data, size);
}

static inline void ssh_put_text(struct buffer *out, const char *text) {
    ssh_put_string(out, text, strlen(text));
}

/* A positive number: without leading zeros, but with one where the first bit would be a sign. */
static inline void ssh_put_number(struct buffer *out, const void *data, size_t size) {
    const uint8_t *at = data;
    while (size > 0 && at[0] == 0) {
        at++;
        size--;
    }
    bool sign = size > 0 && at[0] >= 0x80;
    ssh_put_u32(out, (uint32_t)(size + sign));
    if (sign)
        buffer_append(out, "", 1);
    buffer_append(out, at, size);
}
