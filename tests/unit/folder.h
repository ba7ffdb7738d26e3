#pragma once

/*
 * A folder of a test's own, below $TMPDIR or /tmp, gone with everything in it at the end of the
 * scope.
 *
 *     cleanup(folder_remove) struct folder f = folder_make();
 *     folder_write(&f, "a/b.txt", "text");
 */

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
    char path[256];
    int fd;
};

static inline struct folder folder_make(void) {
    struct folder f;
    const char *base = getenv("TMPDIR");
    snprintf(f.path, sizeof f.path, "%s/seatrial-test-XXXXXX", base ? base : "/tmp");
    char *made = mkdtemp(f.path);
    assert(made);
    (void)made;
    f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert(f.fd >= 0);
    return f;
}

static inline int folder_remove_one(const char *path, const struct stat *st, int type,
                                    struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void folder_remove(const struct folder *f) {
    close(f->fd);
    nftw(f->path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* All folders of the path `name`, the last component excepted. */
static inline void folder_parents(const struct folder *f, const char *name) {
    char path[5000];
    snprintf(path, sizeof path, "%s", name);
    for (char *slash = path; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        mkdirat(f->fd, path, 0755);
    }
}

static inline void folder_write_mode(const struct folder *f, const char *name, const void *data,
                                     size_t size, mode_t mode) {
    folder_parents(f, name);
    int fd = openat(f->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert(fd >= 0);
    ssize_t n = write(fd, data, size);
    assert(n == (ssize_t)size);
    (void)n;
    fchmod(fd, mode);
    close(fd);
}

static inline void folder_write(const struct folder *f, const char *name, const char *text) {
    folder_write_mode(f, name, text, strlen(text), 0644);
}

/* The content as a malloc()ed string, or NULL. */
static inline char *folder_read(const struct folder *f, const char *name) {
    int fd = openat(f->fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    size_t size = 0;
    char *text = calloc(1, 1 << 20);
    assert(text);
    for (ssize_t n; (n = read(fd, text + size, (1 << 20) - 1 - size)) > 0;)
        size += (size_t)n;
    close(fd);
    return text;
}

static inline bool folder_has(const struct folder *f, const char *name) {
    struct stat st;
    return fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void folder_chmod(const struct folder *f, const char *name, mode_t mode) {
    int result = fchmodat(f->fd, name, mode, 0);
    assert(result == 0);
    (void)result;
}

static inline mode_t folder_mode(const struct folder *f, const char *name) {
    struct stat st;
    return fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mode : 0;
}

/* One for all tests of a program, as the fixtures of its group:
 *     return cmocka_run_group_tests(tests, folder_make_shared, folder_remove_shared); */
static struct folder folder_shared __attribute__((unused));

static inline int folder_make_shared(void **state) {
    (void)state;
    folder_shared = folder_make();
    return 0;
}

static inline int folder_remove_shared(void **state) {
    (void)state;
    folder_remove(&folder_shared);
    return 0;
}
