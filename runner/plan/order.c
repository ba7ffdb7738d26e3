#include "runner/plan/order.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/plan/plan.h"

#include <stdlib.h>

enum { NONE = -1 };

/* The steps of one container; NONE where it has no such step. */
struct container_steps {
    long create, start, healthy, exit, pre_stop, stop, collect;
};

struct order {
    struct plan *plan;
    struct container_steps *of; /* by container */
    long check, commands, stop_commands;
    long *images, *networks; /* by image, by network */
};

static long add(struct order *o, enum step_kind kind, size_t subject) {
    struct plan *plan = o->plan;
    mem_grow(plan->steps, plan->step_count, plan->step_capacity);
    plan->steps[plan->step_count] = (struct step){
        .kind = kind, .stage = step_stage(kind), .when = STEP_FORWARD, .subject = subject};
    return (long)plan->step_count++;
}

static void after(struct order *o, long step, long before) {
    if (before == NONE)
        return;
    struct step *s = &o->plan->steps[step];
    mem_grow(s->after, s->after_count, s->after_capacity);
    s->after[s->after_count++] = (size_t)before;
}

static enum project_role role(const struct order *o, size_t container) {
    return o->plan->containers[container].service->seatrial.role;
}

static bool is_loader(const struct order *o, size_t container) {
    return role(o, container) == PROJECT_ROLE_LOADER;
}

/* Without a load the loader's image is made ready all the same, but not its container. */
static bool takes_part(const struct order *o, size_t container) {
    if (o->plan->options.mode == PLAN_LOAD)
        return is_loader(o, container);
    return !(is_loader(o, container) && o->plan->options.no_load);
}

/* Containers that are there from an earlier plan have no step of creation in this one. */
static bool earlier(const struct order *o) {
    return o->plan->options.mode == PLAN_COLLECT || o->plan->options.mode == PLAN_DOWN;
}

static void order_images(struct order *o) {
    for (size_t i = 0; i < o->plan->image_count; i++) {
        o->images[i] = add(o, o->plan->images[i].build ? STEP_BUILD_IMAGE : STEP_FIND_IMAGE, i);
        after(o, o->images[i], o->check);
    }
    for (size_t i = 0; i < o->plan->project->network_count; i++) {
        o->networks[i] = add(o, STEP_CREATE_NETWORK, i);
        after(o, o->networks[i], o->check);
    }
}

static void after_networks(struct order *o, long step, const struct project_service *service) {
    const struct project *project = o->plan->project;
    for (size_t i = 0; i < service->endpoint_count; i++)
        for (size_t k = 0; k < project->network_count; k++)
            if (text_equal(service->endpoints[i].network, project->networks[k].key))
                after(o, step, o->networks[k]);
}

static void order_creation(struct order *o) {
    for (size_t i = 0; i < o->plan->container_count; i++) {
        if (!takes_part(o, i))
            continue;
        const struct plan_container *c = &o->plan->containers[i];
        o->of[i].create = add(o, STEP_CREATE_CONTAINER, i);
        after(o, o->of[i].create, o->images[c->image]);
        after_networks(o, o->of[i].create, c->service);
    }
}

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
            if (!text_equal(o->plan->containers[k].service->name, d->service))
                continue;
            after(o, step,
                  d->condition == PROJECT_STARTED   ? o->of[k].start
                  : d->condition == PROJECT_HEALTHY ? o->of[k].healthy
                                                    : o->of[k].exit);
        }
    }
}

static void order_start_of(struct order *o, size_t i) {
    const struct project_service *service = o->plan->containers[i].service;
    struct container_steps *of = &o->of[i];
    of->start = add(o, STEP_START_CONTAINER, i);
    for (size_t k = 0; k < o->plan->container_count; k++)
        if (!is_loader(o, k))
            after(o, of->start, o->of[k].create);
    after_dependencies(o, of->start, service);
    if (completes(o, service)) {
        of->exit = add(o, STEP_WAIT_EXIT, i);
        o->plan->steps[of->exit].stage = STAGE_START;
        after(o, of->exit, of->start);
        return;
    }
    of->healthy = add(o, STEP_WAIT_HEALTHY, i);
    after(o, of->healthy, of->start);
}

