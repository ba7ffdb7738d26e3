#include "runner/run/journal.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "runner/run/journal_read.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

/* A file is on disk when its name is: in its folder, and that in the one above. */
static int sync_folder(const char *path, struct error *err) {
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return error_set_os(err, ERROR_IO, errno, "sync folder '%s'", path);
    return 0;
}

int journal_open(struct journal *j, const char *path, struct error *err) {
    cleanup_free char *folder = path_folder(path);
    cleanup_free char *above = path_folder(folder);
    cleanup_close int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "open '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return error_set_os(err, ERROR_IO, errno, "lock '%s'", path);
        error_set(err, ERROR_CONFLICT, "another process writes '%s'", path);
        return error_hint(err, "the run goes on: wait for its end");
    }
    if (sync_folder(folder, err) < 0 || sync_folder(above, err) < 0)
        return -1;
    j->fd = take_fd(&fd);
    return 0;
}

int journal_cut(struct journal *j, size_t size, struct error *err) {
    if (ftruncate(j->fd, (off_t)size) < 0 || fsync(j->fd) < 0)
        return error_set_os(err, ERROR_IO, errno, "cut the journal");
    return 0;
}

void journal_close(struct journal *j) {
    if (j->fd >= 0)
        close(j->fd);
    *j = JOURNAL_NULL;
}

int journal_write(struct journal *j, const char *event, struct json *fields, struct error *err) {
    char now[WALL_TEXT_SIZE];
    cleanup(json_freep) struct json *object = fields ? fields : json_new_object();
    struct wall_time time = clock_wall();
    json_set_text(object, "time", wall_text(time, now));
    json_set_int(object, "ns", time.ns);
    json_set_text(object, "event", event);

    cleanup(buffer_deinit) struct buffer line;
    buffer_init(&line, JOURNAL_LINE_MAX);
    json_write(object, JSON_LINE, &line);
    buffer_text(&line, "\n");
    if (buffer_check(&line, "a line of the journal", err) < 0)
        return -1;
    /* O_APPEND and one write: a line is never torn by another of ours. */
    ssize_t n = write(j->fd, line.data, line.size);
    if (n < 0 || fdatasync(j->fd) < 0)
        return error_set_os(err, ERROR_IO, errno, "write the journal");
    if ((size_t)n < line.size)
        return error_set_os(err, ERROR_IO, ENOSPC, "write the journal");
    return 0;
}
