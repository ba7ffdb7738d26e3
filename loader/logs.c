#include "loader/logs.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/hdr_log.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "loader/summary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE_MAX = 64 * 1024 };

/* Sums by tag; `start` and `end` are of what is in them. */
struct sums {
    struct tag {
        char name[HDR_LOG_TAG_SIZE]; /* "" without */
        uint64_t intervals;
        struct wall_time start, end;
        struct histogram histogram;
    } tags[LOGS_TAGS_MAX];
    size_t count;
};

/* A log that is being read: its next interval, if there is one. */
struct log {
    const char *path;
    FILE *file;
    struct hdr_log_reader reader;
    struct hdr_interval next;
    bool more;
};

struct logs {
    struct log *list;
    size_t count;
};

/* ---- sums ---- */

static void sums_deinit(struct sums *s) {
    for (size_t i = 0; i < s->count; i++)
        histogram_deinit(&s->tags[i].histogram);
}

static struct tag *find_tag(struct sums *s, const char *name, struct error *err) {
    for (size_t i = 0; i < s->count; i++)
        if (text_equal(s->tags[i].name, name))
            return &s->tags[i];
    if (s->count == LOGS_TAGS_MAX) {
        error_set(err, ERROR_LIMIT, "the logs have more than %d tags", LOGS_TAGS_MAX);
        return NULL;
    }
    struct tag *tag = &s->tags[s->count++];
    snprintf(tag->name, sizeof tag->name, "%s", name);
    histogram_init(&tag->histogram, HISTOGRAM_HOUR_NS);
    return tag;
}

static void clear_sums(struct sums *s) {
    for (size_t i = 0; i < s->count; i++) {
        if (s->tags[i].intervals > 0)
            histogram_clear(&s->tags[i].histogram);
        s->tags[i].intervals = 0;
    }
}

/* ---- reading side by side ---- */

static ssize_t pull_from_file(void *arg, void *data, size_t size, struct error *err) {
    FILE *file = arg;
    size_t n = fread(data, 1, size, file);
    if (n == 0 && ferror(file))
        return error_set_os(err, ERROR_IO, errno, "read a log of histograms");
    return (ssize_t)n;
}

static int look_ahead(struct log *log, struct error *err) {
    int r = hdr_log_next(&log->reader, &log->next, err);
    log->more = r == 0;
    if (r > 0 && log->reader.cut)
        fprintf(stderr, "loader: warning: '%s' was cut off in its last line, which is left out\n",
                log->path);
    return r < 0 ? -1 : 0;
}

static int open_log(struct log *log, const char *path, struct error *err) {
    log->path = path;
    log->file = fopen(path, "re");
    if (!log->file)
        return error_set_os(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno, "open '%s'",
                            path);
    hdr_log_reader_init(&log->reader, path,
                        (struct source){.pull = pull_from_file, .arg = log->file});
    return look_ahead(log, err);
}

static void logs_close(struct logs *l) {
    for (size_t i = 0; i < l->count; i++) {
        if (!l->list[i].file)
            continue;
        hdr_log_reader_deinit(&l->list[i].reader);
        fclose(l->list[i].file);
    }
    free(l->list);
}

static int logs_open(const char *const *paths, size_t count, struct logs *l, struct error *err) {
    l->list = mem_new_array(struct log, count);
    l->count = count;
    for (size_t i = 0; i < count; i++)
        if (open_log(&l->list[i], paths[i], err) < 0)
            return -1;
    return 0;
}

/* Whose next interval begins first; NULL at the end of all. */
static struct log *earliest(const struct logs *l) {
    struct log *first = NULL;
    for (size_t i = 0; i < l->count; i++)
        if (l->list[i].more && (!first || l->list[i].next.start.ns < first->next.start.ns))
            first = &l->list[i];
    return first;
}

static int take(struct log *log, struct sums *sums, struct error *err) {
    const struct hdr_interval *next = &log->next;
    struct tag *tag = find_tag(sums, next->tag, err);
    if (!tag || hdr_log_decode(&log->reader, &tag->histogram, err) < 0)
        return -1;
    if (tag->intervals++ == 0) {
        tag->start = next->start;
        tag->end = next->end;
    }
    tag->start.ns = next->start.ns < tag->start.ns ? next->start.ns : tag->start.ns;
    tag->end.ns = next->end.ns > tag->end.ns ? next->end.ns : tag->end.ns;
    return look_ahead(log, err);
}

