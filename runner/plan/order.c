/* What happens to containers, from their creation to their removal. */

#include "runner/plan/order.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>

enum { NONE = STEP_NONE };

long order_add(struct order *o, enum step_kind kind, size_t host, size_t subject) {
    struct plan *plan = o->plan;
    mem_grow(plan->steps, plan->step_count, plan->step_capacity);
    plan->steps[plan->step_count] = (struct step){.kind = kind,
                                                  .stage = step_stage(kind),
                                                  .when = STEP_FORWARD,
                                                  .host = host,
                                                  .subject = subject};
    return (long)plan->step_count++;
}

long order_add_cleanup(struct order *o, enum step_kind kind, size_t host, size_t subject) {
    long step = order_add(o, kind, host, subject);
    o->plan->steps[step].when = plan_is_left(o->plan) ? STEP_CLEANUP_ON_FAILURE : STEP_CLEANUP;
    return step;
}

void order_after(struct order *o, long step, long before) {
    if (before == NONE)
        return;
    struct step *s = &o->plan->steps[step];
    mem_grow(s->after, s->after_count, s->after_capacity);
    s->after[s->after_count++] = (size_t)before;
}

/* A step about a container, on its host. */
static long add_of(struct order *o, enum step_kind kind, size_t container) {
    return order_add(o, kind, o->plan->containers[container].host, container);
}

static long add_cleanup_of(struct order *o, enum step_kind kind, size_t container) {
    return order_add_cleanup(o, kind, o->plan->containers[container].host, container);
}

static void set_stage(struct order *o, long step, enum trial_stage stage) {
    o->plan->steps[step].stage = stage;
}

static enum project_role role(const struct order *o, size_t container) {
    return o->plan->containers[container].service->seatrial.role;
}

static bool is_loader(const struct order *o, size_t container) {
    return role(o, container) == PROJECT_ROLE_LOADER;
}

static bool is_prepare(const struct order *o, size_t container) {
    return role(o, container) == PROJECT_ROLE_PREPARE;
}

/* It is sampled from the first moment on. */
static void add_start_of(struct order *o, size_t container) {
    long step = add_of(o, STEP_START_CONTAINER, container);
    o->of[container].start = step;
    order_after(o, step, o->samples[o->plan->containers[container].host]);
}

/* Without a load the loader's image is made ready all the same, but not its container. */
static bool takes_part(const struct order *o, size_t container) {
    if (o->plan->options.mode == PLAN_LOAD)
        return is_loader(o, container);
    return !(is_loader(o, container) && o->plan->options.no_load);
}

/* Containers that are there from an earlier plan have no step of creation in this one. */
static bool earlier(const struct order *o) {
    return plan_is_rest(o->plan);
}

/* ---- creation ---- */

/* What it is given must be there, and what it depends on (of prepare services) must have ended. */
static void after_outputs(struct order *o, long step, const struct plan_container *c) {
    for (size_t i = 0; i < c->output_count; i++)
        order_after(o, step, o->of[c->outputs[i]].fetch);
}

static void order_creation_of(struct order *o, size_t i) {
    const struct plan_container *c = &o->plan->containers[i];
    long step = add_of(o, STEP_CREATE_CONTAINER, i);
    o->of[i].create = step;
    order_after(o, step, *order_image(o, c->host, c->image));
    order_after(o, step, o->files[c->host]);
    order_after_networks_and_volumes(o, step, c);
    if (c->network_of != PLAN_NONE)
        order_after(o, step, o->of[c->network_of].create);
    after_outputs(o, step, c);
    order_after_checks(o, step);
}

/* ---- prepare services: before any other container is made ---- */

static bool depends(const struct project_service *service, const struct project_service *other) {
    for (size_t i = 0; i < service->dependency_count; i++)
        if (text_equal(service->dependencies[i].service, other->name))
            return true;
    return false;
}

