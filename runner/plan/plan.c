#include "runner/plan/plan.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/plan/order.h"
#include "runner/plan/place.h"
#include "runner/plan/remote.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void plan_free(struct plan *plan) {
    for (size_t i = 0; i < plan->host_count; i++) {
        free(plan->hosts[i].name);
        free(plan->hosts[i].address);
    }
    for (size_t i = 0; i < plan->image_count; i++) {
        free(plan->images[i].reference);
        free(plan->images[i].context);
        free(plan->images[i].remote);
    }
    for (size_t i = 0; i < plan->container_count; i++) {
        free(plan->containers[i].name);
        free(plan->containers[i].ports);
        free(plan->containers[i].outputs);
    }
    for (size_t i = 0; i < plan->step_count; i++)
        free(plan->steps[i].after);
    free(plan->hosts);
    free(plan->images);
    free(plan->containers);
    free(plan->steps);
    free(plan->run);
    free(plan->name);
    free(plan->loader_args);
    free(plan);
}

static bool is_built(const struct plan *plan, const struct project_service *service) {
    bool left_out = service->seatrial.role == PROJECT_ROLE_LOADER ? plan->options.no_build_loader
                                                                  : plan->options.no_build_replica;
    return service->build && !left_out && !plan->options.frozen;
}

/* Of services with one image, the first that is built, else the first that could be, says how. */
static int says_more(const struct plan *plan, const struct project_service *service) {
    return is_built(plan, service) ? 2 : service->build ? 1 : 0;
}

static size_t add_image(struct plan *plan, const struct project_service *service) {
    for (size_t i = 0; i < plan->image_count; i++)
        if (text_equal(plan->images[i].reference, service->image)) {
            if (says_more(plan, service) > says_more(plan, plan->images[i].service))
                plan->images[i].service = service;
            return i;
        }
    plan->images[plan->image_count] = (struct plan_image){
        .reference = text_dup(service->image),
        .service = service,
    };
    return plan->image_count++;
}

/* Through the registry, if there is one and it has to be brought to other machines. */
static int settle_remote(const struct plan *plan, struct plan_image *image, struct error *err) {
    bool loader = image->service->seatrial.role == PROJECT_ROLE_LOADER;
    image->no_push = loader ? plan->options.no_push_loader : plan->options.no_push_replica;
    return image->carried && plan->options.mode == PLAN_TRIAL
               ? plan_remote_name(plan->deployment, image->reference, &image->remote, err)
               : 0;
}

static int settle_images(struct plan *plan, struct error *err) {
    for (size_t i = 0; i < plan->image_count; i++) {
        struct plan_image *image = &plan->images[i];
        image->build = is_built(plan, image->service);
        image->carried =
            plan->deployment->testbed.provider != DEPLOYMENT_LOCAL && image->service->build;
        if (image->build)
            image->context = project_build_context(plan->project, image->service,
                                                   plan->deployment->local.concord_root);
        if (settle_remote(plan, image, err) < 0)
            return -1;
    }
    return 0;
}

static int set_ports(struct plan_container *c, struct error *err) {
    const struct project_seatrial *x = &c->service->seatrial;
    c->ports = mem_new_array(struct plan_port, x->port_count);
    c->port_count = x->port_count;
    for (size_t i = 0; i < x->port_count; i++) {
        size_t port = x->ports[i].first + c->slot;
        if (port > UINT16_MAX)
            return error_set(err, ERROR_CONFIG,
                             "service '%s': port '%s' of container %zu would be %zu, above 65535",
                             c->service->name, x->ports[i].name, c->number, port);
        c->ports[i] = (struct plan_port){.name = x->ports[i].name, .port = (uint16_t)port};
    }
    return 0;
}

/* A loader that is started by hand has a name of its own: there may be several after each other. */
static char *container_name(const struct plan *plan, const struct project_service *service,
                            int64_t number) {
    if (plan->options.mode == PLAN_LOAD && service->seatrial.role == PROJECT_ROLE_LOADER)
        return service->replicas == 1
                   ? text_format("%s-%s-by-hand", plan->project->name, service->name)
                   : text_format("%s-%s-by-hand-%" PRId64, plan->project->name, service->name,
                                 number);
    return service->container_name
               ? text_dup(service->container_name)
               : text_format("%s-%s-%" PRId64, plan->project->name, service->name, number);
}

static void add_containers(struct plan *plan, const struct project_service *service,
                           size_t *role_index) {
    size_t image = add_image(plan, service);
    for (int64_t n = 1; n <= service->replicas; n++) {
        plan->containers =
            mem_resize(plan->containers, plan->container_count + 1, sizeof *plan->containers);
        plan->containers[plan->container_count++] = (struct plan_container){
            .name = container_name(plan, service, n),
            .service = service,
            .number = (size_t)n,
            .index = (*role_index)++,
            .image = image,
            .network_of = PLAN_NONE,
        };
    }
}

