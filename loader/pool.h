#pragma once

/*
 * The client-pool file of `-f`: Concord's description of a pool of clients and of the replicas that
 * it talks to. It is read whole; keys that Concord has and that mean nothing to this loader are
 * known by name and passed over, all others are errors that name the nearest one.
 *
 *     num_replicas: 4
 *     f_val: 1
 *     c_val: 0
 *     comm_to_use: plain
 *     clients_per_participant_node: 2
 *     client_initial_retry_timeout_milli: 150
 *     node:
 *       - replica: [{principal_id: 0, replica_host: 10.0.0.1, replica_port: 3501}]
 *     participant_nodes:
 *       - participant_node:
 *           - participant_node_host: 0.0.0.0
 *             external_clients:
 *               - client: [{client_port: 3502, principal_id: 11}]
 *
 * Checked: num_replicas = 3 f_val + 2 c_val + 1; as many nodes as replicas, their ids 0 to n - 1;
 * no id or address twice; initial retry timeout between the smallest and the largest.
 *
 * Owns:   its texts.
 * Errors: ERROR_CONFIG, "FILE:LINE:COLUMN: message"; ERROR_NOT_FOUND, ERROR_IO.
 * Source: Concord's client pool (concord-bft, client/client_pool); defaults are its own.
 */

#include "lib/cleanup.h"
#include "lib/error.h"
#include "loader/retry.h"

#include <stddef.h>
#include <stdint.h>

enum {
    POOL_CLIENTS_MAX = 4096, /* of one node, as Concord has it */
    POOL_NODES_MAX = 1024,
};

/* `comm_to_use`. Replicas of this house speak plain TCP; what else Concord knows is refused by the
 * caller, by name. */
enum pool_transport { POOL_TLS, POOL_PLAIN, POOL_TCP, POOL_UDP };

struct pool_replica {
    int64_t id;
    char *host;
    int64_t port;
};

struct pool_client {
    int64_t id;
    int64_t port;
};

struct pool_node {
    char *host; /* NULL: not given */
    int64_t id; /* -1: not given */
    struct pool_client *clients;
    size_t client_count;
};

struct pool {
    int64_t n, f, c;
    enum pool_transport transport;
    int64_t clients_per_node;
    int64_t buffer_bytes;    /* of a message */
    int64_t prometheus_port; /* 0: not given */
    struct retry_config retry;
    struct pool_replica *replicas; /* by id */
    size_t replica_count;
    struct pool_node *nodes;
    size_t node_count;
};

int pool_load(const char *path, struct pool **ret, struct error *err);
/* The same from text. Pure. */
int pool_parse(const char *path, const char *text, size_t size, struct pool **ret,
               struct error *err);
void pool_free(struct pool *pool);
DEFINE_CLEANUP_FREE(pool);

const char *pool_transport_name(enum pool_transport transport);
