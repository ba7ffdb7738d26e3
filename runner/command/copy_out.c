#include "runner/command/copy_out.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct copy_out {
    char *folder; /* of what was unpacked */
    int fd;
    struct archive_extract *extract;
};

int copy_out_begin(const char *beside, const struct archive_extract_options *options,
                   struct copy_out **ret, struct error *err) {
    cleanup(copy_out_freep) struct copy_out *c = mem_new(struct copy_out);
    c->fd = -1;
    char *folder = text_format("%s/.seatrial-cp-XXXXXX", beside);
    if (!mkdtemp(folder)) {
        free(folder);
        return error_set_os(err, ERROR_IO, errno, "make a folder in '%s'", beside);
    }
    c->folder = folder;
    c->fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c->fd < 0)
        return error_set_os(err, ERROR_IO, errno, "open '%s'", folder);
    if (archive_extract_begin(c->fd, options, &c->extract, err) < 0)
        return -1;
    *ret = take_ptr(c);
    return 0;
}

/* As deep as archive_extract lets a tar be. */
static void remove_all(int folder, const char *name) {
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
        return;
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    cleanup_closedir DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    for (const struct dirent *e; entries && (e = readdir(entries));)
        if (!text_equal(e->d_name, ".") && !text_equal(e->d_name, ".."))
            remove_all(fd, e->d_name);
    unlinkat(folder, name, AT_REMOVEDIR);
}

void copy_out_free(struct copy_out *c) {
    if (c->extract)
        archive_extract_free(c->extract);
    if (c->folder)
        remove_all(AT_FDCWD, c->folder);
    if (c->fd >= 0)
        close(c->fd);
    free(c->folder);
    free(c);
}

struct sink copy_out_sink(struct copy_out *c) {
    return archive_extract_sink(c->extract);
}

int copy_out_end(struct copy_out *c, struct archive_stats *ret, struct error *err) {
    return archive_extract_end(c->extract, ret, err);
}

/* ---- into place ---- */

static bool is_folder(int folder, const char *name) {
    struct stat st;
    return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

int copy_out_place_file(struct copy_out *c, const char *name, const char *to, struct error *err) {
    struct stat st;
    if (fstatat(c->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return error_set(err, ERROR_INVALID, "the container sent no file '%s'", name);
    if (is_folder(AT_FDCWD, to))
        return error_set(err, ERROR_CONFLICT, "'%s' is a folder", to);
    if (renameat(c->fd, name, AT_FDCWD, to) < 0)
        return error_set_os(err, ERROR_IO, errno, "write '%s'", to);
    return 0;
}

static int merge(int from, int to, const char *where, struct error *err);

static int merge_folder(int from, int to, const char *name, const char *shown, struct error *err) {
    if (mkdirat(to, name, 0755) < 0 && errno != EEXIST)
        return error_set_os(err, ERROR_IO, errno, "make '%s'", shown);
    cleanup_close int from_fd = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    cleanup_close int to_fd = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (to_fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return error_set(err, ERROR_CONFLICT, "'%s' is no folder here", shown);
    if (from_fd < 0 || to_fd < 0)
        return error_set_os(err, ERROR_IO, errno, "open '%s'", shown);
    return merge(from_fd, to_fd, shown, err);
}

static int merge_entry(int from, int to, const char *name, const char *where, struct error *err) {
    cleanup_free char *path = text_format("%s/%s", where, name);
    char shown[1024];
    text_safe(path, shown, sizeof shown);
    if (is_folder(from, name))
        return merge_folder(from, to, name, shown, err);
    if (is_folder(to, name))
        return error_set(err, ERROR_CONFLICT, "'%s' is a folder here", shown);
    if (renameat(from, name, to, name) < 0)
        return error_set_os(err, ERROR_IO, errno, "write '%s'", shown);
    return 0;
}

static int merge(int from, int to, const char *where, struct error *err) {
    int again = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_closedir DIR *entries = again < 0 ? NULL : fdopendir(again);
    if (!entries) {
        if (again >= 0)
            close(again);
        return error_set_os(err, ERROR_IO, errno, "read what came for '%s'", where);
    }
    for (const struct dirent *e; (e = readdir(entries));)
        if (!text_equal(e->d_name, ".") && !text_equal(e->d_name, "..") &&
            merge_entry(from, to, e->d_name, where, err) < 0)
            return -1;
    return 0;
}

int copy_out_place_folder(struct copy_out *c, const char *to, struct error *err) {
    if (mkdir(to, 0755) < 0 && errno != EEXIST)
        return error_set_os(err, ERROR_IO, errno, "make '%s'", to);
    cleanup_close int fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "open folder '%s'", to);
    return merge(c->fd, fd, to, err);
}
