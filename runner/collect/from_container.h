#pragma once

/*
 * The tar of a path in a container, from any of its bytes on. An engine can only send it from the
 * first byte: it makes the tar while it sends it, and twice the same of a container that has ended.
 * What comes before the byte that is wanted must not come over the network again. So over SSH a
 * program there, curl or docker, asks the engine, and `tail` drops the beginning on the spot. Where
 * the engine is on this machine the beginning costs little, and is dropped here.
 */

#include "lib/stream.h"
#include "runner/engine/engine.h"
#include "runner/remote/host.h"

#include <stdint.h>

struct from_container {
    struct engine *engine;
    struct host *host;     /* of the engine */
    const char *container; /* id */
    const char *path;
};

enum from_container_result {
    FROM_CONTAINER_NONE = 1,  /* there is no such path, or no container */
    FROM_CONTAINER_AGAIN = 2, /* as 0, but the beginning came over the network, and was dropped
                                 here: the host has neither curl nor docker, or its engine is
                                 reached by TCP */
};

/* Errors: those of the engine, the host and the sink. That the tar is whole is for the sink to say.
 */
int from_container_get(const struct from_container *from, uint64_t offset, const struct sink *sink,
                       const struct task *task, struct error *err);
