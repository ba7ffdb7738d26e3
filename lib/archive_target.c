#include "lib/archive_target.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DONE = 0, NOTHING = 1, SKIP = 2 };

enum { DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* What is left of a name on the way down; each component is copied out of it. */
struct way {
    const char *rest;
    char name[NAME_MAX + 1];
};

static int skip(enum archive_skip why, enum archive_skip *ret_why) {
    *ret_why = why;
    return SKIP;
}

/* The next component into way->name, or false at the end. "." and empty ones are none. */
static bool next_component(struct way *way, size_t *ret_size) {
    for (;;) {
        way->rest += strspn(way->rest, "/");
        size_t size = strcspn(way->rest, "/");
        if (size == 0)
            return false;
        const char *start = way->rest;
        way->rest += size;
        if (size == 1 && start[0] == '.')
            continue;
        *ret_size = size;
        if (size <= NAME_MAX) {
            memcpy(way->name, start, size);
            way->name[size] = '\0';
        }
        return true;
    }
}

/* Looks at the whole name before anything is made of it, and takes off what is to be stripped. */
static int check(const struct archive_target *t, const char *path, struct way *ret,
                 enum archive_skip *ret_why) {
    if (path[0] == '/')
        return skip(ARCHIVE_SKIP_NAME, ret_why);
    if (strlen(path) > t->path_max)
        return skip(ARCHIVE_SKIP_TOO_LONG, ret_why);
    struct way way = {.rest = path};
    size_t depth = 0, size;
    ret->rest = NULL;
    while (next_component(&way, &size)) {
        if (size > NAME_MAX)
            return skip(ARCHIVE_SKIP_TOO_LONG, ret_why);
        if (strcmp(way.name, "..") == 0)
            return skip(ARCHIVE_SKIP_NAME, ret_why);
        if (++depth == t->strip)
            ret->rest = way.rest;
    }
    if (t->strip == 0)
        ret->rest = path;
    if (depth > t->depth_max)
        return skip(ARCHIVE_SKIP_TOO_LONG, ret_why);
    return depth > t->strip ? DONE : NOTHING;
}

/* Opens the folder `name` in `*dir_fd` and puts it there instead, creating it if it is missing. */
static int enter(struct archive_target *t, const char *name, int *dir_fd,
                 enum archive_skip *ret_why, struct error *err) {
    char shown[256];
    int fd = openat(*dir_fd, name, DIR_FLAGS);
    if (fd < 0 && errno == ENOENT) {
        if (mkdirat(*dir_fd, name, 0755) == 0)
            t->directories++;
        else if (errno != EEXIST)
            return error_set_os(err, ERROR_IO, errno, "create folder '%s'",
                                text_safe(name, shown, sizeof shown));
        fd = openat(*dir_fd, name, DIR_FLAGS);
    }
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return skip(ARCHIVE_SKIP_PARENT, ret_why);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "open folder '%s'",
                            text_safe(name, shown, sizeof shown));
    close(*dir_fd);
    *dir_fd = fd;
    return DONE;
}

/* Opens the folder that holds the last component, whose name stays in way->name. */
static int descend(struct archive_target *t, struct way *way, int *ret_fd,
                   enum archive_skip *ret_why, struct error *err) {
    cleanup_close int fd = fcntl(t->dir_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "duplicate a descriptor");
    size_t size;
    next_component(way, &size);
    for (struct way ahead = *way; next_component(&ahead, &size); *way = ahead) {
        int result = enter(t, way->name, &fd, ret_why, err);
        if (result != DONE)
            return result;
    }
    *ret_fd = take_fd(&fd);
    return DONE;
}

