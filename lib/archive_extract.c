#include "lib/archive.h"

#include "lib/archive_impl.h"
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
#include <sys/statvfs.h>
#include <unistd.h>

/* What is handed to libarchive at once: few enough changes of thread, and little memory. */
enum { BLOCK_SIZE = 256 * 1024 };

/* Of headers, long names and maps of sparse files before one entry: libarchive keeps them in
 * memory, larger than they come. */
enum { HEADERS_MAX = 1 << 20 };

/* What is zeros is not written; how often the free space is looked at. */
enum { HOLE_SIZE = 4096, LOOK_BYTES = 16 << 20 };

#define PART_NAME "part"

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
    uint64_t block_at;               /* in the archive */
    char before[ARCHIVE_HEADER_MAX]; /* the bytes in front of the block; without any: zeros */
    uint64_t received;
    bool in_headers;
    size_t headers_size; /* read for the entry to come */
    uint64_t unlooked;   /* bytes written since the free space was looked at */

    uint64_t base;   /* where in the archive libarchive began */
    uint64_t offset; /* of the first byte that the caller feeds */
    char *expected;  /* what comes first then; NULL: anything */
    size_t expected_size, expected_at;
    bool going_on; /* the entry in hand is the one that was begun before */

    uint64_t zeros; /* with which the archive ends so far */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool workers_turn; /* all of the above belongs to whose turn it is */
    bool worker_ended;
    bool input_ended;
    bool end_seen;
    bool joined;
};

