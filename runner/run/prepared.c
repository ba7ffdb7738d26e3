#include "runner/run/prepared.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* POSIX pax, "ustar Interchange Format": a header of one block, then the content in blocks. */
enum {
    BLOCK = 512,
    NAME_AT = 0,
    NAME_SIZE = 100,
    SIZE_AT = 124,
    SIZE_SIZE = 12,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    PREFIX_SIZE = 155,
    PATH_SIZE_MAX = 4096,
};

/* An entry with the extensions before it that are about it. */
struct entry {
    size_t begin, end;
    char path[PATH_SIZE_MAX];
    bool path_known; /* by an extension */
};

static int malformed(struct error *err) {
    return error_set(err, ERROR_INVALID, "the tar of what was prepared is malformed");
}

static bool is_zero(const uint8_t *block) {
    for (size_t i = 0; i < BLOCK; i++)
        if (block[i])
            return false;
    return true;
}

/* Octal; the files here are far from needing the other way. */
static bool read_size(const uint8_t *header, uint64_t *ret) {
    uint64_t value = 0;
    const uint8_t *field = header + SIZE_AT;
    size_t i = 0;
    while (i < SIZE_SIZE && field[i] >= '0' && field[i] <= '7')
        value = value << 3 | (uint64_t)(field[i++] - '0');
    if (i == 0 || (i < SIZE_SIZE && field[i] != '\0' && field[i] != ' '))
        return false;
    *ret = value;
    return true;
}

static bool set_path(struct entry *e, const uint8_t *path, size_t size) {
    if (size == 0 || size >= sizeof e->path || memchr(path, '\0', size))
        return false;
    memcpy(e->path, path, size);
    e->path[size] = '\0';
    e->path_known = true;
    return true;
}

/* "LENGTH KEY=VALUE\n", one after the other, of which only the path matters here. */
static bool read_records(struct entry *e, const uint8_t *at, size_t size) {
    static const char path_key[] = "path=", size_key[] = "size=";
    while (size > 0) {
        size_t length = 0, digits = 0;
        while (digits < size && digits < 8 && at[digits] >= '0' && at[digits] <= '9')
            length = 10 * length + (size_t)(at[digits++] - '0');
        size_t head = digits + 1;
        if (digits == 0 || length > size || length <= head || at[digits] != ' ' ||
            at[length - 1] != '\n')
            return false;
        const uint8_t *text = at + head;
        size_t text_size = length - head - 1;
        if (text_size >= sizeof size_key - 1 && memcmp(text, size_key, sizeof size_key - 1) == 0)
            return false; /* beyond 8 GiB: more than we hold */
        if (text_size >= sizeof path_key - 1 && memcmp(text, path_key, sizeof path_key - 1) == 0 &&
            !set_path(e, text + sizeof path_key - 1, text_size - (sizeof path_key - 1)))
            return false;
        at += length;
        size -= length;
    }
    return true;
}

/* GNU's way to say a long path: as content, with a NUL. */
static bool read_long_name(struct entry *e, const uint8_t *content, size_t size) {
    return set_path(e, content, strnlen((const char *)content, size));
}

static void read_own_path(struct entry *e, const uint8_t *header) {
    size_t prefix = 0;
    if (memcmp(header + MAGIC_AT, "ustar\0", 6) == 0)
        prefix = strnlen((const char *)header + PREFIX_AT, PREFIX_SIZE);
    size_t name = strnlen((const char *)header + NAME_AT, NAME_SIZE);
    snprintf(e->path, sizeof e->path, "%.*s%s%.*s", (int)prefix, header + PREFIX_AT,
             prefix ? "/" : "", (int)name, header + NAME_AT);
}

/* 1: there is none any more. `e` begins where the last one ended. */
static int next_entry(const struct buffer *tar, struct entry *e, struct error *err) {
    const uint8_t *data = (const uint8_t *)tar->data;
    size_t at = e->begin = e->end;
    e->path_known = false;
    for (;;) {
        uint64_t size;
        if (tar->size - at < BLOCK)
            return malformed(err);
        const uint8_t *header = data + at, *content = header + BLOCK;
        if (is_zero(header))
            return at == e->begin ? 1 : malformed(err);
        if (!read_size(header, &size) || size > tar->size - at - BLOCK)
            return malformed(err);
        char type = (char)header[TYPE_AT];
        size_t blocks = ((size_t)size + BLOCK - 1) / BLOCK * BLOCK;
        if (blocks > tar->size - at - BLOCK)
            return malformed(err);
        at += BLOCK + blocks;
        if ((type == 'x' && !read_records(e, content, (size_t)size)) ||
            (type == 'L' && !read_long_name(e, content, (size_t)size)))
            return malformed(err);
        if (type == 'x' || type == 'L' || type == 'K' || type == 'g')
            continue;
        if (!e->path_known)
            read_own_path(e, header);
        e->end = at;
        return 0;
    }
}

/* It is the folder, or lies in it. */
static bool is_within(const char *path, const char *folder) {
    size_t size = strlen(folder);
    return strncmp(path, folder, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

/* Of those below "for/", only what is in the container's own folder. */
static bool is_for(const char *path, const char *each, const char *own) {
    while (text_starts(path, "./"))
        path += 2;
    bool in_each = is_within(path, each) && path[strlen(each)] == '/' && path[strlen(each) + 1];
    return !in_each || is_within(path, own);
}

int prepared_select(const struct buffer *tar, const char *folder, const char *own,
                    struct buffer *ret, struct error *err) {
    static const char end[2 * BLOCK];
    cleanup_free char *each = text_format("%s/for", folder);
    cleanup_free char *mine = text_format("%s/%s", each, own);
    cleanup_free struct entry *e = mem_new(struct entry);
    int r;
    while ((r = next_entry(tar, e, err)) == 0)
        if (is_for(e->path, each, mine))
            buffer_append(ret, tar->data + e->begin, e->end - e->begin);
    if (r < 0)
        return -1;
    buffer_append(ret, end, sizeof end);
    return buffer_check(ret, "what was prepared", err);
}
