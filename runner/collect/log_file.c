#include "runner/collect/log_file.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READ_SIZE = 256 << 10,
    RECORD_MAX = ENGINE_LOG_LINE_MAX + 128, /* with time, stream and newline */
    OUT_SIZE = 64 << 10,                    /* written at once, if nobody flushes before */
};

/* Between two places that are remembered; LOG_POINTS_MAX of them reach back four seconds. */
#define POINT_NS (250 * NS_PER_MS)

/* ---- reading ---- */

void log_reader_init(struct log_reader *r, int fd, const char *path, uint64_t offset,
                     uint64_t end) {
    *r = (struct log_reader){.fd = fd, .path = path, .offset = offset, .end = end};
    buffer_init(&r->bytes, RECORD_MAX + READ_SIZE);
}

void log_reader_deinit(struct log_reader *r) {
    buffer_deinit(&r->bytes);
}

static int read_more(struct log_reader *r, struct error *err) {
    buffer_consume(&r->bytes, r->at);
    r->at = 0;
    uint64_t from = r->offset + r->bytes.size;
    size_t wanted = r->end - from < READ_SIZE ? (size_t)(r->end - from) : READ_SIZE;
    ssize_t n;
    do
        n = pread(r->fd, buffer_reserve(&r->bytes, wanted), wanted, (off_t)from);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_set_os(err, ERROR_IO, errno, "read '%s'", r->path);
    if (n == 0)
        r->end = from; /* somebody has cut it */
    buffer_commit(&r->bytes, (size_t)n);
    return 0;
}

static void give(struct log_reader *r, size_t size, bool ended, struct log_record *ret,
                 struct log_old *ret_old) {
    log_record_parse(r->bytes.data + r->at, size, ret);
    if (ret->kind != LOG_FOREIGN)
        r->ns = ret->ns;
    struct log_gap gap = {0};
    *ret_old = (struct log_old){.ns = r->ns,
                                .offset = r->offset,
                                .size = size + ended,
                                .kind = ret->kind,
                                .hash = ret->kind == LOG_FOREIGN ? 0 : log_record_hash(ret),
                                .perhaps = log_gap_read(ret, &gap) && gap.perhaps};
    r->at += size + ended;
    r->offset += size + ended;
}

int log_reader_next(struct log_reader *r, struct log_record *ret, struct log_old *ret_old,
                    struct error *err) {
    size_t searched = 0;
    for (;;) {
        size_t left = r->bytes.size - r->at;
        const char *from = r->bytes.data ? r->bytes.data + r->at + searched : NULL;
        const char *newline = left > searched ? memchr(from, '\n', left - searched) : NULL;
        if (newline && newline - (r->bytes.data + r->at) < RECORD_MAX) {
            give(r, searched + (size_t)(newline - from), true, ret, ret_old);
            return 0;
        }
        searched = left;
        bool all = r->offset + left >= r->end;
        if (left >= RECORD_MAX || (all && left > 0)) {
            give(r, left < RECORD_MAX ? left : RECORD_MAX, false, ret, ret_old);
            return 0;
        }
        if (all)
            return 1;
        if (read_more(r, err) < 0)
            return -1;
    }
}

int log_reader_find(const struct log_reader *r, uint64_t hash, uint64_t *ret_offset,
                    struct error *err) {
    cleanup(log_reader_deinit) struct log_reader rest;
    struct log_record record;
    struct log_old old;
    int found;
    log_reader_init(&rest, r->fd, r->path, r->offset, r->end);
    while ((found = log_reader_next(&rest, &record, &old, err)) == 0)
        if (old.hash == hash) {
            *ret_offset = old.offset;
            return 0;
        }
    return found;
}

/* The record at this place: its bytes, malloc()ed, and what they mean. */
static char *read_old(int fd, const char *path, const struct log_old *old, struct log_record *ret,
                      struct error *err) {
    cleanup_free char *line = mem_alloc((size_t)old->size + 1);
    ssize_t n = pread(fd, line, (size_t)old->size, (off_t)old->offset);
    if (n < 0 || (uint64_t)n < old->size || n == 0) {
        error_set_os(err, ERROR_IO, n < 0 ? errno : 0, "read '%s' again", path);
        return NULL;
    }
    log_record_parse(line, (size_t)n - (line[n - 1] == '\n'), ret);
    return take_ptr(line);
}

int log_old_begins(int fd, const char *path, const struct log_old *old,
                   const struct log_record *record, struct error *err) {
    struct log_record ours;
    cleanup_free char *line = read_old(fd, path, old, &ours, err);
    if (!line)
        return -1;
    return ours.kind == record->kind && ours.size <= record->size &&
           memcmp(ours.text, record->text, ours.size) == 0;
}

/* ---- writing ---- */

