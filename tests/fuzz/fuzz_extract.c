/*
 * Hostile archives (the first byte chooses the size of the pieces, and where the archive is cut and
 * gone on with). Whatever they say, the folder beside the target stays empty, the target holds
 * files and folders of our modes only, and what goes on behind a cut is the same archive.
 */

#include "lib/archive.h"
#include "lib/cleanup.h"
#include "tests/unit/folder.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)path;
    (void)type;
    (void)ftw;
    mode_t mode = st->st_mode & 07777;
    assert(S_ISDIR(st->st_mode) || S_ISREG(st->st_mode));
    assert((mode & ~(mode_t)0755) == 0);
    return 0;
}

static void feed(struct archive_extract *x, const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    struct archive_stats stats;
    size_t piece = size ? 1 + (size_t)data[0] * 64 : 1;
    for (size_t at = 1; at < size; at += piece) {
        size_t left = size - at;
        if (archive_extract_feed(x, data + at, piece < left ? piece : left, &err) < 0)
            break;
    }
    error_clear(&err);
    int result = archive_extract_end(x, &stats, &err);
    assert((result < 0) == (err.kind != ERROR_NONE));
    assert(stats.bytes <= 1 << 20 && stats.files <= 100);
}

static const struct archive_limits limits = {
    .bytes_max = 1 << 20, .entries_max = 100, .path_max = 300, .depth_max = 10};

static int set_mark(void *user, const struct archive_mark *mark, struct error *err) {
    (void)err;
    *(struct archive_mark *)user = *mark;
    return 0;
}

/* From the mark to byte `end`. */
static int go_on(const struct folder *f, const char *target, struct archive_mark *mark,
                 const uint8_t *data, size_t end, struct archive_stats *ret) {
    struct error err = ERROR_NULL;
    struct archive_mark from = *mark;
    cleanup_close int fd = openat(f->fd, target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct archive_keep keep = {.folder_fd = f->fd, .from = &from, .mark = set_mark, .user = mark};
    struct archive_extract_options options = {.limits = limits, .keep = &keep};
    cleanup(archive_extract_freep) struct archive_extract *x = NULL;
    *ret = (struct archive_stats){0};
    if (archive_extract_begin(fd, &options, &x, &err) < 0)
        return -1;
    size_t at = (size_t)archive_extract_offset(x);
    assert(at <= end);
    if (at < end && archive_extract_feed(x, data + at, end - at, &err) < 0)
        assert(err.kind != ERROR_CONFLICT);
    error_clear(&err);
    return archive_extract_end(x, ret, &err);
}

static void cut(const uint8_t *data, size_t size) {
    cleanup(folder_remove) struct folder f = folder_make();
    struct archive_mark mark = {0};
    struct archive_stats stats;
    mkdirat(f.fd, "cut", 0755);
    if (size == 0)
        return;
    size_t end = (size - 1) * data[0] / 255;
    go_on(&f, "cut", &mark, data + 1, end, &stats);
    go_on(&f, "cut", &mark, data + 1, size - 1, &stats);
    assert(stats.bytes <= 1 << 20 && stats.files <= 100);
    nftw(f.path, check_one, 16, FTW_PHYS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    cut(data, size);
    cleanup(folder_remove) struct folder f = folder_make();
    mkdirat(f.fd, "target", 0755);
    cleanup_close int target = openat(f.fd, "target", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct archive_extract_options options = {.limits = limits};
    cleanup(archive_extract_freep) struct archive_extract *x = NULL;
    int result = archive_extract_begin(target, &options, &x, &err);
    assert(result == 0);
    feed(x, data, size);
    char path[300];
    snprintf(path, sizeof path, "%s/target", f.path);
    nftw(path, check_one, 16, FTW_PHYS);
    result = unlinkat(f.fd, "target", AT_REMOVEDIR);
    int others = 0;
    DIR *dir = fdopendir(dup(f.fd));
    while (readdir(dir))
        others++;
    closedir(dir);
    assert(others <= 3); /* ".", ".." and the target, unless it was empty */
    return 0;
}
