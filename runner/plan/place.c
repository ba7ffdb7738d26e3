#include "runner/plan/place.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/plan/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define place_error(service, err, format, ...)                                                     \
    error_set(err, ERROR_CONFIG, "%s:%u:%u: " format, (service)->place.file,                       \
              (service)->place.line, (service)->place.column, __VA_ARGS__)

struct placing {
    struct plan *plan;
    size_t *busy; /* by host: containers of this trial so far */
};

/* ---- pools ---- */

static const char *fleet_of(const struct plan *plan, size_t host) {
    const struct deployment_host *deployment = plan->hosts[host].deployment;
    return deployment ? deployment->fleet : NULL;
}

static bool is_local(const struct plan *plan) {
    return plan->deployment->testbed.provider == DEPLOYMENT_LOCAL;
}

static bool in_pool(const struct plan *plan, size_t host, const struct project_service *service) {
    return is_local(plan) || text_equal(fleet_of(plan, host), service->seatrial.fleet);
}

static size_t pool_size(const struct plan *plan, const struct project_service *service) {
    size_t size = 0;
    for (size_t i = 0; i < plan->host_count; i++)
        size += in_pool(plan, i, service);
    return size;
}

/* "'loaders', 'replicas'" and such, each once. */
static void list_fleets(const struct plan *plan, struct buffer *out) {
    for (size_t i = 0; i < plan->host_count; i++) {
        const char *fleet = fleet_of(plan, i);
        bool seen = !fleet;
        for (size_t k = 0; !seen && k < i; k++)
            seen = text_equal(fleet, fleet_of(plan, k));
        if (!seen)
            buffer_format(out, "%s'%s'", out->size ? ", " : "", fleet);
    }
}

static int no_pool(const struct plan *plan, const struct project_service *service,
                   struct error *err) {
    cleanup(buffer_deinit) struct buffer fleets;
    buffer_init(&fleets, ERROR_TEXT_MAX / 2);
    list_fleets(plan, &fleets);
    const char *fleet = service->seatrial.fleet;
    if (!fleet) {
        place_error(service, err, "service '%s' names no fleet, and every host belongs to one (%s)",
                    service->name, buffer_string(&fleets));
        return error_hint(err, "write `fleet: NAME` under its `x-seatrial`, or list a host without "
                               "a fleet");
    }
    cleanup_free const char **names = mem_new_array(const char *, plan->host_count);
    size_t count = 0;
    for (size_t i = 0; i < plan->host_count; i++)
        if (fleet_of(plan, i))
            names[count++] = fleet_of(plan, i);
    const char *nearest = text_nearest(fleet, names, count);
    place_error(service, err, "service '%s': no host belongs to fleet '%.64s'%s%s%s", service->name,
                fleet, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                nearest ? "'?" : "");
    return error_hint(err, "testbed.hosts of the deployment file says which host belongs to which");
}

static int too_few(const struct plan *plan, const struct project_service *service,
                   struct error *err) {
    size_t hosts = pool_size(plan, service);
    int64_t wanted = service->replicas, each = service->seatrial.per_host;
    const char *fleet = service->seatrial.fleet;
    place_error(service, err,
                "service '%s' wants %" PRId64 " containers, %" PRId64
                " per host, and there %s %zu host%s %s%s%s",
                service->name, wanted, each, hosts == 1 ? "is" : "are", hosts,
                hosts == 1 ? "" : "s", fleet ? "in fleet '" : "without a fleet", fleet ? fleet : "",
                fleet ? "'" : "");
    return error_hint(
        err, "list more hosts, or write `per_host: %" PRId64 "` under `x-seatrial` of service '%s'",
        (wanted + (int64_t)hosts - 1) / (int64_t)hosts, service->name);
}

/* ---- one service ---- */

static size_t count_on(const struct plan *plan, const struct project_service *service, size_t first,
                       size_t end, size_t host) {
    size_t count = 0;
    for (size_t i = first; i < end; i++)
        count += plan->containers[i].service == service && plan->containers[i].host == host;
    return count;
}

/* PLAN_NONE when all of the pool are full. `own`: containers of this service, by host. */
static size_t choose(const struct placing *p, const struct project_service *service,
                     const size_t *own) {
    size_t best = PLAN_NONE;
    for (size_t i = 0; i < p->plan->host_count; i++) {
        bool full = !is_local(p->plan) && own[i] >= (size_t)service->seatrial.per_host;
        if (!in_pool(p->plan, i, service) || full)
            continue;
        if (best == PLAN_NONE || p->busy[i] < p->busy[best])
            best = i;
    }
    return best;
}

static int place_service(struct placing *p, const struct project_service *service,
                         struct error *err) {
    struct plan *plan = p->plan;
    cleanup_free size_t *own = mem_new_array(size_t, plan->host_count);
    if (service->replicas > 0 && pool_size(plan, service) == 0)
        return no_pool(plan, service, err);
    for (size_t i = 0; i < plan->container_count; i++) {
        struct plan_container *c = &plan->containers[i];
        if (c->service != service)
            continue;
        size_t host = choose(p, service, own);
        if (host == PLAN_NONE)
            return too_few(plan, service, err);
        c->host = host;
        c->slot = own[host]++;
        p->busy[host]++;
    }
    return 0;
}

/* ---- services that share a network ---- */

static const struct project_service *network_service(const struct plan *plan,
                                                     const struct project_service *service) {
    static const char prefix[] = "service:";
    if (!service->network_mode || !text_starts(service->network_mode, prefix))
        return NULL;
    return project_service(plan->project, service->network_mode + strlen(prefix));
}

