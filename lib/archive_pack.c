#include "lib/archive.h"

#include "lib/archive_impl.h"
#include "lib/memory.h"

#include <archive_entry.h>
#include <errno.h>
#include <unistd.h>

/* zstd's fastest ordinary level: what is packed is mostly compressed by its database already. */
#define LEVEL "1"

struct archive_pack {
    int fd;
    struct archive *frame; /* NULL: between two */
    uint64_t bytes;        /* written to fd */
    struct error err;
};

struct archive_pack *archive_pack_new(int fd) {
    struct archive_pack *p = mem_new(struct archive_pack);
    p->fd = fd;
    return p;
}

void archive_pack_free(struct archive_pack *p) {
    p->fd = -1;
    if (p->frame)
        archive_write_free(p->frame);
    free(p);
}

static la_ssize_t emit(struct archive *a, void *user, const void *data, size_t size) {
    (void)a;
    struct archive_pack *p = user;
    ssize_t n = p->fd < 0 ? -1 : write(p->fd, data, size);
    if (n < 0 && errno == EINTR)
        return 0;
    if (n < 0 && p->fd >= 0)
        error_set_os(&p->err, ERROR_IO, errno, "write");
    if (n > 0)
        p->bytes += (uint64_t)n;
    return n;
}

static int failed(struct archive_pack *p, struct error *err) {
    if (p->err.kind == ERROR_NONE)
        error_set(&p->err, ERROR_IO, "compress: %s", archive_reason(p->frame));
    *err = p->err;
    return -1;
}

static int begin_frame(struct archive_pack *p, struct error *err) {
    struct archive_entry *entry = archive_entry_new();
    p->frame = archive_write_new();
    if (!entry || !p->frame)
        abort();
    archive_check_setup(p->frame, archive_write_set_format_raw(p->frame));
    archive_check_setup(p->frame, archive_write_add_filter_zstd(p->frame));
    archive_check_setup(
        p->frame, archive_write_set_filter_option(p->frame, "zstd", "compression-level", LEVEL));
    archive_check_setup(p->frame, archive_write_set_bytes_in_last_block(p->frame, 1));
    archive_entry_set_filetype(entry, AE_IFREG);
    int status = archive_write_open2(p->frame, p, NULL, emit, NULL, NULL);
    if (status == ARCHIVE_OK)
        status = archive_write_header(p->frame, entry);
    archive_entry_free(entry);
    return status == ARCHIVE_OK ? 0 : failed(p, err);
}

int archive_pack_feed(void *pack, const void *data, size_t size, struct error *err) {
    struct archive_pack *p = pack;
    if (!p->frame && begin_frame(p, err) < 0)
        return -1;
    while (size > 0) {
        la_ssize_t n = archive_write_data(p->frame, data, size);
        if (n <= 0)
            return failed(p, err);
        data = (const char *)data + n;
        size -= (size_t)n;
    }
    return 0;
}

int archive_pack_end_frame(struct archive_pack *p, uint64_t *ret_bytes, struct error *err) {
    if (p->frame) {
        if (archive_write_close(p->frame) != ARCHIVE_OK)
            return failed(p, err);
        archive_write_free(p->frame);
        p->frame = NULL;
    }
    *ret_bytes = p->bytes;
    return 0;
}
