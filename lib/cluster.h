#pragma once

/*
 * /seatrial/cluster.yaml: who else is in the trial, and where. The runner writes it into every
 * container before it starts (whatever the image is); our own replica and loader read it with this.
 *
 *     run: 3f9c2a1b
 *     project: demo
 *     containers:
 *       - {name: demo-replica-1, service: replica, role: replica, index: 0, host: local,
 *          address: 127.0.0.1, ports: {replica: 7100}}
 *
 * `index` counts from 0 within a role, without holes. Keys that we do not know are ignored, so that
 * an image can be older than the runner.
 *
 * Owns everything. Errors: ERROR_NOT_FOUND, ERROR_IO; ERROR_CONFIG with file and line.
 */

#include "lib/cleanup.h"
#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    CLUSTER_SIZE_MAX = 1024 * 1024,
    CLUSTER_CONTAINERS_MAX = 10000, /* hundreds of containers on each of tens of hosts */
    CLUSTER_PORTS_MAX = 64,         /* named ports of one container */
};

struct cluster_port {
    char *name;
    uint16_t port;
};

struct cluster_container {
    char *name;
    char *service;
    char *role;
    uint32_t index;
    char *host;
    char *address;
    struct cluster_port *ports;
    size_t ports_count;
};

struct cluster {
    char *run;
    char *project;
    struct cluster_container *containers; /* in the order of the file */
    size_t containers_count;
};

/* Gives a cluster. */
int cluster_load(const char *path, struct cluster **ret, struct error *err);
/* The same from text; `path` is how errors name it. */
int cluster_parse(const char *path, const char *text, size_t size, struct cluster **ret,
                  struct error *err);
void cluster_free(struct cluster *c);
DEFINE_CLEANUP_FREE(cluster);

/* How many have the role; their indexes are 0 to this - 1. */
size_t cluster_count(const struct cluster *c, const char *role);
/* NULL when there is none. */
const struct cluster_container *cluster_find(const struct cluster *c, const char *role,
                                             uint32_t index);
/* 0 when the container has no port of that name. */
uint16_t cluster_port(const struct cluster_container *container, const char *name);
