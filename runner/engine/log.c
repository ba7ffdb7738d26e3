#include "runner/engine/log.h"

#include "runner/engine/call.h"
#include "runner/engine/log_lines.h"
#include "runner/engine/stdcopy.h"

#include <stdio.h>

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
    char text[48];
    if (options->since_ns > 0) {
        uint64_t ns = (uint64_t)options->since_ns;
        snprintf(text, sizeof text, "%llu.%09llu", (unsigned long long)(ns / NS_PER_SEC),
                 (unsigned long long)(ns % NS_PER_SEC));
        http_path_query(path, "since", text);
    }
    if (options->tail > 0) {
        snprintf(text, sizeof text, "%lld", (long long)options->tail);
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
    struct engine_call call = {.method = "GET",
                               .path = path,
                               .sink = &sink,
                               .by_task_alone = true,
                               .idle_ns = options->follow ? 0 : engine->call_timeout_ns};
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
