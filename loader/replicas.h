#pragma once

/*
 * Requests to a cluster of replicas (lib/wire.h): all clients of a thread share its connection to
 * each replica, and what becomes ready in one turn of the loop goes to the kernel together. Nothing
 * is allocated and no payload is copied for a request. With keys, each request has an authenticator
 * that every replica can check (lib/request_auth.h), and each connection is sealed (connection.h).
 *
 * A request goes to the primary. It is done when as many replicas as HELLO says have given the same
 * answer: one, where the primary answers for f + 1 that have stored it; else f + 1, and then a
 * request that is not done by the retry timeout (retry.h) goes to all of them, again and again
 * until it times out. A replica executes it once, however often it comes. There a lost connection
 * fails no request: others may answer it.
 */

#include "loader/carrier.h"
#include "loader/peers.h"
#include "loader/retry.h"
#include "loader/targets.h"
#include "loader/workload.h"

/* Everything is borrowed, and outlives the carriers. */
struct replicas_config {
    const struct targets *targets;
    const struct workload *workload;
    uint64_t connect_timeout_ns;
    struct retry_config retry;
    const struct identity *identity; /* NULL: nothing is authenticated */
    enum wire_authenticator client_auth;
};

/* Whether authenticators can be made for all of them. */
int replicas_check(const struct replicas_config *config, struct error *err);
struct carrier_maker replicas_maker(const struct replicas_config *config);
