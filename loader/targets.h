#pragma once

/*
 * What a loader is to load: names and resolved addresses. From the cluster file they are its
 * replicas, in the order of their indexes.
 *
 * Errors: ERROR_CONFIG for a cluster without replicas, a replica without a port of that name, an
 * address that cannot be resolved.
 */

#include "lib/cluster.h"
#include "loader/connection.h"
#include "loader/pool.h"

#include <stddef.h>

struct targets {
    char *run; /* "" for a list */
    struct endpoint *replicas;
    size_t count;
};

#define TARGETS_NULL ((struct targets){.run = NULL})

/* Resolves names, which can take as long as the resolver does. Copies what it needs. */
int targets_resolve(const struct cluster *cluster, const char *port, struct targets *ret,
                    struct error *err);
/* The same from a client pool's file, whose replicas need not be of this trial; `run`: its id, or
 * "". */
int targets_from_pool(const struct pool *pool, const char *run, struct targets *ret,
                      struct error *err);
/* The same from "HOST:PORT,[V6]:PORT,...". */
int targets_parse(const char *list, struct targets *ret, struct error *err);
void targets_deinit(struct targets *t);