const char *archive_skip_text(enum archive_skip why) {
    static const char *const texts[] = {
        [ARCHIVE_SKIP_SYMLINK] = "a symbolic link",
        [ARCHIVE_SKIP_HARDLINK] = "a hard link to what is not there",
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

/* The block goes; of its end the next mark may need something. */
static void drop_block(struct archive_extract *x) {
    size_t size = x->block_size < sizeof x->before ? x->block_size : sizeof x->before;
    memmove(x->before, x->before + size, sizeof x->before - size);
    memcpy(x->before + sizeof x->before - size, x->block + x->block_size - size, size);
    x->block_at += x->block_size;
    x->headers_size += x->block_size;
    x->block_size = 0;
}

/* libarchive asks for more. */
static la_ssize_t receive(struct archive *tar, void *user, const void **ret_data) {
    struct archive_extract *x = user;
    drop_block(x);
    if (x->in_headers && x->headers_size > HEADERS_MAX) {
        archive_set_error(tar, ENOMEM, "the headers of an entry have more than %d bytes",
                          HEADERS_MAX);
        return ARCHIVE_FATAL;
    }
    if (!x->input_ended)
        give_turn(x, false);
    *ret_data = x->block;
    return (la_ssize_t)x->block_size;
}

/* -- the worker -- */

static void skipped(struct archive_extract *x, struct archive_entry *e, enum archive_skip why) {
    const char *path = archive_entry_pathname(e);
    const char *target =
        archive_entry_hardlink(e) ? archive_entry_hardlink(e) : archive_entry_symlink(e);
    x->stats.skipped++;
    if (x->options.skipped)
        x->options.skipped(x->options.user, path ? path : "", target, why);
}

static int broken(struct archive *tar, struct error *err) {
    return error_set(err, ERROR_INVALID, "not a whole tar archive: %s", archive_reason(tar));
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

/* Others need the disk too. */
static int look_at_disk(struct archive_extract *x, struct error *err) {
    struct statvfs fs;
    uint64_t free_min = x->options.limits.free_min;
    x->unlooked = 0;
    if (free_min == 0 || fstatvfs(x->target.dir_fd, &fs) < 0)
        return 0;
    uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (left >= free_min)
        return 0;
    return error_set(err, ERROR_LIMIT,
                     "the disk is full but for %llu MiB, and %llu MiB are left to others",
                     (unsigned long long)(left >> 20), (unsigned long long)(free_min >> 20));
}

static bool is_zero(const char *data, size_t size) {
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

/* The size (not 0) of what begins at `data` and is all to be written, or all a hole. */
static size_t run_size(const char *data, size_t size, int64_t offset, bool *ret_hole) {
    size_t at = 0;
    *ret_hole = false;
    do {
        size_t piece = HOLE_SIZE - (size_t)((offset + (int64_t)at) % HOLE_SIZE);
        piece = piece < size - at ? piece : size - at;
        bool hole = is_zero(data + at, piece);
        if (at > 0 && hole != *ret_hole)
            break;
        *ret_hole = hole;
        at += piece;
    } while (at < size);
    return at;
}

static int write_piece(struct archive_extract *x, int fd, const char *data, size_t size,
                       int64_t offset, struct error *err) {
    x->unlooked += size;
    if (x->unlooked >= LOOK_BYTES && look_at_disk(x, err) < 0)
        return -1;
    while (size > 0) {
        bool hole;
        size_t run = run_size(data, size, offset, &hole);
        if (!hole && write_at(fd, data, run, offset, err) < 0)
            return -1;
        data += run;
        size -= run;
        offset += (int64_t)run;
    }
    return 0;
}

/* Holes stay holes, and zeros become some. */
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
        if (piece > 0 && write_piece(x, fd, data, piece, offset, err) < 0)
            return -1;
        x->stats.bytes += (uint64_t)(offset - end) + piece;
        end = offset + (int64_t)piece;
    }
    if (ftruncate(fd, size) < 0)
        return error_set_os(err, ERROR_IO, errno, "set the size");
    x->stats.bytes += (uint64_t)(size - end);
    return 0;
}

/* A file of its own, or the part of one. */
static int open_part(struct archive_extract *x, bool executable, int *ret_fd, struct error *err) {
    int folder = x->options.keep->folder_fd;
    int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    if (!x->going_on)
        unlinkat(folder, PART_NAME, 0);
    *ret_fd =
        openat(folder, PART_NAME, x->going_on ? flags : flags | O_EXCL, executable ? 0755 : 0644);
    if (*ret_fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create a file");
    return 0;
}

static int open_target(struct archive_extract *x, const char *path, bool executable, int *ret_fd,
                       enum archive_skip *ret_why, struct error *err) {
    if (!x->options.keep)
        return archive_target_file(&x->target, path, executable, ret_fd, ret_why, err);
    int result = archive_target_vacant(&x->target, path, ret_why, err);
    return result == 0 ? open_part(x, executable, ret_fd, err) : result;
}

static int close_target(struct archive_extract *x, struct archive_entry *e, const char *path,
                        int fd, enum archive_skip *ret_why, struct error *err) {
    struct timespec times[2] = {
        {.tv_nsec = UTIME_NOW},
        {.tv_sec = archive_entry_mtime(e), .tv_nsec = archive_entry_mtime_nsec(e)},
    };
    (void)futimens(fd, times); /* a time that the file system cannot hold: then it is now */
    if (!x->options.keep)
        return 0;
    return archive_target_place(&x->target, path, x->options.keep->folder_fd, PART_NAME, ret_why,
                                err);
}

static int check_size(const struct archive_extract *x, int64_t size, struct error *err) {
    if (size < 0)
        return error_set(err, ERROR_INVALID, "not a tar archive: a negative size");
    if ((uint64_t)size <= x->options.limits.bytes_max - x->stats.bytes)
        return 0;
    return error_set(err, ERROR_LIMIT,
                     "it has %lld bytes, and the files of an archive may have %llu together",
                     (long long)size, (unsigned long long)x->options.limits.bytes_max);
}

static int extract_file(struct archive_extract *x, struct archive *tar, struct archive_entry *e,
                        const char *path, struct error *err) {
    int64_t size = archive_entry_size(e);
    char shown[ARCHIVE_SHOWN_SIZE];
    text_safe(path, shown, sizeof shown);
    if (check_size(x, size, err) < 0)
        return error_wrap(err, "extract '%s'", shown);
    cleanup_close int fd = -1;
    enum archive_skip why;
    bool executable = (archive_entry_perm(e) & 0111) != 0;
    int result = open_target(x, path, executable, &fd, &why, err);
    if (result == 0) {
        result = write_content(x, tar, fd, size, err);
        if (result == 0)
            result = close_target(x, e, path, fd, &why, err);
        x->stats.files += result <= 0;
    }
    if (result < 0)
        return error_wrap(err, "extract '%s'", shown);
    if (result == 2)
        skipped(x, e, why);
    return 0;
}

static int extract_link(struct archive_extract *x, struct archive_entry *e, const char *path,
                        struct error *err) {
    enum archive_skip why = ARCHIVE_SKIP_HARDLINK;
    const char *to = archive_entry_hardlink(e);
    int result = to ? archive_target_link(&x->target, path, to, &why, err) : 2;
    if (result < 0)
        return error_wrap(err, "extract a hard link");
    if (result == 2)
        skipped(x, e, why);
    x->stats.files += result == 0;
    return 0;
}

static int extract_folder(struct archive_extract *x, struct archive_entry *e, const char *path,
                          struct error *err) {
    enum archive_skip why;
    int result = archive_target_directory(&x->target, path, &why, err);
    if (result < 0)
        return error_wrap(err, "extract a folder");
    if (result == 2)
        skipped(x, e, why);
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
    if (!path || path[0] == '\0')
        skipped(x, e, ARCHIVE_SKIP_NAME);
    else if (is_left_out(x, path))
        return 0;
    else if (archive_entry_hardlink(e) || archive_entry_hardlink_w(e))
        return extract_link(x, e, path, err);
    else if (archive_entry_filetype(e) == AE_IFREG)
        return extract_file(x, tar, e, path, err);
    else if (archive_entry_filetype(e) == AE_IFDIR)
        return extract_folder(x, e, path, err);
    else
        skipped(x, e,
                archive_entry_filetype(e) == AE_IFLNK ? ARCHIVE_SKIP_SYMLINK
                                                      : ARCHIVE_SKIP_SPECIAL);
    return 0;
}

/* The header as it came: `size` bytes at `at`, if they are still at hand. */
static bool copy_header(const struct archive_extract *x, uint64_t at, uint64_t size, char *ret) {
    uint64_t begin = at + x->base, here = x->block_at;
    if (size == 0 || size > ARCHIVE_HEADER_MAX || here > begin + ARCHIVE_HEADER_MAX)
        return false;
    size_t first = begin < here ? (size_t)(here - begin) : 0; /* bytes in front of the block */
    if (first > size)
        first = (size_t)size;
    if (begin < here)
        memcpy(ret, x->before + sizeof x->before - (here - begin), first);
    if (size > first)
        memcpy(ret + first, x->block + (begin + first - here), (size_t)size - first);
    return true;
}

static int set_mark(struct archive_extract *x, struct archive *tar, struct archive_entry *e,
                    uint64_t entries, struct error *err) {
    const struct archive_keep *keep = x->options.keep;
    uint64_t at = (uint64_t)archive_read_header_position(tar);
    uint64_t size = (uint64_t)archive_filter_bytes(tar, 0) - at;
    struct archive_mark mark = {.position = x->base + at, .entries = entries, .stats = x->stats};
    mark.stats.directories = x->target.directories;
    bool plain = archive_entry_filetype(e) == AE_IFREG && archive_entry_sparse_count(e) == 0 &&
                 archive_entry_size(e) > 0;
    if (plain && copy_header(x, at, size, mark.header)) {
        mark.header_size = (uint32_t)size;
        mark.size = (uint64_t)archive_entry_size(e);
    }
    return keep->mark(keep->user, &mark, err);
}

static int next_header(struct archive_extract *x, struct archive *tar, struct archive_entry **ret) {
    x->in_headers = true;
    x->headers_size = 0;
    int status = archive_read_next_header(tar, ret);
    x->in_headers = false;
    /* libarchive takes the end of all bytes for the end of an archive. */
    if (status == ARCHIVE_EOF)
        x->end_seen = archive_filter_bytes(tar, 0) > archive_read_header_position(tar);
    return status;
}

static int extract_all(struct archive_extract *x, struct archive *tar, struct error *err) {
    const struct archive_keep *keep = x->options.keep;
    for (uint64_t count = keep && keep->from ? keep->from->entries : 0;; count++) {
        struct archive_entry *e;
        int status = next_header(x, tar, &e);
        if (status == ARCHIVE_EOF)
            return 0;
        /* A warning is a name that could not be decoded: it was made usable. */
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
            return broken(tar, err);
        if (count == x->options.limits.entries_max)
            return error_set(err, ERROR_LIMIT, "the archive has more than %llu entries",
                             (unsigned long long)count);
        if ((keep && !x->going_on && set_mark(x, tar, e, count, err) < 0) ||
            extract_entry(x, tar, e, err) < 0)
            return -1;
        if (archive_read_data_skip(tar) < ARCHIVE_WARN) /* else it would count as headers */
            return broken(tar, err);
        x->going_on = x->target.replace = false;
    }
}

static int extract(struct archive_extract *x, struct error *err) {
    struct archive *tar = archive_read_new();
    if (!tar)
        abort();
    archive_check_setup(tar, archive_read_support_format_tar(tar));
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

/* What an extraction that goes on gets first: what is there of the entry in hand. */
static int feed_known(struct archive_extract *x, struct error *err) {
    const struct archive_mark *mark = x->options.keep->from;
    cleanup_close int fd =
        openat(x->options.keep->folder_fd, PART_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    cleanup_free char *piece = mem_alloc(BLOCK_SIZE);
    uint64_t size = 0;
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        size = (uint64_t)st.st_size < mark->size ? (uint64_t)st.st_size : mark->size;
    if (archive_extract_feed(x, mark->header, mark->header_size, err) < 0)
        return -1;
    for (uint64_t at = 0; at < size;) {
        size_t wanted = size - at < BLOCK_SIZE ? (size_t)(size - at) : BLOCK_SIZE;
        ssize_t n = pread(fd, piece, wanted, (off_t)at);
        if (n <= 0)
            return error_set_os(err, ERROR_IO, n < 0 ? errno : EIO, "read what has come before");
        if (archive_extract_feed(x, piece, (size_t)n, err) < 0)
            return -1;
        at += (uint64_t)n;
    }
    size_t content = size < ARCHIVE_OVERLAP_MAX ? (size_t)size : ARCHIVE_OVERLAP_MAX;
    size_t header = content < ARCHIVE_OVERLAP_MAX ? mark->header_size : 0;
    x->expected = mem_alloc(header + content);
    memcpy(x->expected, mark->header, header);
    if (content &&
        pread(fd, x->expected + header, content, (off_t)(size - content)) != (ssize_t)content)
        return error_set_os(err, ERROR_IO, errno, "read what has come before");
    x->expected_size = header + content;
    x->offset = x->received - x->expected_size;
    return 0;
}

static void go_on_from(struct archive_extract *x, const struct archive_mark *mark) {
    x->base = x->block_at = x->received = x->offset = mark->position;
    x->stats = mark->stats;
    x->target.directories = mark->stats.directories;
    x->target.replace = true;
    x->going_on = mark->header_size > 0;
}

static int start_worker(struct archive_extract *x, struct error *err) {
    int failed = pthread_create(&x->thread, NULL, work, x);
    if (failed)
        return error_set_os(err, ERROR_IO, failed, "start a thread");
    x->joined = false;
    pthread_mutex_lock(&x->lock);
    while (x->workers_turn)
        pthread_cond_wait(&x->changed, &x->lock);
    pthread_mutex_unlock(&x->lock);
    return 0;
}

int archive_extract_begin(int dir_fd, const struct archive_extract_options *options,
                          struct archive_extract **ret, struct error *err) {
    cleanup(archive_extract_freep) struct archive_extract *x = mem_new(struct archive_extract);
    const struct archive_mark *from = options->keep ? options->keep->from : NULL;
    x->options = *options;
    x->target = (struct archive_target){.dir_fd = dir_fd,
                                        .path_max = options->limits.path_max,
                                        .depth_max = options->limits.depth_max,
                                        .strip = options->strip};
    x->block = mem_alloc(BLOCK_SIZE);
    x->workers_turn = x->joined = true;
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->changed, NULL);
    if (from)
        go_on_from(x, from);
    if (start_worker(x, err) < 0 || (x->going_on && feed_known(x, err) < 0))
        return -1;
    *ret = take_ptr(x);
    return 0;
}

uint64_t archive_extract_offset(const struct archive_extract *x) {
    return x->offset;
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

/* What comes again is not fed again. */
static void compare(struct archive_extract *x, const char **data, size_t *size) {
    size_t left = x->expected_size - x->expected_at;
    size_t piece = *size < left ? *size : left;
    if (memcmp(x->expected + x->expected_at, *data, piece) != 0 && x->err.kind == ERROR_NONE)
        error_set(&x->err, ERROR_CONFLICT, "the archive has changed since it was begun");
    x->expected_at += piece;
    *data += piece;
    *size -= piece;
}

int archive_extract_feed(void *extract_, const void *data_, size_t size, struct error *err) {
    struct archive_extract *x = extract_;
    const char *data = data_;
    assert(!x->input_ended);
    if (x->expected_at < x->expected_size)
        compare(x, &data, &size);
    if (x->err.kind == ERROR_NONE && size > x->options.limits.bytes_max - x->received)
        error_set(&x->err, ERROR_LIMIT, "the archive has more than %llu bytes",
                  (unsigned long long)x->options.limits.bytes_max);
    if (told(x, err) < 0)
        return -1;
    x->received += size;
    count_zeros(x, data, size);
    while (size > 0) {
        size_t piece = BLOCK_SIZE - x->block_size;
        if (piece > size)
            piece = size;
        memcpy(x->block + x->block_size, data, piece);
        x->block_size += piece;
        data += piece;
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
    if (x->err.kind == ERROR_NONE && (x->zeros < END_SIZE || !x->end_seen))
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
    free(x->expected);
    free(x);
}
