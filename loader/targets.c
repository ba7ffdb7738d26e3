#include "loader/targets.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "loader/limits.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int resolve(const struct cluster_container *container, struct endpoint *to,
                   struct error *err) {
    uint16_t port = cluster_port(container, "replica");
    if (!port)
        return error_set(err, ERROR_CONFIG, "it has no port named 'replica'");
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    int r = getaddrinfo(container->address, service, &hints, &found);
    if (r != 0)
        return error_set(err, ERROR_CONFIG, "address '%s': %s", container->address,
                         gai_strerror(r));
    memcpy(&to->socket_address, found->ai_addr, found->ai_addrlen);
    to->socket_address_size = found->ai_addrlen;
    freeaddrinfo(found);
    bool six = strchr(container->address, ':') != NULL;
    to->name = text_dup(container->name);
    to->address = text_format(six ? "[%s]:%u" : "%s:%u", container->address, port);
    return 0;
}

int targets_resolve(const struct cluster *cluster, struct targets *ret, struct error *err) {
    cleanup(targets_deinit) struct targets t = TARGETS_NULL;
    size_t count = cluster_count(cluster, "replica");
    if (count == 0)
        return error_set(err, ERROR_CONFIG, "the cluster file names no container of role replica");
    if (count > LOADER_REPLICAS_MAX)
        return error_set(err, ERROR_CONFIG,
                         "the cluster file names %zu replicas, at most %d can be", count,
                         LOADER_REPLICAS_MAX);
    if (strlen(cluster->run) >= WIRE_RUN_SIZE)
        return error_set(err, ERROR_CONFIG, "the run's id is longer than %d characters",
                         WIRE_RUN_SIZE - 1);
    t.run = text_dup(cluster->run);
    t.replicas = mem_new_array(struct endpoint, count);
    t.count = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct cluster_container *container = cluster_find(cluster, "replica", i);
        if (resolve(container, &t.replicas[i], err) < 0)
            return error_wrap(err, "replica %u ('%s')", i, container->name);
    }
    *ret = t;
    t = TARGETS_NULL;
    return 0;
}

void targets_deinit(struct targets *t) {
    for (size_t i = 0; i < t->count; i++) {
        free(t->replicas[i].name);
        free(t->replicas[i].address);
    }
    free(t->replicas);
    free(t->run);
    *t = TARGETS_NULL;
}
