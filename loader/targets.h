#pragma once

/*
 * The replicas that a loader is to load, from the cluster file: names and resolved addresses, in
 * the order of their indexes.
 *
 * Errors: ERROR_CONFIG for a cluster without replicas, a replica without a port named `replica`, an
 * address that cannot be resolved.
 */

#include "lib/cluster.h"
#include "loader/connection.h"

#include <stddef.h>

struct targets {
    char *run;
    struct endpoint *replicas;
    size_t count;
};

#define TARGETS_NULL ((struct targets){.run = NULL})

/* Resolves names, which can take as long as the resolver does. Copies what it needs. */
int targets_resolve(const struct cluster *cluster, struct targets *ret, struct error *err);
void targets_deinit(struct targets *t);
