#include "runner/engine/image.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/build_output.h"
#include "runner/engine/call.h"
#include "runner/engine/json_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- build ---- */

enum { BUILD_LINE_MAX = 4 << 20 /* BuildKit puts what a step has printed meanwhile into one */ };

static void query_pairs(struct buffer *path, const char *name, const struct engine_pair *pairs) {
    if (!pairs || !pairs->name)
        return;
    cleanup(json_freep) struct json *object = engine_pairs_object(pairs);
    cleanup_free char *text = json_to_text(object, JSON_LINE);
    http_path_query(path, name, text);
}

static void query_text(struct buffer *path, const char *name, const char *value) {
    if (value)
        http_path_query(path, name, value);
}

static void build_path(const struct engine *engine, const struct engine_build *build,
                       struct buffer *path) {
    engine_path(engine, path, "/build?rm=1&forcerm=1");
    for (const char *const *tag = build->tags; tag && *tag; tag++)
        http_path_query(path, "t", *tag);
    query_text(path, "dockerfile", build->dockerfile);
    query_text(path, "target", build->target);
    query_text(path, "networkmode", build->network_mode);
    query_text(path, "platform", build->platform);
    query_text(path, "version", build->buildkit ? "2" : NULL);
    if (build->cache_from && build->cache_from[0]) {
        cleanup(json_freep) struct json *images = json_new_texts(build->cache_from);
        cleanup_free char *text = json_to_text(images, JSON_LINE);
        http_path_query(path, "cachefrom", text);
    }
    query_pairs(path, "buildargs", build->args);
    query_pairs(path, "labels", build->labels);
    query_text(path, "nocache", build->no_cache ? "1" : NULL);
    query_text(path, "pull", build->pull ? "1" : NULL);
}

static int build_image(struct engine *engine, const struct engine_build *build,
                       const struct task *task, struct build_output *output, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(json_lines_deinit) struct json_lines lines;
    cleanup(buffer_deinit) struct buffer path;
    json_lines_init(&lines, build->buildkit ? BUILD_LINE_MAX : ENGINE_JSON_LINE_MAX,
                    build_output_line, output);
    build_path(engine, build, &path);
    struct sink sink = {.push = json_lines_push, .arg = &lines};
    struct engine_call call = {.method = "POST",
                               .path = &path,
                               .source = &build->context,
                               .content_type = "application/x-tar",
                               .sink = &sink,
                               .by_task_alone = true,
                               .idle_ns = engine->build_idle_ns};
    if (engine_call(engine, &call, task, &response, err) < 0)
        return -1;
    return json_lines_end(&lines, err);
}

int engine_has_buildkit(struct engine *engine, const struct task *task, bool *ret,
                        struct error *err) {
    cleanup(engine_info_deinit) struct engine_info info = ENGINE_INFO_NULL;
    if (engine_info(engine, task, &info, err) < 0)
        return error_wrap(err, "find out how it builds");
    const char *os = json_text_or_null(json_find(info.json, "OSType"));
    *ret = !info.podman && text_equal(os, "linux");
    return 0;
}

int engine_image_build(struct engine *engine, const struct engine_build *build,
                       const struct task *task, char ret_id[ENGINE_IMAGE_ID_SIZE],
                       struct error *err) {
    for (const char *const *tag = build->tags; tag && *tag; tag++)
        if (engine_check_reference(*tag, err) < 0)
            return error_wrap(err, "build image");
    const char *name = build->tags && build->tags[0] ? build->tags[0] : "without a name";
    cleanup(build_output_deinit) struct build_output output;
    build_output_init(&output, build->on_event, build->arg);
    int r = build_image(engine, build, task, &output, err);
    /* Why the build failed is worth more than how the connection ended after it had said so. */
    if (output.failure[0] && (r == 0 || err->kind == ERROR_UNREACHABLE))
        r = error_set(err, ERROR_FAILED, "%s", output.failure);
    if (r == 0 && !output.image_id[0])
        r = error_set(err, ERROR_INVALID, "the engine ended it without an image");
    if (r < 0)
        return error_wrap(err, "build image '%s'", name);
    memcpy(ret_id, output.image_id, sizeof output.image_id);
    return 0;
}

/* ---- inspect, tag, remove, list ---- */

static void image_path(const struct engine *engine, const char *reference, const char *action,
                       struct buffer *path) {
    engine_path(engine, path, "/images/");
    buffer_text(path, reference); /* checked; its slashes belong to the path */
    buffer_text(path, action);
}

static int read_image(const struct json *v, struct engine_image *image, struct error *err) {
    if (json_require_text(v, "Id", &image->id, err) < 0 ||
        engine_check_image_id(image->id, err) < 0 ||
        json_get_array(v, "RepoTags", &image->tags, err) < 0 ||
        json_get_array(v, "RepoDigests", &image->digests, err) < 0 ||
        json_get_object(v, "Config.Labels", &image->labels, err) < 0 ||
        json_get_text(v, "Architecture", "", &image->architecture, err) < 0 ||
        json_get_text(v, "Os", "", &image->os, err) < 0 ||
        json_get_text(v, "Created", "", &image->created, err) < 0 ||
        json_get_text(v, "Config.User", "", &image->user, err) < 0 ||
        json_get_text(v, "Config.WorkingDir", "", &image->working_dir, err) < 0 ||
        json_get_text(v, "Config.StopSignal", "", &image->stop_signal, err) < 0 ||
        json_get_object(v, "Config.Healthcheck", &image->healthcheck, err) < 0 ||
        json_get_int(v, "Size", 0, &image->size_bytes, err) < 0)
        return error_wrap(err, "the engine's answer");
    return 0;
}

