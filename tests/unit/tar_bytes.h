#pragma once

/*
 * Tar archives made by hand, byte by byte, so that they can say what no tool would write.
 * (POSIX pax, "ustar Interchange Format".)
 */

#include "lib/buffer.h"

#include <stdio.h>
#include <string.h>

static inline void tar_header(struct buffer *out, const char *name, char type, unsigned mode,
                              unsigned long long size, const char *link) {
    char h[512] = {0};
    snprintf(h, 100, "%s", name);
    snprintf(h + 100, 8, "%07o", mode);
    snprintf(h + 108, 8, "%07o", 1000);
    snprintf(h + 116, 8, "%07o", 1000);
    snprintf(h + 124, 12, "%011llo", size);
    snprintf(h + 136, 12, "%011o", 1000000000);
    memset(h + 148, ' ', 8);
    h[156] = type;
    snprintf(h + 157, 100, "%s", link ? link : "");
    memcpy(h + 257, "ustar\00000", 8);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof h; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    buffer_append(out, h, sizeof h);
}

static inline void tar_content(struct buffer *out, const void *data, size_t size) {
    static const char zeros[512];
    buffer_append(out, data, size);
    buffer_append(out, zeros, (512 - size % 512) % 512);
}

static inline void tar_file(struct buffer *out, const char *name, unsigned mode, const char *text) {
    tar_header(out, name, '0', mode, strlen(text), NULL);
    tar_content(out, text, strlen(text));
}

static inline void tar_pax(struct buffer *out, const char *records, size_t size) {
    tar_header(out, "PaxHeader/x", 'x', 0644, size, NULL);
    tar_content(out, records, size);
}

static inline void tar_end(struct buffer *out) {
    static const char zeros[1024];
    buffer_append(out, zeros, sizeof zeros);
}
