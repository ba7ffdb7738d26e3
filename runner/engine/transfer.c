#include "runner/engine/transfer.h"

#include "lib/crypto.h"
#include "lib/text.h"
#include "runner/engine/call.h"
#include "runner/engine/json_lines.h"
#include "runner/engine/transfer_output.h"

#include <stdio.h>
#include <string.h>

/* ---- save ---- */

int engine_image_save(struct engine *engine, const char *const *references, const struct sink *sink,
                      const struct task *task, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(buffer_deinit) struct buffer path;
    engine_path(engine, &path, "/images/get");
    for (const char *const *r = references; *r; r++) {
        if (engine_check_reference(*r, err) < 0)
            return error_wrap(err, "save images");
        http_path_query(&path, "names", *r);
    }
    struct engine_call call = {.method = "GET",
                               .path = &path,
                               .sink = sink,
                               .by_task_alone = true,
                               .idle_ns = engine->build_idle_ns};
    int r = engine_call(engine, &call, task, &response, err);
    if (r < 0 && err->kind == ERROR_REFUSED &&
        (strstr(err->text, "No such image") || strstr(err->text, "does not exist") ||
         strstr(err->text, "image not known")))
        err->kind = ERROR_NOT_FOUND; /* 20.10 says 500 for it, and so does Podman */
    return r < 0 ? engine_wrap(err, "save image", references[0]) : r;
}

/* ---- load ---- */

/* Carries the call and its output; why the transfer failed is worth more than how it ended. */
static int carry(struct engine *engine, struct engine_call *call, struct transfer_output *output,
                 const struct task *task, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(json_lines_deinit) struct json_lines lines;
    json_lines_init(&lines, ENGINE_JSON_LINE_MAX, transfer_output_line, output);
    struct sink sink = {.push = json_lines_push, .arg = &lines};
    call->method = "POST";
    call->sink = &sink;
    call->by_task_alone = true;
    call->idle_ns = engine->build_idle_ns;
    int r = engine_call(engine, call, task, &response, err);
    if (r == 0)
        r = json_lines_end(&lines, err);
    if (output->failure[0] && (r == 0 || err->kind == ERROR_UNREACHABLE))
        return error_set(err, ERROR_FAILED, "%s", output->failure);
    return r;
}

int engine_image_load(struct engine *engine, const struct source *tar,
                      const struct engine_transfer *transfer, const struct task *task,
                      struct engine_loaded *ret, struct error *err) {
    cleanup(transfer_output_deinit) struct transfer_output output = {.transfer = transfer};
    cleanup(buffer_deinit) struct buffer path;
    engine_path(engine, &path, "/images/load?quiet=0");
    struct engine_call call = {.path = &path, .source = tar, .content_type = "application/x-tar"};
    int r = carry(engine, &call, &output, task, err);
    if (r == 0 && output.loaded.count == 0)
        r = error_set(err, ERROR_INVALID, "the engine found no image in it");
    if (r < 0)
        return error_wrap(err, "load images");
    *ret = output.loaded;
    output.loaded = ENGINE_LOADED_NULL;
    return 0;
}

/* ---- pull ---- */

/* RFC 4648, section 5, of the JSON that the engine hands on to the registry. malloc()ed. */
static char *auth_header(const struct engine_registry_auth *auth) {
    cleanup(json_freep) struct json *v = json_new_object();
    cleanup(buffer_deinit) struct buffer header;
    if (auth && auth->identity_token)
        json_set_text(v, "identitytoken", auth->identity_token);
    else if (auth && auth->username) {
        json_set_text(v, "username", auth->username);
        json_set_text(v, "password", auth->password ? auth->password : "");
    }
    if (auth && auth->server)
        json_set_text(v, "serveraddress", auth->server);
    cleanup_free char *text = json_to_text(v, JSON_LINE);
    buffer_init(&header, HTTP_HEADERS_MAX);
    buffer_text(&header, "X-Registry-Auth: ");
    size_t begin = header.size;
    base64_encode(text, strlen(text), &header);
    explicit_bzero(text, strlen(text));
    for (size_t i = begin; i < header.size; i++)
        header.data[i] = header.data[i] == '+' ? '-' : header.data[i] == '/' ? '_' : header.data[i];
    return buffer_take(&header);
}

