#include "lib/file.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 64 << 10 };

static int open_regular(const char *path, struct error *err) {
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set_os(err, errno == ENOENT || errno == ENOTDIR ? ERROR_NOT_FOUND : ERROR_IO,
                            errno, "open '%s'", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_set_os(err, ERROR_IO, errno, "stat '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_IO, "'%s' is not a regular file", path);
    return take_fd(&fd);
}

int file_read(const char *path, size_t size_max, struct buffer *ret, struct error *err) {
    cleanup_close int fd = open_regular(path, err);
    if (fd < 0)
        return -1;
    cleanup(buffer_deinit) struct buffer content;
    buffer_init(&content, size_max);
    cleanup_free char *chunk = mem_alloc(CHUNK_BYTES);
    ssize_t n;
    while ((n = read(fd, chunk, CHUNK_BYTES)) != 0) {
        if (n < 0 && errno != EINTR)
            return error_set_os(err, ERROR_IO, errno, "read '%s'", path);
        if (n > 0)
            buffer_append(&content, chunk, (size_t)n);
        if (buffer_check(&content, path, err) < 0)
            return -1;
    }
    *ret = content;
    content = BUFFER_NULL;
    return 0;
}

static int write_all(int fd, const char *data, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

int file_write(const char *path, mode_t mode, const void *data, size_t size, struct error *err) {
    cleanup_free char *temporary = text_format("%s.XXXXXX", path);
    cleanup_close int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "write '%s'", path);
    if (write_all(fd, data, size) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0 ||
        rename(temporary, path) < 0) {
        int saved = errno;
        unlink(temporary);
        return error_set_os(err, ERROR_IO, saved, "write '%s'", path);
    }
    return 0;
}

int file_make_folders(const char *path, mode_t mode, struct error *err) {
    cleanup_free char *partial = text_dup(path);
    for (char *p = partial + 1; partial[0]; p++) {
        bool last = *p == '\0';
        if (!last && *p != '/')
            continue;
        *p = '\0';
        if (mkdir(partial, mode) < 0 && errno != EEXIST)
            return error_set_os(err, ERROR_IO, errno, "make folder '%s'", partial);
        if (last)
            break;
        *p = '/';
    }
    struct stat st;
    if (stat(path, &st) < 0)
        return error_set_os(err, ERROR_IO, errno, "make folder '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, ERROR_IO, "'%s' is not a folder", path);
    return 0;
}

int file_copy(const char *from, const char *to, mode_t mode, size_t size_max, struct error *err) {
    cleanup(buffer_deinit) struct buffer content = BUFFER_NULL;
    if (file_read(from, size_max, &content, err) < 0)
        return -1;
    return file_write(to, mode, content.data, content.size, err);
}

bool file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

char *path_join(const char *folder, const char *name) {
    return name[0] == '/' ? text_dup(name) : text_format("%s/%s", folder, name);
}

char *path_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        return text_dup(".");
    if (slash == path)
        return text_dup("/");
    char *folder = text_dup(path);
    folder[slash - path] = '\0';
    return folder;
}

char *path_absolute(const char *path) {
    if (path[0] == '/')
        return text_dup(path);
    cleanup_free char *here = getcwd(NULL, 0);
    return text_format("%s/%s", here ? here : "", path);
}
