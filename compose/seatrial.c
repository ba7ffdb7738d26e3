/* `x-seatrial` of a service: what a trial needs to know and Compose has no word for. */

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NAMED_PORTS_MAX = 32, PER_HOST_MAX = 1000, PATHS_MAX = 64 };

static const char *const roles[] = {
    [PROJECT_ROLE_SIDECAR] = "sidecar",
    [PROJECT_ROLE_PREPARE] = "prepare",
    [PROJECT_ROLE_REPLICA] = "replica",
    [PROJECT_ROLE_LOADER] = "loader",
    NULL,
};

const char *project_role_name(enum project_role role) {
    return roles[role];
}

static int read_role(const struct yaml_node *value, void *target, void *reading,
                     struct error *err) {
    (void)reading;
    struct project_seatrial *seatrial = target;
    int role;
    if (yaml_get_choice(value, roles, &role, err) < 0)
        return -1;
    seatrial->role = (enum project_role)role;
    return 0;
}

static int read_cores(const struct yaml_node *value, void *target, void *reading,
                      struct error *err) {
    (void)reading;
    struct project_seatrial *seatrial = target;
    if (check_container_path(value, err) < 0)
        return -1;
    seatrial->cores = text_dup(value->text);
    return 0;
}

/* What is put there must not land on what others put or the kernel shows there. */
static int read_output(const struct yaml_node *value, void *target, void *reading,
                       struct error *err) {
    (void)reading;
    static const char *const taken[] = {"/seatrial", "/proc", "/sys", "/dev"};
    struct project_seatrial *seatrial = target;
    if (check_container_path(value, err) < 0)
        return -1;
    cleanup_free char *path = project_resolve_path("/", value->text);
    bool ok = !text_equal(path, "/");
    for (size_t i = 0; ok && i < sizeof taken / sizeof *taken; i++) {
        size_t size = strlen(taken[i]);
        ok = strncmp(path, taken[i], size) != 0 || (path[size] && path[size] != '/');
    }
    if (!ok)
        return yaml_error(value, err, "'output' cannot be '%.64s'", value->text);
    free(seatrial->output);
    seatrial->output = take_ptr(path);
    return 0;
}

static int read_paths(const struct yaml_node *value, char ***slot, struct error *err) {
    char **paths;
    if (yaml_want(value, YAML_SEQUENCE, err) < 0)
        return -1;
    if (value->count > PATHS_MAX)
        return yaml_error(value, err, "more than %d paths", PATHS_MAX);
    for (size_t i = 0; i < value->count; i++)
        if (check_container_path(value->items[i], err) < 0)
            return -1;
    if (yaml_get_texts(value, &paths, err) < 0)
        return -1;
    *slot = paths;
    return 0;
}

static int read_data(const struct yaml_node *value, void *target, void *reading,
                     struct error *err) {
    (void)reading;
    return read_paths(value, &((struct project_seatrial *)target)->data, err);
}

static int read_collect(const struct yaml_node *value, void *target, void *reading,
                        struct error *err) {
    (void)reading;
    return read_paths(value, &((struct project_seatrial *)target)->collect, err);
}

/* The name becomes a key of cluster.yaml that programs look for. */
static bool is_port_name(const char *name) {
    if (!isalpha((unsigned char)*name) || strlen(name) > 32)
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && *name != '_' && *name != '-')
            return false;
    return true;
}

static int read_named_ports(const struct yaml_node *value, void *target, void *reading,
                            struct error *err) {
    (void)reading;
    struct project_seatrial *seatrial = target;
    if (yaml_want(value, YAML_MAPPING, err) < 0)
        return -1;
    if (value->count > NAMED_PORTS_MAX)
        return yaml_error(value, err, "more than %d named ports", NAMED_PORTS_MAX);
    seatrial->ports = mem_new_array(struct project_named_port, value->count);
    for (size_t i = 0; i < value->count; i++) {
        const char *name = value->keys[i]->text;
        int64_t first;
        if (!is_port_name(name))
            return yaml_error(value->keys[i], err,
                              "a port's name must be letters, digits, '-' and '_', not '%.64s'",
                              name);
        if (yaml_get_int(value->items[i], 1, UINT16_MAX, &first, err) < 0)
            return -1;
        seatrial->ports[seatrial->port_count++] =
            (struct project_named_port){.name = text_dup(name), .first = (uint16_t)first};
    }
    return 0;
}

#define AT(member) offsetof(struct project_seatrial, member)
static const struct yaml_field fields[] = {
    YAML_READ_VALUE("role", read_role),
    YAML_VALUE("fleet", TEXT, AT(fleet)),
    YAML_INT_VALUE("per_host", AT(per_host), 1, PER_HOST_MAX),
    YAML_READ_VALUE("cores", read_cores),
    YAML_READ_VALUE("data", read_data),
    YAML_READ_VALUE("collect", read_collect),
    YAML_READ_VALUE("ports", read_named_ports),
    YAML_READ_VALUE("output", read_output),
    YAML_VALUE("context_allow", TEXTS, AT(context_allow)),
};
#undef AT
static const struct yaml_table table = YAML_TABLE("'x-seatrial'", fields);

int read_seatrial(const struct yaml_node *value, void *target, void *reading, struct error *err) {
    struct project_service *service = target;
    service->seatrial.given = true;
    return yaml_read(value, &table, &service->seatrial, reading, err);
}
