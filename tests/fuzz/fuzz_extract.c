/*
 * Hostile archives (the first byte chooses the size of the pieces). Whatever they say, the folder
 * beside the target stays empty, and the target holds files and folders of our modes only.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(folder_remove) struct folder f = folder_make();
    mkdirat(f.fd, "target", 0755);
    cleanup_close int target = openat(f.fd, "target", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct archive_extract_options options = {
        .limits = {.bytes_max = 1 << 20, .entries_max = 100, .path_max = 300, .depth_max = 10}};
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
