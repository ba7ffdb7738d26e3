#include "runner/plan/plan.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/plan/order.h"

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
    }
    for (size_t i = 0; i < plan->container_count; i++) {
        free(plan->containers[i].name);
        free(plan->containers[i].ports);
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
    return service->build && !left_out;
}

static size_t add_image(struct plan *plan, const struct project_service *service) {
    for (size_t i = 0; i < plan->image_count; i++)
        if (text_equal(plan->images[i].reference, service->image)) {
            if (!plan->images[i].build && is_built(plan, service))
                plan->images[i].service = service;
            return i;
        }
    plan->images[plan->image_count] = (struct plan_image){
        .reference = text_dup(service->image),
        .service = service,
    };
    return plan->image_count++;
}

static void settle_images(struct plan *plan) {
    for (size_t i = 0; i < plan->image_count; i++) {
        struct plan_image *image = &plan->images[i];
        image->build = is_built(plan, image->service);
        if (image->build)
            image->context = project_build_context(plan->project, image->service,
                                                   plan->deployment->local.concord_root);
    }
}

static int set_ports(struct plan_container *c, struct error *err) {
    const struct project_seatrial *x = &c->service->seatrial;
    c->ports = mem_new_array(struct plan_port, x->port_count);
    c->port_count = x->port_count;
    for (size_t i = 0; i < x->port_count; i++) {
        size_t port = x->ports[i].first + (c->number - 1); /* one host: slot and number are one */
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
        return text_format("%s-%s-by-hand", plan->project->name, service->name);
    return service->container_name
               ? text_dup(service->container_name)
               : text_format("%s-%s-%" PRId64, plan->project->name, service->name, number);
}

static int add_containers(struct plan *plan, const struct project_service *service,
                          size_t *role_index, struct error *err) {
    size_t image = add_image(plan, service);
    for (int64_t n = 1; n <= service->replicas; n++) {
        plan->containers =
            mem_resize(plan->containers, plan->container_count + 1, sizeof *plan->containers);
        struct plan_container *c = &plan->containers[plan->container_count++];
        *c = (struct plan_container){
            .name = container_name(plan, service, n),
            .service = service,
            .number = (size_t)n,
            .index = (*role_index)++,
            .image = image,
            .network_of = PLAN_NONE,
        };
        if (set_ports(c, err) < 0)
            return -1;
    }
    return 0;
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

static bool host_network(const struct plan_container *c) {
    return text_equal(c->service->network_mode, "host");
}

static int check_ports(const struct plan *plan, struct error *err) {
    for (size_t i = 0; i < plan->container_count; i++)
        for (size_t k = i + 1; host_network(&plan->containers[i]) && k < plan->container_count; k++)
            if (host_network(&plan->containers[k]) &&
                check_port_clash(&plan->containers[i], &plan->containers[k], err) < 0)
                return -1;
    return 0;
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
    if (loaders > 1)
        return error_set(err, ERROR_CONFIG,
                         "project '%s' has %zu loaders: more than one is not supported yet",
                         plan->project->name, loaders);
    return 0;
}

int plan_make(const struct project *project, const struct deployment *deployment,
              const struct plan_options *options, struct plan **ret, struct error *err) {
    if (deployment->testbed.provider != DEPLOYMENT_LOCAL)
        return error_set(err, ERROR_CONFIG, "provider 'hosts' cannot be planned for yet");
    cleanup(plan_freep) struct plan *plan = mem_new(struct plan);
    const char *args = options->loader_args ? options->loader_args : deployment->general.loader_cli;
    *plan = (struct plan){
        .project = project,
        .deployment = deployment,
        .run = text_dup(options->run),
        .name = text_dup(deployment->name ? deployment->name : project->name),
        .loader_args = text_dup(args),
        .options = *options,
        .hosts = mem_new_array(struct plan_host, 1),
        .host_count = 1,
        .images = mem_new_array(struct plan_image, project->service_count),
    };
    plan->options.run = plan->run;
    plan->options.loader_args = plan->loader_args;
    plan->hosts[0] = (struct plan_host){
        .name = text_dup("local"), .address = text_dup("127.0.0.1"), .used = true};
    plan->builder = 0;

    size_t role_indices[PROJECT_ROLE_LOADER + 1] = {0};
    for (size_t i = 0; i < project->service_count; i++) {
        const struct project_service *service = &project->services[i];
        if (add_containers(plan, service, &role_indices[service->seatrial.role], err) < 0)
            return -1;
    }
    settle_images(plan);
    if (check_roles(plan, err) < 0 || check_ports(plan, err) < 0)
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

size_t plan_role_count(const struct plan *plan, enum project_role role) {
    size_t count = 0;
    for (size_t i = 0; i < plan->container_count; i++)
        count += plan->containers[i].service->seatrial.role == role;
    return count;
}

/* Where others of the trial reach it: by the host's address, or by name in a network of ours. */
static const char *address_of(const struct plan *plan, const struct plan_container *c) {
    return host_network(c) ? plan->hosts[c->host].address : c->name;
}

void plan_write_cluster(const struct plan *plan, struct buffer *out) {
    buffer_format(out, "run: \"%s\"\nproject: \"%s\"\ncontainers:\n", plan->run,
                  plan->project->name);
    for (size_t i = 0; i < plan->container_count; i++) {
        const struct plan_container *c = &plan->containers[i];
        buffer_format(out,
                      "  - {name: \"%s\", service: \"%s\", role: %s, index: %zu, host: \"%s\", "
                      "address: \"%s\", ports: {",
                      c->name, c->service->name, project_role_name(c->service->seatrial.role),
                      c->index, plan->hosts[c->host].name, address_of(plan, c));
        for (size_t k = 0; k < c->port_count; k++)
            buffer_format(out, "%s\"%s\": %u", k ? ", " : "", c->ports[k].name, c->ports[k].port);
        buffer_text(out, "}}\n");
    }
}

static void write_after(const struct step *step, struct buffer *out) {
    enum { SHOWN = 6 };
    for (size_t i = 0; i < step->after_count && i < SHOWN; i++)
        buffer_format(out, "%s%zu", i ? "," : "  after ", step->after[i] + 1);
    if (step->after_count > SHOWN)
        buffer_format(out, ",… (%zu)", step->after_count);
}

void plan_write_text(const struct plan *plan, struct buffer *out) {
    static const char *const when[] = {
        [STEP_FORWARD] = "",
        [STEP_CLEANUP] = "  always",
        [STEP_CLEANUP_ON_FAILURE] = "  if the trial fails",
    };
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        buffer_format(out, "%4zu  %-8s %-18s %-8s %s", i + 1, stage_name(step->stage),
                      step_kind_name(step->kind), plan->hosts[step->host].name,
                      plan_subject(plan, step));
        if (step->kind == STEP_BUILD_IMAGE)
            buffer_format(out, " from %s", plan->images[step->subject].context);
        if (step->kind == STEP_CREATE_CONTAINER)
            buffer_format(out, " of %s",
                          plan->images[plan->containers[step->subject].image].reference);
        write_after(step, out);
        buffer_format(out, "%s\n", when[step->when]);
    }
}
