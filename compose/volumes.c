/* `volumes` of the top level. */

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { VOLUMES_MAX = 256, NAME_SIZE_MAX = 255 };

#define AT(member) offsetof(struct project_volume, member)

static int read_volume_options(const struct yaml_node *value, void *target, void *reading,
                               struct error *err) {
    struct project_volume *volume = target;
    return read_pairs(value, reading, PAIRS_EMPTY, &volume->options, err);
}

static int read_volume_labels(const struct yaml_node *value, void *target, void *reading,
                              struct error *err) {
    struct project_volume *volume = target;
    return read_labels(value, reading, &volume->labels, err);
}

static const struct yaml_field fields[] = {
    YAML_VALUE("name", TEXT, AT(name)),
    YAML_VALUE("driver", TEXT, AT(driver)),
    YAML_READ_VALUE("driver_opts", read_volume_options),
    YAML_READ_VALUE("labels", read_volume_labels),
    YAML_VALUE("external", BOOL, AT(external)),
};
#undef AT
static const struct yaml_table table = YAML_TABLE_WITH_EXTENSIONS("a volume", fields);

/* What engines accept; it becomes a part of a request's path. */
static bool is_name(const char *text) {
    bool ok = isalnum((unsigned char)*text) && strlen(text) <= NAME_SIZE_MAX;
    for (const char *p = text; ok && *p; p++)
        ok = isalnum((unsigned char)*p) || strchr("_.-", *p);
    return ok;
}

/* Of an external volume only the name is ours to say. */
static int check_external(const struct yaml_node *value, struct error *err) {
    for (size_t i = 0; i < value->count; i++) {
        const char *key = value->keys[i]->text;
        if (!text_equal(key, "external") && !text_equal(key, "name") && !text_starts(key, "x-"))
            return yaml_error(value->keys[i], err,
                              "an external volume is not ours to make: it cannot have '%.64s'",
                              key);
    }
    return 0;
}

static int read_volume(const struct yaml_node *key, const struct yaml_node *value,
                       struct reading *reading, struct project_volume *volume, struct error *err) {
    static const char rule[] = "letters, digits, '.', '-' and '_', a letter or digit first";
    const struct project *project = reading->project;
    volume->key = text_dup(key->text);
    volume->place = place_of(key);
    if (!is_name(volume->key))
        return yaml_error(key, err, "'%.64s' cannot be a volume's name (%s)", volume->key, rule);
    if (!yaml_is_null(value)) {
        if (yaml_read(value, &table, volume, reading, err) < 0)
            return -1;
        if (volume->external && check_external(value, err) < 0)
            return -1;
    }
    if (volume->name && !is_name(volume->name))
        return yaml_error(key, err, "'%.64s' cannot be a volume's name (%s)", volume->name, rule);
    if (!volume->name)
        volume->name = volume->external ? text_dup(volume->key)
                                        : text_format("%s_%s", project->name, volume->key);
    return 0;
}

int read_project_volumes(const struct yaml_node *value, void *target, void *reading,
                         struct error *err) {
    struct project *project = target;
    if (yaml_is_null(value))
        return 0;
    if (yaml_want(value, YAML_MAPPING, err) < 0)
        return -1;
    if (value->count > VOLUMES_MAX)
        return yaml_error(value, err, "more than %d volumes", VOLUMES_MAX);
    project->volumes = mem_new_array(struct project_volume, value->count);
    for (size_t i = 0; i < value->count; i++)
        if (read_volume(value->keys[i], value->items[i], reading,
                        &project->volumes[project->volume_count++], err) < 0)
            return -1;
    return 0;
}

/* ---- against the services ---- */

static int no_volume(const struct project *project, const struct project_service *service,
                     const char *name, struct error *err) {
    cleanup_free const char **names = mem_new_array(const char *, project->volume_count);
    for (size_t i = 0; i < project->volume_count; i++)
        names[i] = project->volumes[i].key;
    const char *nearest = text_nearest(name, names, project->volume_count);
    error_set(err, ERROR_CONFIG, "%s:%u:%u: service '%s': there is no volume '%.64s'%s%s%s",
              service->place.file, service->place.line, service->place.column, service->name, name,
              nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    return error_hint(err, "list it under `volumes:` of the top level; a folder's path begins with "
                           "'./' or '/'");
}

int check_mounted_volumes(const struct project *project, const struct project_service *service,
                          struct error *err) {
    for (size_t i = 0; i < service->mount_count; i++) {
        const struct project_mount *m = &service->mounts[i];
        if (m->type == PROJECT_MOUNT_VOLUME && !project_volume(project, m->source))
            return no_volume(project, service, m->source, err);
    }
    return 0;
}

static bool is_mounted(const struct project *project, const char *key) {
    for (size_t i = 0; i < project->service_count; i++)
        for (size_t k = 0; k < project->services[i].mount_count; k++) {
            const struct project_mount *m = &project->services[i].mounts[k];
            if (m->type == PROJECT_MOUNT_VOLUME && text_equal(m->source, key))
                return true;
        }
    return false;
}

void keep_mounted_volumes(struct project *project) {
    for (size_t i = 0; i < project->volume_count;)
        if (is_mounted(project, project->volumes[i].key))
            i++;
        else
            project_drop_volume(project, i);
}
