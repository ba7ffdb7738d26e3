#include "lib/archive.h"

#include "lib/archive_target.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------- writing */

/* What does not fit into the caller's buffer: a header, a long name, padding. */
enum { PENDING_MAX = 1 << 20 };

enum { SHOWN_SIZE = 512 };

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
    char path[SHOWN_SIZE];

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

static void check_setup(struct archive *a, int status) {
    if (status == ARCHIVE_OK)
        return;
    fprintf(stderr, "seatrial: libarchive: %s\n", archive_error_string(a));
    abort();
}

static const char *reason(struct archive *a) {
    const char *text = archive_error_string(a);
    return text ? text : "unknown reason";
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
    check_setup(s->tar, archive_write_set_format_gnutar(s->tar));
    check_setup(s->tar, archive_write_set_bytes_per_block(s->tar, 0));
    check_setup(s->tar, archive_write_open2(s->tar, s, NULL, emit, NULL, NULL));
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
                         reason(s->tar));
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
                         reason(s->tar));
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
        return error_set(err, ERROR_IO, "end '%s' in the tar stream: %s", s->path, reason(s->tar));
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
        return error_set(err, ERROR_IO, "end the tar stream: %s", reason(s->tar));
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

/* ------------------------------------------------------------------------------------- reading */

/* What is handed to libarchive at once: few enough changes of thread, and little memory. */
enum { BLOCK_SIZE = 256 * 1024 };

/* Two zero blocks end every archive (POSIX pax, "ustar Interchange Format"). */
enum { END_SIZE = 1024 };

struct archive_extract {
    struct archive_extract_options options;
    struct archive_target target;
    struct archive_stats stats;
    struct error err;        /* the caller has been told */
    struct error worker_err; /* looked at once the worker has given the turn */

    char *block; /* filled by the caller, read by the worker */
    size_t block_size;
    uint64_t received;
    uint64_t zeros; /* with which the archive ends so far */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool workers_turn; /* all of the above belongs to whose turn it is */
    bool worker_ended;
    bool input_ended;
    bool joined;
};

const char *archive_skip_text(enum archive_skip why) {
    static const char *const texts[] = {
        [ARCHIVE_SKIP_SYMLINK] = "a symbolic link",
        [ARCHIVE_SKIP_HARDLINK] = "a hard link",
        [ARCHIVE_SKIP_SPECIAL] = "neither file nor folder",
        [ARCHIVE_SKIP_NAME] = "an unsafe name",
        [ARCHIVE_SKIP_TOO_LONG] = "a name that is too long or too deep",
        [ARCHIVE_SKIP_PARENT] = "a name that leads through something that is no folder",
        [ARCHIVE_SKIP_EXISTS] = "exists already",
    };
    return texts[why];
}

/* -- the turns -- */

static void give_turn(struct archive_extract *x, bool to_worker) {
    pthread_mutex_lock(&x->lock);
    x->workers_turn = to_worker;
    pthread_cond_broadcast(&x->changed);
    while (x->workers_turn == to_worker && !x->worker_ended)
        pthread_cond_wait(&x->changed, &x->lock);
    pthread_mutex_unlock(&x->lock);
}

/* libarchive asks for more. */
static la_ssize_t receive(struct archive *tar, void *user, const void **ret_data) {
    (void)tar;
    struct archive_extract *x = user;
    x->block_size = 0;
    if (!x->input_ended)
        give_turn(x, false);
    *ret_data = x->block;
    return (la_ssize_t)x->block_size;
}

/* -- the worker -- */

static void skipped(struct archive_extract *x, const char *path, enum archive_skip why) {
    x->stats.skipped++;
    if (x->options.skipped)
        x->options.skipped(x->options.user, path, why);
}

static int broken(struct archive *tar, struct error *err) {
    return error_set(err, ERROR_INVALID, "not a whole tar archive: %s", reason(tar));
}

