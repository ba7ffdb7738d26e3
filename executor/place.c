#include "executor/place.h"

#include "executor/pbft/pbft.h"

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
    if (n == 0 || n > PBFT_REPLICAS_MAX) {
        error_set(err, ERROR_CONFIG, "%zu containers of role replica, only 1 to %d", n,
                  PBFT_REPLICAS_MAX);
        return error_hint(err, "deploy 1, or 3f + 1 up to %d, of the service of role replica",
                          PBFT_REPLICAS_MAX);
    }
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

/* Never without keys unless that was said. */
static int find_keys(const struct replica_options *options, struct place *place,
                     struct error *err) {
    const struct principal self = {.role = PRINCIPAL_REPLICA, .index = place->replica};
    if (options->insecure)
        return 0;
    if (identity_open(options->keys, self, place->n, &place->identity, err) == 0)
        return 0;
    error_wrap(err, "the keys of replica %u", place->replica);
    if (err->kind == ERROR_NOT_FOUND) {
        err->kind = ERROR_CONFIG;
        return error_hint(err, "a service of role prepare with `replica keygen` makes keys "
                               "(docs/AUTHENTICATION.md); --insecure does without");
    }
    return -1;
}

int place_find_as_loader(const char *cluster, const char *keys, uint16_t loader, struct place *ret,
                         struct error *err) {
    cleanup(place_deinit) struct place place = PLACE_NULL;
    const struct principal self = {.role = PRINCIPAL_LOADER, .index = loader};
    if (cluster_load(cluster, &place.cluster, err) < 0)
        return -1;
    if (find_all(&place, err) < 0)
        return error_wrap(err, "'%s'", cluster);
    if (keys && identity_open(keys, self, place.n, &place.identity, err) < 0) {
        error_wrap(err, "the keys of loader %u", loader);
        return error_hint(err, "--cluster-keys says where they are; --insecure does without");
    }
    *ret = place;
    place = PLACE_NULL;
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
    if (find_keys(options, &place, err) < 0)
        return -1;
    *ret = place;
    place = PLACE_NULL;
    return 0;
}

void place_deinit(struct place *place) {
    if (place->cluster)
        cluster_free(place->cluster);
    free(place->addresses);
    if (place->identity)
        identity_free(place->identity);
    *place = PLACE_NULL;
}
