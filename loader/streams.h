#pragma once

/*
 * Requests to any server that answers on the connection on which it was asked: each client has a
 * connection of its own, as users have, and one request on it at a time.
 *
 * A connection that breaks, or whose answer is not waited for any longer, is made again: at once if
 * it has carried an answer, else after a pause. The load goes on while any of them stands; when
 * none does for as long as the connect timeout, it ends. A server that answers nothing but refusals
 * or what is not its protocol ends it, too.
 *
 * Outcomes: HTTP: a status below 400 acknowledges, 429 and 503 mean overloaded, all others have
 * failed. Echo: as many bytes as were sent, and the same ones.
 */

#include "loader/carrier.h"
#include "loader/targets.h"
#include "loader/workload.h"

#include <stddef.h>

enum stream_protocol { STREAM_HTTP, STREAM_ECHO };

/* Everything is borrowed, and outlives the carriers. */
struct streams_config {
    enum stream_protocol protocol;
    const struct targets *targets; /* client i of the pool talks to number i modulo their count */
    const struct workload *workload;
    char *const *heads; /* HTTP: by target, what goes before the payload */
    uint64_t connect_timeout_ns;
};

struct carrier_maker streams_maker(const struct streams_config *config);

/* The request line and the headers of HTTP requests to `authority`. malloc()ed. Pure. */
char *streams_http_head(const char *method, const char *path, const char *authority,
                        size_t payload_size);
