/* What containers need on their hosts: a look at the host, images, networks, volumes. */

#include "lib/text.h"
#include "runner/plan/order.h"

static bool is_local(const struct plan *plan) {
    return plan->deployment->testbed.provider == DEPLOYMENT_LOCAL;
}

/* ---- hosts ---- */

/* A loader by hand needs its own host, and those that still have what it is to be given. */
static bool needs_for_load(const struct plan *plan, size_t host) {
    for (size_t i = 0; i < plan->container_count; i++) {
        const struct project_seatrial *x = &plan->containers[i].service->seatrial;
        if (plan->containers[i].host == host && (x->role == PROJECT_ROLE_LOADER || x->output))
            return true;
    }
    return false;
}

static bool is_needed(const struct plan *plan, size_t host) {
    if (is_local(plan))
        return true;
    if (plan->options.mode == PLAN_LOAD)
        return needs_for_load(plan, host);
    if (plan->options.mode == PLAN_TRIAL && plan->options.machines_only)
        return host != plan->builder;
    return plan->hosts[host].container_count > 0 || host == plan->builder;
}

void order_checks(struct order *o) {
    for (size_t i = 0; i < o->plan->host_count; i++) {
        o->plan->hosts[i].used = is_needed(o->plan, i);
        if (o->plan->hosts[i].used)
            o->checks[i] = order_add(o, STEP_CHECK_HOST, i, i);
    }
}

void order_after_checks(struct order *o, long step) {
    for (size_t i = 0; !is_local(o->plan) && i < o->plan->host_count; i++)
        order_after(o, step, o->checks[i]);
}

/* ---- locks ---- */

void order_locks(struct order *o) {
    const struct plan *plan = o->plan;
    for (size_t i = 0; i < plan->host_count; i++) {
        if (plan->hosts[i].container_count == 0 || o->checks[i] == STEP_NONE)
            continue;
        o->locks[i] = order_add(o, STEP_LOCK_HOST, i, i);
        if (is_local(plan))
            order_after(o, o->locks[i], o->checks[i]);
        order_after_checks(o, o->locks[i]);
    }
    for (size_t i = 0; i < plan->host_count; i++)
        if (o->locks[i] != STEP_NONE)
            o->checks[i] = o->locks[i];
}

/* Those of an earlier plan are there if its runner died. */
void order_unlocks(struct order *o) {
    struct plan *plan = o->plan;
    size_t end = plan->step_count;
    for (size_t host = 0; host < plan->host_count; host++) {
        bool earlier = plan->options.mode == PLAN_DOWN && plan->hosts[host].container_count > 0;
        if (!earlier && o->locks[host] == STEP_NONE)
            continue;
        long step = order_add(o, STEP_UNLOCK_HOST, host, host);
        plan->steps[step].when = STEP_CLEANUP;
        order_after(o, step, o->checks[host]);
        for (size_t i = 0; i < end; i++)
            if (plan->steps[i].host == host && plan->steps[i].when != STEP_FORWARD)
                order_after(o, step, (long)i);
    }
}

/* ---- images ---- */

static bool has_container_of(const struct plan *plan, size_t host, size_t image) {
    for (size_t i = 0; i < plan->container_count; i++)
        if (plan->containers[i].host == host && plan->containers[i].image == image)
            return true;
    return false;
}

static void order_on_builder(struct order *o, size_t image) {
    const struct plan *plan = o->plan;
    long step = order_add(o, plan->images[image].build ? STEP_BUILD_IMAGE : STEP_FIND_IMAGE,
                          plan->builder, image);
    order_after(o, step, o->checks[plan->builder]);
    if (plan->images[image].carried && plan->images[image].remote) {
        long built = step;
        step = order_add(o, plan->images[image].no_push ? STEP_FIND_PUSHED : STEP_PUSH_IMAGE,
                         plan->builder, image);
        order_after(o, step, built);
    }
    *order_image(o, plan->builder, image) = step;
}

static void order_on_host(struct order *o, size_t host, size_t image) {
    const struct plan *plan = o->plan;
    bool carried = plan->images[image].carried;
    long step = order_add(o,
                          !carried                     ? STEP_ENSURE_IMAGE
                          : plan->images[image].remote ? STEP_PULL_IMAGE
                                                       : STEP_TRANSFER_IMAGE,
                          host, image);
    order_after(o, step, o->checks[host]);
    if (carried)
        order_after(o, step, *order_image(o, plan->builder, image));
    *order_image(o, host, image) = step;
}

void order_images(struct order *o) {
    const struct plan *plan = o->plan;
    for (size_t i = 0; i < plan->image_count; i++)
        if (is_local(plan) || plan->images[i].carried)
            order_on_builder(o, i);
    for (size_t i = 0; !is_local(plan) && i < plan->image_count; i++)
        for (size_t host = 0; host < plan->host_count; host++)
            if (has_container_of(plan, host, i))
                order_on_host(o, host, i);
}

/* ---- networks and volumes ---- */

static bool is_on(const struct plan *plan, const struct project_service *service, size_t network) {
    for (size_t i = 0; i < service->endpoint_count; i++)
        if (text_equal(service->endpoints[i].network, plan->project->networks[network].key))
            return true;
    return false;
}

