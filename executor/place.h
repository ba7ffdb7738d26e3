#pragma once

/*
 * Which replica this is, where all of them are, and its keys: from the cluster file, the key files
 * and the options.
 * Errors: ERROR_CONFIG, ERROR_USAGE, ERROR_NOT_FOUND.
 */

#include "executor/options.h"
#include "executor/transport/transport.h"

#include "lib/cluster.h"
#include "lib/identity.h"

struct place {
    struct cluster *cluster; /* owns all texts */
    uint16_t replica;        /* 0 of a client */
    uint16_t n;
    struct transport_address *addresses;
    struct identity *identity; /* NULL: --insecure */
};

#define PLACE_NULL ((struct place){.cluster = NULL})

int place_find(const struct replica_options *options, struct place *ret, struct error *err);
/* The same for a client of the replicas, with the keys of a loader; `keys` NULL: without. */
int place_find_as_loader(const char *cluster, const char *keys, uint16_t loader, struct place *ret,
                         struct error *err);
void place_deinit(struct place *place);