static void order_start(struct order *o) {
    const struct project *project = o->plan->project;
    for (size_t n = 0; n < project->service_count; n++) {
        const struct project_service *service = &project->services[project->start_order[n]];
        for (size_t i = 0; i < o->plan->container_count; i++)
            if (o->plan->containers[i].service == service && !is_loader(o, i))
                order_start_of(o, i);
    }
}

static void order_load(struct order *o) {
    const struct plan *plan = o->plan;
    if (plan->deployment->runtime.custom_command && plan->options.mode == PLAN_TRIAL) {
        o->commands = add(o, STEP_START_COMMANDS, 0);
        for (size_t i = 0; i < plan->container_count; i++)
            after(o, o->commands, o->of[i].healthy);
    }
    for (size_t i = 0; i < plan->container_count; i++) {
        if (!is_loader(o, i))
            continue;
        struct container_steps *of = &o->of[i];
        of->start = add(o, STEP_START_CONTAINER, i);
        o->plan->steps[of->start].stage = STAGE_LOAD;
        after(o, of->start, of->create);
        after(o, of->start, o->commands);
        for (size_t k = 0; k < plan->container_count; k++) {
            after(o, of->start, o->of[k].healthy);
            if (!is_loader(o, k))
                after(o, of->start, o->of[k].exit);
        }
        of->exit = add(o, STEP_WAIT_EXIT, i);
        after(o, of->exit, of->start);
    }
}

static long add_cleanup(struct order *o, enum step_kind kind, size_t subject) {
    long step = add(o, kind, subject);
    o->plan->steps[step].when = o->plan->options.no_load ? STEP_CLEANUP_ON_FAILURE : STEP_CLEANUP;
    return step;
}

static void after_stops(struct order *o, long step, enum project_role before) {
    for (size_t i = 0; i < o->plan->container_count; i++)
        if (role(o, i) == before)
            after(o, step, o->of[i].stop);
}

/* What both the hooks before a stop and the stop itself come after. */
static void after_its_work(struct order *o, long step, size_t i) {
    const struct container_steps *of = &o->of[i];
    after(o, step, of->create);
    after(o, step, of->start);
    after(o, step, of->healthy);
    after(o, step, of->exit);
    if (is_loader(o, i))
        return;
    after_stops(o, step, PROJECT_ROLE_LOADER);
    after(o, step, o->stop_commands);
    if (role(o, i) != PROJECT_ROLE_REPLICA)
        after_stops(o, step, PROJECT_ROLE_REPLICA);
}

/* None of a role is stopped before the hooks of all have ended: they may need one another, as
 * members of a quorum do. */
static void order_stop_of(struct order *o, size_t i) {
    o->of[i].stop = add_cleanup(o, STEP_STOP_CONTAINER, i);
    after_its_work(o, o->of[i].stop, i);
    for (size_t k = 0; k < o->plan->container_count; k++)
        if (role(o, k) == role(o, i))
            after(o, o->of[i].stop, o->of[k].pre_stop);
}

static bool has_end(const struct order *o, size_t i, enum project_role of) {
    return role(o, i) == of && (o->of[i].create != NONE || earlier(o));
}

static void order_stop_of_role(struct order *o, enum project_role of) {
    for (size_t i = 0; i < o->plan->container_count; i++)
        if (has_end(o, i, of) && o->plan->containers[i].service->pre_stop_count > 0) {
            o->of[i].pre_stop = add_cleanup(o, STEP_PRE_STOP, i);
            after_its_work(o, o->of[i].pre_stop, i);
        }
    for (size_t i = 0; i < o->plan->container_count; i++)
        if (has_end(o, i, of))
            order_stop_of(o, i);
}