static void order_prepare_of(struct order *o, size_t i) {
    const struct plan_container *c = &o->plan->containers[i];
    struct container_steps *of = &o->of[i];
    order_creation_of(o, i);
    for (size_t k = 0; k < o->plan->container_count; k++)
        if (is_prepare(o, k) && depends(c->service, o->plan->containers[k].service))
            order_after(o, of->create, o->of[k].exit);
    add_start_of(o, i);
    order_after(o, of->start, of->create);
    of->exit = add_of(o, STEP_WAIT_EXIT, i);
    order_after(o, of->exit, of->start);
    if (c->service->seatrial.output) {
        of->fetch = add_of(o, STEP_FETCH_OUTPUT, i);
        order_after(o, of->fetch, of->exit);
    }
    for (size_t step = (size_t)of->create; step < o->plan->step_count; step++)
        set_stage(o, (long)step, STAGE_PREPARE);
}

static void order_prepare(struct order *o) {
    const struct project *project = o->plan->project;
    for (size_t n = 0; n < project->service_count; n++) {
        const struct project_service *service = &project->services[project->start_order[n]];
        for (size_t i = 0; i < o->plan->container_count; i++)
            if (o->plan->containers[i].service == service && is_prepare(o, i))
                order_prepare_of(o, i);
    }
}

static void order_creation(struct order *o) {
    const struct project *project = o->plan->project;
    for (size_t i = 0; i < o->plan->container_count; i++)
        if (takes_part(o, i) && !is_prepare(o, i) && o->plan->containers[i].network_of == PLAN_NONE)
            order_creation_of(o, i);
    /* Whoever shares a network comes after whose it is. */
    for (size_t n = 0; n < project->service_count; n++)
        for (size_t i = 0; i < o->plan->container_count; i++)
            if (o->plan->containers[i].service == &project->services[project->start_order[n]] &&
                takes_part(o, i) && o->of[i].create == NONE && !is_prepare(o, i))
                order_creation_of(o, i);
    /* And everybody after prepare services that leave nothing, but end. */
    for (size_t k = 0; k < o->plan->container_count; k++)
        for (size_t i = 0; is_prepare(o, k) && i < o->plan->container_count; i++)
            if (!is_prepare(o, i) && o->of[i].create != NONE && o->of[k].fetch == NONE)
                order_after(o, o->of[i].create, o->of[k].exit);
}

/* ---- start ---- */

/* Somebody waits for the end of this service. */
static bool completes(const struct order *o, const struct project_service *service) {
    const struct project *project = o->plan->project;
    for (size_t i = 0; i < project->service_count; i++)
        for (size_t k = 0; k < project->services[i].dependency_count; k++) {
            const struct project_dependency *d = &project->services[i].dependencies[k];
            if (d->condition == PROJECT_COMPLETED && text_equal(d->service, service->name))
                return true;
        }
    return false;
}

static void after_dependencies(struct order *o, long step, const struct project_service *service) {
    for (size_t i = 0; i < service->dependency_count; i++) {
        const struct project_dependency *d = &service->dependencies[i];
        for (size_t k = 0; k < o->plan->container_count; k++) {
            if (is_prepare(o, k) || !text_equal(o->plan->containers[k].service->name, d->service))
                continue;
            order_after(o, step,
                        d->condition == PROJECT_STARTED   ? o->of[k].start
                        : d->condition == PROJECT_HEALTHY ? o->of[k].healthy
                                                          : o->of[k].exit);
        }
    }
}

static void order_start_of(struct order *o, size_t i) {
    const struct project_service *service = o->plan->containers[i].service;
    struct container_steps *of = &o->of[i];
    add_start_of(o, i);
    for (size_t k = 0; k < o->plan->container_count; k++)
        if (!is_loader(o, k) && !is_prepare(o, k))
            order_after(o, of->start, o->of[k].create);
    after_dependencies(o, of->start, service);
    if (completes(o, service)) {
        of->exit = add_of(o, STEP_WAIT_EXIT, i);
        set_stage(o, of->exit, STAGE_START);
        order_after(o, of->exit, of->start);
        return;
    }
    of->healthy = add_of(o, STEP_WAIT_HEALTHY, i);
    order_after(o, of->healthy, of->start);
}

