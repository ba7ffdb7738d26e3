/* What must be true of a project as a whole, and the order in which its services start. */

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

#define place_error(place, err, format, ...)                                                       \
    error_set(err, ERROR_CONFIG, "%s:%u:%u: " format, (place)->file, (place)->line,                \
              (place)->column, __VA_ARGS__)

/* ---- names of services ---- */

static int no_service(const struct project *project, const struct project_place *place,
                      const char *name, struct error *err) {
    cleanup_free const char **names = mem_new_array(const char *, project->service_count);
    for (size_t i = 0; i < project->service_count; i++)
        names[i] = project->services[i].name;
    const char *nearest = text_nearest(name, names, project->service_count);
    if (nearest)
        return place_error(place, err, "there is no service '%.64s'; did you mean '%s'?", name,
                           nearest);
    return place_error(place, err, "there is no service '%.64s'", name);
}

static void drop_dependency(struct project_service *service, size_t index) {
    free(service->dependencies[index].service);
    service->dependency_count--;
    memmove(service->dependencies + index, service->dependencies + index + 1,
            (service->dependency_count - index) * sizeof *service->dependencies);
}

static int check_dependencies(struct project *project, struct project_service *service,
                              struct error *err) {
    for (size_t i = 0; i < service->dependency_count;) {
        const struct project_dependency *d = &service->dependencies[i];
        const struct project_service *other = project_service(project, d->service);
        if (!other && d->optional) {
            drop_dependency(service, i);
            continue;
        }
        if (!other)
            return no_service(project, &d->place, d->service, err);
        if (service->seatrial.role == PROJECT_ROLE_REPLICA &&
            other->seatrial.role == PROJECT_ROLE_LOADER)
            return place_error(&d->place, err,
                               "replica '%s' cannot wait for loader '%s': loaders start when all "
                               "replicas are healthy",
                               service->name, other->name);
        if (check_prepare_dependency(service, other, d, err) < 0)
            return -1;
        i++;
    }
    return 0;
}

/* "service:NAME" needs that service, and that it starts first. */
static int check_network_mode(struct project *project, struct project_service *service,
                              struct error *err) {
    if (!service->network_mode)
        return 0;
    if (service->endpoint_count)
        return place_error(&service->place, err,
                           "service '%s' has both 'network_mode' and 'networks'", service->name);
    if (!text_starts(service->network_mode, "service:")) {
        if (service->port_count && !text_equal(service->network_mode, "bridge"))
            project_warn(project, service->place,
                         "'ports' of service '%s' have no effect with network_mode '%s'",
                         service->name, service->network_mode);
        return 0;
    }
    const char *name = service->network_mode + strlen("service:");
    if (!project_service(project, name))
        return no_service(project, &service->place, name, err);
    if (service->port_count)
        return place_error(&service->place, err,
                           "service '%s' has 'ports', but its network is that of '%s'",
                           service->name, name);
    for (size_t i = 0; i < service->dependency_count; i++)
        if (text_equal(service->dependencies[i].service, name))
            return 0;
    service->dependencies = mem_resize(service->dependencies, service->dependency_count + 1,
                                       sizeof *service->dependencies);
    service->dependencies[service->dependency_count++] =
        (struct project_dependency){.service = text_dup(name), .place = service->place};
    return 0;
}

/* ---- things that only one container can have ---- */

static int check_single(const struct project_service *service, struct error *err) {
    if (service->replicas <= 1)
        return 0;
    const char *what = service->container_name ? "container_name" : NULL;
    for (size_t i = 0; i < service->endpoint_count; i++)
        if (service->endpoints[i].ipv4_address || service->endpoints[i].ipv6_address)
            what = "an address of its own";
    if (!what)
        return 0;
    return place_error(&service->place, err,
                       "service '%s' has %s, which only one container can have, and %lld replicas",
                       service->name, what, (long long)service->replicas);
}

/* Slots of one host take consecutive ports from each first one on. */
static int check_named_ports(const struct project_service *service, struct error *err) {
    const struct project_seatrial *x = &service->seatrial;
    int64_t slots = x->per_host < service->replicas ? x->per_host : service->replicas;
    for (size_t i = 0; i < x->port_count; i++) {
        if (x->ports[i].first + slots - 1 > UINT16_MAX)
            return place_error(&service->place, err,
                               "port '%s' of service '%s': %lld containers on a host from %u on "
                               "need ports above 65535",
                               x->ports[i].name, service->name, (long long)slots,
                               x->ports[i].first);
        for (size_t j = 0; j < i; j++)
            if (llabs((long long)x->ports[i].first - x->ports[j].first) < slots)
                return place_error(&service->place, err,
                                   "ports '%s' and '%s' of service '%s' are closer than the %lld "
                                   "containers on a host need",
                                   x->ports[j].name, x->ports[i].name, service->name,
                                   (long long)slots);
    }
    return 0;
}

/* ---- networks ---- */