int archive_target_directory(struct archive_target *t, const char *path, enum archive_skip *ret_why,
                             struct error *err) {
    struct way way;
    cleanup_close int parent_fd = -1;
    int result = check(t, path, &way, ret_why);
    if (result == DONE)
        result = descend(t, &way, &parent_fd, ret_why, err);
    if (result == DONE)
        result = enter(t, way.name, &parent_fd, ret_why, err);
    if (result == SKIP && *ret_why == ARCHIVE_SKIP_PARENT && parent_fd >= 0)
        *ret_why = ARCHIVE_SKIP_EXISTS; /* it is the folder itself that is something else */
    return result;
}

/* The folder of a file that is to be made, and its name in way->name. */
static int approach(struct archive_target *t, const char *path, struct way *way, int *ret_fd,
                    enum archive_skip *ret_why, struct error *err) {
    int result = check(t, path, way, ret_why);
    return result == DONE ? descend(t, way, ret_fd, ret_why, err) : result;
}

/* What is not a regular file is never replaced. */
static int check_vacant(const struct archive_target *t, int parent_fd, const char *name,
                        enum archive_skip *ret_why) {
    struct stat st;
    if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return DONE; /* or whoever makes it says why not */
    return t->replace && S_ISREG(st.st_mode) ? DONE : skip(ARCHIVE_SKIP_EXISTS, ret_why);
}

int archive_target_vacant(struct archive_target *t, const char *path, enum archive_skip *ret_why,
                          struct error *err) {
    struct way way;
    cleanup_close int parent_fd = -1;
    int result = approach(t, path, &way, &parent_fd, ret_why, err);
    return result == DONE ? check_vacant(t, parent_fd, way.name, ret_why) : result;
}

int archive_target_place(struct archive_target *t, const char *path, int from_fd, const char *name,
                         enum archive_skip *ret_why, struct error *err) {
    struct way way;
    char shown[256];
    cleanup_close int parent_fd = -1;
    int result = approach(t, path, &way, &parent_fd, ret_why, err);
    if (result == DONE)
        result = check_vacant(t, parent_fd, way.name, ret_why);
    if (result == DONE && renameat(from_fd, name, parent_fd, way.name) < 0)
        return error_set_os(err, ERROR_IO, errno, "name file '%s'",
                            text_safe(way.name, shown, sizeof shown));
    return result;
}

int archive_target_link(struct archive_target *t, const char *path, const char *to,
                        enum archive_skip *ret_why, struct error *err) {
    struct way way, there;
    struct stat st;
    char shown[256];
    cleanup_close int parent_fd = -1, there_fd = -1;
    int result = approach(t, path, &way, &parent_fd, ret_why, err);
    if (result == DONE)
        result = check_vacant(t, parent_fd, way.name, ret_why);
    if (result != DONE)
        return result;
    if (check(t, to, &there, ret_why) != DONE)
        return skip(ARCHIVE_SKIP_HARDLINK, ret_why);
    result = descend(t, &there, &there_fd, ret_why, err);
    if (result < 0)
        return -1;
    if (result != DONE || fstatat(there_fd, there.name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode))
        return skip(ARCHIVE_SKIP_HARDLINK, ret_why);
    if (linkat(there_fd, there.name, parent_fd, way.name, 0) == 0 || errno == EEXIST)
        return DONE; /* it exists only where `replace` has let it: by an earlier try */
    return error_set_os(err, ERROR_IO, errno, "link file '%s'",
                        text_safe(way.name, shown, sizeof shown));
}

int archive_target_file(struct archive_target *t, const char *path, bool executable, int *ret_fd,
                        enum archive_skip *ret_why, struct error *err) {
    struct way way;
    cleanup_close int parent_fd = -1;
    int result = approach(t, path, &way, &parent_fd, ret_why, err);
    if (result != DONE)
        return result;
    int fd = openat(parent_fd, way.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    executable ? 0755 : 0644);
    char shown[256];
    if (fd < 0 && errno == EEXIST)
        return skip(ARCHIVE_SKIP_EXISTS, ret_why);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create file '%s'",
                            text_safe(way.name, shown, sizeof shown));
    *ret_fd = fd;
    return DONE;
}