static void order_start(struct order *o) {
    const struct project *project = o->plan->project;
    for (size_t n = 0; n < project->service_count; n++) {
        const struct project_service *service = &project->services[project->start_order[n]];
        for (size_t i = 0; i < o->plan->container_count; i++)
            if (o->plan->containers[i].service == service && !is_loader(o, i) && !is_prepare(o, i))
                order_start_of(o, i);
    }
}

/* ---- load ---- */

static bool has_replica(const struct order *o, size_t host) {
    for (size_t i = 0; i < o->plan->container_count; i++)
        if (o->plan->containers[i].host == host && role(o, i) == PROJECT_ROLE_REPLICA)
            return true;
    return false;
}

static bool has_command(const struct order *o, size_t host) {
    const struct plan *plan = o->plan;
    for (size_t k = 0; k < plan->deployment->runtime.command_count; k++)
        for (size_t i = 0; i < plan->container_count; i++)
            if (plan->containers[i].host == host &&
                plan_command_wants(plan, &plan->deployment->runtime.commands[k], i))
                return true;
    return false;
}

static void order_commands(struct order *o) {
    const struct plan *plan = o->plan;
    if (plan->options.mode != PLAN_TRIAL)
        return;
    for (size_t host = 0; host < plan->host_count; host++) {
        if (!has_command(o, host))
            continue;
        o->commands[host] = order_add(o, STEP_START_COMMANDS, host, host);
        for (size_t i = 0; i < plan->container_count; i++)
            order_after(o, o->commands[host], o->of[i].healthy);
    }
}

static void order_load_start_of(struct order *o, size_t i) {
    const struct plan *plan = o->plan;
    struct container_steps *of = &o->of[i];
    add_start_of(o, i);
    set_stage(o, of->start, STAGE_LOAD);
    order_after(o, of->start, of->create);
    for (size_t host = 0; host < plan->host_count; host++)
        order_after(o, of->start, o->commands[host]);
    for (size_t k = 0; k < plan->container_count; k++) {
        order_after(o, of->start, o->of[k].healthy);
        if (!is_loader(o, k) && !is_prepare(o, k))
            order_after(o, of->start, o->of[k].exit);
    }
}

/* Several loaders begin as one: when all are ready, each is told when. */
static void order_common_start(struct order *o) {
    size_t count = o->plan->container_count;
    if (plan_role_count(o->plan, PROJECT_ROLE_LOADER) < 2)
        return;
    for (size_t i = 0; i < count; i++) {
        if (!is_loader(o, i))
            continue;
        o->of[i].ready = add_of(o, STEP_WAIT_READY, i);
        order_after(o, o->of[i].ready, o->of[i].start);
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_loader(o, i))
            continue;
        o->of[i].given = add_of(o, STEP_GIVE_START, i);
        for (size_t k = 0; k < count; k++)
            order_after(o, o->of[i].given, o->of[k].ready);
    }
}

/* In place of a load: as long as somebody wants it, on every host where there is something to hold.
 */
static void order_hold(struct order *o) {
    const struct plan *plan = o->plan;
    order_commands(o);
    for (size_t host = 0; host < plan->host_count; host++) {
        if (!has_replica(o, host))
            continue;
        o->holds[host] = order_add(o, STEP_HOLD, host, host);
        for (size_t i = 0; i < plan->host_count; i++)
            order_after(o, o->holds[host], o->commands[i]);
        for (size_t i = 0; i < plan->container_count; i++) {
            order_after(o, o->holds[host], o->of[i].healthy);
            order_after(o, o->holds[host], is_prepare(o, i) ? NONE : o->of[i].exit);
        }
    }
}

static void order_load(struct order *o) {
    size_t count = o->plan->container_count;
    order_commands(o);
    for (size_t i = 0; i < count; i++)
        if (is_loader(o, i))
            order_load_start_of(o, i);
    order_common_start(o);
    for (size_t i = 0; i < count; i++) {
        if (!is_loader(o, i))
            continue;
        o->of[i].exit = add_of(o, STEP_WAIT_EXIT, i);
        order_after(o, o->of[i].exit, o->of[i].start);
        order_after(o, o->of[i].exit, o->of[i].given);
    }
}

