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

/* Behind a full entry: is this the timestamp again? How much of it was taken. */
static int take_repeated(struct log_lines *l, const char *data, size_t size, size_t *ret_taken,
                         struct error *err) {
    size_t before = l->repeated, taken = 0;
    while (taken < size && l->repeated < l->stamp_size && data[taken] == l->stamp[l->repeated]) {
        l->repeated++;
        taken++;
    }
    *ret_taken = taken;
    if (taken == size)
        return 0;
    if (l->repeated == l->stamp_size && data[taken] == ' ') {
        *ret_taken = taken + 1;
        l->entry_size = l->repeated = 0;
        return 0;
    }
    /* It is text, as far as it looked like a timestamp. */
    l->entry_size = l->repeated = 0;
    *ret_taken = 0;
    return before ? log_lines_piece(l, ENGINE_STDOUT, false, l->stamp, before, err) : 0;
}

/* At most up to the end of the line or the entry. */
static int take_raw(struct log_lines *l, const char *data, size_t size, size_t *ret_taken,
                    struct error *err) {
    if (l->timestamps && l->entry_size == LOG_ENTRY_SIZE)
        return take_repeated(l, data, size, ret_taken, err);
    if (l->at_stamp)
        return take_stamp(l, data, size, ret_taken, err);
    size_t room = LOG_ENTRY_SIZE - l->entry_size;
    const char *newline = memchr(data, '\n', size < room ? size : room);
    size_t n = newline ? (size_t)(newline - data) + 1 : size < room ? size : room;
    *ret_taken = n;
    l->entry_size += n;
    int r = log_lines_piece(l, ENGINE_STDOUT, false, data, n, err);
    if (newline) {
        begin_entry(l);
        l->entry_size = 0;
    } else if (!l->timestamps && l->entry_size == LOG_ENTRY_SIZE) {
        l->entry_size = 0;
    }
    return r;
}

int log_lines_push_raw(void *arg, const void *data, size_t size, struct error *err) {
    struct log_lines *l = arg;
    const char *text = data;
    while (size) {
        size_t taken = 0;
        int r = take_raw(l, text, size, &taken, err);
        if (r != 0)
            return r;
        text += taken;
        size -= taken;
    }
    return 0;
}

int log_lines_end(struct log_lines *l, struct error *err) {
    if (l->repeated) { /* text after all */
        size_t size = l->repeated;
        l->repeated = 0;
        int r = log_lines_piece(l, ENGINE_STDOUT, false, l->stamp, size, err);
        if (r != 0)
            return r;
    }
    for (size_t i = 0; i < 2; i++) {
        int r = l->lines[i].open && l->lines[i].text.size ? emit(l, i, false, err) : 0;
        if (r != 0)
            return r;
    }
    return 0;
}