static int no_network(const struct project *project, const struct project_service *service,
                      const char *name, struct error *err) {
    cleanup_free const char **names = mem_new_array(const char *, project->network_count);
    for (size_t i = 0; i < project->network_count; i++)
        names[i] = project->networks[i].key;
    const char *nearest = text_nearest(name, names, project->network_count);
    return place_error(&service->place, err, "service '%s': there is no network '%.64s'%s%s%s",
                       service->name, name, nearest ? "; did you mean '" : "",
                       nearest ? nearest : "", nearest ? "'?" : "");
}

static void add_default_network(struct project *project) {
    project->networks =
        mem_resize(project->networks, project->network_count + 1, sizeof *project->networks);
    project->networks[project->network_count++] = (struct project_network){
        .key = text_dup("default"), .place = {.file = project->files[0], .line = 1, .column = 1}};
}

static int check_endpoints(struct project *project, struct project_service *service,
                           struct error *err) {
    if (!service->network_mode && service->endpoint_count == 0) {
        service->endpoints = mem_new(struct project_endpoint);
        service->endpoints->network = text_dup("default");
        service->endpoint_count = 1;
    }
    for (size_t i = 0; i < service->endpoint_count; i++) {
        const char *name = service->endpoints[i].network;
        if (project_network(project, name))
            continue;
        if (!text_equal(name, "default"))
            return no_network(project, service, name, err);
        add_default_network(project);
    }
    return 0;
}

static bool is_used(const struct project *project, const char *network) {
    for (size_t i = 0; i < project->service_count; i++)
        for (size_t j = 0; j < project->services[i].endpoint_count; j++)
            if (text_equal(project->services[i].endpoints[j].network, network))
                return true;
    return false;
}

static void keep_used_networks(struct project *project) {
    for (size_t i = 0; i < project->network_count;) {
        struct project_network *network = &project->networks[i];
        if (!is_used(project, network->key)) {
            project_drop_network(project, i);
            continue;
        }
        if (!network->name)
            network->name = text_format("%s_%s", project->name, network->key);
        i++;
    }
}

/* ---- the order of start ---- */

struct ordering {
    const struct project *project;
    enum mark { MARK_NEW, MARK_OPEN, MARK_DONE } * marks;
    size_t *path; /* services that wait for each other, from the first asked for */
    size_t depth;
    size_t *order;
    size_t count;
    struct error *err;
};

static int circle(const struct ordering *o, size_t again, const struct project_place *place) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, ERROR_TEXT_MAX / 2);
    size_t from = 0;
    while (o->path[from] != again)
        from++;
    for (; from < o->depth; from++)
        buffer_format(&text, "%s -> ", o->project->services[o->path[from]].name);
    buffer_text(&text, o->project->services[again].name);
    return place_error(place, o->err, "services wait for each other: %s", buffer_string(&text));
}

/* Depth first, in the order of the file: at most PROJECT_SERVICES_MAX deep. */
static int visit(struct ordering *o, size_t index) {
    const struct project_service *service = &o->project->services[index];
    o->marks[index] = MARK_OPEN;
    o->path[o->depth++] = index;
    for (size_t i = 0; i < service->dependency_count; i++) {
        const struct project_dependency *d = &service->dependencies[i];
        size_t other = (size_t)(project_service(o->project, d->service) - o->project->services);
        if (o->marks[other] == MARK_OPEN)
            return circle(o, other, &d->place);
        if (o->marks[other] == MARK_NEW && visit(o, other) < 0)
            return -1;
    }
    o->depth--;
    o->marks[index] = MARK_DONE;
    o->order[o->count++] = index;
    return 0;
}

static int find_order(struct project *project, struct error *err) {
    size_t count = project->service_count;
    project->start_order = mem_new_array(size_t, count);
    cleanup_free enum mark *marks = mem_new_array(enum mark, count);
    cleanup_free size_t *path = mem_new_array(size_t, count);
    struct ordering o = {.project = project,
                         .marks = marks,
                         .path = path,
                         .order = project->start_order,
                         .err = err};
    for (size_t i = 0; i < count; i++)
        if (marks[i] == MARK_NEW && visit(&o, i) < 0)
            return -1;
    return 0;
}

static int check_service(struct project *project, struct project_service *service,
                         struct error *err) {
    if (check_dependencies(project, service, err) < 0 ||
        check_network_mode(project, service, err) < 0 || check_single(service, err) < 0 ||
        check_named_ports(service, err) < 0 || check_mounted_volumes(project, service, err) < 0)
        return -1;
    return check_endpoints(project, service, err);
}

int check_project(struct project *project, struct error *err) {
    for (size_t i = 0; i < project->service_count; i++)
        if (check_service(project, &project->services[i], err) < 0)
            return -1;
    if (check_prepare(project, err) < 0)
        return -1;
    keep_used_networks(project);
    keep_mounted_volumes(project);
    return find_order(project, err);
}

int project_set_replicas(struct project *project, const char *service, int64_t replicas,
                         struct error *err) {
    struct project_service *s =
        &project->services[project_service(project, service) - project->services];
    int64_t before = s->replicas;
    s->replicas = replicas;
    if (check_single(s, err) == 0 && check_named_ports(s, err) == 0)
        return 0;
    s->replicas = before;
    return -1;
}
