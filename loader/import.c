#include "loader/import.h"

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/hdr_log.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "loader/record.h"
#include "loader/summary.h"
#include "loader/trial.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 6, TEXT_SIZE_MAX = 64 * 1024, FILE_MODE = 0644, FOLDER_MODE = 0755 };

static const char header[] = "client,number,intended_ns,sent_ns,latency_ns,outcome";

/* 2001-09-09: nobody's load has run for so long, and nobody's clock is so late. */
#define SINCE_1970_NS UINT64_C(1000000000000000000)

struct import {
    const struct options *options;
    struct duration *list; /* by the time of their outcome */
    size_t count, capacity;
    uint64_t first_ns, last_ns; /* intended times */
    struct wall_time start;
    struct record record;
    FILE *file; /* latency.hlog */
    struct hdr_log_writer writer;
};

static void import_deinit(struct import *m) {
    free(m->list);
    record_deinit(&m->record);
    hdr_log_writer_deinit(&m->writer);
    if (m->file)
        fclose(m->file);
}

/* ---- reading ---- */

static int read_outcome(const char *text, enum outcome *ret, struct error *err) {
    for (int i = 0; i < OUTCOME_COUNT; i++)
        if (text_equal(text, outcome_name((enum outcome)i))) {
            *ret = (enum outcome)i;
            return 0;
        }
    return error_set(err, ERROR_INVALID, "'%.32s' is not an outcome", text);
}

static int read_time(const char *text, uint64_t *ret, struct error *err) {
    return text_to_u64(text, 0, LOADER_IMPORT_NS_MAX, ret, err);
}

static int check_times(const struct duration *one, uint64_t sent_ns, struct error *err) {
    if (one->sent && sent_ns < one->intended_ns)
        return error_set(err, ERROR_INVALID, "it was sent before it was intended");
    if (one->sent == (one->outcome == OUTCOME_UNSENT))
        return error_set(err, ERROR_INVALID, "what is unsent has no sent_ns, all else has one");
    if (one->latency_ns > LOADER_TIME_NS_MAX || one->latency_ns < one->send_delay_ns)
        return error_set(err, ERROR_INVALID, "its latency cannot be: it counts from intended_ns");
    return 0;
}

static int read_line(char *line, struct duration *ret, struct error *err) {
    char *columns[COLUMNS];
    size_t count = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *rest = line, *column; (column = strsep(&rest, ","));) {
        if (count == COLUMNS)
            return error_set(err, ERROR_INVALID, "more than %d columns", COLUMNS);
        columns[count++] = column;
    }
    if (count < COLUMNS)
        return error_set(err, ERROR_INVALID, "%zu columns instead of %d", count, COLUMNS);
    struct duration one = {.sent = *columns[3] != '\0'};
    uint64_t sent_ns = 0;
    if (read_time(columns[2], &one.intended_ns, err) < 0 ||
        (one.sent && read_time(columns[3], &sent_ns, err) < 0) ||
        read_time(columns[4], &one.latency_ns, err) < 0 ||
        read_outcome(columns[5], &one.outcome, err) < 0)
        return -1;
    one.send_delay_ns = one.sent && sent_ns > one.intended_ns ? sent_ns - one.intended_ns : 0;
    if (check_times(&one, sent_ns, err) < 0)
        return -1;
    *ret = one;
    return 0;
}

static void add(struct import *m, const struct duration *one) {
    m->first_ns = m->count == 0 || one->intended_ns < m->first_ns ? one->intended_ns : m->first_ns;
    m->last_ns = one->intended_ns > m->last_ns ? one->intended_ns : m->last_ns;
    mem_grow(m->list, m->count, m->capacity);
    m->list[m->count++] = *one;
}

static int read_all(struct import *m, FILE *from, struct error *err) {
    cleanup_free char *line = NULL;
    size_t size = 0;
    for (uint64_t number = 1; getline(&line, &size, from) >= 0; number++) {
        struct duration one;
        if (number == 1) {
            line[strcspn(line, "\r\n")] = '\0';
            if (!text_equal(line, header))
                return error_set(err, ERROR_INVALID, "line 1 is not '%s'", header);
            continue;
        }
        if (m->count == LOADER_IMPORT_MAX)
            return error_set(err, ERROR_LIMIT, "more than %d requests", LOADER_IMPORT_MAX);
        if (read_line(line, &one, err) < 0)
            return error_wrap(err, "line %" PRIu64, number);
        add(m, &one);
    }
    if (ferror(from))
        return error_set_os(err, ERROR_IO, errno, "read");
    return m->count > 0 ? 0 : error_set(err, ERROR_INVALID, "there is no request in it");
}

static int by_end(const void *a, const void *b) {
    const struct duration *x = a, *y = b;
    uint64_t x_ns = x->intended_ns + x->latency_ns, y_ns = y->intended_ns + y->latency_ns;
    return (x_ns > y_ns) - (x_ns < y_ns);
}

