/* `networks`, of the top level and of a service. */

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>

enum { NETWORKS_MAX = 64 };

/* ---- the top level's ---- */

#define AT(member) offsetof(struct project_network, member)

static const struct yaml_field subnet_fields[] = {
    YAML_VALUE("subnet", TEXT, AT(subnet)),
    YAML_VALUE("gateway", TEXT, AT(gateway)),
    YAML_VALUE("ip_range", TEXT, AT(ip_range)),
    YAML_UNSUPPORTED("aux_addresses"),
};
static const struct yaml_table subnet_table =
    YAML_TABLE_WITH_EXTENSIONS("'ipam.config'", subnet_fields);

static int read_subnets(const struct yaml_node *value, void *network, void *reading,
                        struct error *err) {
    if (yaml_want(value, YAML_SEQUENCE, err) < 0)
        return -1;
    if (value->count > 1)
        return yaml_error(value->items[1], err, "a second subnet is not supported yet");
    return value->count ? yaml_read(value->items[0], &subnet_table, network, reading, err) : 0;
}

static int read_ipam_driver(const struct yaml_node *value, void *network, void *reading,
                            struct error *err) {
    (void)network;
    (void)reading;
    if (value->type == YAML_SCALAR && text_equal(value->text, "default"))
        return 0;
    return yaml_error(value, err, "an ipam driver other than 'default' is not supported yet");
}

static const struct yaml_field ipam_fields[] = {
    YAML_READ_VALUE("driver", read_ipam_driver),
    YAML_READ_VALUE("config", read_subnets),
    YAML_UNSUPPORTED("options"),
};
static const struct yaml_table ipam_table = YAML_TABLE_WITH_EXTENSIONS("'ipam'", ipam_fields);

static int read_ipam(const struct yaml_node *value, void *network, void *reading,
                     struct error *err) {
    return yaml_read(value, &ipam_table, network, reading, err);
}

static int read_network_options(const struct yaml_node *value, void *target, void *reading,
                                struct error *err) {
    struct project_network *network = target;
    return read_pairs(value, reading, PAIRS_EMPTY, &network->options, err);
}

static int read_network_labels(const struct yaml_node *value, void *target, void *reading,
                               struct error *err) {
    struct project_network *network = target;
    return read_labels(value, reading, &network->labels, err);
}

/* `external: false` says nothing. */
static int read_external(const struct yaml_node *value, void *network, void *reading,
                         struct error *err) {
    (void)network;
    (void)reading;
    bool external;
    if (value->type == YAML_SCALAR && yaml_get_bool(value, &external, err) < 0)
        return -1;
    if (value->type == YAML_SCALAR && !external)
        return 0;
    return yaml_error(value, err, "'external' is not supported yet");
}

static const struct yaml_field network_fields[] = {
    YAML_VALUE("name", TEXT, AT(name)),
    YAML_VALUE("driver", TEXT, AT(driver)),
    YAML_READ_VALUE("driver_opts", read_network_options),
    YAML_VALUE("internal", BOOL, AT(internal)),
    YAML_VALUE("attachable", BOOL, AT(attachable)),
    YAML_VALUE("enable_ipv6", BOOL, AT(ipv6)),
    YAML_UNSUPPORTED("enable_ipv4"),
    YAML_READ_VALUE("ipam", read_ipam),
    YAML_READ_VALUE("labels", read_network_labels),
    YAML_READ_VALUE("external", read_external),
};
#undef AT
static const struct yaml_table network_table =
    YAML_TABLE_WITH_EXTENSIONS("a network", network_fields);

int read_networks(const struct yaml_node *value, void *target, void *reading, struct error *err) {
    struct project *project = target;
    if (yaml_is_null(value))
        return 0;
    if (yaml_want(value, YAML_MAPPING, err) < 0)
        return -1;
    if (value->count > NETWORKS_MAX)
        return yaml_error(value, err, "more than %d networks", NETWORKS_MAX);
    project->networks = mem_new_array(struct project_network, value->count + 1);
    for (size_t i = 0; i < value->count; i++) {
        struct project_network *network = &project->networks[project->network_count++];
        network->key = text_dup(value->keys[i]->text);
        network->place = place_of(value->keys[i]);
        if (!yaml_is_null(value->items[i]) &&
            yaml_read(value->items[i], &network_table, network, reading, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- a service's ---- */

#define AT(member) offsetof(struct project_endpoint, member)
static const struct yaml_field endpoint_fields[] = {
    YAML_VALUE("aliases", TEXTS, AT(aliases)),
    YAML_VALUE("ipv4_address", TEXT, AT(ipv4_address)),
    YAML_VALUE("ipv6_address", TEXT, AT(ipv6_address)),
    YAML_UNSUPPORTED("link_local_ips"),
    YAML_UNSUPPORTED("mac_address"),
    YAML_UNSUPPORTED("driver_opts"),
    YAML_UNSUPPORTED("interface_name"),
    YAML_UNSUPPORTED("priority"),
    YAML_UNSUPPORTED("gw_priority"),
};
#undef AT
static const struct yaml_table endpoint_table =
    YAML_TABLE_WITH_EXTENSIONS("a service's network", endpoint_fields);

static int add_endpoint(struct project_service *service, const struct yaml_node *name,
                        struct project_endpoint **ret, struct error *err) {
    const char *text;
    if (yaml_get_text(name, &text, err) < 0)
        return -1;
    if (service->endpoint_count == NETWORKS_MAX)
        return yaml_error(name, err, "more than %d networks", NETWORKS_MAX);
    for (size_t i = 0; i < service->endpoint_count; i++)
        if (text_equal(service->endpoints[i].network, text))
            return yaml_error(name, err, "network '%.64s' is there twice", text);
    service->endpoints =
        mem_resize(service->endpoints, service->endpoint_count + 1, sizeof *service->endpoints);
    struct project_endpoint *endpoint = &service->endpoints[service->endpoint_count++];
    *endpoint = (struct project_endpoint){.network = text_dup(text)};
    if (ret)
        *ret = endpoint;
    return 0;
}

int read_service_networks(const struct yaml_node *value, void *target, void *reading,
                          struct error *err) {
    struct project_service *service = target;
    if (value->type == YAML_SCALAR)
        return yaml_error(value, err, "'networks' must be a list or a mapping, not %s",
                          yaml_what(value).text);
    for (size_t i = 0; i < value->count; i++) {
        struct project_endpoint *endpoint;
        bool mapping = value->type == YAML_MAPPING;
        if (add_endpoint(service, mapping ? value->keys[i] : value->items[i], &endpoint, err) < 0)
            return -1;
        if (mapping && !yaml_is_null(value->items[i]) &&
            yaml_read(value->items[i], &endpoint_table, endpoint, reading, err) < 0)
            return -1;
    }
    return 0;
}