/* Marks what `service` waits for, and what that waits for, by index. */
static void mark_needed(const struct project *project, const struct project_service *service,
                        bool *needed) {
    needed[service - project->services] = true;
    for (size_t n = project->service_count; n-- > 0;) {
        const struct project_service *s = &project->services[project->start_order[n]];
        for (size_t i = 0; needed[s - project->services] && i < s->dependency_count; i++)
            needed[project_service(project, s->dependencies[i].service) - project->services] = true;
    }
    needed[service - project->services] = false;
}

static void settle_outputs_of(struct plan *plan, struct plan_container *c) {
    const struct project *project = plan->project;
    bool prepare = c->service->seatrial.role == PROJECT_ROLE_PREPARE;
    cleanup_free bool *needed = mem_new_array(bool, project->service_count);
    size_t capacity = 0;
    mark_needed(project, c->service, needed);
    for (size_t k = 0; k < plan->container_count; k++) {
        const struct project_service *from = plan->containers[k].service;
        if (!from->seatrial.output || (prepare && !needed[from - project->services]))
            continue;
        mem_grow(c->outputs, c->output_count, capacity);
        c->outputs[c->output_count++] = k;
    }
}

/* Prepare services run side by side, so one is only given what it waits for. */
static void settle_outputs(struct plan *plan) {
    bool any = false;
    for (size_t i = 0; i < plan->project->service_count; i++)
        any = any || plan->project->services[i].seatrial.output;
    for (size_t i = 0; any && i < plan->container_count; i++)
        settle_outputs_of(plan, &plan->containers[i]);
}

static int check_port_clash(const struct plan_container *a, const struct plan_container *b,
                            struct error *err) {
    for (size_t i = 0; i < a->port_count; i++)
        for (size_t k = 0; k < b->port_count; k++)
            if (a->ports[i].port == b->ports[k].port)
                return error_set(err, ERROR_CONFIG,
                                 "port %u is port '%s' of %s and port '%s' of %s, on one host",
                                 a->ports[i].port, a->ports[i].name, a->name, b->ports[k].name,
                                 b->name);
    return 0;
}

/* What prepare services listened on is free again when the others start. */
static bool run_together(const struct plan_container *a, const struct plan_container *b) {
    return (a->service->seatrial.role == PROJECT_ROLE_PREPARE) ==
           (b->service->seatrial.role == PROJECT_ROLE_PREPARE);
}

static int check_ports(const struct plan *plan, struct error *err) {
    for (size_t i = 0; i < plan->container_count; i++) {
        const struct plan_container *a = &plan->containers[i];
        if (a->port_count == 0 || !plan_on_host_network(plan, a))
            continue;
        for (size_t k = i + 1; k < plan->container_count; k++) {
            const struct plan_container *b = &plan->containers[k];
            if (a->host == b->host && run_together(a, b) && plan_on_host_network(plan, b) &&
                check_port_clash(a, b, err) < 0)
                return -1;
        }
    }
    return 0;
}

bool plan_on_host_network(const struct plan *plan, const struct plan_container *c) {
    while (c->network_of != PLAN_NONE)
        c = &plan->containers[c->network_of];
    return text_equal(c->service->network_mode, "host");
}

static int check_roles(const struct plan *plan, struct error *err) {
    if (plan_role_count(plan, PROJECT_ROLE_REPLICA) == 0) {
        error_set(err, ERROR_CONFIG,
                  "project '%s' has no service with `x-seatrial: {role: replica}`",
                  plan->project->name);
        return error_hint(err, "say which service is the system under test");
    }
    size_t loaders = plan_role_count(plan, PROJECT_ROLE_LOADER);
    bool needed =
        plan->options.mode == PLAN_LOAD || (plan->options.mode == PLAN_TRIAL &&
                                            !plan->options.no_load && !plan->options.machines_only);
    if (loaders == 0 && needed) {
        error_set(err, ERROR_CONFIG,
                  "project '%s' has no service with `x-seatrial: {role: loader}`",
                  plan->project->name);
        return error_hint(err, "add one, or start only the replicas with --no-load");
    }
    if (loaders > PLAN_LOADERS_MAX)
        return error_set(err, ERROR_CONFIG, "project '%s' has %zu loaders, %d are the most",
                         plan->project->name, loaders, PLAN_LOADERS_MAX);
    return 0;
}

/* ---- hosts ---- */

static void add_host(struct plan *plan, const char *name, const char *address,
                     const struct deployment_host *deployment) {
    plan->hosts[plan->host_count++] = (struct plan_host){.name = text_dup(name),
                                                         .address = text_dup(address),
                                                         .deployment = deployment,
                                                         .files_image = PLAN_NONE};
}

/* What is said, else what is known, else what stands in `ssh`. */
static const char *address_of(const struct deployment_host *host, const char *resolved) {
    return host->address ? host->address : resolved ? resolved : host->ssh_host;
}

