#include "loader/targets.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "loader/limits.h"

#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int resolve(const char *host, const char *port, const char *name, struct endpoint *to,
                   struct error *err) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int r = getaddrinfo(host, port, &hints, &found);
    if (r != 0)
        return error_set(err, ERROR_CONFIG, "address '%s': %s", host, gai_strerror(r));
    memcpy(&to->socket_address, found->ai_addr, found->ai_addrlen);
    to->socket_address_size = found->ai_addrlen;
    freeaddrinfo(found);
    to->address = text_format(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    to->name = text_dup(name ? name : to->address);
    return 0;
}

static int resolve_container(const struct cluster_container *container, const char *port_name,
                             struct endpoint *to, struct error *err) {
    uint16_t port = cluster_port(container, port_name);
    if (!port)
        return error_set(err, ERROR_CONFIG, "it has no port named '%s'", port_name);
    char text[8];
    snprintf(text, sizeof text, "%u", port);
    return resolve(container->address, text, container->name, to, err);
}

int targets_resolve(const struct cluster *cluster, const char *port, struct targets *ret,
                    struct error *err) {
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
        if (resolve_container(container, port, &t.replicas[i], err) < 0)
            return error_wrap(err, "replica %u ('%s')", i, container->name);
    }
    *ret = t;
    t = TARGETS_NULL;
    return 0;
}

int targets_from_pool(const struct pool *pool, const char *run, struct targets *ret,
                      struct error *err) {
    cleanup(targets_deinit) struct targets t = TARGETS_NULL;
    t.run = text_dup(run);
    t.replicas = mem_new_array(struct endpoint, pool->replica_count);
    t.count = pool->replica_count;
    for (size_t i = 0; i < t.count; i++) {
        const struct pool_replica *replica = &pool->replicas[i];
        cleanup_free char *port = text_format("%" PRId64, replica->port);
        cleanup_free char *name = text_format("%s:%s", replica->host, port);
        if (resolve(replica->host, port, name, &t.replicas[i], err) < 0)
            return error_wrap(err, "replica %zu", i);
    }
    *ret = t;
    t = TARGETS_NULL;
    return 0;
}

/* Splits "HOST:PORT" or "[V6]:PORT" in place. */
static int split(char *text, const char **ret_host, const char **ret_port, struct error *err) {
    uint64_t number;
    char *end = text[0] == '[' ? strchr(text, ']') : strrchr(text, ':');
    char *colon = end && *end == ']' ? end + 1 : end;
    if (!colon || *colon != ':' || end == text + (text[0] == '['))
        return error_set(err, ERROR_CONFIG, "'%s' is not HOST:PORT", text);
    if (text_to_u64(colon + 1, 1, UINT16_MAX, &number, err) < 0) {
        err->kind = ERROR_CONFIG;
        return error_wrap(err, "the port of '%s'", text);
    }
    *end = *colon = '\0';
    *ret_host = text[0] == '[' ? text + 1 : text;
    *ret_port = colon + 1;
    return 0;
}

int targets_parse(const char *list, struct targets *ret, struct error *err) {
    cleanup(targets_deinit) struct targets t = TARGETS_NULL;
    cleanup_free char *copy = text_dup(list);
    char *rest = copy, *one;
    t.run = text_dup("");
    t.replicas = mem_new_array(struct endpoint, LOADER_TARGETS_MAX);
    while ((one = strsep(&rest, ",")) != NULL) {
        const char *host, *port;
        if (t.count == LOADER_TARGETS_MAX)
            return error_set(err, ERROR_LIMIT, "more than %d targets are named",
                             LOADER_TARGETS_MAX);
        if (split(one, &host, &port, err) < 0 ||
            resolve(host, port, NULL, &t.replicas[t.count], err) < 0)
            return error_wrap(err, "--target");
        t.count++;
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
