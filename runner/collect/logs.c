#include "runner/collect/logs.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/engine/log.h"

#include <stdlib.h>

enum {
    TAIL_MAX_BYTES = 16 << 10,
    ENTRY_BYTES = 100, /* at most, what json-file adds to a line without escapes */
};

/* What the driver `local` keeps in a file if nobody says so. */
#define LOCAL_SIZE_BYTES (UINT64_C(20) << 20)

void log_result_deinit(struct log_result *result) {
    free(result->gaps);
    *result = LOG_RESULT_NULL;
}

void log_result_of(struct log_file *file, struct log_result *ret) {
    ret->lines = file->lines;
    ret->bytes = file->bytes;
    ret->gaps_all = file->gaps_all;
    ret->gap_count = file->gap_count;
    ret->gaps = take_ptr(file->gaps);
    file->gap_count = file->gap_capacity = 0;
}

static const char *log_option(const struct engine_container *state, const char *name) {
    const struct json *config =
        json_member(json_member(json_member(state->json, "HostConfig"), "LogConfig"), "Config");
    return json_text_or_null(json_member(config, name));
}

bool log_can_rotate(const struct engine_container *state) {
    if (text_equal(state->log_driver, "json-file"))
        return log_option(state, "max-size") != NULL;
    return true; /* of the others we cannot know what they keep */
}

bool log_may_have_rotated(const struct engine_container *state, uint64_t bytes, uint64_t lines) {
    struct error ignored = ERROR_NULL;
    uint64_t size_max;
    const char *option = log_option(state, "max-size");
    if (!log_can_rotate(state))
        return false;
    if (!option && text_equal(state->log_driver, "local"))
        size_max = LOCAL_SIZE_BYTES;
    else if (!option || text_to_size_bytes(option, &size_max, &ignored) < 0)
        return true;
    return 2 * bytes + ENTRY_BYTES * lines >= size_max;
}

static int add_line(void *arg, const struct engine_log_line *line, struct error *err) {
    (void)err;
    struct buffer *text = arg;
    buffer_append(text, line->data, line->size);
    if (!line->partial)
        buffer_text(text, "\n");
    return 0;
}

char *log_tail(struct engine *engine, const char *container, bool tty, int count,
               const struct task *task) {
    struct error ignored = ERROR_NULL; /* what we were doing before has its own error */
    struct buffer text;
    buffer_init(&text, TAIL_MAX_BYTES);
    struct engine_log_options options = {.tail = count, .tty = tty};
    engine_container_logs(engine, container, &options, add_line, &text, task, &ignored);
    return buffer_take(&text);
}
