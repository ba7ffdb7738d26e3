#include "runner/run/journal_read.h"

#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Whose lines are being read. */
enum part { PART_TRIAL, PART_LATER };

struct reading {
    struct journal_log log;
    enum part part;
};

void journal_log_deinit(struct journal_log *log) {
    for (size_t i = 0; i < log->step_count; i++)
        json_free(log->steps[i].end);
    for (size_t i = 0; i < log->warning_count; i++)
        json_free(log->warnings[i]);
    for (size_t i = 0; i < log->resumed_count; i++)
        json_free(log->resumed[i]);
    json_free(log->header);
    free(log->steps);
    free(log->warnings);
    free(log->resumed);
    *log = JOURNAL_LOG_NULL;
}

static int begin_part(struct reading *r, struct json **line, struct error *err) {
    const char *mode;
    int64_t steps;
    if (json_get_text(*line, "mode", "trial", &mode, err) < 0)
        return -1;
    if (r->log.header) {
        r->part = PART_LATER;
        r->log.taken_down = r->log.taken_down || text_equal(mode, "down");
        return 0;
    }
    if (json_require_int(*line, "steps", 0, JOURNAL_STEPS_MAX, &steps, err) < 0)
        return -1;
    r->log.steps = mem_new_array(struct journal_step, (size_t)steps);
    r->log.step_count = (size_t)steps;
    r->log.header = take_ptr(*line);
    return 0;
}

static int find_step(const struct reading *r, const struct json *line, struct journal_step **ret,
                     struct error *err) {
    int64_t number;
    if (json_require_int(line, "step", 1, JOURNAL_STEPS_MAX, &number, err) < 0)
        return -1;
    if ((size_t)number > r->log.step_count)
        return error_set(err, ERROR_INVALID, "step %" PRId64 " of %zu", number, r->log.step_count);
    *ret = &r->log.steps[number - 1];
    return 0;
}

static int begin_step(struct reading *r, const struct json *line, struct wall_time time,
                      struct error *err) {
    struct journal_step *step;
    if (find_step(r, line, &step, err) < 0)
        return -1;
    step->state = STEP_RUNNING;
    step->begun = time;
    return 0;
}

static int end_step(struct reading *r, struct json **line, struct wall_time time,
                    struct error *err) {
    static const enum step_state ends[] = {STEP_GOOD, STEP_FAILED, STEP_SKIPPED};
    struct journal_step *step;
    const char *state;
    if (find_step(r, *line, &step, err) < 0 || json_require_text(*line, "state", &state, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (!text_equal(state, step_state_name(ends[i])))
            continue;
        step->state = ends[i];
        step->ended = time;
        json_free(step->end);
        step->end = take_ptr(*line);
        return 0;
    }
    return error_set(err, ERROR_INVALID, "'state' is none in which a step can end");
}

static int keep(struct json ***list, size_t *count, size_t *capacity, struct json **line) {
    mem_grow(*list, *count, *capacity);
    (*list)[(*count)++] = take_ptr(*line);
    return 0;
}

static int take_event(struct reading *r, const char *event, struct json **line,
                      struct wall_time time, struct error *err) {
    struct journal_log *log = &r->log;
    if (text_equal(event, "run"))
        return begin_part(r, line, err);
    if (!log->header)
        return error_set(err, ERROR_INVALID, "it comes before any run");
    if (text_equal(event, "resume")) {
        r->part = PART_TRIAL;
        return keep(&log->resumed, &log->resumed_count, &log->resumed_capacity, line);
    }
    if (r->part != PART_TRIAL)
        return 0;
    if (text_equal(event, "begin"))
        return begin_step(r, *line, time, err);
    if (text_equal(event, "end"))
        return end_step(r, line, time, err);
    if (text_equal(event, "warning"))
        return keep(&log->warnings, &log->warning_count, &log->warning_capacity, line);
    log->interrupted = log->interrupted || text_equal(event, "interrupt");
    log->ended = log->ended || text_equal(event, "end of run");
    log->reported = log->reported || text_equal(event, "reported");
    return 0;
}

static int take_line(struct reading *r, const char *text, size_t size, struct error *err) {
    cleanup(json_freep) struct json *line = NULL;
    const char *event;
    struct wall_time time;
    if (json_parse(text, size, JOURNAL_LINE_MAX, &line, err) < 0 ||
        json_require_text(line, "event", &event, err) < 0 ||
        json_get_int(line, "ns", 0, &time.ns, err) < 0)
        return -1;
    cleanup_free char *name = text_dup(event); /* the line may be taken */
    if (take_event(r, name, &line, time, err) < 0)
        return -1;
    if (r->part == PART_TRIAL && time.ns > 0) {
        r->log.first = r->log.first.ns ? r->log.first : time;
        r->log.last = time;
    }
    return 0;
}

static int take_lines(struct reading *r, const char *text, size_t size, struct error *err) {
    size_t number = 0;
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        if (!end)
            return 0; /* torn */
        size_t length = (size_t)(end - text) - at;
        number++;
        if (take_line(r, text + at, length, err) < 0) {
            if (at + length + 1 < size)
                return error_wrap(err, "line %zu", number);
            error_clear(err);
            return 0;
        }
        at += length + 1;
        r->log.size = at;
    }
    return 0;
}

int journal_parse(const char *text, size_t size, struct journal_log *ret, struct error *err) {
    struct reading r = {.part = PART_TRIAL};
    int status = take_lines(&r, text, size, err);
    if (status == 0 && !r.log.header)
        status = error_set(err, ERROR_NOT_FOUND, "nothing had begun when its runner died");
    if (status < 0) {
        journal_log_deinit(&r.log);
        return -1;
    }
    *ret = r.log;
    ret->read = size;
    return 0;
}

int journal_read(const char *path, struct journal_log *ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (file_read(path, JOURNAL_SIZE_MAX, &text, err) < 0)
        return error_wrap(err, "read the journal");
    if (journal_parse(text.data ? text.data : "", text.size, ret, err) < 0)
        return error_wrap(err, "read the journal '%s'", path);
    return 0;
}
