#include "runner/collect/files.h"

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, OPEN_FOLDERS_MAX = 16 };

/* ---- the folder beside ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where) {
    (void)st;
    (void)where;
    return kind == FTW_DP || kind == FTW_DNR ? rmdir(path) : unlink(path);
}

static void remove_folder(char **path) {
    if (*path)
        nftw(*path, remove_one, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS);
    free(*path);
}

static int make_folder_beside(const char *folder, char **ret, struct error *err) {
    cleanup_free char *path = text_format("%s/.fetch-XXXXXX", folder);
    if (!mkdtemp(path))
        return error_set_os(err, ERROR_IO, errno, "make a folder in '%s'", folder);
    *ret = take_ptr(path);
    return 0;
}

/* ---- from there to its place ---- */

static bool is_kept(const char *const *kept, const char *name) {
    for (; kept && *kept; kept++)
        if (text_equal(*kept, name))
            return true;
    return false;
}

static int move_all(int from_fd, int to_fd, const char *const *kept, uint64_t *skipped,
                    struct error *err);

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

static int move_all(int from_fd, int to_fd, const char *const *kept, uint64_t *skipped,
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

/* ---- the transfer ---- */

/* The engine's names begin with the last part of the path that was asked for. */
static const char **names_left_out(const struct files_want *want) {
    size_t count = 0, n = 0;
    while (want->without && want->without[count])
        count++;
    const char **names = mem_new_array(const char *, count + 1);
    const char *base = strrchr(want->path, '/');
    size_t size = strlen(want->path);
    for (size_t i = 0; i < count; i++) {
        const char *path = want->without[i];
        if (strncmp(path, want->path, size) == 0 && (path[size] == '\0' || path[size] == '/'))
            names[n++] = path + (base ? base + 1 - want->path : 0);
    }
    return names;
}

static int unpack(struct engine *engine, const char *container, const struct files_want *want,
                  int fd, const struct task *task, struct archive_stats *ret, struct error *err) {
    cleanup_free const char **without = names_left_out(want);
    struct archive_extract_options options = {
        .limits = ARCHIVE_LIMITS_DEFAULT, .strip = want->as == FILES_CONTENTS, .without = without};
    cleanup(archive_extract_freep) struct archive_extract *x = NULL;
    if (archive_extract_begin(fd, &options, &x, err) < 0)
        return -1;
    struct sink sink = archive_extract_sink(x);
    int r = engine_archive_get(engine, container, want->path, &sink, task, err);
    return r == 0 ? archive_extract_end(x, ret, err) : r;
}

static int fetch(struct engine *engine, const char *container, const struct files_want *want,
                 const struct task *task, struct archive_stats *ret, struct error *err) {
    cleanup(remove_folder) char *beside = NULL;
    if (file_make_folders(want->folder, 0755, err) < 0 ||
        make_folder_beside(want->folder, &beside, err) < 0)
        return -1;
    cleanup_close int from = open(beside, FOLDER_FLAGS);
    cleanup_close int to = open(want->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0 || to < 0)
        return error_set_os(err, ERROR_IO, errno, "open '%s'", want->folder);
    int r = unpack(engine, container, want, from, task, ret, err);
    return r == 0 ? move_all(from, to, want->kept, &ret->skipped, err) : r;
}

int files_fetch(struct engine *engine, const char *container, const struct files_want *want,
                const struct task *task, struct archive_stats *ret, struct error *err) {
    int r = fetch(engine, container, want, task, ret, err);
    if (r < 0)
        return error_wrap(err, "fetch '%s'", want->path);
    return r == 1 ? 1 : 0;
}

void files_remove_empty(const char *folder) {
    rmdir(folder);
}
