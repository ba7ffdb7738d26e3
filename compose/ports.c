/* `ports` and `expose`, short and long. */

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

enum { PORTS_MAX = 1024 }; /* of one service; ranges are spread out */

static const char *const protocols[] = {"tcp", "udp", "sctp", NULL};

struct range {
    uint64_t first; /* 0: none given */
    uint64_t last;
};

/* What one entry asks for. */
struct wanted {
    struct range target;
    struct range published;
    const char *address;  /* NULL: all */
    const char *protocol; /* of `protocols` */
    bool publish;
};

/* "80" or "80-89". */
static int parse_range(const char *text, struct range *ret, struct error *err) {
    const char *dash = strchr(text, '-');
    cleanup_free char *first = dash ? strndup(text, (size_t)(dash - text)) : text_dup(text);
    struct range range;
    if (text_to_u64(first, 1, UINT16_MAX, &range.first, err) < 0)
        return -1;
    range.last = range.first;
    if (dash && text_to_u64(dash + 1, 1, UINT16_MAX, &range.last, err) < 0)
        return -1;
    if (range.last < range.first)
        return error_set(err, ERROR_CONFIG, "'%.64s' ends before it begins", text);
    *ret = range;
    return 0;
}

/* Saying the same twice, in two files for example, says it once. */
static bool is_there(const struct project_service *service, const struct project_port *port) {
    for (size_t i = 0; i < service->port_count; i++) {
        const struct project_port *p = &service->ports[i];
        if (p->target == port->target && p->published == port->published &&
            p->publish == port->publish && text_equal(p->protocol, port->protocol) &&
            text_equal(p->host_address, port->host_address))
            return true;
    }
    return false;
}

/* One port per container port. */
static int add_ports(struct project_service *service, const struct wanted *w, struct error *err) {
    uint64_t count = w->target.last - w->target.first + 1;
    if (w->published.first && w->published.last - w->published.first + 1 != count)
        return error_set(err, ERROR_CONFIG, "the ranges of both sides must have the same length");
    if (service->port_count + count > PORTS_MAX)
        return error_set(err, ERROR_CONFIG, "more than %d ports", PORTS_MAX);
    service->ports =
        mem_resize(service->ports, service->port_count + count, sizeof *service->ports);
    for (uint64_t i = 0; i < count; i++) {
        struct project_port port = {
            .target = (uint16_t)(w->target.first + i),
            .published = (uint16_t)(w->published.first ? w->published.first + i : 0),
            .publish = w->publish,
            .host_address = text_dup(w->address),
            .protocol = text_dup(w->protocol),
        };
        if (!is_there(service, &port)) {
            service->ports[service->port_count++] = port;
            continue;
        }
        free(port.host_address);
        free(port.protocol);
    }
    return 0;
}

/* Cuts "/udp" off; "tcp" without. */
static int take_protocol(char *text, const char **ret, struct error *err) {
    char *slash = strchr(text, '/');
    *ret = protocols[0];
    if (!slash)
        return 0;
    *slash = '\0';
    for (size_t i = 0; protocols[i]; i++)
        if (text_equal(slash + 1, protocols[i])) {
            *ret = protocols[i];
            return 0;
        }
    return error_set(err, ERROR_CONFIG, "'%.64s' is not a protocol (tcp, udp, sctp)", slash + 1);
}

/* "ADDRESS:PUBLISHED" or "PUBLISHED", where an IPv6 address is in brackets. Cuts `text`. */
static int parse_published(char *text, struct wanted *w, struct error *err) {
    char *colon = strrchr(text, ':');
    if (!colon)
        return parse_range(text, &w->published, err);
    *colon = '\0';
    size_t size = strlen(text);
    bool brackets = *text == '[' && size > 2 && text[size - 1] == ']';
    if (brackets)
        text[size - 1] = '\0';
    w->address = brackets ? text + 1 : text;
    if (!*w->address || (!brackets && strchr(text, ':')))
        return error_set(err, ERROR_CONFIG, "'%.64s' is not an address", text);
    return colon[1] ? parse_range(colon + 1, &w->published, err) : 0;
}

