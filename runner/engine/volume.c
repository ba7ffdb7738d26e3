#include "runner/engine/volume.h"

#include "lib/memory.h"
#include "runner/engine/call.h"

#include <stdlib.h>

static int volume_path(const struct engine *engine, const char *volume, struct buffer *path,
                       struct error *err) {
    engine_path(engine, path, "/volumes");
    if (engine_check_name("a volume", volume, err) < 0)
        return -1;
    http_path_segment(path, volume);
    return 0;
}

static int read_volume(const struct json *v, struct engine_volume *volume, struct error *err) {
    if (json_require_text(v, "Name", &volume->name, err) < 0 ||
        engine_check_name("a volume", volume->name, err) < 0 ||
        json_get_text(v, "Driver", "", &volume->driver, err) < 0 ||
        json_get_text(v, "Mountpoint", "", &volume->mountpoint, err) < 0 ||
        json_get_text(v, "CreatedAt", "", &volume->created, err) < 0 ||
        json_get_object(v, "Labels", &volume->labels, err) < 0)
        return error_wrap(err, "the engine's answer");
    return 0;
}

static struct json *volume_json(const struct engine_volume_spec *spec) {
    struct json *v = json_new_object();
    if (spec->name)
        json_set_text(v, "Name", spec->name);
    if (spec->driver)
        json_set_text(v, "Driver", spec->driver);
    if (spec->options)
        json_set(v, "DriverOpts", engine_pairs_object(spec->options));
    if (spec->labels)
        json_set(v, "Labels", engine_pairs_object(spec->labels));
    return v;
}

int engine_volume_create(struct engine *engine, const struct engine_volume_spec *spec,
                         const struct task *task, struct engine_volume *ret, struct error *err) {
    if (spec->name && engine_check_name("a volume", spec->name, err) < 0)
        return error_wrap(err, "create volume");
    cleanup(engine_volume_deinit) struct engine_volume volume = ENGINE_VOLUME_NULL;
    cleanup(json_freep) struct json *body = volume_json(spec);
    cleanup(buffer_deinit) struct buffer path;
    engine_path(engine, &path, "/volumes/create");
    if (engine_call_json(engine, "POST", &path, body, task, &volume.json, err) < 0 ||
        read_volume(volume.json, &volume, err) < 0)
        return error_wrap(err, "create volume '%s'", spec->name ? spec->name : "");
    *ret = volume;
    volume = ENGINE_VOLUME_NULL;
    return 0;
}

int engine_volume_inspect(struct engine *engine, const char *volume, const struct task *task,
                          struct engine_volume *ret, struct error *err) {
    cleanup(engine_volume_deinit) struct engine_volume v = ENGINE_VOLUME_NULL;
    cleanup(buffer_deinit) struct buffer path;
    int r = volume_path(engine, volume, &path, err);
    if (r == 0)
        r = engine_or_none(engine_call_json(engine, "GET", &path, NULL, task, &v.json, err), err);
    if (r == 0)
        r = read_volume(v.json, &v, err);
    if (r < 0)
        return engine_wrap(err, "inspect volume", volume);
    if (r == 0) {
        *ret = v;
        v = ENGINE_VOLUME_NULL;
    }
    return r;
}

void engine_volume_deinit(struct engine_volume *volume) {
    json_free(volume->json);
    *volume = ENGINE_VOLUME_NULL;
}

int engine_volume_remove(struct engine *engine, const char *volume, const struct task *task,
                         struct error *err) {
    cleanup(buffer_deinit) struct buffer path;
    int r = volume_path(engine, volume, &path, err);
    if (r == 0)
        r = engine_or_none(engine_call_simple(engine, "DELETE", &path, NULL, task, err), err);
    return r < 0 ? engine_wrap(err, "remove volume", volume) : r;
}

static int read_list(struct engine_volume_list *list, struct error *err) {
    const struct json *array;
    if (json_get_array(list->json, "Volumes", &array, err) < 0) /* null when there are none */
        return error_wrap(err, "the engine's answer");
    list->count = json_count(array);
    list->entries = mem_new_array(struct engine_volume_entry, list->count);
    for (size_t i = 0; i < list->count; i++) {
        struct engine_volume_entry *entry = &list->entries[i];
        const struct json *v = json_at(array, i);
        if (json_require_text(v, "Name", &entry->name, err) < 0 ||
            engine_check_name("a volume", entry->name, err) < 0 ||
            json_get_text(v, "Driver", "", &entry->driver, err) < 0 ||
            json_get_object(v, "Labels", &entry->labels, err) < 0)
            return error_wrap(err, "the engine's answer");
    }
    return 0;
}

int engine_volume_list(struct engine *engine, const struct engine_pair *labels,
                       const struct task *task, struct engine_volume_list *ret, struct error *err) {
    cleanup(engine_volume_list_deinit) struct engine_volume_list list = ENGINE_VOLUME_LIST_NULL;
    cleanup(buffer_deinit) struct buffer path;
    engine_path(engine, &path, "/volumes");
    engine_path_labels(&path, labels);
    if (engine_call_json(engine, "GET", &path, NULL, task, &list.json, err) < 0 ||
        read_list(&list, err) < 0)
        return error_wrap(err, "list volumes");
    *ret = list;
    list = ENGINE_VOLUME_LIST_NULL;
    return 0;
}

void engine_volume_list_deinit(struct engine_volume_list *list) {
    free(list->entries);
    json_free(list->json);
    *list = ENGINE_VOLUME_LIST_NULL;
}
