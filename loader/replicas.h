#pragma once

/*
 * Requests to a cluster of replicas (lib/wire.h): all clients of a thread share its connection to
 * each replica, and what becomes ready in one turn of the loop goes to the kernel together. Nothing
 * is allocated and no payload is copied for a request.
 */

#include "loader/carrier.h"
#include "loader/peers.h"
#include "loader/targets.h"
#include "loader/workload.h"

/* Everything is borrowed, and outlives the carriers. */
struct replicas_config {
    const struct targets *targets;
    const struct workload *workload;
    uint64_t connect_timeout_ns;
};

struct carrier_maker replicas_maker(const struct replicas_config *config);
