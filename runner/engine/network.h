#pragma once

/*
 * Networks of an engine.
 */

#include "runner/engine/container.h"
#include "runner/engine/engine.h"

struct engine_network_spec {
    const char *name;
    const char *driver; /* NULL: bridge */
    const struct engine_pair *options;
    const struct engine_pair *labels;
    bool internal;
    bool attachable;
    bool ipv6;
    const char *subnet; /* NULL: the engine chooses */
    const char *gateway;
    const char *ip_range;
};

/* ERROR_CONFLICT when the name is taken. */
int engine_network_create(struct engine *engine, const struct engine_network_spec *spec,
                          const struct task *task, char ret_id[ENGINE_ID_SIZE], struct error *err);

struct engine_network {
    struct json *json;
    const char *id;
    const char *name;
    const char *driver;
    const struct json *labels;     /* or NULL */
    const struct json *containers; /* object: id → {Name, IPv4Address, ...}; or NULL */
    const char *subnet;            /* the first; "" */
    const char *gateway;
};
#define ENGINE_NETWORK_NULL ((struct engine_network){.json = NULL})

/* Returns 1 when there is no such network. */
int engine_network_inspect(struct engine *engine, const char *network, const struct task *task,
                           struct engine_network *ret, struct error *err);
void engine_network_deinit(struct engine_network *network);

/* Returns 1 when there is no such network. ERROR_CONFLICT while containers are connected. */
int engine_network_remove(struct engine *engine, const char *network, const struct task *task,
                          struct error *err);

int engine_network_connect(struct engine *engine, const char *container,
                           const struct engine_endpoint *endpoint, const struct task *task,
                           struct error *err);

struct engine_network_entry {
    const char *id;
    const char *name;
    const struct json *labels;
};
struct engine_network_list {
    struct json *json;
    struct engine_network_entry *entries;
    size_t count;
};
#define ENGINE_NETWORK_LIST_NULL ((struct engine_network_list){.json = NULL})

int engine_network_list(struct engine *engine, const struct engine_pair *labels,
                        const struct task *task, struct engine_network_list *ret,
                        struct error *err);
void engine_network_list_deinit(struct engine_network_list *list);
