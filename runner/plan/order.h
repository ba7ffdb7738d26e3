#pragma once

/*
 * The ordering part of planning: fills plan->steps from its hosts, images and containers. Pure.
 * order.c has what happens to containers, order_host.c what they need on their hosts.
 */

#include "runner/plan/plan.h"

void plan_order_steps(struct plan *plan);

/* ---- between the files ---- */

#define STEP_NONE (-1L)

/* The steps of one container; STEP_NONE where it has no such step. */
struct container_steps {
    long create, start, healthy, ready, given, exit, fetch, pre_stop, stop, collect;
};

struct order {
    struct plan *plan;
    struct container_steps *of;            /* by container */
    long *checks;                          /* by host; once it is locked, that */
    long *locks, *holds;                   /* by host */
    long *commands, *stop_commands;        /* by host */
    long *files, *samples;                 /* by host */
    long *images;                          /* host × image: the step after which it is there */
    long *networks, *volumes;              /* host × the project's */
    size_t first_removal, end_of_removals; /* of containers */
};

long order_add(struct order *o, enum step_kind kind, size_t host, size_t subject);
/* Always, or with --no-load only after a failure. */
long order_add_cleanup(struct order *o, enum step_kind kind, size_t host, size_t subject);
/* STEP_NONE is fine. */
void order_after(struct order *o, long step, long before);

static inline long *order_image(const struct order *o, size_t host, size_t image) {
    return &o->images[host * o->plan->image_count + image];
}

/* The hosts that this plan is about, one check each. */
void order_checks(struct order *o);
/* Nothing is made on any host before all are found usable. */
void order_after_checks(struct order *o, long step);
/* On every host where containers are made, after all checks and before anything else. */
void order_locks(struct order *o);
/* After all else that is done there. */
void order_unlocks(struct order *o);
/* Built or found, and brought to where containers of them are. */
void order_images(struct order *o);
/* Those that containers of the host are on; before a step that creates such a container. */
void order_networks_and_volumes(struct order *o);
void order_after_networks_and_volumes(struct order *o, long step, const struct plan_container *c);
/* On every host where `takes_part` says that a container is made in this plan. */
void order_files(struct order *o, bool takes_part(const struct order *o, size_t container));
/* Of every host that files were put onto. */
void order_samples(struct order *o);
/* Once the containers have ended. */
void order_end_of_samples(struct order *o);
/* Once the containers are removed. */
void order_removal_of_networks_and_volumes(struct order *o);
void order_removal_of_files(struct order *o);
