#include "executor/protocol_log.h"

#include "executor/pbft/codec.h"
#include "executor/protocol_record.h"
#include "executor/request.h"

#include "lib/buffer.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct log_segment {
    uint64_t number;
    uint64_t seq_max; /* of what has to be kept */
    uint64_t bytes;
};

struct protocol_log {
    char *folder;
    struct protocol_owner owner;
    bool sync, dirty, failed;
    int fd;
    struct log_segment *segments; /* in order; the last one is written */
    size_t segment_count, segment_capacity;
    uint64_t bytes;
    struct buffer head; /* of the record that is written */
    struct buffer view; /* the last VIEW, as a record; empty: none */
    struct record_reader reader;
};

/* ---- files ---- */

static char *path_of(const struct protocol_log *log, uint64_t number) {
    return text_format("%s/%llu.log", log->folder, (unsigned long long)number);
}

static struct log_segment *last_of(struct protocol_log *log) {
    return &log->segments[log->segment_count - 1];
}

static int sync_folder(const struct protocol_log *log, struct error *err) {
    if (!log->sync)
        return 0;
    cleanup_close int fd = open(log->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return error_set_os(err, ERROR_IO, errno, "sync the folder '%s'", log->folder);
    return 0;
}

static int write_error(struct protocol_log *log, struct error *err) {
    int problem = errno;
    log->failed = true;
    error_set_os(err, ERROR_IO, problem, "write the protocol log in '%s'", log->folder);
    return problem == ENOSPC ? error_hint(err, "make room on the disk, and start it again") : -1;
}

static int write_all(struct protocol_log *log, struct iovec *parts, int count, struct error *err) {
    while (count > 0) {
        ssize_t n = writev(log->fd, parts, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return write_error(log, err);
        log->bytes += (uint64_t)n;
        last_of(log)->bytes += (uint64_t)n;
        while (count > 0 && (size_t)n >= parts->iov_len) {
            n -= (ssize_t)parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + n;
            parts->iov_len -= (size_t)n;
        }
    }
    log->dirty = true;
    return 0;
}

static int write_buffer(struct protocol_log *log, const struct buffer *buffer, struct error *err) {
    struct iovec part = {buffer->data, buffer->size};
    return write_all(log, &part, buffer->size > 0, err);
}

/* Begins the next segment; it says what has to be known of the time before it. */
static int begin_segment(struct protocol_log *log, struct error *err) {
    uint64_t number = log->segment_count ? last_of(log)->number + 1 : 1;
    cleanup_free char *path = path_of(log, number);
    if (log->fd >= 0) {
        if (protocol_log_sync(log, err) < 0)
            return -1;
        close(take_fd(&log->fd));
    }
    log->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
    if (log->fd < 0) {
        log->failed = true;
        return error_set_os(err, ERROR_IO, errno, "create '%s'", path);
    }
    mem_grow(log->segments, log->segment_count, log->segment_capacity);
    log->segments[log->segment_count++] = (struct log_segment){.number = number};
    uint8_t head[PROTOCOL_SEGMENT_HEAD_SIZE];
    protocol_owner_encode(&log->owner, head);
    struct iovec part = {head, sizeof head};
    if (write_all(log, &part, 1, err) < 0 || write_buffer(log, &log->view, err) < 0)
        return -1;
    return sync_folder(log, err);
}

/* What is at and below `stable` is not needed any more. */
static void drop_segments(struct protocol_log *log, uint64_t stable) {
    size_t dropped = 0;
    while (dropped + 1 < log->segment_count && log->segments[dropped].seq_max <= stable) {
        cleanup_free char *path = path_of(log, log->segments[dropped].number);
        unlink(path);
        log->bytes -= log->segments[dropped].bytes;
        dropped++;
    }
    log->segment_count -= dropped;
    memmove(log->segments, log->segments + dropped, log->segment_count * sizeof *log->segments);
}

/* ---- writing ---- */

static int append(struct protocol_log *log, const struct pbft_record *record, struct error *err) {
    struct iovec parts[1 + PBFT_BATCH_MAX] = {{log->head.data, log->head.size}};
    int count = 1;
    bool proposal = record->type == PBFT_RECORD_PROPOSAL;
    for (uint32_t i = 0; proposal && i < record->count; i++) {
        const struct request *request = request_of(&record->requests[i]);
        parts[count++] = (struct iovec){request->blob->data + request->offset,
                                        request->blob->size - request->offset};
    }
    if (record->type != PBFT_RECORD_VIEW && record->type != PBFT_RECORD_STABLE &&
        record->seq > last_of(log)->seq_max)
        last_of(log)->seq_max = record->seq;
    return write_all(log, parts, count, err);
}

int protocol_log_append(struct protocol_log *log, const struct pbft_record *record,
                        struct error *err) {
    bool stable = record->type == PBFT_RECORD_STABLE;
    if (log->failed)
        return error_set(err, ERROR_IO, "the protocol log has failed before");
    if (log->bytes > PROTOCOL_LOG_BYTES_MAX) {
        log->failed = true;
        return error_set(err, ERROR_LIMIT, "the protocol log in '%s' has more than %llu bytes",
                         log->folder, (unsigned long long)PROTOCOL_LOG_BYTES_MAX);
    }
    buffer_clear(&log->head);
    protocol_record_encode(record, &log->head);
    if (record->type == PBFT_RECORD_VIEW) {
        buffer_clear(&log->view);
        buffer_append(&log->view, log->head.data, log->head.size);
    }
    if ((stable && begin_segment(log, err) < 0) || append(log, record, err) < 0)
        return -1;
    if (!stable)
        return 0;
    if (protocol_log_sync(log, err) < 0) /* before the old ones are gone */
        return -1;
    drop_segments(log, record->seq);
    return 0;
}

int protocol_log_sync(struct protocol_log *log, struct error *err) {
    if (!log->dirty || !log->sync)
        return 0;
    log->dirty = false;
    if (fdatasync(log->fd) < 0)
        return write_error(log, err);
    return 0;
}

uint64_t protocol_log_bytes(const struct protocol_log *log) {
    return log->bytes;
}

/* ---- reading ---- */

/* A segment as it is in memory while it is read. */
struct map {
    const uint8_t *data;
    size_t size;
};

#define MAP_NULL ((struct map){.data = NULL})

static void map_deinit(struct map *map) {
    if (map->size > 0)
        munmap((void *)(uintptr_t)map->data, map->size);
}

static int map_file(const char *path, struct map *ret, struct error *err) {
    struct stat st;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set_os(err, ERROR_IO, errno, "open '%s'", path);
    if ((uint64_t)st.st_size > 2 * PROTOCOL_LOG_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "'%s' is too large", path);
    *ret = MAP_NULL;
    if (st.st_size == 0)
        return 0;
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return error_set_os(err, ERROR_IO, errno, "read '%s'", path);
    *ret = (struct map){.data = data, .size = (size_t)st.st_size};
    return 0;
}

/* What is looked for, and found, in a pass over all segments. */
struct pass {
    bool second; /* the visitor gets what is behind `stable` */
    uint64_t height;
    bool has_stable;
    struct pbft_record stable;
    protocol_log_visit *visit;
    void *context;
};

static int take_record(struct protocol_log *log, struct pass *pass, struct log_segment *segment,
                       const uint8_t *bytes, size_t size, struct error *err) {
    const struct pbft_record *record = &log->reader.record;
    switch (record->type) {
    case PBFT_RECORD_VIEW:
        buffer_clear(&log->view);
        buffer_append(&log->view, bytes, size);
        return 0;
    case PBFT_RECORD_STABLE:
        if (!pass->second && record->height <= pass->height) {
            pass->has_stable = true;
            pass->stable = *record;
        }
        return 0;
    default: break;
    }
    if (record->seq > segment->seq_max)
        segment->seq_max = record->seq;
    if (!pass->second || (pass->has_stable && record->seq <= pass->stable.seq))
        return 0;
    return pass->visit(pass->context, record, record_reader_requests(&log->reader), err);
}

static bool all_zero(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (data[i] != 0)
            return false;
    return true;
}

/* It is cut off, so that what is written next follows what can be read. */
static int cut(const char *path, size_t size, struct error *err) {
    if (truncate(path, (off_t)size) < 0)
        return error_set_os(err, ERROR_IO, errno, "cut the torn end of '%s'", path);
    return 0;
}

static int damaged(const char *path, size_t at, struct error *err) {
    error_set(err, ERROR_INVALID, "'%s' is damaged at byte %zu", path, at);
    return error_hint(err, "remove the replica's data folder, if the others are well: it gets the "
                           "chain from them, and counts as a faulty one until then");
}

static int read_segment(struct protocol_log *log, struct pass *pass, size_t index,
                        struct error *err) {
    cleanup_free char *path = path_of(log, log->segments[index].number);
    cleanup(map_deinit) struct map map = MAP_NULL;
    bool last = index + 1 == log->segment_count;
    size_t at = PROTOCOL_SEGMENT_HEAD_SIZE;
    if (map_file(path, &map, err) < 0)
        return -1;
    log->segments[index].bytes = map.size;
    if (map.size < at && last) { /* it was about to be begun */
        unlink(path);
        log->segment_count--;
        return 0;
    }
    if (map.size < at)
        return damaged(path, 0, err);
    if (protocol_owner_check(&log->owner, map.data, err) < 0)
        return error_wrap(err, "'%s'", path);
    while (at < map.size) {
        size_t size = 0;
        bool good = record_reader_read(&log->reader, map.data + at, map.size - at, &size);
        if (!good) {
            bool torn = size >= map.size - at || all_zero(map.data + at, map.size - at);
            log->segments[index].bytes = at;
            return last && torn ? cut(path, at, err) : damaged(path, at, err);
        }
        if (take_record(log, pass, &log->segments[index], map.data + at, size, err) < 0)
            return error_wrap(err, "'%s' at byte %zu", path, at);
        at += size;
    }
    return 0;
}

static int read_segments(struct protocol_log *log, struct pass *pass, struct error *err) {
    for (size_t i = 0; i < log->segment_count; i++)
        if (read_segment(log, pass, i, err) < 0)
            return -1;
    return 0;
}

static int visit_view(struct protocol_log *log, struct pass *pass, struct error *err) {
    size_t size;
    if (log->view.size == 0)
        return 0;
    bool good =
        record_reader_read(&log->reader, (const uint8_t *)log->view.data, log->view.size, &size);
    assert(good); /* it was read before */
    return pass->visit(pass->context, &log->reader.record, NULL, err);
}

static int recover(struct protocol_log *log, struct pass *pass, struct error *err) {
    if (read_segments(log, pass, err) < 0)
        return -1;
    if (pass->has_stable && pass->visit(pass->context, &pass->stable, NULL, err) < 0)
        return -1;
    if (visit_view(log, pass, err) < 0)
        return -1;
    pass->second = true;
    return read_segments(log, pass, err);
}

/* ---- life ---- */

static int by_number(const void *a, const void *b) {
    const struct log_segment *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int find_segments(struct protocol_log *log, struct error *err) {
    DIR *dir = opendir(log->folder);
    if (!dir)
        return error_set_os(err, ERROR_IO, errno, "open the folder '%s'", log->folder);
    for (const struct dirent *e; (e = readdir(dir));) {
        char *end;
        unsigned long long number = strtoull(e->d_name, &end, 10);
        if (number == 0 || number == UINT64_MAX || !text_equal(end, ".log"))
            continue;
        mem_grow(log->segments, log->segment_count, log->segment_capacity);
        log->segments[log->segment_count++] = (struct log_segment){.number = number};
    }
    closedir(dir);
    if (log->segment_count > 0)
        qsort(log->segments, log->segment_count, sizeof *log->segments, by_number);
    return 0;
}

static struct protocol_log *log_new(const struct protocol_log_options *options) {
    struct protocol_log *log = mem_new(struct protocol_log);
    log->folder = text_dup(options->folder);
    log->owner = (struct protocol_owner){.replica = options->replica, .n = options->n};
    snprintf(log->owner.run, sizeof log->owner.run, "%s", options->run);
    log->sync = options->sync;
    log->fd = -1;
    buffer_init(&log->head, PROTOCOL_RECORD_HEAD_MAX);
    buffer_init(&log->view, PROTOCOL_RECORD_HEAD_MAX);
    record_reader_init(&log->reader);
    return log;
}

/* A new segment is begun in any case; it has nothing that the stable number would not drop. */
static int begin_again(struct protocol_log *log, const struct pass *pass, struct error *err) {
    for (size_t i = 0; i < log->segment_count; i++)
        log->bytes += log->segments[i].bytes;
    if (begin_segment(log, err) < 0)
        return -1;
    if (!pass->has_stable)
        return 0;
    buffer_clear(&log->head);
    protocol_record_encode(&pass->stable, &log->head);
    return write_buffer(log, &log->head, err);
}

int protocol_log_open(const struct protocol_log_options *options, uint64_t height,
                      protocol_log_visit *visit, void *context, struct protocol_log **ret,
                      struct error *err) {
    cleanup(protocol_log_freep) struct protocol_log *log = log_new(options);
    struct pass pass = {.height = height, .visit = visit, .context = context};
    if (file_make_folders(log->folder, 0755, err) < 0 || find_segments(log, err) < 0 ||
        recover(log, &pass, err) < 0 || begin_again(log, &pass, err) < 0)
        return -1;
    *ret = take_ptr(log);
    return 0;
}

void protocol_log_free(struct protocol_log *log) {
    if (log->fd >= 0)
        close(log->fd);
    record_reader_deinit(&log->reader);
    buffer_deinit(&log->head);
    buffer_deinit(&log->view);
    free(log->segments);
    free(log->folder);
    free(log);
}
