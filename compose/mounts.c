/* `volumes` and `tmpfs`. */

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

enum { MOUNTS_MAX = 256 };

static int add_mount(struct project_service *service, const struct yaml_node *at,
                     struct project_mount mount, struct error *err) {
    struct project_mount *slot;
    if (service->mount_count < MOUNTS_MAX) {
        service->mounts =
            mem_resize(service->mounts, service->mount_count + 1, sizeof *service->mounts);
        slot = &service->mounts[service->mount_count++];
        *slot = mount;
    } else {
        free(mount.source);
        free(mount.target);
        return yaml_error(at, err, "more than %d mounts", MOUNTS_MAX);
    }
    if (!slot->target || *slot->target != '/')
        return yaml_error(at, err, "a volume's target must be an absolute path, not '%.64s'",
                          slot->target ? slot->target : "");
    cleanup_free char *path = project_resolve_path("/", slot->target);
    if (text_equal(path, "/seatrial"))
        return yaml_error(at, err, "'%.64s' is where the trial's own files are", slot->target);
    for (size_t i = 0; i + 1 < service->mount_count; i++)
        if (text_equal(service->mounts[i].target, slot->target))
            return yaml_error(at, err, "'%.64s' is mounted twice", slot->target);
    return 0;
}

/* ---- the short form: SOURCE:TARGET[:OPTIONS] ---- */

static int read_options(const struct yaml_node *item, const char *options,
                        struct project_mount *mount, struct error *err) {
    cleanup_free char *copy = text_dup(options);
    char *rest = NULL;
    for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (text_equal(word, "ro"))
            mount->read_only = true;
        else if (text_equal(word, "nocopy") && mount->type == PROJECT_MOUNT_VOLUME)
            mount->no_copy = true;
        else if (!text_equal(word, "rw"))
            return yaml_error(item, err, "volume option '%.64s' is not supported yet", word);
    }
    return 0;
}

static bool is_path(const char *source) {
    return *source == '/' || *source == '.' || *source == '~';
}

static int read_short(const struct yaml_node *item, struct project_service *service,
                      struct reading *reading, struct error *err) {
    const char *text;
    if (yaml_get_text(item, &text, err) < 0)
        return -1;
    cleanup_free char *copy = text_dup(text);
    char *rest = copy;
    const char *source = strsep(&rest, ":"), *target = strsep(&rest, ":"),
               *options = strsep(&rest, ":");
    if (rest)
        return yaml_error(item, err, "volume '%.64s' has too many ':'", text);
    if (!target)
        return yaml_error(item, err, "anonymous volume '%.64s' is not supported yet", text);
    bool bind = is_path(source);
    struct project_mount mount = {.type = bind ? PROJECT_MOUNT_BIND : PROJECT_MOUNT_VOLUME,
                                  .create_source = bind};
    if (options && read_options(item, options, &mount, err) < 0)
        return -1;
    mount.from_project = bind && *source != '/';
    mount.source = bind ? host_path(reading, source) : text_dup(source);
    mount.target = text_dup(target);
    return add_mount(service, item, mount, err);
}

/* ---- the long form ---- */

struct long_mount {
    int type;
    char *source;
    struct project_mount mount;
};

static const char *const types[] = {
    [PROJECT_MOUNT_BIND] = "bind",
    [PROJECT_MOUNT_TMPFS] = "tmpfs",
    [PROJECT_MOUNT_VOLUME] = "volume",
    "npipe",
    "cluster",
    "image",
    NULL,
};
enum { SUPPORTED = PROJECT_MOUNT_VOLUME + 1 };

#define AT(member) offsetof(struct long_mount, member)

static int read_tmpfs_mode(const struct yaml_node *value, void *target, void *context,
                           struct error *err) {
    (void)context;
    struct long_mount *m = target;
    /* `mode: 01777` and `mode: 1777` alike: as chmod writes it, whatever YAML makes of it */
    if (value->type != YAML_SCALAR || strspn(value->text, "01234567") != strlen(value->text) ||
        !*value->text || strlen(value->text) > 5)
        return yaml_error(value, err, "'mode' must be permission bits such as 1777, not %s",
                          yaml_what(value).text);
    m->mount.tmpfs_mode = strtol(value->text, NULL, 8);
    return 0;
}

static const struct yaml_field tmpfs_fields[] = {
    YAML_VALUE("size", SIZE, AT(mount.tmpfs_size_bytes)),
    YAML_READ_VALUE("mode", read_tmpfs_mode),
};
static const struct yaml_table tmpfs_table = YAML_TABLE_WITH_EXTENSIONS("'tmpfs'", tmpfs_fields);

static int read_tmpfs_part(const struct yaml_node *value, void *target, void *context,
                           struct error *err) {
    return yaml_read(value, &tmpfs_table, target, context, err);
}

