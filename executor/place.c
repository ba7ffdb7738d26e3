#include "executor/place.h"

#include "executor/core/core.h"

#include "lib/memory.h"
#include "lib/wire.h"

#include <string.h>

static int find_address(const struct cluster *cluster, uint32_t index,
                        struct transport_address *ret, struct error *err) {
    const struct cluster_container *container = cluster_find(cluster, "replica", index);
    uint16_t port = cluster_port(container, "replica");
    if (port == 0) {
        error_set(err, ERROR_CONFIG, "replica %u ('%s') has no port named 'replica'", index,
                  container->name);
        return error_hint(err, "give the service x-seatrial.ports: {replica: FIRST PORT}");
    }
    *ret = (struct transport_address){.host = container->address, .port = port};
    return 0;
}

static int find_all(struct place *place, struct error *err) {
    size_t n = cluster_count(place->cluster, "replica");
    if (n == 0 || n > CORE_REPLICAS_MAX)
        return error_set(err, ERROR_CONFIG, "%zu containers of role replica, only 1 to %d", n,
                         CORE_REPLICAS_MAX);
    if (strlen(place->cluster->run) >= WIRE_RUN_SIZE)
        return error_set(err, ERROR_CONFIG, "the run id is longer than %d characters",
                         WIRE_RUN_SIZE - 1);
    place->n = (uint16_t)n;
    place->addresses = mem_new_array(struct transport_address, n);
    for (uint32_t i = 0; i < n; i++)
        if (find_address(place->cluster, i, &place->addresses[i], err) < 0)
            return -1;
    return 0;
}

int place_find(const struct replica_options *options, struct place *ret, struct error *err) {
    cleanup(place_deinit) struct place place = PLACE_NULL;
    if (options->index < 0)
        return error_set(err, ERROR_USAGE,
                         "which replica is this? Give --index, or set SEATRIAL_INDEX");
    if (cluster_load(options->cluster, &place.cluster, err) < 0)
        return -1;
    if (find_all(&place, err) < 0)
        return error_wrap(err, "'%s'", options->cluster);
    if (options->index >= place.n)
        return error_set(err, ERROR_CONFIG, "this is replica %lld, but '%s' has only %u (from 0)",
                         (long long)options->index, options->cluster, place.n);
    place.replica = (uint16_t)options->index;
    *ret = place;
    place = PLACE_NULL;
    return 0;
}

void place_deinit(struct place *place) {
    if (place->cluster)
        cluster_free(place->cluster);
    free(place->addresses);
    *place = PLACE_NULL;
}
