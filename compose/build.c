/* `build` and `deploy`. */

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- build ---- */

#define AT(member) offsetof(struct project_build, member)

static int read_args(const struct yaml_node *value, void *target, void *reading,
                     struct error *err) {
    struct project_build *build = target;
    return read_pairs(value, reading, PAIRS_ENVIRONMENT, &build->args, err);
}

static int read_build_labels(const struct yaml_node *value, void *target, void *reading,
                             struct error *err) {
    struct project_build *build = target;
    return read_labels(value, reading, &build->labels, err);
}

/* IMAGE, or type=registry,ref=IMAGE: nothing else reaches an engine without a session. */
static int read_cache_from(const struct yaml_node *value, void *target, void *reading,
                           struct error *err) {
    (void)reading;
    struct project_build *build = target;
    char **list;
    if (yaml_want(value, YAML_SEQUENCE, err) < 0 || yaml_get_texts(value, &list, err) < 0)
        return -1;
    build->cache_from = list;
    for (size_t i = 0; list[i]; i++) {
        if (!text_starts(list[i], "type="))
            continue;
        const char *image = text_starts(list[i], "type=registry,ref=") ? list[i] + 18 : "";
        if (!*image || strchr(image, ','))
            return yaml_error(value->items[i], err,
                              "'cache_from' of this type needs a BuildKit session, which is not "
                              "supported: name an image, or type=registry,ref=IMAGE");
        char *copy = text_dup(image);
        free(list[i]);
        list[i] = copy;
    }
    return 0;
}

static int read_platforms(const struct yaml_node *value, void *target, void *reading,
                          struct error *err) {
    (void)reading;
    struct project_build *build = target;
    char **list;
    if (yaml_want(value, YAML_SEQUENCE, err) < 0 || yaml_get_texts(value, &list, err) < 0)
        return -1;
    bool several = list[0] && list[1];
    free(build->platform);
    build->platform = text_dup(list[0]);
    texts_free(list);
    return several ? yaml_error(value, err,
                                "several 'platforms' need a BuildKit session, which is not "
                                "supported: name one")
                   : 0;
}

static int needs_session(const struct yaml_node *value, void *target, void *reading,
                         struct error *err) {
    (void)target;
    (void)reading;
    return yaml_error(value, err, "'%s' needs a BuildKit session, which is not supported",
                      value->name);
}

static const struct yaml_field build_fields[] = {
    YAML_VALUE("context", TEXT, AT(context)),
    YAML_VALUE("dockerfile", TEXT, AT(dockerfile)),
    YAML_VALUE("target", TEXT, AT(target)),
    YAML_READ_VALUE("args", read_args),
    YAML_READ_VALUE("labels", read_build_labels),
    YAML_VALUE("tags", TEXTS, AT(tags)),
    YAML_VALUE("network", TEXT, AT(network)),
    YAML_VALUE("no_cache", BOOL, AT(no_cache)),
    YAML_VALUE("pull", BOOL, AT(pull)),
    YAML_VALUE("dockerfile_inline", TEXT, AT(dockerfile_inline)),
    YAML_READ_VALUE("cache_from", read_cache_from),
    YAML_READ_VALUE("platforms", read_platforms),
    YAML_READ_VALUE("additional_contexts", needs_session),
    YAML_READ_VALUE("cache_to", needs_session),
    YAML_READ_VALUE("entitlements", needs_session),
    YAML_UNSUPPORTED("extra_hosts"),
    YAML_UNSUPPORTED("isolation"),
    YAML_UNSUPPORTED("privileged"),
    YAML_UNSUPPORTED("provenance"),
    YAML_UNSUPPORTED("sbom"),
    YAML_READ_VALUE("secrets", needs_session),
    YAML_UNSUPPORTED("shm_size"),
    YAML_READ_VALUE("ssh", needs_session),
    YAML_UNSUPPORTED("ulimits"),
};
#undef AT
static const struct yaml_table build_table = YAML_TABLE_WITH_EXTENSIONS("'build'", build_fields);

static bool is_remote(const char *context) {
    return strstr(context, "://") || text_starts(context, "git@") ||
           text_starts(context, "github.com/");
}

int read_build(const struct yaml_node *value, void *target, void *reading, struct error *err) {
    struct project_service *service = target;
    service->build = mem_new(struct project_build);
    service->build->place = place_of(value);
    if (value->type == YAML_MAPPING) {
        if (yaml_read(value, &build_table, service->build, reading, err) < 0)
            return -1;
        if (service->build->dockerfile && service->build->dockerfile_inline)
            return yaml_error(value, err, "'dockerfile' and 'dockerfile_inline' are both given");
        if (!service->build->context)
            service->build->context = text_dup(".");
    } else {
        const char *context;
        if (yaml_get_text(value, &context, err) < 0)
            return -1;
        service->build->context = text_dup(context);
    }
    if (*service->build->context == '~') {
        char *context = host_path(reading, service->build->context);
        free(service->build->context);
        service->build->context = context;
    }
    if (is_remote(service->build->context))
        return yaml_error(value, err, "remote build context '%.128s' is not supported yet",
                          service->build->context);
    return 0;
}

