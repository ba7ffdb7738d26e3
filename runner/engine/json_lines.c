#include "runner/engine/json_lines.h"

#include <string.h>

void json_lines_init(struct json_lines *lines, size_t line_size_max,
                     int (*on_line)(void *arg, const char *line, size_t size, struct error *err),
                     void *arg) {
    *lines = (struct json_lines){.on_line = on_line, .arg = arg};
    buffer_init(&lines->line, line_size_max);
}

void json_lines_deinit(struct json_lines *lines) {
    buffer_deinit(&lines->line);
}

static int append(struct json_lines *lines, const char *data, size_t size, struct error *err) {
    buffer_append(&lines->line, data, size);
    if (lines->line.overflowed)
        return error_set(err, ERROR_LIMIT, "a line of the answer is larger than %zu bytes",
                         lines->line.size_max);
    return 0;
}

static int finish(struct json_lines *lines, struct error *err) {
    size_t size = lines->line.size;
    const char *data = lines->line.data;
    while (size && (data[size - 1] == '\r' || data[size - 1] == ' '))
        size--;
    int r = size ? lines->on_line(lines->arg, data, size, err) : 0;
    buffer_clear(&lines->line);
    return r;
}

int json_lines_push(void *arg, const void *data, size_t size, struct error *err) {
    struct json_lines *lines = arg;
    const char *text = data;
    while (size) {
        const char *newline = memchr(text, '\n', size);
        size_t n = newline ? (size_t)(newline - text) : size;
        if (append(lines, text, n, err) < 0)
            return -1;
        if (!newline)
            return 0;
        int r = finish(lines, err);
        if (r != 0)
            return r;
        text += n + 1;
        size -= n + 1;
    }
    return 0;
}

int json_lines_end(struct json_lines *lines, struct error *err) {
    return finish(lines, err);
}