static size_t nth_of(const struct plan *plan, const struct project_service *service,
                     size_t number) {
    for (size_t i = 0; i < plan->container_count; i++)
        if (plan->containers[i].service == service && plan->containers[i].number == number)
            return i;
    return PLAN_NONE;
}

/* Container n shares with container n; one that is alone is shared by all. */
static int share_network(struct plan *plan, const struct project_service *service,
                         struct error *err) {
    const struct project_service *other = network_service(plan, service);
    size_t first = PLAN_NONE;
    for (size_t i = 0; i < plan->container_count; i++) {
        struct plan_container *c = &plan->containers[i];
        if (c->service != service)
            continue;
        if (first == PLAN_NONE)
            first = i;
        c->network_of = nth_of(plan, other, other->replicas == 1 ? 1 : c->number);
        if (c->network_of == PLAN_NONE)
            return place_error(service, err,
                               "container %zu of service '%s' shares the network of service '%s', "
                               "which has %" PRId64 " containers",
                               c->number, service->name, other->name, other->replicas);
        c->host = plan->containers[c->network_of].host;
        c->slot = count_on(plan, service, first, i, c->host);
    }
    return 0;
}

/* ---- the whole ---- */

static int place_role(struct placing *p, enum project_role role, struct error *err) {
    const struct project *project = p->plan->project;
    for (size_t i = 0; i < project->service_count; i++) {
        const struct project_service *service = &project->services[i];
        if (service->seatrial.role == role && !network_service(p->plan, service) &&
            place_service(p, service, err) < 0)
            return -1;
    }
    return 0;
}

int plan_place(struct plan *plan, struct error *err) {
    cleanup_free size_t *busy = mem_new_array(size_t, plan->host_count);
    cleanup_free size_t *prepared = mem_new_array(size_t, plan->host_count);
    struct placing first = {.plan = plan, .busy = prepared}, p = {.plan = plan, .busy = busy};
    if (place_role(&first, PROJECT_ROLE_PREPARE, err) < 0 ||
        place_role(&p, PROJECT_ROLE_REPLICA, err) < 0 ||
        place_role(&p, PROJECT_ROLE_LOADER, err) < 0 ||
        place_role(&p, PROJECT_ROLE_SIDECAR, err) < 0)
        return -1;
    /* In the order of start, since what is shared may itself be shared from another. */
    for (size_t i = 0; i < plan->project->service_count; i++) {
        const struct project_service *service =
            &plan->project->services[plan->project->start_order[i]];
        if (network_service(plan, service) && share_network(plan, service, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < plan->container_count; i++)
        plan->hosts[plan->containers[i].host].container_count++;
    return 0;
}

/* ---- reach ---- */

static bool is_loopback(const char *address) {
    return text_starts(address, "127.") || text_equal(address, "::1") ||
           text_equal(address, "localhost");
}

/* A folder of this machine is not on another; an engine there would make an empty one. */
static int check_binds(const struct plan *plan, const struct plan_container *c, struct error *err) {
    for (size_t i = 0; i < c->service->mount_count; i++) {
        const struct project_mount *m = &c->service->mounts[i];
        if (!m->from_project || !plan->hosts[c->host].deployment)
            continue;
        place_error(c->service, err,
                    "service '%s' mounts '%s', which is on this machine, and runs on host '%s'",
                    c->service->name, m->source, plan->hosts[c->host].name);
        return error_hint(err, "put it into the image or into the output of a prepare service, or "
                               "write an absolute path, which is taken for one of the host");
    }
    return 0;
}

/* Whoever has to be reached from other hosts, or reaches for them, needs its host's network. */
static int check_network(const struct plan *plan, const struct plan_container *c,
                         struct error *err) {
    const struct project_service *service = c->service;
    while (c->network_of != PLAN_NONE)
        c = &plan->containers[c->network_of];
    if (service->seatrial.role == PROJECT_ROLE_SIDECAR ||
        text_equal(c->service->network_mode, "host") ||
        text_equal(c->service->network_mode, "none"))
        return 0;
    place_error(service, err,
                "service '%s' of role %s is on a network of its host alone, and the trial is on "
                "several hosts",
                service->name, project_role_name(service->seatrial.role));
    return error_hint(err, "write `network_mode: host` in it (`none` if it needs no network), and "
                           "name its ports under `x-seatrial.ports`");
}

int plan_check_reach(const struct plan *plan, struct error *err) {
    size_t hosts = 0;
    for (size_t i = 0; i < plan->container_count; i++)
        if (check_binds(plan, &plan->containers[i], err) < 0)
            return -1;
    for (size_t i = 0; i < plan->host_count; i++)
        hosts += plan->hosts[i].container_count > 0;
    if (hosts < 2)
        return 0;
    for (size_t i = 0; i < plan->container_count; i++)
        if (check_network(plan, &plan->containers[i], err) < 0)
            return -1;
    for (size_t i = 0; i < plan->host_count; i++) {
        const struct plan_host *host = &plan->hosts[i];
        if (host->container_count == 0 || !is_loopback(host->address))
            continue;
        const struct project_place *at = &host->deployment->place;
        error_set(err, ERROR_CONFIG,
                  "%s:%u:%u: containers on other hosts cannot reach host '%s' at '%s'", at->file,
                  at->line, at->column, host->name, host->address);
        return error_hint(err, "say with 'address' where they reach it");
    }
    return 0;
}
