#include "lib/archive.h"

#include "lib/archive_impl.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What does not fit into the caller's buffer: a header, a long name, padding. */
enum { PENDING_MAX = 1 << 20 };

struct archive_stream {
    struct archive_items items;
    struct archive *tar;
    struct archive_entry *entry;

    char *out; /* the buffer of the pull in progress */
    size_t out_size, out_capacity;
    struct buffer pending;

    bool in_file;
    uint64_t left; /* of its content */
    const char *data;
    int fd;
    struct timespec modified;
    char path[ARCHIVE_SHOWN_SIZE];

    bool ended;
    bool failed;
};

/*
 * libarchive's output. Bytes of a file have been read to where they belong, and libarchive hands
 * the same address on (it does not block without a block size): then there is nothing to copy.
 */
static la_ssize_t emit(struct archive *tar, void *user, const void *data, size_t size) {
    (void)tar;
    struct archive_stream *s = user;
    if (!s->out)
        return -1; /* it is being freed: archive_write_free would still write an end */
    size_t fits = s->out_capacity - s->out_size;
    if (fits > size)
        fits = size;
    if (data != s->out + s->out_size)
        memcpy(s->out + s->out_size, data, fits);
    s->out_size += fits;
    buffer_append(&s->pending, (const char *)data + fits, size - fits);
    return (la_ssize_t)size;
}

struct archive_stream *archive_stream_new(struct archive_items items) {
    struct archive_stream *s = mem_new(struct archive_stream);
    s->items = items;
    s->fd = -1;
    buffer_init(&s->pending, PENDING_MAX);
    s->tar = archive_write_new();
    s->entry = archive_entry_new();
    if (!s->tar || !s->entry)
        abort();
    archive_check_setup(s->tar, archive_write_set_format_gnutar(s->tar));
    archive_check_setup(s->tar, archive_write_set_bytes_per_block(s->tar, 0));
    archive_check_setup(s->tar, archive_write_open2(s->tar, s, NULL, emit, NULL, NULL));
    return s;
}

static void close_file(struct archive_stream *s) {
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->data = NULL;
    s->in_file = false;
}

void archive_stream_free(struct archive_stream *s) {
    close_file(s);
    s->out = NULL;
    archive_write_free(s->tar);
    archive_entry_free(s->entry);
    buffer_deinit(&s->pending);
    free(s);
}

static int changed(const struct archive_stream *s, const char *how, struct error *err) {
    error_set(err, ERROR_CONFLICT, "file '%s' %s while it was read", s->path, how);
    return error_hint(err, "try again when nothing writes to it");
}

/* The file as it was when its header was written. */
static int open_file(struct archive_stream *s, const struct archive_item *item, struct error *err) {
    struct stat st;
    if (fstat(s->fd, &st) < 0)
        return error_set_os(err, ERROR_IO, errno, "look at file '%s'", s->path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_IO, "'%s' is not a regular file", s->path);
    if ((uint64_t)st.st_size != item->size)
        return changed(s, "changed its size", err);
    s->modified = st.st_mtim;
    return 0;
}

static void fill_entry(struct archive_entry *e, const struct archive_item *item) {
    archive_entry_clear(e);
    archive_entry_set_pathname(e, item->path);
    archive_entry_set_filetype(e, item->kind == ARCHIVE_ITEM_FILE        ? AE_IFREG
                                  : item->kind == ARCHIVE_ITEM_DIRECTORY ? AE_IFDIR
                                                                         : AE_IFLNK);
    archive_entry_set_perm(e, item->mode & 07777);
    archive_entry_set_size(e, item->kind == ARCHIVE_ITEM_FILE ? (int64_t)item->size : 0);
    if (item->kind == ARCHIVE_ITEM_SYMLINK)
        archive_entry_set_symlink(e, item->target);
    archive_entry_set_uid(e, 0);
    archive_entry_set_gid(e, 0);
    archive_entry_set_mtime(e, item->mtime_s ? item->mtime_s : ARCHIVE_MTIME, 0);
}

