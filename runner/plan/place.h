#pragma once

/*
 * The placing part of planning: which container goes to which host, in which slot. Pure.
 *
 * A service draws from a pool: the hosts of its `x-seatrial.fleet`, or those without a fleet when
 * it names none. Replicas are placed first, then loaders, then sidecars, each in the order of the
 * file; a container goes to the host of its pool that has the fewest containers so far and fewer
 * than `per_host` of its own service, the first of the file among equals. So four replicas and a
 * loader on five hosts get a host each. Prepare services are placed by the same rule among
 * themselves: they have ended before the others are there. A container that shares another's
 * network goes where that one is.
 *
 * Provider local: one host, as many as there are.
 *
 * Errors: ERROR_CONFIG, with the service's place: no such fleet, too few hosts, networks that do
 * not span hosts, folders of this machine.
 */

#include "lib/error.h"

struct plan;

/* The containers' `host`, `slot` and `network_of`; the hosts' `container_count`. */
int plan_place(struct plan *plan, struct error *err);

/* Once placed: can containers reach what they mount, and those of several hosts each other? */
int plan_check_reach(const struct plan *plan, struct error *err);