static const struct yaml_field bind_fields[] = {
    YAML_VALUE("create_host_path", BOOL, AT(mount.create_source)),
    YAML_UNSUPPORTED("propagation"),
    YAML_UNSUPPORTED("recursive"),
    YAML_UNSUPPORTED("selinux"),
};
static const struct yaml_table bind_table = YAML_TABLE_WITH_EXTENSIONS("'bind'", bind_fields);

static int read_bind_part(const struct yaml_node *value, void *target, void *context,
                          struct error *err) {
    return yaml_read(value, &bind_table, target, context, err);
}

static const struct yaml_field volume_fields[] = {
    YAML_VALUE("nocopy", BOOL, AT(mount.no_copy)),
    YAML_UNSUPPORTED("labels"),
    YAML_UNSUPPORTED("subpath"),
};
static const struct yaml_table volume_table = YAML_TABLE_WITH_EXTENSIONS("'volume'", volume_fields);

static int read_volume_part(const struct yaml_node *value, void *target, void *context,
                            struct error *err) {
    return yaml_read(value, &volume_table, target, context, err);
}

static const struct yaml_field long_fields[] = {
    YAML_CHOICE_VALUE("type", AT(type), types),
    YAML_VALUE("source", TEXT, AT(source)),
    YAML_VALUE("target", TEXT, AT(mount.target)),
    YAML_VALUE("read_only", BOOL, AT(mount.read_only)),
    YAML_READ_VALUE("bind", read_bind_part),
    YAML_READ_VALUE("tmpfs", read_tmpfs_part),
    YAML_UNSUPPORTED("consistency"),
    YAML_READ_VALUE("volume", read_volume_part),
    YAML_UNSUPPORTED("image"),
};
static const struct yaml_table long_table = YAML_TABLE_WITH_EXTENSIONS("a volume", long_fields);

static void long_mount_deinit(struct long_mount *m) {
    free(m->source);
    free(m->mount.source);
    free(m->mount.target);
}

/* Each type has its own words. */
static int check_parts(const struct yaml_node *item, const struct long_mount *m,
                       struct error *err) {
    const char *type = types[m->type];
    if (m->mount.type == PROJECT_MOUNT_TMPFS && m->source)
        return yaml_error(item, err, "a volume of type tmpfs has no source");
    if (m->mount.type == PROJECT_MOUNT_VOLUME && !m->source)
        return yaml_error(item, err, "an anonymous volume is not supported yet");
    if (m->mount.type != PROJECT_MOUNT_TMPFS && !m->source)
        return yaml_error(item, err, "a volume of type %s needs a 'source'", type);
    for (int other = 0; other < SUPPORTED; other++)
        if (other != m->type && yaml_find(item, types[other]))
            return yaml_error(item, err, "a volume of type %s has no '%s'", type, types[other]);
    return 0;
}

static int read_long(const struct yaml_node *item, struct project_service *service,
                     struct reading *reading, struct error *err) {
    cleanup(long_mount_deinit) struct long_mount m = {.type = -1, .mount.create_source = true};
    if (yaml_read(item, &long_table, &m, NULL, err) < 0)
        return -1;
    if (m.type < 0)
        return yaml_error(item, err, "a volume needs a 'type' (bind, volume or tmpfs)");
    if (m.type >= SUPPORTED)
        return yaml_error(item, err, "volume type '%s' is not supported yet", types[m.type]);
    m.mount.type = (enum project_mount_type)m.type;
    if (check_parts(item, &m, err) < 0)
        return -1;
    bool bind = m.mount.type == PROJECT_MOUNT_BIND;
    m.mount.from_project = bind && *m.source != '/';
    m.mount.source = bind ? host_path(reading, m.source) : text_dup(m.source);
    m.mount.create_source = m.mount.create_source && bind;
    struct project_mount mount = m.mount;
    m.mount.source = m.mount.target = NULL;
    return add_mount(service, item, mount, err);
}

int read_volumes(const struct yaml_node *value, void *service, void *reading, struct error *err) {
    if (yaml_want(value, YAML_SEQUENCE, err) < 0)
        return -1;
    for (size_t i = 0; i < value->count; i++) {
        const struct yaml_node *item = value->items[i];
        int result = item->type == YAML_MAPPING ? read_long(item, service, reading, err)
                                                : read_short(item, service, reading, err);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* "PATH[:OPTIONS]", one or several. */
int read_tmpfs(const struct yaml_node *value, void *target, void *reading, struct error *err) {
    (void)reading;
    struct project_service *service = target;
    cleanup(texts_freep) char **texts = NULL;
    if (read_text_or_texts(value, &texts, err) < 0)
        return -1;
    for (char **p = texts; *p; p++) {
        char *colon = strchr(*p, ':');
        if (colon)
            *colon = '\0';
        if (**p != '/')
            return yaml_error(value, err, "a tmpfs must be at an absolute path, not '%.64s'", *p);
        if (env_pairs_set(&service->tmpfs, *p, colon ? colon + 1 : "", err) < 0)
            return yaml_error_at(value, err);
    }
    return 0;
}
