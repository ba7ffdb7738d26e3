#include "runner/command/copy_in.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 256, NAME_MAX_BYTES = 4096 };

struct folder {
    DIR *entries;
    size_t name_size; /* of the folder's name in the tar */
};

struct copy_in {
    char *path;
    int fd; /* of the path; -1 once it was handed on, or for a link */
    struct stat st;
    bool begun;
    struct folder folders[DEPTH_MAX]; /* from the path down to where we are */
    size_t depth;
    char name[NAME_MAX_BYTES]; /* of the item in hand, in the tar */
    char target[PATH_MAX];
    struct copy_in_stats stats;
};

int copy_in_open(const struct copy_in_source *source, struct copy_in **ret, struct error *err) {
    cleanup(copy_in_freep) struct copy_in *c = mem_new(struct copy_in);
    c->path = text_dup(source->path);
    c->fd = -1;
    if (snprintf(c->name, sizeof c->name, "%s", source->name) >= (int)sizeof c->name)
        return error_set(err, ERROR_LIMIT, "the name '%.40s...' is too long", source->name);
    int r = source->follow ? stat(c->path, &c->st) : lstat(c->path, &c->st);
    if (r < 0)
        return error_set_os(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno,
                            "look at '%s'", c->path);
    if (S_ISREG(c->st.st_mode) || S_ISDIR(c->st.st_mode)) {
        /* Not blocking: it may have become a fifo meanwhile. */
        int nofollow = source->follow ? 0 : O_NOFOLLOW;
        c->fd = open(c->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | nofollow);
        if (c->fd < 0 || fstat(c->fd, &c->st) < 0)
            return error_set_os(err, ERROR_IO, errno, "open '%s'", c->path);
    } else if (!S_ISLNK(c->st.st_mode))
        return error_set(err, ERROR_IO, "'%s' is neither a file nor a folder", c->path);
    *ret = take_ptr(c);
    return 0;
}

void copy_in_free(struct copy_in *c) {
    for (size_t i = 0; i < c->depth; i++)
        closedir(c->folders[i].entries);
    if (c->fd >= 0)
        close(c->fd);
    free(c->path);
    free(c);
}

struct copy_in_stats copy_in_stats(const struct copy_in *c) {
    return c->stats;
}

static int failed(const struct copy_in *c, const char *doing, struct error *err) {
    char shown[256];
    return error_set_os(err, ERROR_IO, errno, "%s '%s' of '%s'", doing,
                        text_safe(c->name, shown, sizeof shown), c->path);
}

static int enter(struct copy_in *c, int fd, struct error *err) {
    if (c->depth == DEPTH_MAX) {
        close(fd);
        return error_set(err, ERROR_LIMIT, "'%s' is more than %d folders deep", c->path, DEPTH_MAX);
    }
    DIR *entries = fdopendir(fd);
    if (!entries) {
        close(fd);
        return failed(c, "read folder", err);
    }
    c->folders[c->depth++] = (struct folder){.entries = entries, .name_size = strlen(c->name)};
    return 0;
}

static struct archive_item item_of(const struct copy_in *c, const struct stat *st) {
    return (struct archive_item){
        .path = c->name, .mode = st->st_mode & 07777, .mtime_s = st->st_mtim.tv_sec, .fd = -1};
}

/* `fd` is that of a file or folder, and taken. Returns 1 when there is nothing to send for it. */
static int take_open(struct copy_in *c, int fd, const struct stat *st, struct archive_item *ret,
                     struct error *err) {
    *ret = item_of(c, st);
    if (S_ISDIR(st->st_mode)) {
        ret->kind = ARCHIVE_ITEM_DIRECTORY;
        if (enter(c, fd, err) < 0)
            return -1;
        return *c->name ? 0 : 1;
    }
    if (!S_ISREG(st->st_mode)) {
        close(fd);
        c->stats.left_out++;
        return 1;
    }
    ret->kind = ARCHIVE_ITEM_FILE;
    ret->size = (uint64_t)st->st_size;
    ret->fd = fd;
    c->stats.files++;
    c->stats.bytes += ret->size;
    return 0;
}

static int take_link(struct copy_in *c, int folder, const char *entry, const struct stat *st,
                     struct archive_item *ret, struct error *err) {
    ssize_t size = readlinkat(folder, entry, c->target, sizeof c->target - 1);
    if (size < 0)
        return failed(c, "read link", err);
    c->target[size] = '\0';
    *ret = item_of(c, st);
    ret->kind = ARCHIVE_ITEM_SYMLINK;
    ret->target = c->target;
    return 0;
}

static int take_entry(struct copy_in *c, int folder, const char *entry, struct archive_item *ret,
                      struct error *err) {
    struct stat st;
    if (fstatat(folder, entry, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return failed(c, "look at", err);
    if (S_ISLNK(st.st_mode))
        return take_link(c, folder, entry, &st, ret, err);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        c->stats.left_out++;
        return 1;
    }
    int fd = openat(folder, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return failed(c, "open", err);
    if (fstat(fd, &st) < 0) {
        close(fd);
        return failed(c, "look at", err);
    }
    return take_open(c, fd, &st, ret, err);
}

/* The next entry of the innermost folder; 1: not this one. */
static int step(struct copy_in *c, struct archive_item *ret, struct error *err) {
    struct folder *top = &c->folders[c->depth - 1];
    errno = 0;
    const struct dirent *entry = readdir(top->entries);
    c->name[top->name_size] = '\0';
    if (!entry && errno)
        return failed(c, "read folder", err);
    if (!entry) {
        closedir(top->entries);
        c->depth--;
        return 1;
    }
    if (text_equal(entry->d_name, ".") || text_equal(entry->d_name, ".."))
        return 1;
    size_t room = sizeof c->name - top->name_size;
    int n =
        snprintf(c->name + top->name_size, room, "%s%s", top->name_size ? "/" : "", entry->d_name);
    if ((size_t)n >= room)
        return error_set(err, ERROR_LIMIT, "a path below '%s' is longer than %d bytes", c->path,
                         NAME_MAX_BYTES);
    return take_entry(c, dirfd(top->entries), entry->d_name, ret, err);
}

static int next(void *user, struct archive_item *ret, struct error *err) {
    struct copy_in *c = user;
    int r = 1;
    if (!c->begun) {
        c->begun = true;
        r = S_ISLNK(c->st.st_mode) ? take_link(c, AT_FDCWD, c->path, &c->st, ret, err)
                                   : take_open(c, take_fd(&c->fd), &c->st, ret, err);
    }
    while (r == 1 && c->depth > 0)
        r = step(c, ret, err);
    return r;
}

struct archive_items copy_in_items(struct copy_in *c) {
    return (struct archive_items){.next = next, .user = c};
}
