#include "runner/engine/log_lines.h"

#include <string.h>

void log_lines_init(struct log_lines *l, size_t line_size_max, bool timestamps,
                    int (*on_line)(void *arg, const struct engine_log_line *line,
                                   struct error *err),
                    void *arg) {
    *l = (struct log_lines){
        .timestamps = timestamps, .at_stamp = timestamps, .on_line = on_line, .arg = arg};
    buffer_init(&l->lines[0].text, line_size_max);
    buffer_init(&l->lines[1].text, line_size_max);
}

void log_lines_deinit(struct log_lines *l) {
    buffer_deinit(&l->lines[0].text);
    buffer_deinit(&l->lines[1].text);
}

static int emit(struct log_lines *l, size_t i, bool partial, struct error *err) {
    struct log_line *line = &l->lines[i];
    struct engine_log_line out = {
        .stream = i == 0 ? ENGINE_STDOUT : ENGINE_STDERR,
        .data = buffer_string(&line->text),
        .size = line->text.size,
        .partial = partial,
        .timestamp = line->timestamp,
    };
    int r = l->on_line(l->arg, &out, err);
    buffer_clear(&line->text);
    line->open = partial;
    return r;
}

/* How much of the data belongs to the timestamp. */
static int take_stamp(struct log_lines *l, const char *data, size_t size, size_t *ret_taken,
                      struct error *err) {
    const char *space = memchr(data, ' ', size);
    size_t n = space ? (size_t)(space - data) : size;
    if (n >= sizeof l->stamp - l->stamp_size)
        return error_set(err, ERROR_INVALID, "a log entry does not begin with a timestamp");
    memcpy(l->stamp + l->stamp_size, data, n);
    l->stamp_size += n;
    l->stamp[l->stamp_size] = '\0';
    if (space)
        l->at_stamp = false;
    *ret_taken = n + (space != NULL);
    return 0;
}

static void open_line(struct log_lines *l, struct log_line *line) {
    if (!line->open) {
        memcpy(line->timestamp, l->stamp, sizeof line->timestamp);
        line->open = true;
    }
}

/* At most up to the next newline; how much was taken. */
static int take_text(struct log_lines *l, size_t i, const char *data, size_t size,
                     size_t *ret_taken, struct error *err) {
    struct log_line *line = &l->lines[i];
    open_line(l, line);
    size_t room = line->text.size_max - line->text.size;
    const char *newline = memchr(data, '\n', size);
    size_t n = newline ? (size_t)(newline - data) : size;
    if (n > room) {
        buffer_append(&line->text, data, room);
        *ret_taken = room;
        return emit(l, i, true, err);
    }
    buffer_append(&line->text, data, n);
    *ret_taken = n + (newline != NULL);
    return newline ? emit(l, i, false, err) : 0;
}

static void begin_entry(struct log_lines *l) {
    l->at_stamp = l->timestamps;
    l->stamp_size = 0;
    l->stamp[0] = '\0';
}

int log_lines_piece(void *arg, enum engine_stream stream, bool first, const char *data, size_t size,
                    struct error *err) {
    struct log_lines *l = arg;
    size_t i = stream == ENGINE_STDERR;
    if (first)
        begin_entry(l);
    while (size) {
        size_t taken = 0;
        int r = l->at_stamp ? take_stamp(l, data, size, &taken, err)
                            : take_text(l, i, data, size, &taken, err);
        if (r != 0)
            return r;
        data += taken;
        size -= taken;
    }
    return 0;
}

int log_lines_push_raw(void *arg, const void *data, size_t size, struct error *err) {
    struct log_lines *l = arg;
    const char *text = data;
    while (size) {
        const char *newline = memchr(text, '\n', size);
        size_t n = newline ? (size_t)(newline - text) + 1 : size;
        int r = log_lines_piece(l, ENGINE_STDOUT, false, text, n, err);
        if (r != 0)
            return r;
        if (newline)
            begin_entry(l);
        text += n;
        size -= n;
    }
    return 0;
}

int log_lines_end(struct log_lines *l, struct error *err) {
    for (size_t i = 0; i < 2; i++) {
        int r = l->lines[i].open && l->lines[i].text.size ? emit(l, i, false, err) : 0;
        if (r != 0)
            return r;
    }
    return 0;
}