static int write_at(int fd, const char *data, size_t size, int64_t offset, struct error *err) {
    while (size > 0) {
        ssize_t n = pwrite(fd, data, size, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_os(err, ERROR_IO, errno, "write");
        data += n;
        size -= (size_t)n;
        offset += n;
    }
    return 0;
}

/* Holes stay holes. */
static int write_content(struct archive_extract *x, struct archive *tar, int fd, int64_t size,
                         struct error *err) {
    int64_t end = 0;
    for (;;) {
        const void *data;
        size_t piece;
        la_int64_t offset;
        int status = archive_read_data_block(tar, &data, &piece, &offset);
        if (status == ARCHIVE_EOF)
            break;
        if (status != ARCHIVE_OK)
            return broken(tar, err);
        if (offset < end || offset > size || (int64_t)piece > size - offset)
            return error_set(err, ERROR_INVALID, "not a tar archive: content outside of its file");
        if (write_at(fd, data, piece, offset, err) < 0)
            return -1;
        x->stats.bytes += (uint64_t)(offset - end) + piece;
        end = offset + (int64_t)piece;
    }
    if (end < size && ftruncate(fd, size) < 0)
        return error_set_os(err, ERROR_IO, errno, "set the size");
    x->stats.bytes += (uint64_t)(size - end);
    return 0;
}

static int extract_file(struct archive_extract *x, struct archive *tar, struct archive_entry *e,
                        const char *path, struct error *err) {
    int64_t size = archive_entry_size(e);
    char shown[SHOWN_SIZE];
    text_safe(path, shown, sizeof shown);
    if (size < 0)
        return error_set(err, ERROR_INVALID, "not a tar archive: '%s' has a negative size", shown);
    if ((uint64_t)size > x->options.limits.bytes_max - x->stats.bytes)
        return error_set(err, ERROR_LIMIT, "the files of the archive have more than %llu bytes",
                         (unsigned long long)x->options.limits.bytes_max);
    cleanup_close int fd = -1;
    enum archive_skip why;
    bool executable = (archive_entry_perm(e) & 0111) != 0;
    int result = archive_target_file(&x->target, path, executable, &fd, &why, err);
    if (result < 0)
        return error_wrap(err, "extract '%s'", shown);
    if (result > 0) {
        if (result == 2)
            skipped(x, path, why);
        return 0;
    }
    x->stats.files++;
    if (write_content(x, tar, fd, size, err) < 0)
        return error_wrap(err, "extract '%s'", shown);
    struct timespec times[2] = {
        {.tv_nsec = UTIME_NOW},
        {.tv_sec = archive_entry_mtime(e), .tv_nsec = archive_entry_mtime_nsec(e)},
    };
    (void)futimens(fd, times); /* a time that the file system cannot hold: then it is now */
    return 0;
}

static bool is_left_out(const struct archive_extract *x, const char *path) {
    path += strspn(path, "./");
    for (const char *const *name = x->options.without; name && *name; name++) {
        size_t size = strlen(*name);
        if (strncmp(path, *name, size) == 0 && (path[size] == '\0' || path[size] == '/'))
            return true;
    }
    return false;
}

static int extract_entry(struct archive_extract *x, struct archive *tar, struct archive_entry *e,
                         struct error *err) {
    const char *path = archive_entry_pathname(e);
    enum archive_skip why = ARCHIVE_SKIP_NAME;
    bool link = archive_entry_hardlink(e) || archive_entry_hardlink_w(e);
    if (!path || path[0] == '\0')
        skipped(x, "", ARCHIVE_SKIP_NAME);
    else if (is_left_out(x, path))
        return 0;
    else if (link)
        skipped(x, path, ARCHIVE_SKIP_HARDLINK);
    else if (archive_entry_filetype(e) == AE_IFREG)
        return extract_file(x, tar, e, path, err);
    else if (archive_entry_filetype(e) == AE_IFLNK)
        skipped(x, path, ARCHIVE_SKIP_SYMLINK);
    else if (archive_entry_filetype(e) != AE_IFDIR)
        skipped(x, path, ARCHIVE_SKIP_SPECIAL);
    else {
        int result = archive_target_directory(&x->target, path, &why, err);
        if (result < 0)
            return error_wrap(err, "extract a folder");
        if (result == 2)
            skipped(x, path, why);
    }
    return 0;
}

static int extract_all(struct archive_extract *x, struct archive *tar, struct error *err) {
    for (uint64_t count = 0;; count++) {
        struct archive_entry *e;
        int status = archive_read_next_header(tar, &e);
        if (status == ARCHIVE_EOF)
            return 0;
        /* A warning is a name that could not be decoded: it was made usable. */
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
            return broken(tar, err);
        if (count == x->options.limits.entries_max)
            return error_set(err, ERROR_LIMIT, "the archive has more than %llu entries",
                             (unsigned long long)count);
        if (extract_entry(x, tar, e, err) < 0)
            return -1;
    }
}

static int extract(struct archive_extract *x, struct error *err) {
    struct archive *tar = archive_read_new();
    if (!tar)
        abort();
    check_setup(tar, archive_read_support_format_tar(tar));
    int result = archive_read_open(tar, x, NULL, receive, NULL) == ARCHIVE_OK
                     ? extract_all(x, tar, err)
                     : broken(tar, err);
    archive_read_free(tar);
    return result;
}

static void *work(void *user) {
    struct archive_extract *x = user;
    /* Names are UTF-8 in tar archives, and libarchive converts them to the locale's encoding. */
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8)
        uselocale(utf8);
    extract(x, &x->worker_err);
    if (utf8) {
        uselocale(LC_GLOBAL_LOCALE);
        freelocale(utf8);
    }
    pthread_mutex_lock(&x->lock);
    x->worker_ended = true;
    x->workers_turn = false;
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->lock);
    return NULL;
}

