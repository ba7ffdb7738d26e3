#include "lib/hdr_merge.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A log that is being read: its next interval, if there is one. */
struct log {
    const char *path;
    int64_t shift_ns;
    FILE *file;
    struct hdr_log_reader reader;
    struct hdr_interval next;
    bool more;
};

struct logs {
    const struct hdr_merge *of;
    struct log *list;
};

/* ---- sums ---- */

void hdr_tags_deinit(struct hdr_tags *s) {
    for (size_t i = 0; i < s->count; i++)
        histogram_deinit(&s->list[i].histogram);
    *s = HDR_TAGS_NULL;
}

const struct hdr_tag *hdr_tags_find(const struct hdr_tags *s, const char *name) {
    for (size_t i = 0; i < s->count; i++)
        if (text_equal(s->list[i].name, name))
            return &s->list[i];
    return NULL;
}

static struct hdr_tag *find_tag(struct hdr_tags *s, const char *name, struct error *err) {
    for (size_t i = 0; i < s->count; i++)
        if (text_equal(s->list[i].name, name))
            return &s->list[i];
    if (s->count == HDR_TAGS_MAX) {
        error_set(err, ERROR_LIMIT, "the logs have more than %d tags", HDR_TAGS_MAX);
        return NULL;
    }
    struct hdr_tag *tag = &s->list[s->count++];
    snprintf(tag->name, sizeof tag->name, "%s", name);
    histogram_init(&tag->histogram, HISTOGRAM_HOUR_NS);
    return tag;
}

