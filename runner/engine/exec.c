#include "runner/engine/exec.h"

#include "runner/engine/call.h"
#include "runner/engine/stdcopy.h"

#include <stdio.h>

/* The output ends a moment before the engine has noted the exit code. */
enum { ASK_AGAIN_MS_MIN = 2, ASK_AGAIN_MS_MAX = 200, RESIZE_TRIES = 8 };

int engine_exec_create(struct engine *engine, const char *container,
                       const struct engine_exec_spec *spec, const struct task *task,
                       char ret_id[ENGINE_ID_SIZE], struct error *err) {
    if (engine_check_name("a container", container, err) < 0)
        return error_wrap(err, "execute");
    cleanup(json_freep) struct json *answer = NULL;
    cleanup(json_freep) struct json *body = json_new_object();
    json_set_bool(body, "AttachStdout", true);
    json_set_bool(body, "AttachStderr", true);
    json_set(body, "Cmd", json_new_texts(spec->cmd));
    if (spec->env)
        json_set(body, "Env", engine_pairs_list(spec->env));
    if (spec->user)
        json_set_text(body, "User", spec->user);
    if (spec->working_dir)
        json_set_text(body, "WorkingDir", spec->working_dir);
    if (spec->privileged)
        json_set_bool(body, "Privileged", true);
    if (spec->input)
        json_set_bool(body, "AttachStdin", true);
    if (spec->terminal)
        json_set_bool(body, "Tty", true);
    cleanup(buffer_deinit) struct buffer path;
    engine_path(engine, &path, "/containers");
    http_path_segment(&path, container);
    http_path_text(&path, "/exec");
    if (engine_call_json(engine, "POST", &path, body, task, &answer, err) < 0 ||
        engine_take_id(answer, ret_id, ENGINE_ID_SIZE, err) < 0)
        return engine_wrap(err, "execute in container", container);
    return 0;
}

static int exec_path(const struct engine *engine, const char *exec, const char *action,
                     struct buffer *path, struct error *err) {
    engine_path(engine, path, "/exec");
    if (engine_check_name("an exec", exec, err) < 0)
        return -1;
    http_path_segment(path, exec);
    http_path_text(path, action);
    return 0;
}

static int push_piece(void *arg, enum engine_stream stream, bool first, const char *data,
                      size_t size, struct error *err) {
    (void)first;
    const struct engine_output *output = arg;
    return output->push(output->arg, stream, data, size, err);
}

int engine_exec_start(struct engine *engine, const char *exec, const struct engine_output *output,
                      const struct task *task, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(json_freep) struct json *body = json_new_object();
    cleanup(buffer_deinit) struct buffer path;
    json_set_bool(body, "Detach", false);
    json_set_bool(body, "Tty", false);
    struct engine_output out = *output;
    struct stdcopy stdcopy = {.on_piece = push_piece, .arg = &out};
    struct sink sink = {.push = stdcopy_push, .arg = &stdcopy};
    struct engine_call call = {
        .method = "POST", .path = &path, .body = body, .sink = &sink, .by_task_alone = true};
    int r = exec_path(engine, exec, "/start", &path, err);
    if (r == 0)
        r = engine_call(engine, &call, task, &response, err);
    if (r == 0)
        r = stdcopy_end(&stdcopy, err);
    return r < 0 ? error_wrap(err, "run the command") : r;
}

/* ---- with input, or on a terminal ---- */

int engine_exec_resize(struct engine *engine, const char *exec, unsigned rows, unsigned columns,
                       const struct task *task, struct error *err) {
    cleanup(buffer_deinit) struct buffer path;
    char text[16];
    if (exec_path(engine, exec, "/resize", &path, err) < 0)
        return error_wrap(err, "resize the terminal");
    snprintf(text, sizeof text, "%u", rows);
    http_path_query(&path, "h", text);
    snprintf(text, sizeof text, "%u", columns);
    http_path_query(&path, "w", text);
    if (engine_call_simple(engine, "POST", &path, NULL, task, err) < 0)
        return error_wrap(err, "resize the terminal");
    return 0;
}

struct attachment {
    struct engine *engine;
    const char *exec;
    const struct engine_exec_io *io;
    const struct task *task;
};

/* A window of a wrong size is no reason to end what runs in it; a cancellation is. */
static int follow_size(void *arg, struct error *err) {
    const struct attachment *a = arg;
    struct error ignored = ERROR_NULL;
    unsigned rows = 0, columns = 0;
    a->io->get_size(a->io->arg, &rows, &columns);
    if (rows && columns)
        engine_exec_resize(a->engine, a->exec, rows, columns, a->task, &ignored);
    return task_check(a->task, err);
}

/* The engine accepts a size only once the process runs, which it does not say. */
static int set_first_size(const struct attachment *a, struct error *err) {
    struct error ignored = ERROR_NULL;
    unsigned rows = 0, columns = 0;
    if (!a->io->terminal || !a->io->get_size)
        return 0;
    a->io->get_size(a->io->arg, &rows, &columns);
    for (unsigned i = 0; rows && columns && i < RESIZE_TRIES; i++) {
        error_clear(&ignored);
        if (engine_exec_resize(a->engine, a->exec, rows, columns, a->task, &ignored) == 0)
            return 0;
        if (task_sleep(a->task, ASK_AGAIN_MS_MIN * NS_PER_MS << i, err) < 0)
            return -1;
    }
    return 0;
}

