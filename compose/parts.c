/* Sections of a service that are too small for a file of their own. */

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { ULIMITS_MAX = 64, ENV_FILES_MAX = 64, EXTRA_HOSTS_MAX = 1024 };

/* ---- healthcheck ---- */

static int read_test(const struct yaml_node *value, void *target, void *reading,
                     struct error *err) {
    (void)reading;
    struct project_healthcheck *check = target;
    if (read_text_or_texts(value, &check->test, err) < 0)
        return -1;
    char **test = check->test;
    if (value->type == YAML_SCALAR) {
        check->test = NULL;
        texts_append(&check->test, "CMD-SHELL");
        texts_append(&check->test, test[0]);
        texts_free(test);
        return 0;
    }
    size_t count = texts_count(test);
    bool none = count == 1 && text_equal(test[0], "NONE");
    bool cmd = count > 1 && text_equal(test[0], "CMD");
    bool shell = count == 2 && text_equal(test[0], "CMD-SHELL");
    if (!none && !cmd && !shell)
        return yaml_error(value, err,
                          "'test' must begin with CMD (and the command's words), "
                          "CMD-SHELL (and one text) or be just NONE");
    check->disable = check->disable || none;
    return 0;
}

#define AT(member) offsetof(struct project_healthcheck, member)
static const struct yaml_field health_fields[] = {
    YAML_READ_VALUE("test", read_test),
    YAML_VALUE("interval", DURATION, AT(interval_ns)),
    YAML_VALUE("timeout", DURATION, AT(timeout_ns)),
    YAML_VALUE("start_period", DURATION, AT(start_period_ns)),
    YAML_INT_VALUE("retries", AT(retries), 0, 1000000),
    YAML_VALUE("disable", BOOL, AT(disable)),
    YAML_UNSUPPORTED("start_interval"), /* Engine 25 and later only */
};
#undef AT
static const struct yaml_table health_table =
    YAML_TABLE_WITH_EXTENSIONS("'healthcheck'", health_fields);

int read_healthcheck(const struct yaml_node *value, void *target, void *reading,
                     struct error *err) {
    struct project_service *service = target;
    service->healthcheck.given = true;
    if (yaml_read(value, &health_table, &service->healthcheck, reading, err) < 0)
        return -1;
    if (service->healthcheck.disable) {
        texts_free(service->healthcheck.test);
        service->healthcheck.test = NULL;
    }
    return 0;
}

/* ---- depends_on ---- */

static const char *const conditions[] = {
    [PROJECT_STARTED] = "service_started",
    [PROJECT_HEALTHY] = "service_healthy",
    [PROJECT_COMPLETED] = "service_completed_successfully",
    NULL,
};

struct long_dependency {
    int condition;
    bool restart;
    bool required;
};

#define AT(member) offsetof(struct long_dependency, member)
static const struct yaml_field dependency_fields[] = {
    YAML_CHOICE_VALUE("condition", AT(condition), conditions),
    YAML_VALUE("restart", BOOL, AT(restart)),
    YAML_VALUE("required", BOOL, AT(required)),
};
#undef AT
static const struct yaml_table dependency_table =
    YAML_TABLE_WITH_EXTENSIONS("'depends_on'", dependency_fields);

static int add_dependency(struct project_service *service, const struct yaml_node *name,
                          const struct long_dependency *said, struct error *err) {
    const char *text;
    if (yaml_get_text(name, &text, err) < 0)
        return -1;
    for (size_t i = 0; i < service->dependency_count; i++)
        if (text_equal(service->dependencies[i].service, text))
            return yaml_error(name, err, "'%.64s' is there twice", text);
    if (service->dependency_count == PROJECT_SERVICES_MAX)
        return yaml_error(name, err, "more than %d services", PROJECT_SERVICES_MAX);
    service->dependencies = mem_resize(service->dependencies, service->dependency_count + 1,
                                       sizeof *service->dependencies);
    service->dependencies[service->dependency_count++] = (struct project_dependency){
        .service = text_dup(text),
        .condition = (enum project_condition)said->condition,
        .restart = said->restart,
        .optional = !said->required,
        .place = place_of(name),
    };
    return 0;
}