static void note(struct log_file *f, const struct log_record *record, uint64_t offset) {
    struct log_gap gap;
    if (record->kind == LOG_FOREIGN)
        return;
    if (log_gap_read(record, &gap)) {
        f->gaps_all++;
        if (f->gap_count < LOG_GAPS_MAX) {
            mem_grow(f->gaps, f->gap_count, f->gap_capacity);
            f->gaps[f->gap_count++] = gap;
        }
        return;
    }
    const struct log_point *last = &f->points[(f->point_count - 1) % LOG_POINTS_MAX];
    if (f->point_count == 0 || record->ns >= last->ns + (int64_t)POINT_NS || record->ns < last->ns)
        f->points[f->point_count++ % LOG_POINTS_MAX] = (struct log_point){record->ns, offset};
    f->ns = record->ns;
    f->lines += !record->partial;
    f->bytes += record->size;
}

/* What is there, counted; a record that was cut off is ended. */
static int look_through(struct log_file *f, struct error *err) {
    cleanup(log_reader_deinit) struct log_reader reader;
    struct log_record record = {.kind = LOG_FOREIGN};
    struct log_old old = {.size = 0};
    char last = '\n';
    int r;
    log_reader_init(&reader, f->fd, f->path, 0, f->size);
    while ((r = log_reader_next(&reader, &record, &old, err)) == 0)
        note(f, &record, old.offset);
    if (r < 0)
        return -1;
    if (f->size > 0 && pread(f->fd, &last, 1, (off_t)f->size - 1) < 0)
        return error_set_os(err, ERROR_IO, errno, "read '%s'", f->path);
    if (last == '\n')
        return 0;
    if (record.kind == LOG_FOREIGN && record.size <= LOG_TIME_MAX + sizeof " stdout+ ") {
        f->size = old.offset; /* nothing of the line itself */
        if (ftruncate(f->fd, (off_t)f->size) < 0)
            return error_set_os(err, ERROR_IO, errno, "shorten '%s'", f->path);
        return 0;
    }
    buffer_text(&f->out, "\n");
    f->size++;
    return log_file_flush(f, err);
}

int log_file_open(struct log_file *f, const char *path, bool anew, struct error *err) {
    struct stat st;
    *f = (struct log_file){.path = text_dup(path)};
    buffer_init(&f->out, OUT_SIZE + RECORD_MAX);
    f->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (anew ? O_TRUNC : 0), 0644);
    if (f->fd < 0 || fstat(f->fd, &st) < 0) {
        error_set_os(err, ERROR_IO, errno, "create '%s'", path);
        log_file_deinit(f);
        return -1;
    }
    f->size = (uint64_t)st.st_size;
    f->continued = f->size > 0;
    if (look_through(f, err) == 0)
        return 0;
    log_file_deinit(f);
    return -1;
}

int log_file_flush(struct log_file *f, struct error *err) {
    size_t done = 0;
    while (done < f->out.size) {
        ssize_t n = write(f->fd, f->out.data + done, f->out.size - done);
        if (n < 0 && errno != EINTR)
            return error_set_os(err, ERROR_IO, errno, "write '%s'", f->path);
        done += n < 0 ? 0 : (size_t)n;
    }
    buffer_clear(&f->out);
    return 0;
}

int log_file_add(struct log_file *f, const struct log_record *record, struct error *err) {
    if (f->out.size >= OUT_SIZE && log_file_flush(f, err) < 0)
        return -1;
    size_t before = f->out.size;
    log_record_append(&f->out, record);
    note(f, record, f->size);
    f->size += f->out.size - before;
    return buffer_check(&f->out, "a record", err);
}

int log_file_copy(struct log_file *f, const struct log_file *from, const struct log_old *old,
                  struct error *err) {
    struct log_record record;
    cleanup_free char *line = read_old(from->fd, from->path, old, &record, err);
    if (!line || (f->out.size >= OUT_SIZE && log_file_flush(f, err) < 0))
        return -1;
    buffer_append(&f->out, line, (size_t)old->size);
    note(f, &record, f->size);
    f->size += old->size;
    return buffer_check(&f->out, "a record", err);
}

int log_file_add_gap(struct log_file *f, const struct log_gap *gap, struct error *err) {
    cleanup(buffer_deinit) struct buffer line;
    struct log_record record;
    buffer_init(&line, 256);
    log_gap_append(&line, gap);
    log_record_parse(line.data, line.size - 1, &record);
    return log_file_add(f, &record, err);
}

int log_file_close(struct log_file *f, struct error *err) {
    int r = f->fd >= 0 ? log_file_flush(f, err) : 0;
    log_file_deinit(f);
    return r;
}

void log_file_deinit(struct log_file *f) {
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f->gaps);
    buffer_deinit(&f->out);
    *f = LOG_FILE_NULL;
}

uint64_t log_file_place(const struct log_file *f, int64_t ns) {
    size_t known = f->point_count < LOG_POINTS_MAX ? f->point_count : LOG_POINTS_MAX;
    for (size_t back = 1; back <= known; back++) {
        const struct log_point *point = &f->points[(f->point_count - back) % LOG_POINTS_MAX];
        if (point->ns < ns || back == known)
            return back == known && f->point_count <= LOG_POINTS_MAX ? 0 : point->offset;
    }
    return 0;
}

bool log_file_is_there(const struct log_file *f) {
    struct stat ours, theirs;
    return fstat(f->fd, &ours) == 0 && stat(f->path, &theirs) == 0 &&
           ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}
