/* A plan as text: for containers (cluster.yaml) and for people. */

#include "runner/plan/plan.h"

#include <string.h>

/* Where others of the trial reach it: by the host's address, or by name in a network of ours. */
static const char *address_of(const struct plan *plan, const struct plan_container *c) {
    return plan_on_host_network(plan, c) ? plan->hosts[c->host].address : c->name;
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

/* Hosts that are not this machine, and what runs on them. */
static void write_hosts(const struct plan *plan, struct buffer *out) {
    enum { SHOWN = 6 };
    for (size_t i = 0; i < plan->host_count; i++) {
        const struct plan_host *host = &plan->hosts[i];
        if (!host->deployment) {
            buffer_format(out, "host %s (this machine): makes images ready\n", host->name);
            continue;
        }
        if (plan->deployment->testbed.provider == DEPLOYMENT_EC2) /* where it is, is found later */
            buffer_format(out, "host %s (fleet %s):", host->name, host->deployment->fleet);
        else
            buffer_format(out, "host %s (%s) at %s:", host->name, host->deployment->ssh,
                          host->address);
        size_t shown = 0;
        for (size_t k = 0; k < plan->container_count && shown < SHOWN; k++)
            if (plan->containers[k].host == i)
                buffer_format(out, "%s %s", shown++ ? "," : "", plan->containers[k].name);
        if (host->container_count > SHOWN)
            buffer_format(out, ",… (%zu)", host->container_count);
        buffer_text(out, host->container_count ? "\n" : " nothing\n");
    }
    buffer_text(out, "\n");
}

static int host_width(const struct plan *plan) {
    size_t width = 8;
    for (size_t i = 0; i < plan->host_count; i++)
        if (strlen(plan->hosts[i].name) > width)
            width = strlen(plan->hosts[i].name);
    return (int)width;
}

/* Which ones the step itself runs or begins. */
static void write_commands(const struct plan *plan, const struct step *step, struct buffer *out) {
    bool start = step->kind == STEP_START_COMMANDS;
    const char *before = ":";
    for (size_t k = 0; k < plan->deployment->runtime.command_count; k++) {
        const struct deployment_command *command = &plan->deployment->runtime.commands[k];
        bool here = false, now = start ? command->when == DEPLOYMENT_AT_START ||
                                             command->when == DEPLOYMENT_AT_INTERVAL
                                       : command->when == DEPLOYMENT_AT_END;
        for (size_t i = 0; i < plan->container_count; i++)
            here = here ||
                   (plan->containers[i].host == step->host && plan_command_wants(plan, command, i));
        if (!here || !now || !command->name)
            continue;
        buffer_format(out, "%s %s", before, command->name);
        before = ",";
    }
}

static void write_details(const struct plan *plan, const struct step *step, struct buffer *out) {
    switch (step->kind) {
    case STEP_BUILD_IMAGE:
        buffer_format(out, " from %s", plan->images[step->subject].context);
        break;
    case STEP_TRANSFER_IMAGE:
        buffer_format(out, " from %s", plan->hosts[plan->builder].name);
        break;
    case STEP_CREATE_CONTAINER:
        buffer_format(out, " of %s", plan->images[plan->containers[step->subject].image].reference);
        break;
    case STEP_FETCH_OUTPUT:
        buffer_format(out, ": %s", plan->containers[step->subject].service->seatrial.output);
        break;
    case STEP_START_COMMANDS: write_commands(plan, step, out); break;
    case STEP_STOP_COMMANDS:
        if (!plan_is_rest(plan))
            write_commands(plan, step, out);
        break;
    default: break;
    }
}

void plan_write_text(const struct plan *plan, struct buffer *out) {
    static const char *const when[] = {
        [STEP_FORWARD] = "",
        [STEP_CLEANUP] = "  always",
        [STEP_CLEANUP_ON_FAILURE] = "  if the trial fails",
    };
    int width = host_width(plan);
    if (plan->deployment->testbed.provider != DEPLOYMENT_LOCAL)
        write_hosts(plan, out);
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        buffer_format(out, "%4zu  %-8s %-18s %-*s %s", i + 1, stage_name(step->stage),
                      step_kind_name(step->kind), width, plan->hosts[step->host].name,
                      plan_subject(plan, step));
        write_details(plan, step, out);
        write_after(step, out);
        buffer_format(out, "%s\n", when[step->when]);
    }
}
