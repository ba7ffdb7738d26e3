#pragma once

/*
 * Logs of histograms put together: one log of several, or the sum of all that is in them. Both are
 * exact, because histograms are added: nothing is averaged, and no recorded value is lost. Tags are
 * kept apart.
 *
 * A merged log has an interval for each second, counted from the earliest start of all logs; an
 * interval goes whole into the second in which it begins. Logs are read side by side, each from its
 * beginning to its end: memory does not grow with their length. A log that was cut off in its last
 * line counts as far as it goes, with a warning.
 *
 * Errors: those of lib/hdr_log.h; ERROR_LIMIT for more than HDR_TAGS_MAX tags.
 */

#include "lib/clock.h"
#include "lib/error.h"
#include "lib/hdr_log.h"
#include "lib/histogram.h"

#include <stddef.h>
#include <stdint.h>

/* Other programs' logs may have any; each costs a histogram. */
enum { HDR_TAGS_MAX = 24 };

struct hdr_merge_log {
    const char *path;
    int64_t shift_ns; /* added to all times: whoever wrote it may have had another clock */
};

/* Everything is borrowed. Logs are open at once. */
struct hdr_merge {
    const struct hdr_merge_log *logs;
    size_t count;
    void (*warn)(void *context, const char *text);
    void *context;
};

/* Sums by tag; `start` and `end` are of what is in them. */
struct hdr_tags {
    struct hdr_tag {
        char name[HDR_LOG_TAG_SIZE]; /* "" without */
        uint64_t intervals;
        struct wall_time start, end;
        struct histogram histogram;
    } list[HDR_TAGS_MAX];
    size_t count;
};

#define HDR_TAGS_NULL ((struct hdr_tags){.count = 0})

void hdr_tags_deinit(struct hdr_tags *tags);
/* NULL when there is none; "" is the one without a tag. */
const struct hdr_tag *hdr_tags_find(const struct hdr_tags *tags, const char *name);

/* Adds all that is in the logs. After an error `tags` holds a part of it: throw it away. */
int hdr_merge_sum(const struct hdr_merge *m, struct hdr_tags *tags, struct error *err);

/* Writes the file whole or not at all. `comment` is one line. */
int hdr_merge_write(const struct hdr_merge *m, const char *comment, const char *out,
                    struct error *err);