static int push_raw(void *arg, const void *data, size_t size, struct error *err) {
    const struct engine_output *output = arg;
    return output->push(output->arg, ENGINE_STDOUT, data, size, err);
}

static int attach(struct attachment *a, struct error *err) {
    const struct engine_exec_io *io = a->io;
    cleanup(http_stream_closep) struct http_stream *stream = NULL;
    cleanup(buffer_deinit) struct buffer path;
    cleanup(json_freep) struct json *body = json_new_object();
    struct engine_output output = io->output;
    struct stdcopy stdcopy = {.on_piece = push_piece, .arg = &output};
    struct sink sink = {.push = io->terminal ? push_raw : stdcopy_push,
                        .arg = io->terminal ? (void *)&output : (void *)&stdcopy};
    struct http_stream_io carried = {.input_fd = io->input_fd,
                                     .input = io->input,
                                     .output = &sink,
                                     .wake_fd = io->get_size ? io->resize_fd : -1,
                                     .on_wake = follow_size,
                                     .wake_arg = a};
    json_set_bool(body, "Detach", false);
    json_set_bool(body, "Tty", io->terminal);
    if (exec_path(a->engine, a->exec, "/start", &path, err) < 0 ||
        engine_call_stream(a->engine, &path, body, a->task, &stream, err) < 0 ||
        set_first_size(a, err) < 0)
        return -1;
    int r = http_stream_carry(stream, &carried, a->task, err);
    return r == 0 && !io->terminal ? stdcopy_end(&stdcopy, err) : r;
}

int engine_exec_attach(struct engine *engine, const char *exec, const struct engine_exec_io *io,
                       const struct task *task, struct error *err) {
    struct attachment a = {.engine = engine, .exec = exec, .io = io, .task = task};
    int r = attach(&a, err);
    return r < 0 ? error_wrap(err, "run the command") : r;
}

/* ---- how it ended ---- */

static int read_state(const struct json *v, struct engine_exec_state *ret, struct error *err) {
    if (json_require_bool(v, "Running", &ret->running, err) < 0 ||
        json_get_int(v, "ExitCode", -1, &ret->exit_code, err) < 0 ||
        json_get_int(v, "Pid", 0, &ret->pid, err) < 0)
        return error_wrap(err, "the engine's answer");
    return 0;
}

int engine_exec_inspect(struct engine *engine, const char *exec, const struct task *task,
                        struct engine_exec_state *ret, struct error *err) {
    cleanup(json_freep) struct json *answer = NULL;
    cleanup(buffer_deinit) struct buffer path;
    struct engine_exec_state state = {0};
    if (exec_path(engine, exec, "/json", &path, err) < 0 ||
        engine_call_json(engine, "GET", &path, NULL, task, &answer, err) < 0 ||
        read_state(answer, &state, err) < 0)
        return error_wrap(err, "ask how the command ended");
    *ret = state;
    return 0;
}

/* ---- all in one ---- */

static int collect(void *arg, enum engine_stream stream, const void *data, size_t size,
                   struct error *err) {
    (void)err;
    struct engine_exec_result *result = arg;
    struct buffer *to = stream == ENGINE_STDERR ? &result->err : &result->out;
    size_t room = to->size_max - to->size;
    buffer_append(to, data, size < room ? size : room);
    result->truncated |= size > room;
    return 0;
}

static int wait_for_end(struct engine *engine, const char *exec, const struct task *task,
                        int64_t *ret_exit_code, struct error *err) {
    for (uint64_t ms = ASK_AGAIN_MS_MIN;;
         ms = 2 * ms < ASK_AGAIN_MS_MAX ? 2 * ms : ASK_AGAIN_MS_MAX) {
        struct engine_exec_state state;
        if (engine_exec_inspect(engine, exec, task, &state, err) < 0)
            return -1;
        if (!state.running) {
            *ret_exit_code = state.exit_code;
            return 0;
        }
        if (task_sleep(task, ms * NS_PER_MS, err) < 0)
            return error_wrap(err, "the command closed its output and runs on");
    }
}

int engine_exec(struct engine *engine, const char *container, const struct engine_exec_spec *spec,
                size_t output_max, uint64_t timeout_ns, const struct task *task,
                struct engine_exec_result *ret, struct error *err) {
    cleanup(engine_exec_result_deinit) struct engine_exec_result result = ENGINE_EXEC_RESULT_NULL;
    struct task limited = task_within(task, timeout_ns ? timeout_ns : engine->call_timeout_ns);
    struct engine_output output = {.push = collect, .arg = &result};
    char id[ENGINE_ID_SIZE];
    buffer_init(&result.out, output_max);
    buffer_init(&result.err, output_max);
    if (engine_exec_create(engine, container, spec, &limited, id, err) < 0)
        return -1;
    if (engine_exec_start(engine, id, &output, &limited, err) < 0 ||
        wait_for_end(engine, id, &limited, &result.exit_code, err) < 0)
        return engine_wrap(err, "execute in container", container);
    *ret = result;
    result = ENGINE_EXEC_RESULT_NULL;
    return 0;
}

void engine_exec_result_deinit(struct engine_exec_result *result) {
    buffer_deinit(&result->out);
    buffer_deinit(&result->err);
    *result = ENGINE_EXEC_RESULT_NULL;
}
