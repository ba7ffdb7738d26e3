#pragma once

/*
 * How far a container's stream was read, so that reading can go on behind it: the timestamp of the
 * last line, and how many lines had that same timestamp. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

struct log_mark {
    int64_t ns;        /* of the last line */
    uint64_t count;    /* lines of that timestamp that were taken; 0: there was none */
    uint64_t repeated; /* of those, how many have come again */
    bool again;        /* lines come again until the mark is passed */
};

/* Is this line a new one? Then the mark moves on to it. */
bool log_mark_take(struct log_mark *mark, const char *timestamp);

/* Both streams will be read again from log_marks_since on. */
void log_marks_again(struct log_mark marks[2]);

/* From when on to ask, `overlap_ns` before the earlier of both marks; 0: from the start. */
int64_t log_marks_since(const struct log_mark marks[2], uint64_t overlap_ns);

/* RFC 3339 as nanoseconds since 1970; 0 when it is none. */
int64_t log_timestamp_ns(const char *text);
