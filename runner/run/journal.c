#include "runner/run/journal.h"

#include "lib/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { JOURNAL_LINE_MAX = 1 << 20 };

int journal_open(struct journal *j, const char *path, struct error *err) {
    j->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (j->fd < 0)
        return error_set_os(err, ERROR_IO, errno, "open '%s'", path);
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
    json_set_text(object, "time", wall_text(clock_wall(), now));
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