static void clear_sums(struct hdr_tags *s) {
    for (size_t i = 0; i < s->count; i++) {
        if (s->list[i].intervals > 0)
            histogram_clear(&s->list[i].histogram);
        s->list[i].intervals = 0;
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

/* A log that counts from its own start has no clock that could be wrong: 1970 stays. */
static int shift(struct log *log, struct error *err) {
    struct hdr_interval *next = &log->next;
    if (__builtin_add_overflow(next->start.ns, log->shift_ns, &next->start.ns) ||
        __builtin_add_overflow(next->end.ns, log->shift_ns, &next->end.ns) ||
        next->end.ns > HDR_LOG_TIME_NS_MAX)
        return error_set(err, ERROR_LIMIT, "'%s': an interval in a future beyond our clocks",
                         log->path);
    next->start.ns = next->start.ns > 0 ? next->start.ns : 0;
    next->end.ns = next->end.ns > 0 ? next->end.ns : 0;
    return 0;
}

static int look_ahead(const struct hdr_merge *m, struct log *log, struct error *err) {
    int r = hdr_log_next(&log->reader, &log->next, err);
    log->more = r == 0;
    if (r == 0)
        return shift(log, err);
    if (r > 0 && log->reader.cut) {
        cleanup_free char *text =
            text_format("'%s' was cut off in its last line, which is left out", log->path);
        m->warn(m->context, text);
    }
    return r < 0 ? -1 : 0;
}

static int open_log(const struct hdr_merge *m, size_t index, struct log *log, struct error *err) {
    const char *path = m->logs[index].path;
    log->path = path;
    log->shift_ns = m->logs[index].shift_ns;
    log->file = fopen(path, "re");
    if (!log->file)
        return error_set_os(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno, "open '%s'",
                            path);
    hdr_log_reader_init(&log->reader, path,
                        (struct source){.pull = pull_from_file, .arg = log->file});
    return look_ahead(m, log, err);
}

static void logs_close(struct logs *l) {
    for (size_t i = 0; l->list && i < l->of->count; i++) {
        if (!l->list[i].file)
            continue;
        hdr_log_reader_deinit(&l->list[i].reader);
        fclose(l->list[i].file);
    }
    free(l->list);
}

static int logs_open(const struct hdr_merge *m, struct logs *l, struct error *err) {
    l->of = m;
    l->list = mem_new_array(struct log, m->count);
    for (size_t i = 0; i < m->count; i++)
        if (open_log(m, i, &l->list[i], err) < 0)
            return -1;
    return 0;
}

/* Whose next interval begins first; NULL at the end of all. */
static struct log *earliest(const struct logs *l) {
    struct log *first = NULL;
    for (size_t i = 0; i < l->of->count; i++)
        if (l->list[i].more && (!first || l->list[i].next.start.ns < first->next.start.ns))
            first = &l->list[i];
    return first;
}

static int take(const struct logs *l, struct log *log, struct hdr_tags *sums, struct error *err) {
    const struct hdr_interval *next = &log->next;
    struct hdr_tag *tag = find_tag(sums, next->tag, err);
    if (!tag || hdr_log_decode(&log->reader, &tag->histogram, err) < 0)
        return -1;
    if (tag->intervals++ == 0) {
        tag->start = next->start;
        tag->end = next->end;
    }
    tag->start.ns = next->start.ns < tag->start.ns ? next->start.ns : tag->start.ns;
    tag->end.ns = next->end.ns > tag->end.ns ? next->end.ns : tag->end.ns;
    return look_ahead(l->of, log, err);
}

int hdr_merge_sum(const struct hdr_merge *m, struct hdr_tags *tags, struct error *err) {
    cleanup(logs_close) struct logs logs = {.of = m};
    if (logs_open(m, &logs, err) < 0)
        return -1;
    for (struct log *log; (log = earliest(&logs));)
        if (take(&logs, log, tags, err) < 0)
            return -1;
    return 0;
}

/* ---- merging ---- */

static int write_sums(struct hdr_log_writer *w, struct hdr_tags *s, struct error *err) {
    for (size_t i = 0; i < s->count; i++) {
        const struct hdr_tag *tag = &s->list[i];
        if (tag->intervals > 0 && hdr_log_interval(w, *tag->name ? tag->name : NULL, tag->start,
                                                   tag->end, &tag->histogram, err) < 0)
            return -1;
    }
    clear_sums(s);
    return 0;
}

static int merge(struct logs *logs, const char *comment, struct hdr_log_writer *w,
                 struct error *err) {
    cleanup(hdr_tags_deinit) struct hdr_tags sums = HDR_TAGS_NULL;
    struct log *log = earliest(logs);
    const struct wall_time start = log ? log->next.start : (struct wall_time){.ns = 0};
    int64_t second = 0;
    if (hdr_log_begin(w, comment, start, err) < 0)
        return -1;
    for (; log; log = earliest(logs)) {
        int64_t own = (log->next.start.ns - start.ns) / (int64_t)NS_PER_SEC;
        if (own > second && write_sums(w, &sums, err) < 0)
            return -1;
        second = own > second ? own : second;
        if (take(logs, log, &sums, err) < 0)
            return -1;
    }
    return write_sums(w, &sums, err);
}

static int merge_into(struct logs *logs, const char *comment, FILE *file, struct error *err) {
    struct hdr_log_writer w;
    hdr_log_writer_init(&w, hdr_log_file(file));
    int r = merge(logs, comment, &w, err);
    hdr_log_writer_deinit(&w);
    return r;
}

int hdr_merge_write(const struct hdr_merge *m, const char *comment, const char *out,
                    struct error *err) {
    cleanup(logs_close) struct logs logs = {.of = m};
    cleanup_free char *part = text_format("%s.part", out);
    if (logs_open(m, &logs, err) < 0)
        return -1;
    FILE *file = fopen(part, "we");
    if (!file)
        return error_set_os(err, ERROR_IO, errno, "create '%s'", part);
    int r = merge_into(&logs, comment, file, err);
    if (fclose(file) != 0 && r == 0)
        r = error_set_os(err, ERROR_IO, errno, "close '%s'", part);
    if (r == 0 && rename(part, out) < 0)
        r = error_set_os(err, ERROR_IO, errno, "rename '%s' to '%s'", part, out);
    if (r < 0)
        remove(part);
    return r;
}
