#include "runner/engine/network.h"

#include "lib/memory.h"
#include "runner/engine/call.h"

#include <stdlib.h>
#include <string.h>

static struct json *network_json(const struct engine_network_spec *spec) {
    struct json *v = json_new_object();
    json_set_text(v, "Name", spec->name);
    json_set_bool(v, "CheckDuplicate", true); /* engines before 1.44 allow two of one name */
    json_set_text(v, "Driver", spec->driver ? spec->driver : "bridge");
    json_set(v, "Options", engine_pairs_object(spec->options));
    json_set(v, "Labels", engine_pairs_object(spec->labels));
    json_set_bool(v, "Internal", spec->internal);
    json_set_bool(v, "Attachable", spec->attachable);
    json_set_bool(v, "EnableIPv6", spec->ipv6);
    if (spec->subnet) {
        struct json *list = json_set_array(json_set_object(v, "IPAM"), "Config");
        struct json *config = json_append(list, json_new_object());
        json_set_text(config, "Subnet", spec->subnet);
        if (spec->gateway)
            json_set_text(config, "Gateway", spec->gateway);
        if (spec->ip_range)
            json_set_text(config, "IPRange", spec->ip_range);
    }
    return v;
}

int engine_network_create(struct engine *engine, const struct engine_network_spec *spec,
                          const struct task *task, char ret_id[ENGINE_ID_SIZE], struct error *err) {
    if (engine_check_name("a network", spec->name, err) < 0)
        return error_wrap(err, "create network");
    cleanup(json_freep) struct json *body = network_json(spec);
    cleanup(json_freep) struct json *answer = NULL;
    cleanup(buffer_deinit) struct buffer path;
    engine_path(engine, &path, "/networks/create");
    if (engine_call_json(engine, "POST", &path, body, task, &answer, err) < 0 ||
        engine_take_id(answer, ret_id, ENGINE_ID_SIZE, err) < 0)
        return error_wrap(err, "create network '%s'", spec->name);
    return 0;
}

static int network_path(const struct engine *engine, const char *network, const char *action,
                        struct buffer *path, struct error *err) {
    engine_path(engine, path, "/networks");
    if (engine_check_name("a network", network, err) < 0)
        return -1;
    http_path_segment(path, network);
    http_path_text(path, action);
    return 0;
}

static int read_network(const struct json *v, struct engine_network *n, struct error *err) {
    if (json_require_text(v, "Id", &n->id, err) < 0 ||
        json_get_text(v, "Name", "", &n->name, err) < 0 ||
        json_get_text(v, "Driver", "", &n->driver, err) < 0 ||
        json_get_object(v, "Labels", &n->labels, err) < 0 ||
        json_get_object(v, "Containers", &n->containers, err) < 0 ||
        json_get_text(v, "IPAM.Config.0.Subnet", "", &n->subnet, err) < 0 ||
        json_get_text(v, "IPAM.Config.0.Gateway", "", &n->gateway, err) < 0)
        return error_wrap(err, "the engine's answer");
    return 0;
}

int engine_network_inspect(struct engine *engine, const char *network, const struct task *task,
                           struct engine_network *ret, struct error *err) {
    cleanup(engine_network_deinit) struct engine_network n = ENGINE_NETWORK_NULL;
    cleanup(buffer_deinit) struct buffer path;
    int r = network_path(engine, network, "", &path, err);
    if (r == 0)
        r = engine_or_none(engine_call_json(engine, "GET", &path, NULL, task, &n.json, err), err);
    if (r == 0)
        r = read_network(n.json, &n, err);
    if (r < 0)
        return engine_wrap(err, "inspect network", network);
    if (r == 0) {
        *ret = n;
        n = ENGINE_NETWORK_NULL;
    }
    return r;
}

void engine_network_deinit(struct engine_network *network) {
    json_free(network->json);
    *network = ENGINE_NETWORK_NULL;
}

int engine_network_remove(struct engine *engine, const char *network, const struct task *task,
                          struct error *err) {
    cleanup(buffer_deinit) struct buffer path;
    int r = network_path(engine, network, "", &path, err);
    if (r == 0)
        r = engine_or_none(engine_call_simple(engine, "DELETE", &path, NULL, task, err), err);
    if (r < 0 && err->kind == ERROR_REFUSED && strstr(err->text, "active endpoints"))
        err->kind = ERROR_CONFLICT; /* the engine says 403 for it */
    return r < 0 ? engine_wrap(err, "remove network", network) : r;
}

int engine_network_connect(struct engine *engine, const char *container,
                           const struct engine_endpoint *endpoint, const struct task *task,
                           struct error *err) {
    cleanup(json_freep) struct json *body = json_new_object();
    cleanup(buffer_deinit) struct buffer path;
    json_set_text(body, "Container", container);
    json_set(body, "EndpointConfig", engine_endpoint_json(endpoint));
    if (network_path(engine, endpoint->network, "/connect", &path, err) < 0 ||
        engine_call_simple(engine, "POST", &path, body, task, err) < 0)
        return engine_wrap(err, "connect to network", endpoint->network);
    return 0;
}

static int read_list(struct engine_network_list *list, struct error *err) {
    const struct json *array;
    if (json_require_array(list->json, "", &array, err) < 0)
        return error_wrap(err, "the engine's answer");
    list->count = json_count(array);
    list->entries = mem_new_array(struct engine_network_entry, list->count);
    for (size_t i = 0; i < list->count; i++) {
        struct engine_network_entry *entry = &list->entries[i];
        const struct json *v = json_at(array, i);
        if (json_require_text(v, "Id", &entry->id, err) < 0 ||
            engine_check_name("a network", entry->id, err) < 0 ||
            json_get_text(v, "Name", "", &entry->name, err) < 0 ||
            json_get_object(v, "Labels", &entry->labels, err) < 0)
            return error_wrap(err, "the engine's answer");
    }
    return 0;
}

int engine_network_list(struct engine *engine, const struct engine_pair *labels,
                        const struct task *task, struct engine_network_list *ret,
                        struct error *err) {
    cleanup(engine_network_list_deinit) struct engine_network_list list = ENGINE_NETWORK_LIST_NULL;
    cleanup(buffer_deinit) struct buffer path;
    engine_path(engine, &path, "/networks");
    engine_path_labels(&path, labels);
    if (engine_call_json(engine, "GET", &path, NULL, task, &list.json, err) < 0 ||
        read_list(&list, err) < 0)
        return error_wrap(err, "list networks");
    *ret = list;
    list = ENGINE_NETWORK_LIST_NULL;
    return 0;
}

void engine_network_list_deinit(struct engine_network_list *list) {
    free(list->entries);
    json_free(list->json);
    *list = ENGINE_NETWORK_LIST_NULL;
}