/* ---- the end ---- */

static void after_stops(struct order *o, long step, enum project_role before) {
    for (size_t i = 0; i < o->plan->container_count; i++)
        if (role(o, i) == before)
            order_after(o, step, o->of[i].stop);
}

/* What both the hooks before a stop and the stop itself come after. */
static void after_its_work(struct order *o, long step, size_t i) {
    const struct container_steps *of = &o->of[i];
    order_after(o, step, of->create);
    order_after(o, step, of->start);
    order_after(o, step, of->healthy);
    order_after(o, step, of->ready);
    order_after(o, step, of->given);
    order_after(o, step, of->exit);
    order_after(o, step, of->fetch);
    for (size_t host = 0; host < o->plan->host_count; host++)
        order_after(o, step, o->holds[host]);
    if (is_loader(o, i))
        return;
    after_stops(o, step, PROJECT_ROLE_LOADER);
    order_after(o, step, o->stop_commands[o->plan->containers[i].host]);
    if (role(o, i) != PROJECT_ROLE_REPLICA)
        after_stops(o, step, PROJECT_ROLE_REPLICA);
}

/* None of a role is stopped before the hooks of all have ended: they may need one another, as
 * members of a quorum do. */
static void order_stop_of(struct order *o, size_t i) {
    o->of[i].stop = add_cleanup_of(o, STEP_STOP_CONTAINER, i);
    after_its_work(o, o->of[i].stop, i);
    for (size_t k = 0; k < o->plan->container_count; k++)
        if (role(o, k) == role(o, i))
            order_after(o, o->of[i].stop, o->of[k].pre_stop);
}

static bool has_end(const struct order *o, size_t i, enum project_role of) {
    return role(o, i) == of && (o->of[i].create != NONE || earlier(o));
}

static void order_stop_of_role(struct order *o, enum project_role of) {
    for (size_t i = 0; i < o->plan->container_count; i++)
        if (has_end(o, i, of) && o->plan->containers[i].service->pre_stop_count > 0) {
            o->of[i].pre_stop = add_cleanup_of(o, STEP_PRE_STOP, i);
            after_its_work(o, o->of[i].pre_stop, i);
        }
    for (size_t i = 0; i < o->plan->container_count; i++)
        if (has_end(o, i, of))
            order_stop_of(o, i);
}

/* Also those that a runner has begun which did not live to end them. */
static void order_stop_commands(struct order *o) {
    for (size_t host = 0; host < o->plan->host_count; host++) {
        if (o->commands[host] == NONE && !(earlier(o) && has_command(o, host)))
            continue;
        long step = order_add_cleanup(o, STEP_STOP_COMMANDS, host, host);
        o->stop_commands[host] = step;
        order_after(o, step, earlier(o) ? o->checks[host] : o->commands[host]);
        for (size_t i = 0; i < o->plan->host_count; i++)
            order_after(o, step, o->holds[i]);
        for (size_t i = 0; i < o->plan->container_count; i++)
            if (is_loader(o, i))
                order_after(o, step, o->of[i].exit);
    }
}

static void order_stop(struct order *o) {
    static const enum project_role order[] = {PROJECT_ROLE_LOADER, PROJECT_ROLE_REPLICA,
                                              PROJECT_ROLE_SIDECAR, PROJECT_ROLE_PREPARE};
    order_stop_commands(o);
    for (size_t r = 0; r < sizeof order / sizeof *order; r++)
        order_stop_of_role(o, order[r]);
    order_end_of_samples(o);
}

static void order_collect(struct order *o) {
    for (size_t i = 0; i < o->plan->container_count; i++) {
        size_t host = o->plan->containers[i].host;
        if (o->of[i].create == NONE && !earlier(o))
            continue;
        o->of[i].collect = add_cleanup_of(o, STEP_COLLECT_CONTAINER, i);
        order_after(o, o->of[i].collect, earlier(o) ? o->checks[host] : NONE);
        order_after(o, o->of[i].collect, o->of[i].stop);
    }
}

