#pragma once

/*
 * Archives: libarchive's one door. Two independent halves, both with flat memory.
 *
 * ## Writing: struct archive_stream
 *
 * A tar stream that is made while it is read. The consumer (an HTTP request body, a hash) asks for
 * the next bytes; the stream asks for the next item whenever the one before is through.
 * Nothing is spooled: memory is one libarchive handle, whatever the size of the files.
 *
 * The bytes depend on the items alone: owner and group are 0 without names, the time is
 * ARCHIVE_MTIME unless an item brings its own. The format is GNU tar's, which stores names of any
 * length and any bytes as they are. (libarchive's pax converts them from the locale's encoding, so
 * that the same folder gives other bytes in another locale; told not to, it spends 1 KiB on each
 * file to say so.)
 *
 * A file that is not as long as announced, or is modified while it is read, is an error and not a
 * padded or cut entry. The stream is useless after an error.
 *
 * ## Reading: struct archive_extract
 *
 * Takes hostile tar bytes as they come and writes what is harmless into a folder. Regular files and
 * directories are created; all else (symbolic and hard links, devices, fifos) is skipped and named
 * to a callback. So is an entry with an unsafe name: absolute, with `..`, too long, too deep, or
 * leading through anything in the target that is not a directory: names are opened one component at
 * a time and no symbolic link is followed, so that nothing outside of the folder is touched. What
 * exists already is never overwritten. Modes are 0644 or 0755, less the umask.
 *
 * libarchive pulls and the engine client pushes. A thread of the extraction's own turns one into
 * the other (a spool file would cost every byte twice on disk, and its errors would come only after
 * the transfer). It works strictly in turn with the caller: while it runs, the caller is inside
 * archive_extract_feed or _end. So there is no concurrency to think of, callbacks included.
 *
 * Threads: one object belongs to one thread at a time.
 */

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ------------------------------------------------------------------------------------- writing */

/*
 * 1980-01-02T00:00:00Z, the time of every item that says none. Not 0: zip archives, hence Python
 * wheels, cannot hold times before 1980 in any time zone, and builds fail on them.
 */
#define ARCHIVE_MTIME INT64_C(315619200)

enum archive_kind { ARCHIVE_ITEM_FILE, ARCHIVE_ITEM_DIRECTORY, ARCHIVE_ITEM_SYMLINK };

struct archive_item {
    enum archive_kind kind;
    const char *path;   /* with '/', not absolute; any bytes but NUL */
    unsigned mode;      /* permission bits, up to 07777, used as they are */
    int64_t mtime_s;    /* 0: ARCHIVE_MTIME */
    uint64_t size;      /* of a file's content */
    const void *data;   /* the content of a file in memory; or */
    int fd;             /* if `data` is NULL: a regular file, read from offset 0 */
    const char *target; /* of a symbolic link */
};

/*
 * Where a stream gets its items. `next` returns 0 with *ret_item set, 1 when there are no more, or
 * a fault. The stream takes the item's `fd`; what its pointers point to stays with `user` and must
 * live until the next call.
 */
struct archive_items {
    int (*next)(void *user, struct archive_item *ret_item, struct error *err);
    void *user;
};

struct archive_stream;

/* Borrows the `user` of items. */
struct archive_stream *archive_stream_new(struct archive_items items);
void archive_stream_free(struct archive_stream *s);
DEFINE_CLEANUP_FREE(archive_stream);

/*
 * The stream as a request body (lib/stream.h). Files are read straight into the puller's buffer:
 * pieces of 256 KiB and more are worth while.
 */
struct source archive_stream_source(struct archive_stream *s);
/* Its pull function: up to `size` (> 0) next bytes of the archive, 0 at its end. */
ssize_t archive_stream_pull(void *stream, void *data, size_t size, struct error *err);

/*
 * Ready-made items for a few small files: a list of items in memory (copied). Its order is the
 * order in which items were added.
 *
 *     struct archive_list *list = archive_list_new();
 *     archive_list_directory(list, "seatrial/out", 01777);
 *     archive_list_file(list, "seatrial/cluster.yaml", 0644, text, strlen(text));
 *     struct archive_stream *s = archive_stream_new(archive_list_items(list));
 */
