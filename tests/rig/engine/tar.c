#include "tests/rig/engine/tar.h"

#include "lib/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* POSIX.1-1988 "ustar". */
struct ustar {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[8], user[32], group[32], device[16], prefix[155], padding[12];
};
_Static_assert(sizeof(struct ustar) == 512, "one block");

static void add(struct buffer *tar, const char *name, char type, unsigned mode, const void *data,
                size_t size) {
    static const char zeros[512];
    struct ustar h = {.type = type};
    snprintf(h.name, sizeof h.name, "%s", name);
    snprintf(h.mode, sizeof h.mode, "%07o", mode);
    snprintf(h.uid, sizeof h.uid, "%07o", 0);
    snprintf(h.gid, sizeof h.gid, "%07o", 0);
    snprintf(h.size, sizeof h.size, "%011zo", size);
    snprintf(h.mtime, sizeof h.mtime, "%011o", 315619200);
    memcpy(h.magic, "ustar\00000", 8);
    memset(h.checksum, ' ', sizeof h.checksum);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof h; i++)
        sum += ((const unsigned char *)&h)[i];
    snprintf(h.checksum, sizeof h.checksum, "%06o", sum);
    buffer_append(tar, &h, sizeof h);
    buffer_append(tar, data, size);
    buffer_append(tar, zeros, (512 - size % 512) % 512);
}

void tar_add(struct buffer *tar, const char *name, unsigned mode, const void *data, size_t size) {
    add(tar, name, '0', mode, data, size);
}

void tar_add_folder(struct buffer *tar, const char *name, unsigned mode) {
    add(tar, name, '5', mode, "", 0);
}

void tar_end(struct buffer *tar) {
    static const char zeros[1024];
    buffer_append(tar, zeros, sizeof zeros);
}

char *tar_find(const struct buffer *tar, const char *name) {
    for (size_t at = 0; at + sizeof(struct ustar) <= tar->size;) {
        const struct ustar *h = (const void *)(tar->data + at);
        size_t size = strtoull(h->size, NULL, 8);
        at += sizeof *h;
        if (strcmp(h->name, name) == 0 && at + size <= tar->size) {
            char *content = mem_zero(1, size + 1);
            memcpy(content, tar->data + at, size);
            return content;
        }
        at += (size + 511) / 512 * 512;
    }
    return NULL;
}
