#include "runner/engine/stdcopy.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/text.h"

#include <string.h>

/* The first byte of a header; 0 (standard input) is what some versions write for standard output.
 */
enum { STREAM_IN = 0, STREAM_SYSTEM_ERROR = 3 };

static int check_header(const struct stdcopy *s, struct error *err) {
    const unsigned char *h = s->header;
    if (h[0] > STREAM_SYSTEM_ERROR || h[1] || h[2] || h[3])
        return error_set(err, ERROR_INVALID,
                         "not a multiplexed stream: a frame begins with %02x %02x %02x %02x", h[0],
                         h[1], h[2], h[3]);
    return 0;
}

static size_t take_header(struct stdcopy *s, const char *data, size_t size) {
    size_t n = sizeof s->header - s->header_size;
    n = n < size ? n : size;
    memcpy(s->header + s->header_size, data, n);
    s->header_size += n;
    return n;
}

static int end_refusal(const struct stdcopy *s, struct error *err) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 4 * sizeof s->refusal);
    text_harmless(&text, s->refusal, s->refusal_size);
    return error_set(err, ERROR_REFUSED, "%s", buffer_string(&text));
}

static int take_payload(struct stdcopy *s, const char *data, size_t size, struct error *err) {
    int r = 0;
    if (s->header[0] == STREAM_SYSTEM_ERROR) {
        size_t room = sizeof s->refusal - s->refusal_size;
        size_t n = size < room ? size : room;
        memcpy(s->refusal + s->refusal_size, data, n);
        s->refusal_size += n;
    } else {
        enum engine_stream stream = s->header[0] == ENGINE_STDERR ? ENGINE_STDERR : ENGINE_STDOUT;
        r = s->on_piece(s->arg, stream, s->first, data, size, err);
    }
    s->first = false;
    s->left -= (uint32_t)size;
    if (s->left)
        return r;
    s->header_size = 0;
    return r == 0 && s->refusal_size ? end_refusal(s, err) : r;
}

int stdcopy_push(void *arg, const void *data, size_t size, struct error *err) {
    struct stdcopy *s = arg;
    const char *bytes = data;
    while (size) {
        size_t n;
        if (s->header_size < sizeof s->header) {
            n = take_header(s, bytes, size);
            if (s->header_size == sizeof s->header) {
                if (check_header(s, err) < 0)
                    return -1;
                s->left = (uint32_t)s->header[4] << 24 | (uint32_t)s->header[5] << 16 |
                          (uint32_t)s->header[6] << 8 | s->header[7];
                s->first = true;
                if (s->left == 0)
                    s->header_size = 0;
            }
        } else {
            n = s->left < size ? s->left : size;
            int r = take_payload(s, bytes, n, err);
            if (r != 0)
                return r;
        }
        bytes += n;
        size -= n;
    }
    return 0;
}

int stdcopy_end(const struct stdcopy *s, struct error *err) {
    if (s->header_size)
        return error_set(err, ERROR_INVALID,
                         "the multiplexed stream ended in the middle of a frame");
    return 0;
}