static void pull_path(const struct engine *engine, const char *reference, struct buffer *path) {
    const char *digest = strchr(reference, '@'), *slash = strrchr(reference, '/');
    const char *colon = digest ? digest : strchr(slash ? slash : reference, ':');
    cleanup_free char *repository =
        text_format("%.*s", colon ? (int)(colon - reference) : (int)strlen(reference), reference);
    engine_path(engine, path, "/images/create");
    http_path_query(path, "fromImage", repository);
    http_path_query(path, "tag", colon ? colon + 1 : "latest"); /* without it: all there are */
}

static int check_digest(const char *reference, const char *digest, struct error *err) {
    const char *asked = strchr(reference, '@');
    if (!digest[0])
        return error_set(err, ERROR_INVALID, "the engine does not say the digest");
    if (asked && !text_equal(asked + 1, digest))
        return error_set(err, ERROR_INVALID, "the engine pulled %s instead", digest);
    return 0;
}

int engine_image_pull(struct engine *engine, const char *reference,
                      const struct engine_registry_auth *auth,
                      const struct engine_transfer *transfer, const struct task *task,
                      char ret_digest[ENGINE_DIGEST_SIZE], struct error *err) {
    cleanup(transfer_output_deinit) struct transfer_output output = {.transfer = transfer};
    cleanup(buffer_deinit) struct buffer path;
    if (engine_check_reference(reference, err) < 0)
        return error_wrap(err, "pull image");
    cleanup_free char *header = auth_header(auth);
    const char *const headers[] = {header, NULL};
    pull_path(engine, reference, &path);
    struct engine_call call = {.path = &path, .headers = headers};
    int r = carry(engine, &call, &output, task, err);
    explicit_bzero(header, strlen(header));
    if (r == 0)
        r = check_digest(reference, output.digest, err);
    if (r < 0)
        return error_wrap(err, "pull image '%s'", reference);
    memcpy(ret_digest, output.digest, sizeof output.digest);
    return 0;
}

/* ---- push ---- */

int engine_image_push(struct engine *engine, const char *reference,
                      const struct engine_registry_auth *auth,
                      const struct engine_transfer *transfer, const struct task *task,
                      char ret_digest[ENGINE_DIGEST_SIZE], struct error *err) {
    cleanup(transfer_output_deinit) struct transfer_output output = {.transfer = transfer};
    cleanup(buffer_deinit) struct buffer path;
    const char *colon = strrchr(reference, ':');
    if (engine_check_reference(reference, err) < 0)
        return error_wrap(err, "push image");
    if (!colon || strchr(colon, '/') || strchr(reference, '@'))
        return error_set(err, ERROR_INVALID, "push image: '%s' is no name with a tag", reference);
    cleanup_free char *header = auth_header(auth);
    const char *const headers[] = {header, NULL};
    engine_path(engine, &path, "/images/");
    buffer_append(&path, reference, (size_t)(colon - reference)); /* checked, as in images */
    buffer_text(&path, "/push");
    http_path_query(&path, "tag", colon + 1);
    struct engine_call call = {.path = &path, .headers = headers};
    int r = carry(engine, &call, &output, task, err);
    explicit_bzero(header, strlen(header));
    if (r == 0 && !output.digest[0])
        r = error_set(err, ERROR_INVALID, "the engine does not say the digest");
    if (r < 0)
        return error_wrap(err, "push image '%s'", reference);
    memcpy(ret_digest, output.digest, sizeof output.digest);
    return 0;
}

/* ---- import ---- */

int engine_image_import(struct engine *engine, const char *name, const char *const *changes,
                        const struct source *tar, const struct task *task, struct error *err) {
    cleanup(transfer_output_deinit) struct transfer_output output = {.transfer = NULL};
    cleanup(buffer_deinit) struct buffer path;
    const char *colon = strrchr(name, ':');
    if (engine_check_reference(name, err) < 0)
        return error_wrap(err, "import image");
    if (!colon || strchr(colon, '/') || strchr(name, '@'))
        return error_set(err, ERROR_INVALID, "import image: '%s' is no name with a tag", name);
    cleanup_free char *repository = text_format("%.*s", (int)(colon - name), name);
    engine_path(engine, &path, "/images/create");
    http_path_query(&path, "fromSrc", "-");
    http_path_query(&path, "repo", repository);
    http_path_query(&path, "tag", colon + 1);
    for (; changes && *changes; changes++)
        http_path_query(&path, "changes", *changes);
    struct engine_call call = {.path = &path, .source = tar, .content_type = "application/x-tar"};
    int r = carry(engine, &call, &output, task, err);
    return r < 0 ? error_wrap(err, "import image '%s'", name) : 0;
}
