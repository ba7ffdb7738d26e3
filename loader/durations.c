#include "loader/durations_format.h"

#include "lib/bytes.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "loader/limits.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *outcome_name(enum outcome outcome) {
    static const char *const names[OUTCOME_COUNT] = {
#define X(kind, name, text) [OUTCOME_##kind] = name,
        OUTCOMES(X)
#undef X
    };
    assert(outcome < OUTCOME_COUNT);
    return names[outcome];
}

struct durations {
    char *path;
    char *part_path;
    int fd;
    pthread_mutex_t lock; /* of fd and count: pieces stay whole */
    uint64_t count;
};

struct durations_writer {
    struct durations *file; /* borrowed */
    uint64_t count;         /* records in this piece */
    uint64_t intended_ns_before;
    size_t size; /* of `piece` that is used */
    uint8_t piece[LOADER_PIECE_SIZE + RECORD_MAX];
};

static int write_all(const struct durations *d, const uint8_t *bytes, size_t size,
                     struct error *err) {
    size_t written = 0;
    while (written < size) {
        ssize_t n = write(d->fd, bytes + written, size - written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_os(err, ERROR_IO, errno, "write '%s'", d->part_path);
        written += (size_t)n;
    }
    return 0;
}

int durations_create(const char *path, uint64_t client_base, struct wall_time start,
                     struct durations **ret, struct error *err) {
    cleanup(durations_freep) struct durations *d = mem_new(struct durations);
    uint8_t header[HEADER_SIZE];
    pthread_mutex_init(&d->lock, NULL);
    d->path = text_dup(path);
    d->part_path = text_format("%s.part", path);
    d->fd = open(d->part_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (d->fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create '%s'", d->part_path);
    struct byte_writer w = byte_writer(header, sizeof header);
    bytes_put(&w, magic, sizeof magic);
    bytes_put_u32(&w, VERSION); /* and the three zeros */
    bytes_put_u64(&w, client_base);
    bytes_put_u64(&w, (uint64_t)start.ns);
    if (write_all(d, header, bytes_written(&w), err) < 0)
        return -1;
    *ret = take_ptr(d);
    return 0;
}

int durations_start(struct durations *d, struct wall_time start, struct error *err) {
    uint8_t bytes[sizeof(uint64_t)];
    struct byte_writer w = byte_writer(bytes, sizeof bytes);
    bytes_put_u64(&w, (uint64_t)start.ns);
    if (pwrite(d->fd, bytes, sizeof bytes, START_AT) != (ssize_t)sizeof bytes)
        return error_set_os(err, ERROR_IO, errno, "write '%s'", d->part_path);
    return 0;
}

void durations_free(struct durations *d) {
    if (d->fd >= 0)
        close(d->fd);
    pthread_mutex_destroy(&d->lock);
    free(d->path);
    free(d->part_path);
    free(d);
}

static size_t put_varint(uint8_t *to, uint64_t value) {
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        to[size++] = (uint8_t)(value | 0x80);
    to[size++] = (uint8_t)value;
    return size;
}

static void put(struct durations_writer *w, uint64_t value) {
    w->size += put_varint(w->piece + w->size, value);
}

static void begin_piece(struct durations_writer *w) {
    w->size = 0;
    w->count = w->intended_ns_before = 0;
    put(w, MARK_PIECE);
}

struct durations_writer *durations_writer_new(struct durations *d) {
    struct durations_writer *w = mem_new(struct durations_writer);
    w->file = d;
    begin_piece(w);
    return w;
}

void durations_writer_free(struct durations_writer *w) {
    free(w);
}

static uint64_t zigzag(uint64_t difference) {
    return difference << 1 ^ (uint64_t)((int64_t)difference >> 63);
}

int durations_append(struct durations_writer *w, const struct duration *one, struct error *err) {
    put(w, (uint64_t)one->client << 3 | (one->outcome + 1U));
    put(w, one->number);
    put(w, zigzag(one->intended_ns - w->intended_ns_before));
    put(w, one->sent ? one->send_delay_ns + 1 : 0);
    put(w, one->latency_ns);
    w->intended_ns_before = one->intended_ns;
    w->count++;
    return w->size >= LOADER_PIECE_SIZE ? durations_flush(w, err) : 0;
}

int durations_flush(struct durations_writer *w, struct error *err) {
    struct durations *d = w->file;
    if (w->count == 0)
        return 0;
    pthread_mutex_lock(&d->lock);
    int r = write_all(d, w->piece, w->size, err);
    d->count += w->count;
    pthread_mutex_unlock(&d->lock);
    begin_piece(w);
    return r;
}

int durations_finish(struct durations *d, struct error *err) {
    uint8_t end[1 + VARINT_MAX] = {MARK_END};
    if (write_all(d, end, 1 + put_varint(end + 1, d->count), err) < 0)
        return -1;
    if (close(take_fd(&d->fd)) < 0)
        return error_set_os(err, ERROR_IO, errno, "close '%s'", d->part_path);
    if (rename(d->part_path, d->path) < 0)
        return error_set_os(err, ERROR_IO, errno, "rename '%s' to '%s'", d->part_path, d->path);
    return 0;
}
