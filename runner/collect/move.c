#include "runner/collect/move.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

enum { FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

static bool is_kept(const char *const *kept, const char *name) {
    for (; kept && *kept; kept++)
        if (text_equal(*kept, name))
            return true;
    return false;
}

/* A folder that is there already takes what is in the new one. */
static int move_into(int from_fd, int to_fd, const char *name, uint64_t *skipped,
                     struct error *err) {
    cleanup_close int from = openat(from_fd, name, FOLDER_FLAGS);
    cleanup_close int to = openat(to_fd, name, FOLDER_FLAGS);
    if (from < 0 || to < 0) {
        (*skipped)++; /* a file where a folder would go, or the other way round */
        return 0;
    }
    return move_all(from, to, NULL, skipped, err);
}

static int move_one(int from_fd, int to_fd, const char *name, uint64_t *skipped,
                    struct error *err) {
    if (renameat(from_fd, name, to_fd, name) == 0)
        return 0;
    if (errno == ENOTEMPTY || errno == EEXIST || errno == EISDIR || errno == ENOTDIR)
        return move_into(from_fd, to_fd, name, skipped, err);
    char shown[256];
    return error_set_os(err, ERROR_IO, errno, "move '%s' to its place",
                        text_safe(name, shown, sizeof shown));
}

int move_all(int from_fd, int to_fd, const char *const *kept, uint64_t *skipped,
             struct error *err) {
    int fd = fcntl(from_fd, F_DUPFD_CLOEXEC, 0);
    cleanup_closedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        error_set_os(err, ERROR_IO, errno, "read a folder");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (text_equal(name, ".") || text_equal(name, ".."))
            continue;
        if (is_kept(kept, name))
            (*skipped)++;
        else if (move_one(from_fd, to_fd, name, skipped, err) < 0)
            return -1;
    }
    return 0;
}