/* -- the caller -- */

int archive_extract_begin(int dir_fd, const struct archive_extract_options *options,
                          struct archive_extract **ret, struct error *err) {
    struct archive_extract *x = mem_new(struct archive_extract);
    x->options = *options;
    x->target = (struct archive_target){.dir_fd = dir_fd,
                                        .path_max = options->limits.path_max,
                                        .depth_max = options->limits.depth_max,
                                        .strip = options->strip};
    x->block = mem_alloc(BLOCK_SIZE);
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->changed, NULL);
    x->workers_turn = true;
    int failed = pthread_create(&x->thread, NULL, work, x);
    if (failed) {
        x->joined = true;
        archive_extract_free(x);
        return error_set_os(err, ERROR_IO, failed, "start a thread");
    }
    pthread_mutex_lock(&x->lock);
    while (x->workers_turn)
        pthread_cond_wait(&x->changed, &x->lock);
    pthread_mutex_unlock(&x->lock);
    *ret = x;
    return 0;
}

static int told(const struct archive_extract *x, struct error *err) {
    if (x->err.kind == ERROR_NONE)
        return 0;
    *err = x->err;
    return -1;
}

/* Lets the worker consume the block. */
static int hand_over(struct archive_extract *x, struct error *err) {
    if (!x->worker_ended)
        give_turn(x, true);
    x->block_size = 0;
    x->err = x->worker_err;
    return told(x, err);
}

static void count_zeros(struct archive_extract *x, const char *data, size_t size) {
    size_t zeros = 0;
    while (zeros < size && zeros < END_SIZE && data[size - 1 - zeros] == 0)
        zeros++;
    x->zeros = zeros == size ? x->zeros + zeros : zeros;
}

int archive_extract_feed(void *extract_, const void *data, size_t size, struct error *err) {
    struct archive_extract *x = extract_;
    assert(!x->input_ended);
    if (x->err.kind == ERROR_NONE && size > x->options.limits.bytes_max - x->received)
        error_set(&x->err, ERROR_LIMIT, "the archive has more than %llu bytes",
                  (unsigned long long)x->options.limits.bytes_max);
    if (told(x, err) < 0)
        return -1;
    x->received += size;
    count_zeros(x, data, size);
    for (const char *rest = data; size > 0;) {
        size_t piece = BLOCK_SIZE - x->block_size;
        if (piece > size)
            piece = size;
        memcpy(x->block + x->block_size, rest, piece);
        x->block_size += piece;
        rest += piece;
        size -= piece;
        if (x->block_size == BLOCK_SIZE && hand_over(x, err) < 0)
            return -1;
    }
    return 0;
}

struct sink archive_extract_sink(struct archive_extract *x) {
    return (struct sink){.push = archive_extract_feed, .arg = x};
}

static void end_worker(struct archive_extract *x) {
    if (x->joined)
        return;
    if (!x->worker_ended)
        give_turn(x, true);
    pthread_join(x->thread, NULL);
    x->joined = true;
}

int archive_extract_end(struct archive_extract *x, struct archive_stats *stats, struct error *err) {
    if (x->err.kind != ERROR_NONE)
        x->block_size = 0;
    x->input_ended = true;
    end_worker(x);
    if (x->err.kind == ERROR_NONE)
        x->err = x->worker_err;
    x->stats.directories = x->target.directories;
    *stats = x->stats;
    if (x->err.kind == ERROR_NONE && x->zeros < END_SIZE)
        error_set(&x->err, ERROR_INVALID, "not a whole tar archive: its end is missing");
    return told(x, err);
}

void archive_extract_free(struct archive_extract *x) {
    x->block_size = 0;
    x->input_ended = true;
    end_worker(x);
    pthread_cond_destroy(&x->changed);
    pthread_mutex_destroy(&x->lock);
    free(x->block);
    free(x);
}