static void order_stop(struct order *o) {
    static const enum project_role order[] = {PROJECT_ROLE_LOADER, PROJECT_ROLE_REPLICA,
                                              PROJECT_ROLE_SIDECAR, PROJECT_ROLE_PREPARE};
    if (o->commands != NONE) {
        o->stop_commands = add_cleanup(o, STEP_STOP_COMMANDS, 0);
        after(o, o->stop_commands, o->commands);
        for (size_t i = 0; i < o->plan->container_count; i++)
            if (is_loader(o, i))
                after(o, o->stop_commands, o->of[i].exit);
    }
    for (size_t r = 0; r < sizeof order / sizeof *order; r++)
        order_stop_of_role(o, order[r]);
}

static void order_collect(struct order *o) {
    for (size_t i = 0; i < o->plan->container_count; i++) {
        if (o->of[i].create == NONE && !earlier(o))
            continue;
        o->of[i].collect = add_cleanup(o, STEP_COLLECT_CONTAINER, i);
        after(o, o->of[i].collect, earlier(o) ? o->check : NONE);
        after(o, o->of[i].collect, o->of[i].stop);
    }
}

static void order_removal(struct order *o) {
    struct plan *plan = o->plan;
    size_t first = plan->step_count;
    for (size_t i = 0; i < plan->container_count; i++) {
        if (o->of[i].create == NONE && !earlier(o))
            continue;
        long step = add_cleanup(o, STEP_REMOVE_CONTAINER, i);
        after(o, step, o->of[i].collect);
    }
    size_t removals = plan->step_count;
    bool networks = plan->options.mode != PLAN_LOAD;
    for (size_t i = 0; networks && i < plan->project->network_count; i++) {
        long step = add_cleanup(o, STEP_REMOVE_NETWORK, i);
        after(o, step, o->networks[i]);
        for (size_t k = first; k < removals; k++)
            after(o, step, (long)k);
    }
}

static void order_end(struct order *o) {
    order_stop(o);
    order_collect(o);
    if (!o->plan->options.keep)
        order_removal(o);
}

static void order_trial(struct order *o) {
    order_images(o);
    order_creation(o);
    order_start(o);
    if (!o->plan->options.no_load)
        order_load(o);
    order_end(o);
}

/* The loader's image as it is; networks exist already. */
static void order_loader_image(struct order *o) {
    for (size_t i = 0; i < o->plan->container_count; i++) {
        size_t image = o->plan->containers[i].image;
        if (!is_loader(o, i) || o->images[image] != NONE)
            continue;
        o->images[image] = add(o, STEP_FIND_IMAGE, image);
        after(o, o->images[image], o->check);
    }
}

void plan_order_steps(struct plan *plan) {
    struct order o = {
        .plan = plan,
        .of = mem_new_array(struct container_steps, plan->container_count),
        .images = mem_new_array(long, plan->image_count),
        .networks = mem_new_array(long, plan->project->network_count),
        .commands = NONE,
        .stop_commands = NONE,
    };
    for (size_t i = 0; i < plan->container_count; i++)
        o.of[i] = (struct container_steps){NONE, NONE, NONE, NONE, NONE, NONE, NONE};
    for (size_t i = 0; i < plan->image_count; i++)
        o.images[i] = NONE;
    for (size_t i = 0; i < plan->project->network_count; i++)
        o.networks[i] = NONE;
    o.check = add(&o, STEP_CHECK_HOST, 0);
    switch (plan->options.mode) {
    case PLAN_TRIAL:
        if (!plan->options.machines_only)
            order_trial(&o);
        break;
    case PLAN_LOAD:
        order_loader_image(&o);
        order_creation(&o);
        order_load(&o);
        order_end(&o);
        break;
    case PLAN_COLLECT: order_collect(&o); break;
    case PLAN_DOWN: order_end(&o); break;
    }
    free(o.of);
    free(o.images);
    free(o.networks);
}