/* "[[ADDRESS:]PUBLISHED:]TARGET[/PROTOCOL]" */
static int read_short(const char *item, struct project_service *service, bool publish,
                      struct error *err) {
    cleanup_free char *text = text_dup(item);
    struct wanted w = {.publish = publish};
    if (take_protocol(text, &w.protocol, err) < 0)
        return -1;
    char *colon = publish ? strrchr(text, ':') : NULL;
    if (colon)
        *colon = '\0';
    if (parse_range(colon ? colon + 1 : text, &w.target, err) < 0 ||
        (colon && parse_published(text, &w, err) < 0))
        return -1;
    return add_ports(service, &w, err);
}

/* ---- the long form ---- */

struct long_port {
    int64_t target;
    char *published;
    char *address;
    char *name;
    char *app_protocol;
    int mode;
    int protocol;
};

static void long_port_deinit(struct long_port *p) {
    free(p->published);
    free(p->address);
    free(p->name);
    free(p->app_protocol);
}

static const char *const modes[] = {"ingress", "host", NULL};

#define AT(member) offsetof(struct long_port, member)
static const struct yaml_field long_fields[] = {
    YAML_INT_VALUE("target", AT(target), 1, UINT16_MAX),
    YAML_VALUE("published", SCALAR, AT(published)),
    YAML_VALUE("host_ip", TEXT, AT(address)),
    YAML_CHOICE_VALUE("protocol", AT(protocol), protocols),
    /* On one engine both are the same. */
    YAML_CHOICE_VALUE("mode", AT(mode), modes),
    YAML_VALUE("name", TEXT, AT(name)), /* for people */
    YAML_VALUE("app_protocol", TEXT, AT(app_protocol)),
};
#undef AT
static const struct yaml_table long_table = YAML_TABLE_WITH_EXTENSIONS("a port", long_fields);

static int read_long(const struct yaml_node *item, struct project_service *service,
                     struct error *err) {
    cleanup(long_port_deinit) struct long_port p = {.target = 0};
    if (yaml_read(item, &long_table, &p, NULL, err) < 0)
        return -1;
    if (!p.target)
        return yaml_error(item, err, "a port needs a 'target'");
    struct wanted w = {
        .target = {.first = (uint64_t)p.target, .last = (uint64_t)p.target},
        .address = p.address,
        .protocol = protocols[p.protocol],
        .publish = true,
    };
    if ((p.published && parse_range(p.published, &w.published, err) < 0) ||
        add_ports(service, &w, err) < 0)
        return yaml_error_at(item, err);
    return 0;
}

static int read_item(const struct yaml_node *item, struct project_service *service, bool publish,
                     struct error *err) {
    if (publish && item->type == YAML_MAPPING)
        return read_long(item, service, err);
    cleanup_free char *text = NULL;
    if (yaml_get_scalar(item, &text, err) < 0)
        return -1;
    if (read_short(text, service, publish, err) < 0) {
        error_wrap(err, "port '%.64s'", text);
        return yaml_error_at(item, err);
    }
    return 0;
}

static int read_all(const struct yaml_node *value, struct project_service *service, bool publish,
                    struct error *err) {
    if (yaml_want(value, YAML_SEQUENCE, err) < 0)
        return -1;
    for (size_t i = 0; i < value->count; i++)
        if (read_item(value->items[i], service, publish, err) < 0)
            return -1;
    return 0;
}

int read_ports(const struct yaml_node *value, void *service, void *reading, struct error *err) {
    (void)reading;
    return read_all(value, service, true, err);
}

int read_expose(const struct yaml_node *value, void *service, void *reading, struct error *err) {
    (void)reading;
    return read_all(value, service, false, err);
}