/* Reads the file, and lets its times count from the first of them. */
static int load(struct import *m, const char *path, struct error *err) {
    cleanup_fclose FILE *from = fopen(path, "re");
    if (!from)
        return error_set_os(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno, "open '%s'",
                            path);
    if (read_all(m, from, err) < 0)
        return error_wrap(err, "'%s'", path);
    if (m->last_ns - m->first_ns > LOADER_TIME_NS_MAX)
        return error_set(err, ERROR_LIMIT, "'%s': the load took more than 30 days", path);
    m->start = m->first_ns >= SINCE_1970_NS ? (struct wall_time){.ns = (int64_t)m->first_ns}
                                            : clock_wall();
    for (size_t i = 0; i < m->count; i++)
        m->list[i].intended_ns -= m->first_ns;
    qsort(m->list, m->count, sizeof *m->list, by_end);
    return 0;
}

/* ---- recording ---- */

static int write_interval(struct import *m, uint64_t to_ns, struct error *err) {
    struct interval *i = &m->record.interval;
    const struct wall_time from = {.ns = m->start.ns + (int64_t)i->from_ns};
    const struct wall_time to = {.ns = m->start.ns + (int64_t)to_ns};
    if (hdr_log_interval(&m->writer, NULL, from, to, &i->latency, err) < 0 ||
        hdr_log_interval(&m->writer, "from-send", from, to, &i->latency_from_send, err) < 0)
        return -1;
    interval_clear(i, to_ns);
    return 0;
}

static int record_one(struct import *m, struct duration *one, struct error *err) {
    struct record *r = &m->record;
    uint64_t end_ns = one->intended_ns + one->latency_ns;
    uint64_t sent_ns = one->intended_ns + one->send_delay_ns;
    uint64_t second_ns = end_ns / NS_PER_SEC * NS_PER_SEC;
    record_advance(r, end_ns);
    if (second_ns > r->interval.from_ns && write_interval(m, second_ns, err) < 0)
        return -1;
    record_due(r);
    if (one->sent) {
        record_sent(r, sent_ns > r->sent_end_ns ? sent_ns : r->sent_end_ns);
        record_lateness(r, one->intended_ns, sent_ns);
    }
    return record_outcome(r, one, err);
}

static int record_all(struct import *m, struct error *err) {
    cleanup_free char *path = path_join(m->options->out_path, "latency.hlog");
    m->file = fopen(path, "we");
    if (!m->file)
        return error_set_os(err, ERROR_IO, errno, "create '%s'", path);
    hdr_log_writer_init(&m->writer, hdr_log_file(m->file));
    if (hdr_log_begin(&m->writer, "imported by loader " SEATRIAL_VERSION ", ns", m->start, err) < 0)
        return error_wrap(err, "'%s'", path);
    for (size_t i = 0; i < m->count; i++) {
        m->list[i].number = i + 1; /* they are told apart by nothing else */
        if (record_one(m, &m->list[i], err) < 0)
            return error_wrap(err, "'%s'", path);
    }
    return write_interval(m, m->record.end_ns, err) < 0 ? error_wrap(err, "'%s'", path) : 0;
}

/* ---- the end ---- */

static int set_window(struct import *m, struct error *err) {
    uint64_t span_ns = m->last_ns - m->first_ns;
    const struct options *o = m->options;
    if (o->warm_up_ns + o->cool_down_ns > 0 && o->warm_up_ns + o->cool_down_ns >= span_ns)
        return error_set(err, ERROR_USAGE, "--warm-up and --cool-down leave nothing to measure");
    record_window(&m->record, o->warm_up_ns,
                  o->cool_down_ns ? span_ns - o->cool_down_ns : UINT64_MAX);
    return 0;
}

static int tell(const struct import *m, const struct summary *summary, struct error *err) {
    cleanup_free char *path = path_join(m->options->out_path, "load.json");
    cleanup(buffer_deinit) struct buffer text, json;
    buffer_init(&text, TEXT_SIZE_MAX);
    buffer_init(&json, TEXT_SIZE_MAX);
    summary_json(summary, &json);
    summary_text(summary, &text);
    if (buffer_check(&json, "the summary", err) < 0 ||
        file_write(path, FILE_MODE, json.data, json.size, err) < 0)
        return -1;
    if (fwrite(buffer_string(&text), 1, text.size, stdout) != text.size || fflush(stdout) != 0)
        return error_set_os(err, ERROR_IO, errno, "print the summary");
    return 0;
}

int import_run(const struct options *options, struct error *err) {
    cleanup(import_deinit) struct import m = {.options = options};
    cleanup(buffer_deinit) struct buffer why;
    buffer_init(&why, TEXT_SIZE_MAX);
    record_init(&m.record, 0, NULL, NULL);
    if (load(&m, options->files[0], err) < 0 || set_window(&m, err) < 0 ||
        file_make_folders(options->out_path, FOLDER_MODE, err) < 0 || record_all(&m, err) < 0)
        return -1;
    const struct summary summary = {
        .options = options,
        .record = &m.record,
        .intended = options->requests > m.count ? options->requests : m.count,
        .span_ns = options_open(options) ? m.last_ns - m.first_ns : 0,
    };
    if (tell(&m, &summary, err) < 0)
        return -1;
    if (summary_shortfall(&summary, &why)) {
        fprintf(stderr, "loader: the load was not generated as asked: %s\n", buffer_string(&why));
        return TRIAL_NOT_GENERATED;
    }
    return m.record.outcomes[OUTCOME_ACKNOWLEDGED] == summary.intended ? TRIAL_GOOD
                                                                       : TRIAL_NOT_ALL_ACKNOWLEDGED;
}