/* ---- merging ---- */

static int write_sums(struct hdr_log_writer *w, struct sums *s, struct error *err) {
    for (size_t i = 0; i < s->count; i++) {
        const struct tag *tag = &s->tags[i];
        if (tag->intervals > 0 && hdr_log_interval(w, *tag->name ? tag->name : NULL, tag->start,
                                                   tag->end, &tag->histogram, err) < 0)
            return -1;
    }
    clear_sums(s);
    return 0;
}

static int merge(struct logs *logs, struct hdr_log_writer *w, struct error *err) {
    cleanup(sums_deinit) struct sums sums = {.count = 0};
    struct log *log = earliest(logs);
    const struct wall_time start = log ? log->next.start : (struct wall_time){.ns = 0};
    int64_t second = 0;
    if (hdr_log_begin(w, "merged by loader " SEATRIAL_VERSION, start, err) < 0)
        return -1;
    for (; log; log = earliest(logs)) {
        int64_t own = (log->next.start.ns - start.ns) / (int64_t)NS_PER_SEC;
        if (own > second && write_sums(w, &sums, err) < 0)
            return -1;
        second = own > second ? own : second;
        if (take(log, &sums, err) < 0)
            return -1;
    }
    return write_sums(w, &sums, err);
}

static int merge_into(struct logs *logs, FILE *file, struct error *err) {
    struct hdr_log_writer w;
    hdr_log_writer_init(&w, hdr_log_file(file));
    int r = merge(logs, &w, err);
    hdr_log_writer_deinit(&w);
    return r;
}

int logs_merge(const char *const *paths, size_t count, const char *out, struct error *err) {
    cleanup(logs_close) struct logs logs = {.count = 0};
    cleanup_free char *part = text_format("%s.part", out);
    if (logs_open(paths, count, &logs, err) < 0)
        return -1;
    FILE *file = fopen(part, "we");
    if (!file)
        return error_set_os(err, ERROR_IO, errno, "create '%s'", part);
    int r = merge_into(&logs, file, err);
    if (fclose(file) != 0 && r == 0)
        r = error_set_os(err, ERROR_IO, errno, "close '%s'", part);
    if (r == 0 && rename(part, out) < 0)
        r = error_set_os(err, ERROR_IO, errno, "rename '%s' to '%s'", part, out);
    if (r < 0)
        remove(part);
    return r;
}

/* ---- summarizing ---- */

static void print_tag(const struct tag *tag, struct buffer *out) {
    char start[WALL_TEXT_SIZE];
    buffer_format(out, "%s: %" PRIu64 " values in %" PRIu64 " intervals, %.3f s from %s\n",
                  *tag->name ? tag->name : "(no tag)", tag->histogram.count, tag->intervals,
                  (double)(tag->end.ns - tag->start.ns) / (double)NS_PER_SEC,
                  wall_text(tag->start, start));
    summary_histogram(out, &tag->histogram, NULL);
}

int logs_summarize(const char *const *paths, size_t count, FILE *to, struct error *err) {
    cleanup(sums_deinit) struct sums sums = {.count = 0};
    cleanup(logs_close) struct logs logs = {.count = 0};
    cleanup(buffer_deinit) struct buffer text, harmless;
    buffer_init(&text, TEXT_SIZE_MAX);
    buffer_init(&harmless, 4 * TEXT_SIZE_MAX);
    if (logs_open(paths, count, &logs, err) < 0)
        return -1;
    for (struct log *log; (log = earliest(&logs));)
        if (take(log, &sums, err) < 0)
            return -1;
    for (size_t i = 0; i < sums.count; i++)
        print_tag(&sums.tags[i], &text);
    if (sums.count == 0)
        buffer_text(&text, "there is no interval\n");
    text_harmless(&harmless, buffer_string(&text), text.size);
    if (fwrite(buffer_string(&harmless), 1, harmless.size, to) != harmless.size || fflush(to) != 0)
        return error_set_os(err, ERROR_IO, errno, "print the summary");
    return 0;
}