/* ---- deploy ---- */

/* A limit may be given by the old key and under deploy.resources, if it is the same. */
static int agree(const struct yaml_node *value, int64_t *slot, int64_t given, struct error *err) {
    if (*slot && *slot != given)
        return yaml_error(value, err, "'%s' and the service's other key for it must agree",
                          value->name);
    *slot = given;
    return 0;
}

int read_limit_cpus(const struct yaml_node *value, void *target, void *reading, struct error *err) {
    (void)reading;
    struct project_service *service = target;
    int64_t nano;
    return read_nano(value, &nano, err) < 0 ? -1 : agree(value, &service->nano_cpus, nano, err);
}

int read_limit_memory(const struct yaml_node *value, void *target, void *reading,
                      struct error *err) {
    (void)reading;
    struct project_service *service = target;
    int64_t bytes;
    return yaml_get_size(value, &bytes, err) < 0 ? -1
                                                 : agree(value, &service->memory_bytes, bytes, err);
}

int read_limit_pids(const struct yaml_node *value, void *target, void *reading, struct error *err) {
    (void)reading;
    struct project_service *service = target;
    int64_t pids;
    return yaml_get_int(value, -1, INT32_MAX, &pids, err) < 0
               ? -1
               : agree(value, &service->pids_max, pids, err);
}

int read_reserved_memory(const struct yaml_node *value, void *target, void *reading,
                         struct error *err) {
    (void)reading;
    struct project_service *service = target;
    int64_t bytes;
    return yaml_get_size(value, &bytes, err) < 0
               ? -1
               : agree(value, &service->memory_reservation_bytes, bytes, err);
}

static const struct yaml_field limit_fields[] = {
    YAML_READ_VALUE("cpus", read_limit_cpus),
    YAML_READ_VALUE("memory", read_limit_memory),
    YAML_READ_VALUE("pids", read_limit_pids),
};
static const struct yaml_table limit_table =
    YAML_TABLE_WITH_EXTENSIONS("'resources.limits'", limit_fields);

static int read_limits(const struct yaml_node *value, void *service, void *reading,
                       struct error *err) {
    return yaml_read(value, &limit_table, service, reading, err);
}

static const struct yaml_field reservation_fields[] = {
    YAML_READ_VALUE("memory", read_reserved_memory),
    YAML_UNSUPPORTED("cpus"),
    YAML_UNSUPPORTED("devices"),
    YAML_UNSUPPORTED("generic_resources"),
};
static const struct yaml_table reservation_table =
    YAML_TABLE_WITH_EXTENSIONS("'resources.reservations'", reservation_fields);

static int read_reservations(const struct yaml_node *value, void *service, void *reading,
                             struct error *err) {
    return yaml_read(value, &reservation_table, service, reading, err);
}

static const struct yaml_field resource_fields[] = {
    YAML_READ_VALUE("limits", read_limits),
    YAML_READ_VALUE("reservations", read_reservations),
};
static const struct yaml_table resource_table =
    YAML_TABLE_WITH_EXTENSIONS("'resources'", resource_fields);

static int read_resources(const struct yaml_node *value, void *service, void *reading,
                          struct error *err) {
    return yaml_read(value, &resource_table, service, reading, err);
}

int read_replicas(const struct yaml_node *value, void *target, void *reading, struct error *err) {
    (void)reading;
    struct project_service *service = target;
    int64_t replicas;
    if (yaml_get_int(value, 0, PROJECT_REPLICAS_MAX, &replicas, err) < 0)
        return -1;
    if (service->replicas_given && service->replicas != replicas)
        return yaml_error(value, err, "'scale' and 'deploy.replicas' must agree, see line %u",
                          service->replicas_place.line);
    service->replicas = replicas;
    service->replicas_given = true;
    service->replicas_place = place_of(value);
    return 0;
}

static int read_mode(const struct yaml_node *value, void *service, void *reading,
                     struct error *err) {
    (void)service;
    (void)reading;
    if (value->type == YAML_SCALAR && text_equal(value->text, "replicated"))
        return 0;
    return yaml_error(value, err, "a 'mode' other than 'replicated' is not supported yet");
}

static const struct yaml_field deploy_fields[] = {
    YAML_READ_VALUE("replicas", read_replicas),
    YAML_READ_VALUE("resources", read_resources),
    YAML_READ_VALUE("mode", read_mode),
    YAML_UNSUPPORTED("endpoint_mode"),
    YAML_UNSUPPORTED("labels"),
    YAML_UNSUPPORTED("placement"),
    YAML_UNSUPPORTED("restart_policy"),
    YAML_UNSUPPORTED("rollback_config"),
    YAML_UNSUPPORTED("update_config"),
};
static const struct yaml_table deploy_table = YAML_TABLE_WITH_EXTENSIONS("'deploy'", deploy_fields);

int read_deploy(const struct yaml_node *value, void *service, void *reading, struct error *err) {
    return yaml_read(value, &deploy_table, service, reading, err);
}