int read_depends_on(const struct yaml_node *value, void *service, void *reading,
                    struct error *err) {
    bool mapping = value->type == YAML_MAPPING;
    if (value->type == YAML_SCALAR)
        return yaml_error(value, err, "'depends_on' must be a list or a mapping, not %s",
                          yaml_what(value).text);
    for (size_t i = 0; i < value->count; i++) {
        struct long_dependency said = {.condition = mapping ? -1 : 0, .required = true};
        if (mapping && yaml_read(value->items[i], &dependency_table, &said, reading, err) < 0)
            return -1;
        if (said.condition < 0)
            return yaml_error(value->keys[i], err, "'%.64s' needs a 'condition'",
                              value->keys[i]->text);
        if (add_dependency(service, mapping ? value->keys[i] : value->items[i], &said, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- ulimits ---- */

#define AT(member) offsetof(struct project_ulimit, member)
static const struct yaml_field ulimit_fields[] = {
    YAML_INT_VALUE("soft", AT(soft), -1, INT64_MAX),
    YAML_INT_VALUE("hard", AT(hard), -1, INT64_MAX),
};
#undef AT
static const struct yaml_table ulimit_table =
    YAML_TABLE_WITH_EXTENSIONS("an ulimit", ulimit_fields);

int read_ulimits(const struct yaml_node *value, void *target, void *reading, struct error *err) {
    struct project_service *service = target;
    if (yaml_want(value, YAML_MAPPING, err) < 0)
        return -1;
    if (value->count > ULIMITS_MAX)
        return yaml_error(value, err, "more than %d ulimits", ULIMITS_MAX);
    service->ulimits = mem_new_array(struct project_ulimit, value->count);
    for (size_t i = 0; i < value->count; i++) {
        const struct yaml_node *item = value->items[i];
        struct project_ulimit *limit = &service->ulimits[service->ulimit_count++];
        limit->name = text_dup(value->keys[i]->text);
        if (item->type == YAML_MAPPING) {
            if (yaml_read(item, &ulimit_table, limit, reading, err) < 0)
                return -1;
            if (!yaml_find(item, "soft") || !yaml_find(item, "hard"))
                return yaml_error(item, err, "an ulimit needs both 'soft' and 'hard'");
        } else {
            if (yaml_get_int(item, -1, INT64_MAX, &limit->soft, err) < 0)
                return -1;
            limit->hard = limit->soft;
        }
        if (limit->hard >= 0 && (limit->soft > limit->hard || limit->soft < 0))
            return yaml_error(item, err, "the soft limit is above the hard one");
    }
    return 0;
}

/* ---- extra_hosts ---- */

static int add_extra_host(struct project_service *service, const struct yaml_node *at,
                          const char *name, const char *address, struct error *err) {
    size_t size = strlen(address);
    if (!*name || !*address)
        return yaml_error(at, err, "an extra host must be 'NAME:ADDRESS'");
    if (texts_count(service->extra_hosts) == EXTRA_HOSTS_MAX)
        return yaml_error(at, err, "more than %d extra hosts", EXTRA_HOSTS_MAX);
    bool brackets = *address == '[' && address[size - 1] == ']';
    cleanup_free char *entry =
        text_format("%s:%.*s", name, (int)(size - 2 * brackets), address + brackets);
    texts_append(&service->extra_hosts, entry);
    return 0;
}

static int extra_host_of_item(struct project_service *service, const struct yaml_node *item,
                              struct error *err) {
    const char *text;
    if (yaml_get_text(item, &text, err) < 0)
        return -1;
    size_t name = strcspn(text, "=:");
    cleanup_free char *copy = strndup(text, name);
    return add_extra_host(service, item, copy, text[name] ? text + name + 1 : "", err);
}

static int extra_hosts_of_name(struct project_service *service, const char *name,
                               const struct yaml_node *value, struct error *err) {
    cleanup(texts_freep) char **addresses = NULL;
    if (read_text_or_texts(value, &addresses, err) < 0)
        return -1;
    for (char **p = addresses; *p; p++)
        if (add_extra_host(service, value, name, *p, err) < 0)
            return -1;
    return 0;
}

int read_extra_hosts(const struct yaml_node *value, void *service, void *reading,
                     struct error *err) {
    (void)reading;
    if (value->type == YAML_SCALAR)
        return yaml_error(value, err, "'extra_hosts' must be a list or a mapping, not %s",
                          yaml_what(value).text);
    for (size_t i = 0; i < value->count; i++) {
        int result = value->type == YAML_MAPPING
                         ? extra_hosts_of_name(service, value->keys[i]->text, value->items[i], err)
                         : extra_host_of_item(service, value->items[i], err);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* ---- env_file ---- */

struct long_env_file {
    char *path;
    bool required;
};

static void long_env_file_deinit(struct long_env_file *f) {
    free(f->path);
}

#define AT(member) offsetof(struct long_env_file, member)
static const struct yaml_field env_file_fields[] = {
    YAML_VALUE("path", TEXT, AT(path)),
    YAML_VALUE("required", BOOL, AT(required)),
    YAML_UNSUPPORTED("format"),
};
#undef AT
static const struct yaml_table env_file_table =
    YAML_TABLE_WITH_EXTENSIONS("'env_file'", env_file_fields);

static int add_env_file(struct project_service *service, const struct yaml_node *item,
                        struct reading *reading, struct error *err) {
    cleanup(long_env_file_deinit) struct long_env_file said = {.required = true};
    const char *text;
    if (item->type == YAML_MAPPING) {
        if (yaml_read(item, &env_file_table, &said, reading, err) < 0)
            return -1;
        if (!said.path)
            return yaml_error(item, err, "an env_file needs a 'path'");
    } else {
        if (yaml_get_text(item, &text, err) < 0)
            return -1;
        said.path = text_dup(text);
    }
    if (service->env_file_count == ENV_FILES_MAX)
        return yaml_error(item, err, "more than %d env_files", ENV_FILES_MAX);
    service->env_files =
        mem_resize(service->env_files, service->env_file_count + 1, sizeof *service->env_files);
    service->env_files[service->env_file_count++] = (struct project_env_file){
        .path = host_path(reading, said.path),
        .optional = !said.required,
        .place = place_of(item),
    };
    return 0;
}

int read_env_file(const struct yaml_node *value, void *service, void *reading, struct error *err) {
    if (value->type != YAML_SEQUENCE)
        return add_env_file(service, value, reading, err);
    for (size_t i = 0; i < value->count; i++)
        if (add_env_file(service, value->items[i], reading, err) < 0)
            return -1;
    return 0;
}

/* ---- logging ---- */

static int read_log_options(const struct yaml_node *value, void *target, void *reading,
                            struct error *err) {
    struct project_service *service = target;
    if (yaml_want(value, YAML_MAPPING, err) < 0)
        return -1;
    return read_pairs(value, reading, PAIRS_EMPTY, &service->log_options, err);
}

static const struct yaml_field logging_fields[] = {
    YAML_VALUE("driver", TEXT, offsetof(struct project_service, log_driver)),
    YAML_READ_VALUE("options", read_log_options),
};
static const struct yaml_table logging_table =
    YAML_TABLE_WITH_EXTENSIONS("'logging'", logging_fields);

int read_logging(const struct yaml_node *value, void *service, void *reading, struct error *err) {
    return yaml_read(value, &logging_table, service, reading, err);
}
