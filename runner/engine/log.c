#include "runner/engine/log.h"

#include "runner/engine/call.h"
#include "runner/engine/log_lines.h"
#include "runner/engine/stdcopy.h"

#include <stdio.h>

/* Lines that are written one by one: nobody sees that they come so much later. */
#define GATHER_NS_MAX (20 * NS_PER_MS)

static void add_time(struct buffer *path, const char *name, int64_t wall_ns) {
    char text[48];
    if (wall_ns <= 0)
        return;
    uint64_t ns = (uint64_t)wall_ns;
    snprintf(text, sizeof text, "%llu.%09llu", (unsigned long long)(ns / NS_PER_SEC),
             (unsigned long long)(ns % NS_PER_SEC));
    http_path_query(path, name, text);
}

static int log_path(const struct engine *engine, const char *container,
                    const struct engine_log_options *options, struct buffer *path,
                    struct error *err) {
    engine_path(engine, path, "/containers");
    if (engine_check_name("a container", container, err) < 0)
        return -1;
    http_path_segment(path, container);
    http_path_text(path, "/logs");
    http_path_query(path, "stdout", options->only_stderr ? "0" : "1");
    http_path_query(path, "stderr", options->only_stdout ? "0" : "1");
    if (options->follow)
        http_path_query(path, "follow", "1");
    if (options->timestamps)
        http_path_query(path, "timestamps", "1");
    add_time(path, "since", options->since_ns);
    add_time(path, "until", options->until_ns);
    if (options->tail != 0) {
        char text[24];
        snprintf(text, sizeof text, "%lld", (long long)(options->tail < 0 ? 0 : options->tail));
        http_path_query(path, "tail", text);
    }
    return 0;
}

static int carry(struct engine *engine, const struct engine_log_options *options,
                 const struct buffer *path, struct log_lines *lines, const struct task *task,
                 struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    struct stdcopy stdcopy = {.on_piece = log_lines_piece, .arg = lines};
    struct sink sink = {.push = options->tty ? log_lines_push_raw : stdcopy_push,
                        .arg = options->tty ? (void *)lines : (void *)&stdcopy};
    struct http_pace pace = {.gather_ns_max = options->follow ? GATHER_NS_MAX : 0,
                             .on_quiet = options->on_pause,
                             .arg = lines->arg};
    struct engine_call call = {.method = "GET",
                               .path = path,
                               .sink = &sink,
                               .by_task_alone = true,
                               .idle_ns = options->follow ? 0 : engine->call_timeout_ns,
                               .pace = &pace};
    int r = engine_call(engine, &call, task, &response, err);
    if (r == 0 && !options->tty)
        r = stdcopy_end(&stdcopy, err);
    return r == 0 ? log_lines_end(lines, err) : r;
}

int engine_container_logs(struct engine *engine, const char *container,
                          const struct engine_log_options *options,
                          int (*on_line)(void *arg, const struct engine_log_line *line,
                                         struct error *err),
                          void *arg, const struct task *task, struct error *err) {
    cleanup(log_lines_deinit) struct log_lines lines;
    cleanup(buffer_deinit) struct buffer path;
    log_lines_init(&lines, ENGINE_LOG_LINE_MAX, options->timestamps, on_line, arg);
    int r = log_path(engine, container, options, &path, err);
    if (r == 0)
        r = carry(engine, options, &path, &lines, task, err);
    if (r < 0)
        return engine_wrap(err, "logs of container", container);
    return r;
}
