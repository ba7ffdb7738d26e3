#pragma once

/*
 * What host.h keeps to itself.
 */

#include "runner/remote/host.h"

#include <pthread.h>

struct tunnel;

struct host {
    char *name;
    char *engine;          /* as DOCKER_HOST */
    struct tunnel *tunnel; /* NULL: this machine */
    struct host_ssh ssh;
    pthread_mutex_t lock;
    struct host_forward *forwards;
};

/* host_forward.c: closes those that are left. */
void host_forwards_close(struct host *host);
