#pragma once

/*
 * The lines of output.log: `<time> <stream> <line>`, the time as the engine wrote it (RFC 3339),
 * the stream one of
 *
 *     stdout   stderr     a line of the container, or the last piece of one
 *     stdout+  stderr+    a piece of a line that is longer than ENGINE_LOG_LINE_MAX: it goes on in
 *                         the next record of that stream
 *     gap                 the engine has lost what the container wrote here:
 *                         `<to> gap since <from>: <reason>`, with `, perhaps` where only the
 *                         circumstances say so
 *
 * Whatever else stands in the file is *foreign*: it is kept as it is, and means nothing to us.
 * Pure.
 */

#include "lib/buffer.h"
#include "runner/engine/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_kind { LOG_FOREIGN, LOG_STDOUT, LOG_STDERR, LOG_GAP };

enum { LOG_TIME_MAX = 39 }; /* bytes of a time, as engines write it */

struct log_record {
    enum log_kind kind;
    bool partial;
    const char *time; /* borrowed, as `text`; neither ends with a NUL */
    size_t time_size;
    int64_t ns;       /* the time; 0 of a foreign record */
    const char *text; /* of a foreign record: all of it */
    size_t size;
};

/* RFC 3339 as nanoseconds since 1970; 0 when it is none, or before. */
int64_t log_time_ns(const char *text, size_t size);

/* `line` without its newline. */
void log_record_parse(const char *line, size_t size, struct log_record *ret);
/* ERROR_INVALID when it has no time. Borrows. */
int log_record_of_line(const struct engine_log_line *line, struct log_record *ret,
                       struct error *err);
/* With its newline. */
void log_record_append(struct buffer *out, const struct log_record *record);
/* Of all of it: two records of equal hash are the same one. */
uint64_t log_record_hash(const struct log_record *record);

/* The last record that an engine gave. Zeros: none yet. */
struct log_previous {
    uint64_t hash;
    int64_t ns;
};
/* Whether it is the previous one once more: an engine whose follower is overtaken by rotation gives
 * the last line that it still has twice (seen of 28.5). Where nothing rotates, two such lines are
 * two: of a clock that ticks slowly. Pieces of one line have one time. */
bool log_record_repeats(struct log_previous *previous, const struct log_record *record);

/* ---- gaps ---- */

/* reason, as files say it */
#define LOG_GAP_REASONS(X)                                                                         \
    X(LOST, "lost")                                                                                \
    X(ROTATED, "rotated")                                                                          \
    X(ENGINE_RESTARTED, "engine_restarted")                                                        \
    X(HOST_RESTARTED, "host_restarted")

enum log_gap_reason {
#define X(reason, name) LOG_GAP_##reason,
    LOG_GAP_REASONS(X)
#undef X
        LOG_GAP_REASON_COUNT
};

struct log_gap {
    int64_t from_ns, to_ns; /* the last line before it, and the first behind it or the end */
    enum log_gap_reason reason;
    bool perhaps; /* no missing line is known */
};

const char *log_gap_reason_name(enum log_gap_reason reason);
/* Is this record a gap? */
bool log_gap_read(const struct log_record *record, struct log_gap *ret);
void log_gap_append(struct buffer *out, const struct log_gap *gap);
