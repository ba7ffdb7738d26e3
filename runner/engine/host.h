#pragma once

/*
 * Where an engine listens, as docker writes it: "unix:///path", "tcp://host:port". Pure.
 *
 * Source: docker/cli, opts/hosts.go. Unlike docker, a path behind tcp://host:port is refused.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { ENGINE_PORT_DEFAULT = 2375, ENGINE_HOST_SIZE_MAX = 1024 };

/*
 * An endpoint as the user wrote it, in full: spaces around it go, "host" and "tcp://host" get a
 * port, "tcp://:1" gets localhost, "unix://" the default socket, "" the default engine (by TLS:
 * tcp://localhost:2376). "ssh://", "fd://" and "npipe://" stay as they are. malloc()ed.
 * ERROR_CONFIG.
 */
int engine_host_complete(const char *text, bool tls, char **ret, struct error *err);

/* "host:port", "[v6]:port", each part optional: "localhost" and 2375. The host is malloc()ed and
 * has no brackets. */
int engine_host_split(const char *address, char **ret_host, uint16_t *ret_port, struct error *err);