static int begin_item(struct archive_stream *s, const struct archive_item *item,
                      struct error *err) {
    bool file = item->kind == ARCHIVE_ITEM_FILE;
    text_safe(item->path, s->path, sizeof s->path);
    s->in_file = file;
    s->left = file ? item->size : 0;
    s->data = file ? item->data : NULL;
    s->fd = file && !item->data ? item->fd : -1;
    if (item->size > INT64_MAX)
        return error_set(err, ERROR_LIMIT, "file '%s' is too large", s->path);
    if (s->fd >= 0 && open_file(s, item, err) < 0)
        return -1;
    assert(!file || s->data || s->fd >= 0);
    fill_entry(s->entry, item);
    /* A warning would be a name that was changed on its way: as bad as an error. */
    if (archive_write_header(s->tar, s->entry) != ARCHIVE_OK)
        return error_set(err, ERROR_IO, "write the tar header of '%s': %s", s->path,
                         archive_reason(s->tar));
    return 0;
}

static int copy_content(struct archive_stream *s, struct error *err) {
    size_t size = s->out_capacity - s->out_size;
    if (size > s->left)
        size = (size_t)s->left;
    const char *data = s->data;
    if (s->fd >= 0) {
        data = s->out + s->out_size;
        ssize_t n;
        do
            n = read(s->fd, s->out + s->out_size, size);
        while (n < 0 && errno == EINTR);
        if (n < 0)
            return error_set_os(err, ERROR_IO, errno, "read file '%s'", s->path);
        if (n == 0)
            return changed(s, "became shorter", err);
        size = (size_t)n;
    }
    if (archive_write_data(s->tar, data, size) != (la_ssize_t)size)
        return error_set(err, ERROR_IO, "write '%s' to the tar stream: %s", s->path,
                         archive_reason(s->tar));
    s->left -= size;
    if (s->data)
        s->data += size;
    return 0;
}

static int end_file(struct archive_stream *s, struct error *err) {
    struct stat st;
    if (s->fd >= 0) {
        if (fstat(s->fd, &st) < 0)
            return error_set_os(err, ERROR_IO, errno, "look at file '%s'", s->path);
        if (st.st_mtim.tv_sec != s->modified.tv_sec || st.st_mtim.tv_nsec != s->modified.tv_nsec ||
            st.st_size != archive_entry_size(s->entry))
            return changed(s, "was modified", err);
    }
    close_file(s);
    if (archive_write_finish_entry(s->tar) != ARCHIVE_OK)
        return error_set(err, ERROR_IO, "end '%s' in the tar stream: %s", s->path,
                         archive_reason(s->tar));
    return 0;
}

static int next_item(struct archive_stream *s, struct error *err) {
    struct archive_item item = {.fd = -1};
    int result = s->items.next(s->items.user, &item, err);
    if (result < 0)
        return -1;
    if (result == 0)
        return begin_item(s, &item, err);
    s->ended = true;
    if (archive_write_close(s->tar) != ARCHIVE_OK)
        return error_set(err, ERROR_IO, "end the tar stream: %s", archive_reason(s->tar));
    return 0;
}

static int step(struct archive_stream *s, struct error *err) {
    if (s->pending.size > 0) {
        size_t room = s->out_capacity - s->out_size;
        size_t size = s->pending.size < room ? s->pending.size : room;
        memcpy(s->out + s->out_size, s->pending.data, size);
        s->out_size += size;
        buffer_consume(&s->pending, size);
        return 0;
    }
    if (s->in_file && s->left > 0)
        return copy_content(s, err);
    if (s->in_file)
        return end_file(s, err);
    return next_item(s, err);
}

ssize_t archive_stream_pull(void *stream, void *data, size_t size, struct error *err) {
    struct archive_stream *s = stream;
    assert(size > 0);
    if (s->failed)
        return error_set(err, ERROR_IO, "the archive has failed before");
    s->out = data;
    s->out_size = 0;
    s->out_capacity = size;
    while (s->out_size < size && !(s->ended && s->pending.size == 0)) {
        if (step(s, err) < 0 || buffer_check(&s->pending, "a tar header", err) < 0) {
            s->failed = true;
            return -1;
        }
    }
    return (ssize_t)s->out_size;
}

struct source archive_stream_source(struct archive_stream *s) {
    return (struct source){.pull = archive_stream_pull, .arg = s};
}
