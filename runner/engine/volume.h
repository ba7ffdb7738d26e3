#pragma once

/*
 * Volumes of an engine: named folders that outlive containers.
 */

#include "runner/engine/engine.h"

struct engine_volume_spec {
    const char *name;   /* NULL: the engine makes one up */
    const char *driver; /* NULL: local */
    const struct engine_pair *options;
    const struct engine_pair *labels;
};

struct engine_volume {
    struct json *json;
    const char *name;
    const char *driver;
    const char *mountpoint; /* on the engine's host */
    const char *created;
    const struct json *labels; /* or NULL */
};
#define ENGINE_VOLUME_NULL ((struct engine_volume){.json = NULL})

/*
 * A volume of that name that is there already stays as it is, and is what comes back: the caller
 * looks at its labels. ERROR_CONFLICT when it is of another driver.
 */
int engine_volume_create(struct engine *engine, const struct engine_volume_spec *spec,
                         const struct task *task, struct engine_volume *ret, struct error *err);

/* Returns 1, and nothing else, when there is no such volume. */
int engine_volume_inspect(struct engine *engine, const char *volume, const struct task *task,
                          struct engine_volume *ret, struct error *err);
void engine_volume_deinit(struct engine_volume *volume);

/* Returns 1 when there is no such volume. ERROR_CONFLICT while a container uses it. */
int engine_volume_remove(struct engine *engine, const char *volume, const struct task *task,
                         struct error *err);

struct engine_volume_entry {
    const char *name;
    const char *driver;
    const struct json *labels;
};
struct engine_volume_list {
    struct json *json;
    struct engine_volume_entry *entries;
    size_t count;
};
#define ENGINE_VOLUME_LIST_NULL ((struct engine_volume_list){.json = NULL})

/* Those that carry all of these labels (a NULL value: whatever its value). NULL: all. */
int engine_volume_list(struct engine *engine, const struct engine_pair *labels,
                       const struct task *task, struct engine_volume_list *ret, struct error *err);
void engine_volume_list_deinit(struct engine_volume_list *list);