static int check_address(const struct plan *plan, const struct plan_host *host, struct error *err) {
    const struct project_place *at = &host->deployment->place;
    if (!deployment_is_address(host->address)) {
        error_set(err, ERROR_CONFIG,
                  "%s:%u:%u: host '%s' has an address that cannot be one: "
                  "'%.64s'",
                  at->file, at->line, at->column, host->name, host->address);
        return error_hint(err, "say with 'address' where containers of other hosts reach it");
    }
    for (const struct plan_host *other = plan->hosts; other < host; other++)
        if (text_equal(other->address, host->address)) {
            error_set(err, ERROR_CONFIG,
                      "%s:%u:%u: hosts '%s' and '%s' (line %u) have the same "
                      "address '%s'",
                      at->file, at->line, at->column, host->name, other->name,
                      other->deployment->place.line, host->address);
            return error_hint(err, "say with 'address' where containers of other hosts reach each");
        }
    return 0;
}

static int add_hosts(struct plan *plan, const char *const *addresses, struct error *err) {
    const struct deployment *d = plan->deployment;
    plan->hosts = mem_new_array(struct plan_host, d->testbed.host_count + 1); /* the builder */
    plan->builder = PLAN_NONE;
    if (d->testbed.provider == DEPLOYMENT_LOCAL) {
        add_host(plan, "local", "127.0.0.1", NULL);
        plan->builder = 0;
        return 0;
    }
    for (size_t i = 0; i < d->testbed.host_count; i++) {
        const struct deployment_host *host = &d->testbed.hosts[i];
        add_host(plan, host->name, address_of(host, addresses ? addresses[i] : NULL), host);
        if (check_address(plan, &plan->hosts[i], err) < 0)
            return -1;
    }
    return 0;
}

/* This machine takes part where it has to build or to find an image. */
static void add_builder(struct plan *plan) {
    bool makes = plan->options.mode == PLAN_TRIAL && !plan->options.machines_only;
    bool carried = false;
    for (size_t i = 0; i < plan->image_count; i++)
        carried = carried || plan->images[i].carried;
    if (!makes || !carried || plan->builder != PLAN_NONE)
        return;
    plan->builder = plan->host_count;
    add_host(plan, "builder", "127.0.0.1", NULL);
}

/* ---- the whole ---- */

static int fill(struct plan *plan, const char *const *addresses, struct error *err) {
    size_t role_indices[PROJECT_ROLE_LOADER + 1] = {0};
    if (add_hosts(plan, addresses, err) < 0)
        return -1;
    for (size_t i = 0; i < plan->project->service_count; i++) {
        const struct project_service *service = &plan->project->services[i];
        add_containers(plan, service, &role_indices[service->seatrial.role]);
    }
    settle_outputs(plan);
    if (settle_images(plan, err) < 0 || check_roles(plan, err) < 0 || plan_place(plan, err) < 0)
        return -1;
    for (size_t i = 0; i < plan->container_count; i++)
        if (set_ports(&plan->containers[i], err) < 0)
            return -1;
    if (plan_check_reach(plan, err) < 0 || check_ports(plan, err) < 0)
        return -1;
    add_builder(plan);
    return 0;
}

int plan_make(const struct project *project, const struct deployment *deployment,
              const struct plan_options *options, struct plan **ret, struct error *err) {
    cleanup(plan_freep) struct plan *plan = mem_new(struct plan);
    const char *args = options->loader_args ? options->loader_args : deployment->general.loader_cli;
    *plan = (struct plan){
        .project = project,
        .deployment = deployment,
        .run = text_dup(options->run),
        .name = text_dup(deployment->name ? deployment->name : project->name),
        .loader_args = text_dup(args),
        .options = *options,
        .images = mem_new_array(struct plan_image, project->service_count),
    };
    plan->options.run = plan->run;
    plan->options.loader_args = plan->loader_args;
    plan->options.addresses = NULL; /* they are in the hosts */
    if (fill(plan, options->addresses, err) < 0)
        return -1;
    plan_order_steps(plan);
    *ret = take_ptr(plan);
    return 0;
}

const char *plan_subject(const struct plan *plan, const struct step *step) {
    switch (step_subject(step->kind)) {
    case SUBJECT_HOST: return plan->hosts[step->subject].name;
    case SUBJECT_IMAGE: return plan->images[step->subject].reference;
    case SUBJECT_NETWORK: return plan->project->networks[step->subject].name;
    case SUBJECT_VOLUME: return plan->project->volumes[step->subject].name;
    case SUBJECT_CONTAINER: break;
    }
    return plan->containers[step->subject].name;
}

bool plan_is_rest(const struct plan *plan) {
    return plan->options.mode == PLAN_COLLECT || plan->options.mode == PLAN_DOWN;
}

bool plan_is_left(const struct plan *plan) {
    return plan->options.no_load && plan->options.detach;
}

bool plan_command_wants(const struct plan *plan, const struct deployment_command *command,
                        size_t container) {
    const struct project_service *service = plan->containers[container].service;
    return service->seatrial.role != PROJECT_ROLE_PREPARE &&
           deployment_command_wants(command, service->name, service->seatrial.role);
}

size_t plan_role_count(const struct plan *plan, enum project_role role) {
    size_t count = 0;
    for (size_t i = 0; i < plan->container_count; i++)
        count += plan->containers[i].service->seatrial.role == role;
    return count;
}
