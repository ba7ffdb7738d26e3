#include "runner/collect/files.h"

#include "lib/cleanup.h"
#include "lib/file.h"
#include "runner/engine/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int files_fetch(struct engine *engine, const char *container, const char *path, enum files_as as,
                const char *folder, const struct task *task, struct archive_stats *ret,
                struct error *err) {
    if (file_make_folders(folder, 0755, err) < 0)
        return -1;
    cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "open '%s'", folder);

    struct archive_extract_options options = {.limits = ARCHIVE_LIMITS_DEFAULT,
                                              .strip = as == FILES_CONTENTS};
    cleanup(archive_extract_freep) struct archive_extract *x = NULL;
    if (archive_extract_begin(fd, &options, &x, err) < 0)
        return -1;
    struct sink sink = archive_extract_sink(x);
    int r = engine_archive_get(engine, container, path, &sink, task, err);
    if (r == 0)
        r = archive_extract_end(x, ret, err);
    if (r < 0)
        return error_wrap(err, "fetch '%s'", path);
    return r == 1 ? 1 : 0;
}

void files_remove_empty(const char *folder) {
    rmdir(folder);
}
