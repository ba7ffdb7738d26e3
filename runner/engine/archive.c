#include "runner/engine/archive.h"

#include "lib/crypto.h"
#include "lib/text.h"
#include "runner/engine/call.h"

#include <string.h>

static int archive_path(const struct engine *engine, const char *container, const char *inside,
                        struct buffer *path, struct error *err) {
    engine_path(engine, path, "/containers");
    if (engine_check_name("a container", container, err) < 0)
        return -1;
    http_path_segment(path, container);
    http_path_text(path, "/archive");
    http_path_query(path, "path", inside);
    return 0;
}

static int wrap(struct error *err, const char *doing, const char *path, const char *container) {
    cleanup_free char *both = text_format("%s '%s' of container", doing, path);
    return engine_wrap(err, both, container);
}

int engine_archive_get(struct engine *engine, const char *container, const char *path,
                       const struct sink *sink, const struct task *task, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(buffer_deinit) struct buffer request;
    struct engine_call call = {.method = "GET",
                               .path = &request,
                               .sink = sink,
                               .by_task_alone = true,
                               .idle_ns = engine->call_timeout_ns};
    int r = archive_path(engine, container, path, &request, err);
    if (r == 0)
        r = engine_call(engine, &call, task, &response, err);
    if (r > 0)
        return 2;
    r = engine_or_none(r, err);
    if (r < 0)
        return wrap(err, "fetch", path, container);
    return r;
}

static int put(struct engine *engine, const char *container, const char *path,
               struct engine_call *call, const struct task *task, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(buffer_deinit) struct buffer request;
    call->method = "PUT";
    call->path = &request;
    call->content_type = "application/x-tar";
    call->by_task_alone = true;
    call->idle_ns = engine->call_timeout_ns;
    int r = archive_path(engine, container, path, &request, err);
    if (r == 0) { /* a file never takes a folder's place, nor a folder a file's */
        http_path_query(&request, "noOverwriteDirNonDir", "1");
        r = engine_call(engine, call, task, &response, err);
    }
    return r < 0 ? wrap(err, "put files into", path, container) : 0;
}

int engine_archive_put(struct engine *engine, const char *container, const char *path,
                       const struct source *tar, const struct task *task, struct error *err) {
    struct engine_call call = {.source = tar};
    return put(engine, container, path, &call, task, err);
}

int engine_archive_put_memory(struct engine *engine, const char *container, const char *path,
                              const void *tar, size_t size, const struct task *task,
                              struct error *err) {
    struct engine_call call = {.data = tar, .data_size = size};
    return put(engine, container, path, &call, task, err);
}

/* ---- what is there ---- */

/* Bits of Go's os.FileMode, which the engine answers with. */
#define GO_MODE_DIR (INT64_C(1) << 31)
#define GO_MODE_SYMLINK (INT64_C(1) << 27)
#define GO_MODE_PERM INT64_C(0777)
enum { STAT_HEADER_MAX = 16 * 1024 };

static int read_stat(const struct http_response *response, struct engine_path *ret,
                     struct error *err) {
    cleanup(buffer_deinit) struct buffer text;
    cleanup(json_freep) struct json *v = NULL;
    char header[STAT_HEADER_MAX];
    int64_t mode, size;
    const char *target;
    http_response_header(response, "X-Docker-Container-Path-Stat", header, sizeof header);
    buffer_init(&text, sizeof header);
    if (base64_decode(header, strlen(header), &text, err) < 0 ||
        json_parse(buffer_string(&text), text.size, 0, &v, err) < 0 ||
        json_require_int(v, "mode", 0, UINT32_MAX, &mode, err) < 0 ||
        json_require_int(v, "size", 0, INT64_MAX, &size, err) < 0 ||
        json_get_text(v, "linkTarget", "", &target, err) < 0)
        return error_wrap(err, "the engine's answer");
    ret->directory = mode & GO_MODE_DIR;
    ret->symlink = mode & GO_MODE_SYMLINK;
    ret->mode = (unsigned)(mode & GO_MODE_PERM);
    ret->size_bytes = (uint64_t)size;
    buffer_init(&ret->target, sizeof header);
    buffer_text(&ret->target, target);
    return 0;
}

int engine_archive_stat(struct engine *engine, const char *container, const char *path,
                        const struct task *task, struct engine_path *ret, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(buffer_deinit) struct buffer request;
    struct engine_call call = {.method = "HEAD", .path = &request};
    int r = archive_path(engine, container, path, &request, err);
    if (r == 0)
        r = engine_or_none(engine_call(engine, &call, task, &response, err), err);
    if (r == 0)
        r = read_stat(&response, ret, err);
    return r < 0 ? wrap(err, "look at", path, container) : r;
}

void engine_path_deinit(struct engine_path *path) {
    buffer_deinit(&path->target);
    *path = ENGINE_PATH_NULL;
}
