#include "runner/engine/container.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/call.h"
#include "runner/engine/network.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "/v1.41/containers/NAME" and the action, after checking the name. */
static int container_path(const struct engine *engine, const char *container, const char *action,
                          struct buffer *path, struct error *err) {
    engine_path(engine, path, "/containers");
    if (engine_check_name("a container", container, err) < 0)
        return -1;
    http_path_segment(path, container);
    http_path_text(path, action);
    return 0;
}

/* ---- create ---- */

static int connect_others(struct engine *engine, const struct engine_container_spec *spec,
                          const char *id, const struct task *task, struct error *err) {
    const struct engine_endpoint *endpoint = spec->endpoints;
    if (!endpoint || !endpoint->network)
        return 0;
    for (endpoint++; endpoint->network; endpoint++)
        if (engine_network_connect(engine, id, endpoint, task, err) < 0)
            return -1;
    return 0;
}

/* What we made and cannot hand over must not stay, also when the task is over. */
static void remove_again(struct engine *engine, const char *id) {
    struct error ignored = ERROR_NULL;
    struct task task = TASK_FOREVER; /* the call's own deadline holds */
    engine_container_remove(engine, id, true, true, &task, &ignored);
}

static int create(struct engine *engine, const struct engine_container_spec *spec,
                  const struct task *task, char *ret_id, struct error *err) {
    cleanup(buffer_deinit) struct buffer path;
    engine_path(engine, &path, "/containers/create");
    if (spec->name)
        http_path_query(&path, "name", spec->name);
    cleanup(json_freep) struct json *body = engine_container_json(spec);
    cleanup(json_freep) struct json *answer = NULL;
    char id[ENGINE_ID_SIZE];
    if (engine_call_json(engine, "POST", &path, body, task, &answer, err) < 0 ||
        engine_take_id(answer, id, sizeof id, err) < 0)
        return -1;
    if (connect_others(engine, spec, id, task, err) < 0) {
        remove_again(engine, id);
        return -1;
    }
    memcpy(ret_id, id, sizeof id);
    return 0;
}

int engine_container_create(struct engine *engine, const struct engine_container_spec *spec,
                            const struct task *task, char ret_id[ENGINE_ID_SIZE],
                            struct error *err) {
    if (spec->name && engine_check_name("a container", spec->name, err) < 0)
        return error_wrap(err, "create container");
    if (create(engine, spec, task, ret_id, err) < 0)
        return error_wrap(err, "create container '%s'", spec->name ? spec->name : "");
    return 0;
}

/* ---- start, stop, kill, wait, remove ---- */

/* 304 becomes outcome 1. */
static int change(struct engine *engine, const struct engine_call *call, const struct task *task,
                  struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    if (engine_call(engine, call, task, &response, err) < 0)
        return -1;
    return response.status == 304;
}

int engine_container_start(struct engine *engine, const char *container, const struct task *task,
                           struct error *err) {
    cleanup(buffer_deinit) struct buffer path;
    struct engine_call call = {.method = "POST", .path = &path};
    int r = container_path(engine, container, "/start", &path, err);
    if (r == 0)
        r = change(engine, &call, task, err);
    return r < 0 ? engine_wrap(err, "start container", container) : r;
}

int engine_container_stop(struct engine *engine, const char *container, int64_t grace_s,
                          const struct task *task, struct error *err) {
    cleanup(buffer_deinit) struct buffer path;
    struct engine_call call = {
        .method = "POST", .path = &path, .extra_ns = (uint64_t)grace_s * NS_PER_SEC};
    assert(grace_s >= 0);
    int r = container_path(engine, container, "/stop", &path, err);
    if (r == 0) {
        char text[24];
        snprintf(text, sizeof text, "%lld", (long long)grace_s);
        http_path_query(&path, "t", text);
    }
    if (r == 0)
        r = change(engine, &call, task, err);
    return r < 0 ? engine_wrap(err, "stop container", container) : r;
}

int engine_container_kill(struct engine *engine, const char *container, const char *signal,
                          const struct task *task, struct error *err) {
    cleanup(buffer_deinit) struct buffer path;
    int r = container_path(engine, container, "/kill", &path, err);
    if (r == 0 && signal)
        http_path_query(&path, "signal", signal);
    if (r == 0)
        r = engine_call_simple(engine, "POST", &path, NULL, task, err);
    if (r < 0 && err->kind == ERROR_CONFLICT) { /* "Container ... is not running" */
        error_clear(err);
        return 1;
    }
    return r < 0 ? engine_wrap(err, "kill container", container) : 0;
}

/* The engine says what it is already with 409 (old ones: 500), as it does when it does not run. */
static int pause_or_not(struct engine *engine, const char *container, const char *action,
                        const char *already, const struct task *task, struct error *err) {
    cleanup(buffer_deinit) struct buffer path;
    int r = container_path(engine, container, action, &path, err);
    if (r == 0)
        r = engine_call_simple(engine, "POST", &path, NULL, task, err);
    if (r < 0 && (err->kind == ERROR_CONFLICT || err->kind == ERROR_REFUSED)) {
        if (strstr(err->text, already)) {
            error_clear(err);
            return 1;
        }
        if (strstr(err->text, "not running"))
            err->kind = ERROR_CONFLICT;
    }
    return r;
}

