#pragma once

/*
 * What host.h keeps to itself.
 */

#include "runner/remote/host.h"

struct tunnel;

struct host {
    char *name;
    char *engine;          /* as DOCKER_HOST */
    struct tunnel *tunnel; /* NULL: this machine */
};
