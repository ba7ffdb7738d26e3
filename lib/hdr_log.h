#pragma once

/*
 * HdrHistogram logs, format version 1.3: one line per interval and tag, each with a whole
 * histogram, so that any span of time can be put together again, exactly. HistogramLogProcessor
 * (Java) and hdr-histogram-js read what is written here, and we read what they write.
 *
 *     #[StartTime: 1441812279.474 (seconds since epoch), 2015-09-09T15:24:39.474000000Z]
 *     #[BaseTime: 0.000 (seconds since epoch)]
 *     #[Histogram log format version 1.3]
 *     "StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
 *     1441812279.601,1.007,2.769,HISTFAAAAE1...
 *     Tag=send,1441812279.601,1.007,2.769,HISTFAAAAE1...
 *
 * Units: the log has seconds with three decimals, and its Interval_Max is the largest value divided
 * by a million, which makes milliseconds of our nanoseconds. The histograms keep whole nanoseconds.
 * Errors: ERROR_INVALID or ERROR_LIMIT, naming the log and the line; ERROR_IO.
 * Source: HdrHistogram, HistogramLogWriter and HistogramLogReader,
 * https://github.com/HdrHistogram/HdrHistogram
 */

#include "lib/histogram.h"

#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/error.h"
#include "lib/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    /* With its NUL. */
    HDR_LOG_TAG_SIZE = 128,
    /* A histogram that compresses badly, in base64; the widest of ours needs less than 700 kB. */
    HDR_LOG_LINE_SIZE_MAX = 4 << 20,
};

/* Later times are in no log: they are rounded to milliseconds. */
#define HDR_LOG_TIME_NS_MAX (INT64_MAX - (int64_t)NS_PER_MS)

/* Of letters, digits and marks, but no comma, quote, space or control character. */
bool hdr_log_tag_valid(const char *tag);

/*
 * Writing. Each push into the sink is made of whole lines, and is the last one before the next
 * call: what was logged is as safe as the sink makes it. Memory is kept from line to line.
 */
struct hdr_log_writer {
    struct sink sink;
    struct buffer encoded;
    struct buffer line;
};

void hdr_log_writer_init(struct hdr_log_writer *w, struct sink sink);
void hdr_log_writer_deinit(struct hdr_log_writer *w);

/* Writes to the file and flushes it. Borrows it. */
struct sink hdr_log_file(FILE *file);

/* The lines at the top. `comment` is one line of text, or NULL. All intervals start at `start` or
 * later. */
int hdr_log_begin(struct hdr_log_writer *w, const char *comment, struct wall_time start,
                  struct error *err);

/* One line. `tag` is a valid one, or NULL. Intervals that adjoin do so in the log too: both ends
 * are rounded to milliseconds. */
int hdr_log_interval(struct hdr_log_writer *w, const char *tag, struct wall_time start,
                     struct wall_time end, const struct histogram *h, struct error *err);

/*
 * Reading, of what anybody may have written. A log that was cut off in its last line, because its
 * writer died, ends before that line; `cut` says so.
 *
 *     hdr_log_reader_init(&reader, "latency.hlog", source);
 *     while ((result = hdr_log_next(&reader, &interval, err)) == 0)
 *         if (text_equal(interval.tag, "send") && hdr_log_decode(&reader, &sum, err) < 0)
 *             return -1;
 */
struct hdr_log_reader {
    const char *name;
    struct source source;
    struct buffer in; /* what was pulled: the current line, and what follows it */
    size_t line_size; /* with its end */
    uint64_t line;    /* counted from 1 */
    bool ended;       /* the source has */
    bool cut;
    const char *histogram; /* of the current line: base64 */
    struct buffer encoded;
    bool start_known, base_known;
    int64_t start_ns, base_ns;
};

struct hdr_interval {
    char tag[HDR_LOG_TAG_SIZE]; /* "" without */
    struct wall_time start, end;
};

/* Borrows the name and what the source borrows. */
void hdr_log_reader_init(struct hdr_log_reader *r, const char *name, struct source source);
void hdr_log_reader_deinit(struct hdr_log_reader *r);

/*
 * 0: the next interval. 1: the end. Times that count from the start of the log become absolute, by
 * its BaseTime or, without one, as HistogramLogReader concludes: stamps of more than a year before
 * StartTime count from it.
 */
int hdr_log_next(struct hdr_log_reader *r, struct hdr_interval *ret, struct error *err);

/* Adds the histogram of the interval that hdr_log_next returned last, as hdr_decode does. */
int hdr_log_decode(struct hdr_log_reader *r, struct histogram *into, struct error *err);

/*
 * Merging. All intervals of one tag, of as many logs as wanted, in one histogram: the sum is
 * exactly the histogram of all that was recorded.
 */
struct hdr_log_sum {
    uint64_t intervals;          /* of this tag; 0: there is none, and the times mean nothing */
    struct wall_time start, end; /* of the first and the last of them */
    uint64_t logs_cut;           /* logs whose last line was cut off */
};

#define HDR_LOG_SUM_NULL ((struct hdr_log_sum){.intervals = 0})

/* Adds the log at `path` (a regular file) to `sum` and `into`. `tag` may be NULL: intervals without
 * one. After an error both hold a part of the log: throw them away. */
int hdr_log_add(struct hdr_log_sum *sum, const char *path, const char *tag, struct histogram *into,
                struct error *err);