static bool mounts(const struct plan *plan, const struct project_service *service, size_t volume) {
    for (size_t i = 0; i < service->mount_count; i++)
        if (service->mounts[i].type == PROJECT_MOUNT_VOLUME &&
            text_equal(service->mounts[i].source, plan->project->volumes[volume].key))
            return true;
    return false;
}

typedef bool uses(const struct plan *plan, const struct project_service *service, size_t thing);

/* Some container on the host does; on this machine, some service does. */
static bool is_used(const struct plan *plan, size_t host, uses *used, size_t thing) {
    if (is_local(plan))
        return true;
    for (size_t i = 0; i < plan->container_count; i++)
        if (plan->containers[i].host == host && used(plan, plan->containers[i].service, thing))
            return true;
    return false;
}

static void after_host(struct order *o, long step, size_t host) {
    if (is_local(o->plan))
        order_after(o, step, o->checks[host]);
    order_after_checks(o, step);
}

void order_networks_and_volumes(struct order *o) {
    const struct project *project = o->plan->project;
    for (size_t host = 0; host < o->plan->host_count; host++) {
        for (size_t i = 0; i < project->network_count; i++) {
            if (!is_used(o->plan, host, is_on, i))
                continue;
            long step = order_add(o, STEP_CREATE_NETWORK, host, i);
            o->networks[host * project->network_count + i] = step;
            after_host(o, step, host);
        }
        for (size_t i = 0; i < project->volume_count; i++) {
            if (!is_used(o->plan, host, mounts, i))
                continue;
            bool external = project->volumes[i].external;
            long step = order_add(o, external ? STEP_FIND_VOLUME : STEP_CREATE_VOLUME, host, i);
            o->volumes[host * project->volume_count + i] = step;
            after_host(o, step, host);
        }
    }
}

void order_after_networks_and_volumes(struct order *o, long step, const struct plan_container *c) {
    const struct project *project = o->plan->project;
    for (size_t i = 0; i < project->network_count; i++)
        if (is_on(o->plan, c->service, i))
            order_after(o, step, o->networks[c->host * project->network_count + i]);
    for (size_t i = 0; i < project->volume_count; i++)
        if (mounts(o->plan, c->service, i))
            order_after(o, step, o->volumes[c->host * project->volume_count + i]);
}

/* ---- files ---- */

/* They get there through a container, which needs an image: that of the first one there. */
void order_files(struct order *o, bool takes_part(const struct order *o, size_t container)) {
    struct plan *plan = o->plan;
    for (size_t i = 0; i < plan->container_count; i++) {
        const struct plan_container *c = &plan->containers[i];
        if (!takes_part(o, i) || o->files[c->host] != STEP_NONE)
            continue;
        long step = order_add(o, STEP_PUT_FILES, c->host, c->host);
        o->files[c->host] = step;
        plan->hosts[c->host].files_image = c->image;
        order_after(o, step, *order_image(o, c->host, c->image));
        order_after_checks(o, step);
    }
}

/* ---- samples ---- */

void order_samples(struct order *o) {
    for (size_t host = 0; host < o->plan->host_count; host++) {
        if (o->files[host] == STEP_NONE)
            continue;
        o->samples[host] = order_add(o, STEP_START_SAMPLES, host, host);
        order_after(o, o->samples[host], o->files[host]);
    }
}

void order_end_of_samples(struct order *o) {
    for (size_t host = 0; host < o->plan->host_count; host++) {
        if (o->samples[host] == STEP_NONE)
            continue;
        long step = order_add_cleanup(o, STEP_STOP_SAMPLES, host, host);
        order_after(o, step, o->samples[host]);
        for (size_t i = 0; i < o->plan->container_count; i++)
            if (o->plan->containers[i].host == host)
                order_after(o, step, o->of[i].stop);
    }
}

/* ---- their end ---- */

static void order_removal(struct order *o, enum step_kind kind, size_t host, size_t thing,
                          long creation) {
    long step = order_add_cleanup(o, kind, host, thing);
    order_after(o, step, creation);
    for (size_t i = o->first_removal; i < o->end_of_removals; i++)
        if (o->plan->steps[i].host == host)
            order_after(o, step, (long)i);
}

void order_removal_of_networks_and_volumes(struct order *o) {
    const struct project *project = o->plan->project;
    for (size_t host = 0; host < o->plan->host_count; host++) {
        for (size_t i = 0; i < project->network_count; i++)
            if (is_used(o->plan, host, is_on, i))
                order_removal(o, STEP_REMOVE_NETWORK, host, i,
                              o->networks[host * project->network_count + i]);
        for (size_t i = 0; i < project->volume_count; i++)
            if (!project->volumes[i].external && is_used(o->plan, host, mounts, i))
                order_removal(o, STEP_REMOVE_VOLUME, host, i,
                              o->volumes[host * project->volume_count + i]);
    }
}

/* A plan that made none removes what an earlier one did. */
void order_removal_of_files(struct order *o) {
    const struct plan *plan = o->plan;
    for (size_t host = 0; host < plan->host_count; host++) {
        bool earlier = plan->options.mode == PLAN_DOWN && plan->hosts[host].container_count > 0;
        if (earlier || o->files[host] != STEP_NONE)
            order_removal(o, STEP_REMOVE_FILES, host, host, o->files[host]);
    }
}
