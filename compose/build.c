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
    YAML_UNSUPPORTED("additional_contexts"),
    YAML_UNSUPPORTED("cache_from"),
    YAML_UNSUPPORTED("cache_to"),
    YAML_UNSUPPORTED("dockerfile_inline"),
    YAML_UNSUPPORTED("entitlements"),
    YAML_UNSUPPORTED("extra_hosts"),
    YAML_UNSUPPORTED("isolation"),
    YAML_UNSUPPORTED("platforms"),
    YAML_UNSUPPORTED("privileged"),
    YAML_UNSUPPORTED("provenance"),
    YAML_UNSUPPORTED("sbom"),
    YAML_UNSUPPORTED("secrets"),
    YAML_UNSUPPORTED("shm_size"),
    YAML_UNSUPPORTED("ssh"),
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
