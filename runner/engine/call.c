#include "runner/engine/call.h"

#include "lib/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- names ---- */

static bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int bad_name(const char *what, const char *name, struct error *err) {
    char shown[200];
    engine_harmless(name, strlen(name), shown, sizeof shown);
    return error_set(err, ERROR_INVALID, "'%s' is not the name or id of %s", shown, what);
}

int engine_check_name(const char *what, const char *name, struct error *err) {
    size_t size = strnlen(name, ENGINE_NAME_MAX + 1);
    if (size > ENGINE_NAME_MAX || !is_alphanumeric(name[0]))
        return bad_name(what, name, err);
    for (size_t i = 0; i < size; i++)
        if (!is_alphanumeric(name[i]) && !strchr("_.-", name[i]))
            return bad_name(what, name, err);
    return 0;
}

/* Not the grammar of references, but enough to be one harmless piece of a path. */
int engine_check_reference(const char *reference, struct error *err) {
    size_t size = strnlen(reference, ENGINE_NAME_MAX + 1);
    if (size > ENGINE_NAME_MAX || !is_alphanumeric(reference[0]) || strstr(reference, "..") ||
        strstr(reference, "//") || strstr(reference, "/./") || text_ends(reference, "/"))
        return bad_name("an image", reference, err);
    for (size_t i = 0; i < size; i++)
        if (!is_alphanumeric(reference[i]) && !strchr("_.-/:@", reference[i]))
            return bad_name("an image", reference, err);
    return 0;
}

static bool is_hex(const char *text, size_t size_min, size_t size_max) {
    size_t size = strspn(text, "0123456789abcdef");
    return !text[size] && size >= size_min && size <= size_max;
}

int engine_check_image_id(const char *id, struct error *err) {
    static const char prefix[] = "sha256:";
    if (text_starts(id, prefix) && is_hex(id + strlen(prefix), 64, 64))
        return 0;
    char shown[200];
    engine_harmless(id, strlen(id), shown, sizeof shown);
    return error_set(err, ERROR_INVALID, "the engine says '%s' where an image id belongs", shown);
}

int engine_take_id(const struct json *answer, char *ret_id, size_t size, struct error *err) {
    const char *id;
    if (json_require_text(answer, "Id", &id, err) < 0)
        return -1;
    if (!is_hex(id, 12, size - 1)) {
        char shown[200];
        engine_harmless(id, strlen(id), shown, sizeof shown);
        return error_set(err, ERROR_INVALID, "the engine says '%s' where an id belongs", shown);
    }
    snprintf(ret_id, size, "%s", id);
    return 0;
}

/* ---- text and JSON ---- */

void engine_harmless(const char *text, size_t text_size, char *out, size_t size) {
    /* One foreign byte becomes at most four. */
    cleanup(buffer_deinit) struct buffer clean;
    buffer_init(&clean, 4 * size);
    text_harmless(&clean, text, text_size < size ? text_size : size);
    while (clean.size && strchr("\n\r ", clean.data[clean.size - 1]))
        clean.data[--clean.size] = '\0';
    snprintf(out, size, "%s", buffer_string(&clean));
}

int engine_wrap(struct error *err, const char *doing, const char *name) {
    char shown[ENGINE_NAME_MAX + 1];
    engine_harmless(name, strlen(name), shown, sizeof shown);
    return error_wrap(err, "%s '%s'", doing, shown);
}

struct json *engine_pairs_object(const struct engine_pair *pairs) {
    struct json *object = json_new_object();
    for (; pairs && pairs->name; pairs++)
        json_set_text(object, pairs->name, pairs->value);
    return object;
}

struct json *engine_pairs_list(const struct engine_pair *pairs) {
    struct json *array = json_new_array();
    for (; pairs && pairs->name; pairs++) {
        cleanup_free char *text =
            pairs->value ? text_format("%s=%s", pairs->name, pairs->value) : text_dup(pairs->name);
        json_append_text(array, text);
    }
    return array;
}

void engine_path(const struct engine *engine, struct buffer *path, const char *text) {
    buffer_init(path, HTTP_PATH_MAX);
    buffer_format(path, "/v1.%d%s", engine->api_minor, text);
}

void engine_path_labels(struct buffer *path, const struct engine_pair *labels) {
    if (!labels || !labels->name)
        return;
    cleanup(json_freep) struct json *filters = json_new_object();
    json_set(filters, "label", engine_pairs_list(labels));
    cleanup_free char *text = json_to_text(filters, JSON_LINE);
    http_path_query(path, "filters", text);
}

/* ---- calls ---- */

