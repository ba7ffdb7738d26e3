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
 * directories are created, and hard links to files that are there; all else
 * (symbolic links, devices, fifos) is skipped and named to a callback. So is an entry with an
 * unsafe name: absolute, with `..`, too long, too deep, or leading through anything in the target
 * that is not a directory: names are opened one component at a time and no symbolic link is
 * followed, so that nothing outside of the folder is touched. What exists already is never
 * overwritten. Modes are 0644 or 0755, less the umask. Blocks of zeros become holes: an engine
 * sends a sparse file with all of them. The disk is never filled to its end.
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
    ARCHIVE_SKIP_HARDLINK, /* to what is no file of this archive's */
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
    uint64_t free_min;    /* bytes that are left to others on the target's file system */
};

/* 64 GiB (a folder full of core dumps), 1 M entries, names of 1,024 bytes, 64 deep. 64 MiB stay
 * free: reports and journals are still to be written. */
#define ARCHIVE_LIMITS_DEFAULT                                                                     \
    ((struct archive_limits){.bytes_max = UINT64_C(64) << 30,                                      \
                             .entries_max = 1000000,                                               \
                             .path_max = 1024,                                                     \
                             .depth_max = 64,                                                      \
                             .free_min = UINT64_C(64) << 20})

struct archive_stats {
    uint64_t files;       /* hard links included */
    uint64_t directories; /* created, parents that the archive does not name included */
    uint64_t skipped;
    uint64_t bytes; /* of contents, holes included */
};

/*
 * Going on with an archive that broke off. While an extraction has a `keep`, the file in hand is
 * written as `part` in a folder beside the target, and gets its name when it is whole: what has its
 * name is whole, whenever the program died. And `mark` is told of each entry before anything is
 * made of it; whoever stores the mark can begin another extraction `from` it, with the same target
 * and folder. That one says by archive_extract_offset with which byte of the archive it wants to
 * go on. A little of what it knows comes again, and is compared: ERROR_CONFLICT when that is not
 * the same archive any more.
 */
enum { ARCHIVE_HEADER_MAX = 4096, ARCHIVE_OVERLAP_MAX = 64 * 1024 };

struct archive_mark {
    uint64_t position; /* in the archive, of the entry in hand */
    uint64_t entries;  /* before it */
    struct archive_stats stats;
    uint64_t size;        /* of its content, if it is a file that can be gone on with; else 0 */
    uint32_t header_size; /* 0: it is begun anew */
    char header[ARCHIVE_HEADER_MAX];
};

struct archive_keep {
    int folder_fd; /* for `part`; on the target's file system, and out of the archive's reach */
    const struct archive_mark *from; /* NULL: from the start */
    int (*mark)(void *user, const struct archive_mark *mark, struct error *err);
    void *user;
};

struct archive_extract_options {
    struct archive_limits limits;
    /* Leading components taken off each name; entries with no more than these are not extracted.
     * The engine's answer for `/seatrial/out` begins with `out/`: strip 1. */
    size_t strip;
    /* Names in the archive (before they are stripped) that are passed over with all below them, and
     * not counted; NULL-terminated, borrowed; or NULL. */
    const char *const *without;
    /* Told of each entry skipped, with its name as it is in the archive, and the target of a link,
     * else NULL (both hostile: see text_harmless). May be NULL. */
    void (*skipped)(void *user, const char *path, const char *target, enum archive_skip why);
    void *user;
    const struct archive_keep *keep; /* borrowed until archive_extract_free; NULL: none */
};

struct archive_extract;

/* Borrows `dir_fd`, an open folder, until archive_extract_free. Copies the options. */
int archive_extract_begin(int dir_fd, const struct archive_extract_options *options,
                          struct archive_extract **ret, struct error *err);
/* The place in the archive of the first byte that is to be fed: 0, unless it goes on. */
uint64_t archive_extract_offset(const struct archive_extract *x);
/*
 * The next bytes of the archive. After an error the rest is of no use and every later call returns
 * the same error.
 * Errors: ERROR_INVALID for what is no tar archive, ERROR_LIMIT (a full disk too), ERROR_IO,
 * ERROR_CONFLICT (see `keep`), those of `mark`.
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

/* ------------------------------------------------------------------------------------- packing */

/*
 * Bytes of any kind, compressed by zstd into a file: in frames that follow one another, each of
 * which can be read by itself. So a file that was cut is good up to the end of its last frame.
 */
struct archive_pack;

/* Writes from where `fd` stands; borrows it. */
struct archive_pack *archive_pack_new(int fd);
/* A frame that was not ended is of no use. */
void archive_pack_free(struct archive_pack *p);
DEFINE_CLEANUP_FREE(archive_pack);

/* Errors: ERROR_IO. After one there is nothing left but archive_pack_free. */
int archive_pack_feed(void *pack, const void *data, size_t size, struct error *err);
/* All that was fed is in the file then; *ret_bytes: what this object has written to it. */
int archive_pack_end_frame(struct archive_pack *p, uint64_t *ret_bytes, struct error *err);
