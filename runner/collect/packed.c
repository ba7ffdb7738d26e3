#include "runner/collect/packed.h"

#include "lib/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    FRAME_BYTES = 16 << 20, /* of the archive: what is lost when the transfer breaks */
    END_BYTES = 1024,       /* of zeros, with which every tar ends */
};

struct packed {
    struct kept *kept;
    int fd;
    struct archive_pack *pack;
    struct archive_limits limits;
    uint64_t begun;                /* bytes of the file that were there before */
    uint64_t bytes;                /* of the archive */
    uint64_t frame;                /* of these in the frame in hand */
    char last[ARCHIVE_HEADER_MAX]; /* of the archive so far; in front: zeros */
    size_t expected;               /* of the mark's bytes still to come again */
};

static void go_on_from(struct packed *p, const struct kept_state *s) {
    p->begun = s->packed_bytes;
    p->bytes = s->mark.position;
    p->expected = s->mark.header_size;
    memcpy(p->last + sizeof p->last - p->expected, s->mark.header, p->expected);
}

int packed_open(struct kept *kept, struct packed **ret, struct error *err) {
    cleanup(packed_closep) struct packed *p = mem_new(struct packed);
    struct stat st;
    p->kept = kept;
    p->limits = ARCHIVE_LIMITS_DEFAULT;
    p->fd = openat(kept->folder_fd, PACKED_NAME, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (p->fd >= 0 && fstat(p->fd, &st) == 0 && kept->state.begun &&
        (uint64_t)st.st_size >= kept->state.packed_bytes)
        go_on_from(p, &kept->state);
    if (p->fd < 0 || ftruncate(p->fd, (off_t)p->begun) < 0 ||
        lseek(p->fd, (off_t)p->begun, SEEK_SET) < 0)
        return error_set_os(err, ERROR_IO, errno, "open '%s/%s'", kept->folder, PACKED_NAME);
    p->pack = archive_pack_new(p->fd);
    *ret = take_ptr(p);
    return 0;
}

void packed_close(struct packed *p) {
    if (p->pack)
        archive_pack_free(p->pack);
    if (p->fd >= 0)
        close(p->fd);
    free(p);
}

uint64_t packed_offset(const struct packed *p) {
    return p->bytes - p->expected;
}

static int look_at_disk(const struct packed *p, struct error *err) {
    struct statvfs fs;
    if (fstatvfs(p->fd, &fs) < 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= p->limits.free_min)
        return 0;
    return error_set(err, ERROR_LIMIT,
                     "the disk is full but for %llu MiB, which are left to others",
                     (unsigned long long)(p->limits.free_min >> 20));
}

static int end_frame(struct packed *p, struct error *err) {
    struct kept_state *s = &p->kept->state;
    uint64_t written;
    if (look_at_disk(p, err) < 0 || archive_pack_end_frame(p->pack, &written, err) < 0)
        return -1;
    s->begun = true;
    s->packed_bytes = p->begun + written;
    s->mark.position = p->bytes;
    s->mark.header_size = p->bytes < sizeof p->last ? (uint32_t)p->bytes : sizeof p->last;
    memcpy(s->mark.header, p->last + sizeof p->last - s->mark.header_size, s->mark.header_size);
    p->frame = 0;
    return kept_save(p->kept, err);
}

static void remember(struct packed *p, const char *data, size_t size) {
    size_t kept = size < sizeof p->last ? sizeof p->last - size : 0;
    memmove(p->last, p->last + sizeof p->last - kept, kept);
    memcpy(p->last + kept, data + size - (sizeof p->last - kept), sizeof p->last - kept);
}

static int compare(struct packed *p, const char **data, size_t *size, struct error *err) {
    size_t piece = *size < p->expected ? *size : p->expected;
    if (memcmp(p->last + sizeof p->last - p->expected, *data, piece) != 0)
        return error_set(err, ERROR_CONFLICT, "the archive has changed since it was begun");
    p->expected -= piece;
    *data += piece;
    *size -= piece;
    return 0;
}

static int push(void *arg, const void *data_, size_t size, struct error *err) {
    struct packed *p = arg;
    const char *data = data_;
    if (compare(p, &data, &size, err) < 0)
        return -1;
    if (size > p->limits.bytes_max - p->bytes)
        return error_set(err, ERROR_LIMIT, "the archive has more than %llu bytes",
                         (unsigned long long)p->limits.bytes_max);
    while (size > 0) {
        size_t piece = size < FRAME_BYTES - p->frame ? size : (size_t)(FRAME_BYTES - p->frame);
        if (archive_pack_feed(p->pack, data, piece, err) < 0)
            return -1;
        remember(p, data, piece);
        p->bytes += piece;
        p->frame += piece;
        data += piece;
        size -= piece;
        if (p->frame == FRAME_BYTES && end_frame(p, err) < 0)
            return -1;
    }
    return 0;
}

struct sink packed_sink(struct packed *p) {
    return (struct sink){.push = push, .arg = p};
}

int packed_end(struct packed *p, struct error *err) {
    static const char zeros[END_BYTES];
    if (p->expected || p->bytes < END_BYTES ||
        memcmp(p->last + sizeof p->last - END_BYTES, zeros, END_BYTES) != 0)
        return error_set(err, ERROR_INVALID, "not a whole tar archive: its end is missing");
    return end_frame(p, err);
}