static enum error_kind kind_of_status(int status) {
    switch (status) {
    case 404: return ERROR_NOT_FOUND;
    case 409: return ERROR_CONFLICT;
    case 503: return ERROR_UNREACHABLE; /* of a tunnel whose engine does not run, or a proxy */
    default: return status >= 400 ? ERROR_REFUSED : ERROR_INVALID;
    }
}

static int refuse(const struct http_response *response, const char *method, struct error *err) {
    int status = response->status;
    enum error_kind kind = kind_of_status(status);
    cleanup(json_freep) struct json *v = NULL;
    struct error ignored = ERROR_NULL;
    const char *message = NULL;
    char text[2048];
    if (json_parse(buffer_string(&response->body), response->body.size, 0, &v, &ignored) == 0)
        message = json_text_or_null(json_member(v, "message"));
    if (message)
        engine_harmless(message, strlen(message), text, sizeof text);
    else /* not the engine itself, perhaps a proxy in front of it */
        engine_harmless(buffer_string(&response->body), response->body.size, text, 300);
    if (!text[0])
        return error_set(err, kind, "the engine answered %s with status %d and no message", method,
                         status);
    if (!message || kind == ERROR_INVALID)
        return error_set(err, kind, "the engine answered %s with status %d: %s", method, status,
                         text);
    return error_set(err, kind, "%s", text);
}

static void add_hint(const struct engine *engine, struct error *err) {
    if (err->kind != ERROR_UNREACHABLE)
        return;
    if (err->os_errno == ENOENT || err->os_errno == ECONNREFUSED)
        error_hint(err,
                   "start the Docker Engine (systemctl start docker), or say by DOCKER_HOST where "
                   "one listens: nobody does on %s",
                   engine->host);
    else if (err->os_errno == EACCES || err->os_errno == EPERM)
        error_hint(err, "this user may not open %s: use sudo, or join the group that owns it",
                   engine->host);
}

static struct task limit(const struct engine *engine, const struct engine_call *call,
                         const struct task *task) {
    return call->by_task_alone ? *task
                               : task_within(task, engine->call_timeout_ns + call->extra_ns);
}

int engine_call(struct engine *engine, const struct engine_call *call, const struct task *task,
                struct http_response *ret, struct error *err) {
    if (buffer_check(call->path, "the request's path", err) < 0)
        return -1;
    cleanup_free char *text = call->body ? json_to_text(call->body, JSON_LINE) : NULL;
    struct http_request request = {
        .method = call->method,
        .path = buffer_string(call->path),
        .headers = call->headers,
        .content_type = text ? "application/json" : call->content_type,
        .body = text ? text : call->data,
        .body_size = text ? strlen(text) : call->data_size,
        .source = call->source,
        .sink = call->sink,
        .body_max = ENGINE_ANSWER_MAX,
        .idle_ns = call->idle_ns,
        .pace = call->pace,
    };
    struct task limited = limit(engine, call, task);
    int r = http_call(engine->http, &request, &limited, ret, err);
    if (r < 0) {
        add_hint(engine, err);
        struct error ours = ERROR_NULL;
        if (err->kind == ERROR_TIMEOUT && task_check(task, &ours) == 0)
            error_wrap(err, "the engine took too long");
        return -1;
    }
    if (r == 0 && ret->status != 304 && (ret->status < 200 || ret->status > 299))
        return refuse(ret, call->method, err);
    return r;
}

int engine_call_stream(struct engine *engine, const struct buffer *path, const struct json *body,
                       const struct task *task, struct http_stream **ret, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup_free char *text = json_to_text(body, JSON_LINE);
    const struct http_request request = {.method = "POST",
                                         .path = buffer_string(path),
                                         .content_type = "application/json",
                                         .body = text,
                                         .body_size = strlen(text)};
    struct task limited = task_within(task, engine->call_timeout_ns);
    int r = http_stream_open(engine->http, &request, "tcp", &limited, &response, ret, err);
    if (r < 0)
        add_hint(engine, err);
    return r > 0 ? refuse(&response, request.method, err) : r;
}

int engine_call_simple(struct engine *engine, const char *method, const struct buffer *path,
                       const struct json *body, const struct task *task, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    struct engine_call call = {.method = method, .path = path, .body = body};
    return engine_call(engine, &call, task, &response, err);
}

int engine_answer(const struct http_response *response, struct json **ret, struct error *err) {
    if (json_parse(buffer_string(&response->body), response->body.size, 0, ret, err) < 0)
        return error_wrap(err, "the engine's answer");
    return 0;
}

int engine_call_json(struct engine *engine, const char *method, const struct buffer *path,
                     const struct json *body, const struct task *task, struct json **ret,
                     struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    struct engine_call call = {.method = method, .path = path, .body = body};
    if (engine_call(engine, &call, task, &response, err) < 0)
        return -1;
    return engine_answer(&response, ret, err);
}
