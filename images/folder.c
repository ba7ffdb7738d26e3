#include "images/folder.h"

#include "lib/cleanup.h"
#include "lib/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b, void *bytes) {
    const struct folder_name *left = a, *right = b;
    return strcmp((char *)bytes + left->offset, (char *)bytes + right->offset);
}

static void add(struct folder_names *f, const struct dirent *entry) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return;
    mem_grow(f->names, f->count, f->capacity);
    f->names[f->count++] = (struct folder_name){.offset = f->bytes.size, .type = entry->d_type};
    buffer_append(&f->bytes, entry->d_name, strlen(entry->d_name) + 1);
}

int folder_names_read(int fd, struct folder_names *ret, struct error *err) {
    cleanup(folder_names_deinit) struct folder_names f = FOLDER_NAMES_NULL;
    buffer_init(&f.bytes, FOLDER_NAMES_BYTES_MAX);
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return error_set_os(err, ERROR_IO, errno, "duplicate a descriptor");
    cleanup_closedir DIR *dir = fdopendir(own);
    if (!dir) {
        int failed = errno;
        close(own);
        return error_set_os(err, ERROR_IO, failed, "read the folder");
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            break;
        add(&f, entry);
        if (f.bytes.overflowed)
            break;
    }
    if (errno)
        return error_set_os(err, ERROR_IO, errno, "read the folder");
    if (buffer_check(&f.bytes, "the list of names in the folder", err) < 0)
        return -1;
    if (f.count)
        qsort_r(f.names, f.count, sizeof *f.names, compare, f.bytes.data);
    *ret = f;
    f = FOLDER_NAMES_NULL;
    return 0;
}

void folder_names_deinit(struct folder_names *f) {
    buffer_deinit(&f->bytes);
    free(f->names);
    *f = FOLDER_NAMES_NULL;
}

const char *folder_names_get(const struct folder_names *f, size_t i) {
    return f->bytes.data + f->names[i].offset;
}
