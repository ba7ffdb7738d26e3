#pragma once

/*
 * A growable run of bytes with a maximum. Whatever comes from outside is collected in one of these,
 * so that no peer decides how much memory we use.
 *
 * An append that would pass the maximum changes nothing, and makes the buffer *overflowed*: all
 * later appends do nothing either. Code that appends many small pieces checks once, at the end.
 *
 * The bytes are always followed by a NUL that does not count, so that text can be used as a string.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *data; /* NULL until something was appended */
    size_t size;
    size_t capacity;
    size_t size_max;
    bool overflowed;
};

/* Nothing can be appended to BUFFER_NULL; it is safe to deinit. */
#define BUFFER_NULL ((struct buffer){.data = NULL})

void buffer_init(struct buffer *b, size_t size_max);
void buffer_deinit(struct buffer *b);
/* The same, where it held a secret, which is overwritten; not where the bytes were before it grew.
 */
void buffer_wipe(struct buffer *b);

void buffer_append(struct buffer *b, const void *data, size_t size);
void buffer_text(struct buffer *b, const char *text);
void buffer_format(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_vformat(struct buffer *b, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Room for `size` more bytes to be written at the returned address, then claimed by buffer_commit;
 * NULL (and overflowed) if they do not fit below the maximum. */
void *buffer_reserve(struct buffer *b, size_t size);
void buffer_commit(struct buffer *b, size_t size);

/* Drops `size` bytes at the front. */
void buffer_consume(struct buffer *b, size_t size);
void buffer_clear(struct buffer *b);

/* "" when empty. Borrowed until the next change. */
const char *buffer_string(const struct buffer *b);
/* Gives the bytes away as a malloc()ed string; the buffer is empty afterwards. */
char *buffer_take(struct buffer *b);

/* ERROR_LIMIT naming `what` and the maximum if the buffer overflowed. */
int buffer_check(const struct buffer *b, const char *what, struct error *err);
