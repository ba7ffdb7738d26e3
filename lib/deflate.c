#include "lib/deflate.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { PIECE_SIZE = 16 * 1024 };

/* That zlib has no memory, or is another one than we were compiled for: no caller can do better. */
static void must(int result) {
    if (result == Z_OK)
        return;
    fprintf(stderr, "seatrial: zlib cannot start: %s\n", zError(result));
    abort();
}

/* Points the stream to the next room to write to. False when the buffer is full. */
static bool give_room(z_stream *z, struct buffer *out) {
    size_t left = out->size_max - out->size;
    size_t room = left < PIECE_SIZE ? left : PIECE_SIZE;
    z->avail_out = (uInt)room;
    z->next_out = room ? buffer_reserve(out, room) : NULL;
    return z->next_out != NULL;
}

static void take_written(const z_stream *z, struct buffer *out) {
    size_t room = (size_t)(z->next_out - (Bytef *)(out->data + out->size));
    buffer_commit(out, room);
}

/* zlib's interface is older than const. */
static Bytef *input(const void *data) {
    return (Bytef *)(uintptr_t)data;
}

void deflate_pack(const void *data, size_t size, struct buffer *out) {
    assert(size <= UINT_MAX);
    z_stream z = {.next_in = input(data), .avail_in = (uInt)size};
    must(deflateInit(&z, Z_DEFAULT_COMPRESSION));
    int result = Z_OK;
    while (result == Z_OK && give_room(&z, out)) {
        result = deflate(&z, Z_FINISH);
        take_written(&z, out);
    }
    deflateEnd(&z);
    if (result != Z_STREAM_END)
        out->overflowed = true;
}

/* The output may end exactly where the buffer does, while zlib has the checksum still to read: it
 * gets one byte more, which must stay unused. */
static int unpack_last(z_stream *z) {
    Bytef beyond;
    z->next_out = &beyond;
    z->avail_out = 1;
    int result = inflate(z, Z_NO_FLUSH);
    return z->avail_out == 0 ? Z_BUF_ERROR : result;
}

static int unpack(z_stream *z, struct buffer *out, struct error *err) {
    int result = Z_OK;
    while (result == Z_OK) {
        if (!give_room(z, out)) {
            if (unpack_last(z) == Z_STREAM_END)
                break;
            return z->avail_out == 0
                       ? error_set(err, ERROR_LIMIT, "compressed data becomes more than %zu bytes",
                                   out->size_max)
                       : error_set(err, ERROR_INVALID, "compressed data is damaged");
        }
        result = inflate(z, Z_NO_FLUSH);
        take_written(z, out);
    }
    if (result == Z_BUF_ERROR)
        return error_set(err, ERROR_INVALID, "compressed data is cut off");
    if (result != Z_OK && result != Z_STREAM_END)
        return error_set(err, ERROR_INVALID, "compressed data is damaged: %s",
                         z->msg ? z->msg : zError(result));
    if (z->avail_in)
        return error_set(err, ERROR_INVALID, "%u bytes follow the compressed data", z->avail_in);
    return 0;
}

int deflate_unpack(const void *data, size_t size, struct buffer *out, struct error *err) {
    if (size > UINT_MAX)
        return error_set(err, ERROR_LIMIT, "compressed data has more than %u bytes", UINT_MAX);
    z_stream z = {.next_in = input(data), .avail_in = (uInt)size};
    must(inflateInit(&z));
    int result = unpack(&z, out, err);
    inflateEnd(&z);
    return result;
}