int engine_container_pause(struct engine *engine, const char *container, const struct task *task,
                           struct error *err) {
    int r = pause_or_not(engine, container, "/pause", "already paused", task, err);
    return r < 0 ? engine_wrap(err, "pause container", container) : r;
}

int engine_container_unpause(struct engine *engine, const char *container, const struct task *task,
                             struct error *err) {
    int r = pause_or_not(engine, container, "/unpause", "not paused", task, err);
    return r < 0 ? engine_wrap(err, "unpause container", container) : r;
}

int engine_container_rename(struct engine *engine, const char *container, const char *name,
                            const struct task *task, struct error *err) {
    cleanup(buffer_deinit) struct buffer path;
    if (container_path(engine, container, "/rename", &path, err) < 0 ||
        engine_check_name("a container", name, err) < 0)
        return engine_wrap(err, "rename container", container);
    http_path_query(&path, "name", name);
    if (engine_call_simple(engine, "POST", &path, NULL, task, err) < 0)
        return engine_wrap(err, "rename container", container);
    return 0;
}

static int read_exit_code(const struct json *v, int64_t *ret, struct error *err) {
    const char *message;
    int64_t code;
    if (json_get_text(v, "Error.Message", "", &message, err) < 0 ||
        json_require_int(v, "StatusCode", INT64_MIN, INT64_MAX, &code, err) < 0)
        return error_wrap(err, "the engine's answer");
    if (message[0]) {
        char shown[1024];
        engine_harmless(message, strlen(message), shown, sizeof shown);
        return error_set(err, ERROR_REFUSED, "%s", shown);
    }
    *ret = code;
    return 0;
}

int engine_container_wait(struct engine *engine, const char *container, const struct task *task,
                          int64_t *ret_exit_code, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(json_freep) struct json *answer = NULL;
    cleanup(buffer_deinit) struct buffer path;
    struct engine_call call = {.method = "POST", .path = &path, .by_task_alone = true};
    if (container_path(engine, container, "/wait?condition=not-running", &path, err) < 0 ||
        engine_call(engine, &call, task, &response, err) < 0 ||
        engine_answer(&response, &answer, err) < 0 ||
        read_exit_code(answer, ret_exit_code, err) < 0)
        return engine_wrap(err, "wait for container", container);
    return 0;
}

int engine_container_remove(struct engine *engine, const char *container, bool force, bool volumes,
                            const struct task *task, struct error *err) {
    cleanup(buffer_deinit) struct buffer path;
    int r = container_path(engine, container, "", &path, err);
    if (r == 0 && force)
        http_path_query(&path, "force", "1");
    if (r == 0 && volumes)
        http_path_query(&path, "v", "1");
    if (r == 0)
        r = engine_or_none(engine_call_simple(engine, "DELETE", &path, NULL, task, err), err);
    return r < 0 ? engine_wrap(err, "remove container", container) : r;
}

/* ---- inspect ---- */

static int read_health(const struct json *v, struct engine_container *c, struct error *err) {
    static const struct {
        const char *name;
        enum engine_health health;
    } names[] = {
        {"starting", ENGINE_HEALTH_STARTING},
        {"healthy", ENGINE_HEALTH_HEALTHY},
        {"unhealthy", ENGINE_HEALTH_UNHEALTHY},
    };
    const char *name;
    if (json_get_text(v, "State.Health.Status", "none", &name, err) < 0 ||
        json_get_array(v, "State.Health.Log", &c->health_log, err) < 0)
        return -1;
    c->health = ENGINE_HEALTH_NONE;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_equal(name, names[i].name))
            c->health = names[i].health;
    return 0;
}

static int read_state(const struct json *v, struct engine_container *c, struct error *err) {
    if (json_require_text(v, "State.Status", &c->status, err) < 0 ||
        json_require_bool(v, "State.Running", &c->running, err) < 0 ||
        json_get_bool(v, "State.OOMKilled", false, &c->oom_killed, err) < 0 ||
        json_get_int(v, "State.ExitCode", 0, &c->exit_code, err) < 0 ||
        json_get_int(v, "State.Pid", 0, &c->pid, err) < 0 ||
        json_get_int(v, "RestartCount", 0, &c->restarts, err) < 0 ||
        json_get_text(v, "State.Error", "", &c->error, err) < 0 ||
        json_get_text(v, "State.StartedAt", "", &c->started, err) < 0 ||
        json_get_text(v, "State.FinishedAt", "", &c->finished, err) < 0)
        return -1;
    return read_health(v, c, err);
}

