#include "lib/buffer.h"

#include "lib/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_init(struct buffer *b, size_t size_max) {
    *b = (struct buffer){.size_max = size_max};
}

void buffer_deinit(struct buffer *b) {
    free(b->data);
    *b = BUFFER_NULL;
}

void buffer_wipe(struct buffer *b) {
    if (b->data)
        explicit_bzero(b->data, b->capacity);
    buffer_deinit(b);
}

void *buffer_reserve(struct buffer *b, size_t size) {
    if (b->overflowed || size > b->size_max - b->size) {
        b->overflowed = true;
        return NULL;
    }
    size_t needed = b->size + size + 1;
    if (needed > b->capacity) {
        size_t capacity = b->capacity ? b->capacity : 64;
        while (capacity < needed)
            capacity = capacity > SIZE_MAX / 2 ? needed : 2 * capacity;
        b->data = mem_resize(b->data, capacity, 1);
        b->capacity = capacity;
    }
    return b->data + b->size;
}

void buffer_commit(struct buffer *b, size_t size) {
    assert(b->size + size < b->capacity);
    b->size += size;
    b->data[b->size] = '\0';
}

void buffer_append(struct buffer *b, const void *data, size_t size) {
    void *room = buffer_reserve(b, size);
    if (!room)
        return;
    if (size)
        memcpy(room, data, size);
    buffer_commit(b, size);
}

void buffer_text(struct buffer *b, const char *text) {
    buffer_append(b, text, strlen(text));
}

void buffer_format(struct buffer *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buffer_vformat(b, format, args);
    va_end(args);
}

void buffer_vformat(struct buffer *b, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    assert(size >= 0);
    char *room = buffer_reserve(b, (size_t)size);
    if (room) {
        vsnprintf(room, (size_t)size + 1, format, again);
        buffer_commit(b, (size_t)size);
    }
    va_end(again);
}

void buffer_consume(struct buffer *b, size_t size) {
    assert(size <= b->size);
    if (size == 0)
        return;
    memmove(b->data, b->data + size, b->size - size);
    b->size -= size;
    b->data[b->size] = '\0';
}

void buffer_clear(struct buffer *b) {
    b->size = 0;
    b->overflowed = false;
    if (b->data)
        b->data[0] = '\0';
}

const char *buffer_string(const struct buffer *b) {
    return b->data ? b->data : "";
}

char *buffer_take(struct buffer *b) {
    char *data = b->data ? b->data : mem_zero(1, 1);
    b->data = NULL;
    b->size = b->capacity = 0;
    b->overflowed = false;
    return data;
}

int buffer_check(const struct buffer *b, const char *what, struct error *err) {
    if (b->overflowed)
        return error_set(err, ERROR_LIMIT, "%s is larger than %zu bytes", what, b->size_max);
    return 0;
}