int engine_image_inspect(struct engine *engine, const char *reference, const struct task *task,
                         struct engine_image *ret, struct error *err) {
    cleanup(engine_image_deinit) struct engine_image image = ENGINE_IMAGE_NULL;
    if (engine_check_reference(reference, err) < 0)
        return error_wrap(err, "inspect image");
    cleanup(buffer_deinit) struct buffer path;
    image_path(engine, reference, "/json", &path);
    int r =
        engine_or_none(engine_call_json(engine, "GET", &path, NULL, task, &image.json, err), err);
    if (r == 0)
        r = read_image(image.json, &image, err);
    if (r < 0)
        return error_wrap(err, "inspect image '%s'", reference);
    if (r == 0) {
        *ret = image;
        image = ENGINE_IMAGE_NULL;
    }
    return r;
}

void engine_image_deinit(struct engine_image *image) {
    json_free(image->json);
    *image = ENGINE_IMAGE_NULL;
}

int engine_image_tag(struct engine *engine, const char *reference, const char *name,
                     const struct task *task, struct error *err) {
    if (engine_check_reference(reference, err) < 0 || engine_check_reference(name, err) < 0)
        return error_wrap(err, "tag image");
    if (strchr(name, '@'))
        return error_set(err, ERROR_INVALID, "tag image: '%s' is a digest, not a name", name);
    const char *slash = strrchr(name, '/');
    const char *colon = strchr(slash ? slash : name, ':');
    cleanup_free char *repository =
        text_format("%.*s", colon ? (int)(colon - name) : (int)strlen(name), name);
    cleanup(buffer_deinit) struct buffer path;
    image_path(engine, reference, "/tag", &path);
    http_path_query(&path, "repo", repository);
    http_path_query(&path, "tag", colon ? colon + 1 : "latest");
    if (engine_call_simple(engine, "POST", &path, NULL, task, err) < 0)
        return error_wrap(err, "tag image '%s' as '%s'", reference, name);
    return 0;
}

int engine_image_remove(struct engine *engine, const char *reference, bool force,
                        const struct task *task, struct error *err) {
    if (engine_check_reference(reference, err) < 0)
        return error_wrap(err, "remove image");
    cleanup(buffer_deinit) struct buffer path;
    image_path(engine, reference, force ? "?force=1" : "", &path);
    int r = engine_or_none(engine_call_simple(engine, "DELETE", &path, NULL, task, err), err);
    return r < 0 ? error_wrap(err, "remove image '%s'", reference) : r;
}

static int read_entry(const struct json *v, struct engine_image_entry *entry, struct error *err) {
    if (json_require_text(v, "Id", &entry->id, err) < 0 ||
        engine_check_image_id(entry->id, err) < 0 ||
        json_get_array(v, "RepoTags", &entry->tags, err) < 0 ||
        json_get_array(v, "RepoDigests", &entry->digests, err) < 0 ||
        json_get_object(v, "Labels", &entry->labels, err) < 0 ||
        json_get_int(v, "Created", 0, &entry->created_s, err) < 0 ||
        json_get_int(v, "Size", 0, &entry->size_bytes, err) < 0)
        return error_wrap(err, "the engine's answer");
    return 0;
}

static int read_list(struct engine_image_list *list, struct error *err) {
    const struct json *array;
    if (json_require_array(list->json, "", &array, err) < 0)
        return error_wrap(err, "the engine's answer");
    list->count = json_count(array);
    list->entries = mem_new_array(struct engine_image_entry, list->count);
    for (size_t i = 0; i < list->count; i++)
        if (read_entry(json_at(array, i), &list->entries[i], err) < 0)
            return -1;
    return 0;
}

int engine_image_list(struct engine *engine, const struct engine_pair *labels,
                      const struct task *task, struct engine_image_list *ret, struct error *err) {
    cleanup(engine_image_list_deinit) struct engine_image_list list = ENGINE_IMAGE_LIST_NULL;
    cleanup(buffer_deinit) struct buffer path;
    engine_path(engine, &path, "/images/json");
    engine_path_labels(&path, labels);
    if (engine_call_json(engine, "GET", &path, NULL, task, &list.json, err) < 0 ||
        read_list(&list, err) < 0)
        return error_wrap(err, "list images");
    *ret = list;
    list = ENGINE_IMAGE_LIST_NULL;
    return 0;
}

void engine_image_list_deinit(struct engine_image_list *list) {
    free(list->entries);
    json_free(list->json);
    *list = ENGINE_IMAGE_LIST_NULL;
}