static void order_removal(struct order *o) {
    struct plan *plan = o->plan;
    o->first_removal = plan->step_count;
    for (size_t i = 0; i < plan->container_count; i++) {
        if (o->of[i].create == NONE && !earlier(o))
            continue;
        long step = add_cleanup_of(o, STEP_REMOVE_CONTAINER, i);
        order_after(o, step, o->of[i].collect);
    }
    o->end_of_removals = plan->step_count;
    if (plan->options.mode != PLAN_LOAD)
        order_removal_of_networks_and_volumes(o);
    order_removal_of_files(o);
}

static void order_end(struct order *o) {
    order_stop(o);
    order_collect(o);
    if (!o->plan->options.keep)
        order_removal(o);
    order_unlocks(o);
}

/* ---- the whole ---- */

static void order_trial(struct order *o) {
    order_locks(o);
    order_images(o);
    order_networks_and_volumes(o);
    order_files(o, takes_part);
    order_samples(o);
    order_prepare(o);
    order_creation(o);
    order_start(o);
    if (!o->plan->options.no_load)
        order_load(o);
    else if (!o->plan->options.detach)
        order_hold(o);
    order_end(o);
}

/* The loader's image as it is; networks and volumes exist already, and so does what was prepared.
 */
static void order_loader_needs(struct order *o) {
    const struct plan *plan = o->plan;
    for (size_t i = 0; i < plan->container_count; i++) {
        const struct plan_container *c = &plan->containers[i];
        long *image = order_image(o, c->host, c->image);
        if (!is_loader(o, i) || *image != NONE)
            continue;
        *image = order_add(o, STEP_FIND_IMAGE, c->host, c->image);
        order_after(o, *image, o->checks[c->host]);
    }
    for (size_t i = 0; i < plan->container_count; i++) {
        if (!is_prepare(o, i) || !plan->containers[i].service->seatrial.output)
            continue;
        o->of[i].fetch = add_of(o, STEP_FETCH_OUTPUT, i);
        order_after(o, o->of[i].fetch, o->checks[plan->containers[i].host]);
    }
}

static void order_mode(struct order *o) {
    switch (o->plan->options.mode) {
    case PLAN_TRIAL:
        if (!o->plan->options.machines_only)
            order_trial(o);
        break;
    case PLAN_LOAD:
        order_loader_needs(o);
        order_files(o, takes_part);
        order_samples(o);
        order_creation(o);
        order_load(o);
        order_end(o);
        break;
    case PLAN_COLLECT:
        order_stop_commands(o);
        order_collect(o);
        break;
    case PLAN_DOWN: order_end(o); break;
    }
}

static long *new_steps(size_t count) {
    long *steps = mem_new_array(long, count);
    for (size_t i = 0; i < count; i++)
        steps[i] = NONE;
    return steps;
}

void plan_order_steps(struct plan *plan) {
    size_t hosts = plan->host_count;
    struct order o = {
        .plan = plan,
        .of = mem_new_array(struct container_steps, plan->container_count),
        .checks = new_steps(hosts),
        .locks = new_steps(hosts),
        .commands = new_steps(hosts),
        .holds = new_steps(hosts),
        .files = new_steps(hosts),
        .samples = new_steps(hosts),
        .stop_commands = new_steps(hosts),
        .images = new_steps(hosts * plan->image_count),
        .networks = new_steps(hosts * plan->project->network_count),
        .volumes = new_steps(hosts * plan->project->volume_count),
    };
    for (size_t i = 0; i < plan->container_count; i++)
        o.of[i] =
            (struct container_steps){NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE};
    order_checks(&o);
    order_mode(&o);
    free(o.of);
    free(o.checks);
    free(o.locks);
    free(o.commands);
    free(o.holds);
    free(o.files);
    free(o.samples);
    free(o.stop_commands);
    free(o.images);
    free(o.networks);
    free(o.volumes);
}