struct archive_list;

struct archive_list *archive_list_new(void);
void archive_list_free(struct archive_list *list);
DEFINE_CLEANUP_FREE(archive_list);

void archive_list_file(struct archive_list *list, const char *path, unsigned mode, const void *data,
                       size_t size);
void archive_list_directory(struct archive_list *list, const char *path, unsigned mode);
void archive_list_symlink(struct archive_list *list, const char *path, const char *target);
/* Starts from the first item again; borrows the list. */
struct archive_items archive_list_items(struct archive_list *list);

/* ------------------------------------------------------------------------------------- reading */

enum archive_skip {
    ARCHIVE_SKIP_SYMLINK,
    ARCHIVE_SKIP_HARDLINK,
    ARCHIVE_SKIP_SPECIAL,  /* device, fifo, socket, or a type that nobody knows */
    ARCHIVE_SKIP_NAME,     /* absolute, `..`, empty */
    ARCHIVE_SKIP_TOO_LONG, /* a longer or deeper name than the limits or the file system take */
    ARCHIVE_SKIP_PARENT,   /* a folder on its way is no folder: a link, a file */
    ARCHIVE_SKIP_EXISTS,   /* something is there already; it was left as it is */
};
const char *archive_skip_text(enum archive_skip why);

struct archive_limits {
    uint64_t bytes_max;   /* of the archive, and of the contents with their holes, each */
    uint64_t entries_max; /* whatever their kind */
    size_t path_max;      /* bytes of a name */
    size_t depth_max;     /* components of a name */
};

/* 64 GiB (a folder full of core dumps), 1 M entries, names of 1,024 bytes, 64 deep. */
#define ARCHIVE_LIMITS_DEFAULT                                                                     \
    ((struct archive_limits){.bytes_max = UINT64_C(64) << 30,                                      \
                             .entries_max = 1000000,                                               \
                             .path_max = 1024,                                                     \
                             .depth_max = 64})

struct archive_extract_options {
    struct archive_limits limits;
    /* Leading components taken off each name; entries with no more than these are not extracted.
     * The engine's answer for `/seatrial/out` begins with `out/`: strip 1. */
    size_t strip;
    /* Names in the archive (before they are stripped) that are passed over with all below them, and
     * not counted; NULL-terminated, borrowed; or NULL. */
    const char *const *without;
    /* Told of each entry skipped, with its name as it is in the archive (hostile: see
     * text_harmless). May be NULL. */
    void (*skipped)(void *user, const char *path, enum archive_skip why);
    void *user;
};

struct archive_stats {
    uint64_t files;
    uint64_t directories; /* created, parents that the archive does not name included */
    uint64_t skipped;
    uint64_t bytes; /* of contents, holes included */
};

struct archive_extract;

/* Borrows `dir_fd`, an open folder, until archive_extract_free. Copies the options. */
int archive_extract_begin(int dir_fd, const struct archive_extract_options *options,
                          struct archive_extract **ret, struct error *err);
/*
 * The next bytes of the archive. After an error the rest is of no use and every later call returns
 * the same error.
 * Errors: ERROR_INVALID for what is no tar archive, ERROR_LIMIT, ERROR_IO (a full disk).
 */
int archive_extract_feed(void *extract, const void *data, size_t size, struct error *err);
/* The same as a sink (lib/stream.h). */
struct sink archive_extract_sink(struct archive_extract *x);
/*
 * No more bytes will come: finishes the last entry. An archive cut in the middle is an error.
 * *stats is what was written, also after an error (then it includes a file written in part).
 */
int archive_extract_end(struct archive_extract *x, struct archive_stats *stats, struct error *err);
/* At any time. What was written stays. */
void archive_extract_free(struct archive_extract *x);
DEFINE_CLEANUP_FREE(archive_extract);
