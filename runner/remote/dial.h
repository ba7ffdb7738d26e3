#pragma once

/*
 * A TCP connection to a name: its addresses in turn, each with a fair share of the time. Resolving
 * can be cancelled too, although getaddrinfo() can not: it runs on a thread that is left behind.
 *
 * Errors: ERROR_UNREACHABLE naming what was tried, ERROR_NOT_FOUND (no such name), ERROR_TIMEOUT,
 * ERROR_CANCELLED, ERROR_CONFIG (the address to bind).
 */

#include "lib/error.h"
#include "lib/task.h"

#include <stdint.h>

struct dial {
    const char *host;
    uint16_t port;
    int family;               /* AF_UNSPEC, AF_INET, AF_INET6 */
    const char *bind_address; /* numeric; or NULL */
};

/* A non-blocking socket without Nagle's delay. */
int dial(const struct dial *dial, const struct task *task, int *ret_fd, struct error *err);
