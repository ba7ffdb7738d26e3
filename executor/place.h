#pragma once

/*
 * Which replica this is, and where all of them are: from the cluster file and the options.
 * Errors: ERROR_CONFIG, ERROR_USAGE, ERROR_NOT_FOUND.
 */

#include "executor/options.h"
#include "executor/transport/transport.h"

#include "lib/cluster.h"

struct place {
    struct cluster *cluster; /* owns all texts */
    uint16_t replica;
    uint16_t n;
    struct transport_address *addresses;
};

#define PLACE_NULL ((struct place){.cluster = NULL})

int place_find(const struct replica_options *options, struct place *ret, struct error *err);
void place_deinit(struct place *place);
