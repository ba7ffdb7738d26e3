#pragma once

/*
 * Bounded cursors over bytes that travel or are stored: every field is written and read by name,
 * little endian, and nothing is ever cast to a struct. A read beyond the end yields zeros and marks
 * the reader as failed, so that a decoder checks once, at its end. A write beyond the end is our
 * own mistake and an assertion. Pure: memory in, memory out.
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct byte_writer {
    uint8_t *begin;
    uint8_t *at;
    uint8_t *end;
};

static inline struct byte_writer byte_writer(void *out, size_t size) {
    return (struct byte_writer){.begin = out, .at = out, .end = (uint8_t *)out + size};
}

static inline size_t bytes_written(const struct byte_writer *w) {
    return (size_t)(w->at - w->begin);
}

static inline void bytes_put(struct byte_writer *w, const void *data, size_t size) {
    assert(size <= (size_t)(w->end - w->at));
    if (size)
        memcpy(w->at, data, size);
    w->at += size;
}

static inline void bytes_put_number(struct byte_writer *w, uint64_t value, size_t size) {
    assert(size <= (size_t)(w->end - w->at));
    for (size_t i = 0; i < size; i++)
        w->at[i] = (uint8_t)(value >> (8 * i));
    w->at += size;
}

static inline void bytes_put_u8(struct byte_writer *w, uint8_t value) {
    bytes_put_number(w, value, 1);
}
static inline void bytes_put_u16(struct byte_writer *w, uint16_t value) {
    bytes_put_number(w, value, 2);
}
static inline void bytes_put_u32(struct byte_writer *w, uint32_t value) {
    bytes_put_number(w, value, 4);
}
static inline void bytes_put_u64(struct byte_writer *w, uint64_t value) {
    bytes_put_number(w, value, 8);
}

struct byte_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed; /* something was read that was not there */
};

static inline struct byte_reader byte_reader(const void *data, size_t size) {
    return (struct byte_reader){.at = data, .end = (const uint8_t *)data + size};
}

static inline size_t bytes_left(const struct byte_reader *r) {
    return (size_t)(r->end - r->at);
}

/* Everything was there, and nothing is left over. */
static inline bool bytes_complete(const struct byte_reader *r) {
    return !r->failed && r->at == r->end;
}

/* A borrowed run of bytes, NULL (and failed) if there are not so many. */
static inline const uint8_t *bytes_take(struct byte_reader *r, size_t size) {
    if (r->failed || size > bytes_left(r)) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *taken = r->at;
    r->at += size;
    return taken;
}

static inline void bytes_get(struct byte_reader *r, void *out, size_t size) {
    const uint8_t *from = bytes_take(r, size);
    if (from)
        memcpy(out, from, size);
    else
        memset(out, 0, size);
}

static inline uint64_t bytes_get_number(struct byte_reader *r, size_t size) {
    const uint8_t *from = bytes_take(r, size);
    uint64_t value = 0;
    for (size_t i = 0; from && i < size; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static inline uint8_t bytes_get_u8(struct byte_reader *r) {
    return (uint8_t)bytes_get_number(r, 1);
}
static inline uint16_t bytes_get_u16(struct byte_reader *r) {
    return (uint16_t)bytes_get_number(r, 2);
}
static inline uint32_t bytes_get_u32(struct byte_reader *r) {
    return (uint32_t)bytes_get_number(r, 4);
}
static inline uint64_t bytes_get_u64(struct byte_reader *r) {
    return bytes_get_number(r, 8);
}