static int read_container(const struct json *v, struct engine_container *c, struct error *err) {
    if (json_require_text(v, "Id", &c->id, err) < 0 ||
        engine_check_name("a container", c->id, err) < 0 ||
        json_get_text(v, "Name", "", &c->name, err) < 0 ||
        json_get_text(v, "Image", "", &c->image_id, err) < 0 ||
        json_get_text(v, "Config.Image", "", &c->image, err) < 0 ||
        json_get_object(v, "Config.Labels", &c->labels, err) < 0 ||
        json_get_bool(v, "Config.Tty", false, &c->tty, err) < 0 ||
        json_get_text(v, "Config.WorkingDir", "", &c->working_dir, err) < 0 ||
        json_get_int(v, "HostConfig.Memory", 0, &c->memory_bytes, err) < 0 ||
        json_get_text(v, "Created", "", &c->created, err) < 0 ||
        json_get_text(v, "HostConfig.LogConfig.Type", "", &c->log_driver, err) < 0 ||
        json_get_object(v, "NetworkSettings.Networks", &c->networks, err) < 0 ||
        json_get_object(v, "NetworkSettings.Ports", &c->ports, err) < 0 ||
        read_state(v, c, err) < 0)
        return error_wrap(err, "the engine's answer");
    c->name += c->name[0] == '/';
    return 0;
}

int engine_container_inspect(struct engine *engine, const char *container, const struct task *task,
                             struct engine_container *ret, struct error *err) {
    cleanup(engine_container_deinit) struct engine_container c = ENGINE_CONTAINER_NULL;
    cleanup(buffer_deinit) struct buffer path;
    int r = container_path(engine, container, "/json", &path, err);
    if (r == 0)
        r = engine_or_none(engine_call_json(engine, "GET", &path, NULL, task, &c.json, err), err);
    if (r == 0)
        r = read_container(c.json, &c, err);
    if (r < 0)
        return engine_wrap(err, "inspect container", container);
    if (r == 0) {
        *ret = c;
        c = ENGINE_CONTAINER_NULL;
    }
    return r;
}

void engine_container_deinit(struct engine_container *container) {
    json_free(container->json);
    *container = ENGINE_CONTAINER_NULL;
}

int engine_container_changes(struct engine *engine, const char *container, const struct task *task,
                             struct json **ret, struct error *err) {
    cleanup(json_freep) struct json *changes = NULL;
    cleanup(buffer_deinit) struct buffer path;
    int r = container_path(engine, container, "/changes", &path, err);
    if (r == 0)
        r = engine_or_none(engine_call_json(engine, "GET", &path, NULL, task, &changes, err), err);
    if (r == 0)
        *ret = take_ptr(changes);
    return r < 0 ? engine_wrap(err, "ask for the changes of container", container) : r;
}

/* ---- list ---- */

static int read_entry(const struct json *v, struct engine_container_entry *entry,
                      struct error *err) {
    if (json_require_text(v, "Id", &entry->id, err) < 0 ||
        engine_check_name("a container", entry->id, err) < 0 ||
        json_get_text(v, "Names.0", "", &entry->name, err) < 0 ||
        json_get_text(v, "Image", "", &entry->image, err) < 0 ||
        json_get_text(v, "ImageID", "", &entry->image_id, err) < 0 ||
        json_get_text(v, "State", "", &entry->state, err) < 0 ||
        json_get_text(v, "Status", "", &entry->status, err) < 0 ||
        json_get_object(v, "Labels", &entry->labels, err) < 0 ||
        json_get_array(v, "Ports", &entry->ports, err) < 0 ||
        json_get_int(v, "Created", 0, &entry->created_s, err) < 0)
        return error_wrap(err, "the engine's answer");
    entry->name += entry->name[0] == '/';
    return 0;
}

static int read_list(struct engine_container_list *list, struct error *err) {
    const struct json *array;
    if (json_require_array(list->json, "", &array, err) < 0)
        return error_wrap(err, "the engine's answer");
    list->count = json_count(array);
    list->entries = mem_new_array(struct engine_container_entry, list->count);
    for (size_t i = 0; i < list->count; i++)
        if (read_entry(json_at(array, i), &list->entries[i], err) < 0)
            return -1;
    return 0;
}

int engine_container_list(struct engine *engine, const struct engine_pair *labels,
                          const struct task *task, struct engine_container_list *ret,
                          struct error *err) {
    cleanup(engine_container_list_deinit) struct engine_container_list list =
        ENGINE_CONTAINER_LIST_NULL;
    cleanup(buffer_deinit) struct buffer path;
    engine_path(engine, &path, "/containers/json?all=1");
    engine_path_labels(&path, labels);
    if (engine_call_json(engine, "GET", &path, NULL, task, &list.json, err) < 0 ||
        read_list(&list, err) < 0)
        return error_wrap(err, "list containers");
    *ret = list;
    list = ENGINE_CONTAINER_LIST_NULL;
    return 0;
}

void engine_container_list_deinit(struct engine_container_list *list) {
    free(list->entries);
    json_free(list->json);
    *list = ENGINE_CONTAINER_LIST_NULL;
}
