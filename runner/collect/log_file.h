#pragma once

/*
 * output.log as a file: read record by record, and written at its end.
 *
 * A file that is there already is continued: an earlier runner, or we before a break, wrote it. If
 * that one was killed the last record may be cut off: it is ended, and the merge replaces it by the
 * whole one (log_merge.h).
 *
 * Errors: ERROR_IO naming the path.
 */

#include "lib/error.h"
#include "runner/collect/log_merge.h"

enum {
    LOG_POINTS_MAX = 16,
    LOG_GAPS_MAX = 1000, /* that are kept; more are only counted */
};

/* ---- reading ---- */

struct log_reader {
    int fd; /* borrowed */
    const char *path;
    uint64_t offset; /* of bytes.data + at */
    uint64_t end;    /* of what is read */
    struct buffer bytes;
    size_t at;
    int64_t ns; /* of the last record that has a time */
};
/* From `offset` to `end`; both are boundaries of records. */
void log_reader_init(struct log_reader *r, int fd, const char *path, uint64_t offset, uint64_t end);
void log_reader_deinit(struct log_reader *r);
/* Borrowed until the next one. 1: the end. A record that is longer than all of ours comes in
 * foreign pieces. */
int log_reader_next(struct log_reader *r, struct log_record *ret, struct log_old *ret_old,
                    struct error *err);

/* Where the first record with this hash is, of those that were not given yet; 1: there is none. */
int log_reader_find(const struct log_reader *r, uint64_t hash, uint64_t *ret_offset,
                    struct error *err);

/* Whether the text of the record at this place is the beginning of `record`'s. */
int log_old_begins(int fd, const char *path, const struct log_old *old,
                   const struct log_record *record, struct error *err);

/* ---- writing ---- */

struct log_file {
    int fd;
    char *path;
    uint64_t size; /* with what is not yet flushed */
    struct buffer out;
    struct log_point {
        int64_t ns;
        uint64_t offset;
    } points[LOG_POINTS_MAX]; /* a ring: places of the last seconds */
    size_t point_count;
    int64_t ns; /* of the last record; 0: there is none */
    uint64_t lines, bytes;
    struct log_gap *gaps;
    size_t gap_count, gap_capacity;
    uint64_t gaps_all; /* also those that are not kept */
    bool continued;    /* it was there, with something in it */
};
#define LOG_FILE_NULL ((struct log_file){.fd = -1})

int log_file_open(struct log_file *f, const char *path, bool anew, struct error *err);
/* Flushes. */
int log_file_close(struct log_file *f, struct error *err);
void log_file_deinit(struct log_file *f);

int log_file_add(struct log_file *f, const struct log_record *record, struct error *err);
int log_file_add_gap(struct log_file *f, const struct log_gap *gap, struct error *err);
/* A record of another file. */
int log_file_copy(struct log_file *f, const struct log_file *from, const struct log_old *old,
                  struct error *err);
int log_file_flush(struct log_file *f, struct error *err);

/* A boundary in front of all records of this time and later, as far as they are in order. */
uint64_t log_file_place(const struct log_file *f, int64_t ns);
/* Is it still what its path names? */
bool log_file_is_there(const struct log_file *f);
