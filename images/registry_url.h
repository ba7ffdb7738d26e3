#pragma once

/*
 * Where registries and those that give tokens for them are: addresses of the kind
 * `https://auth.example:8443/token`, and the names by which references know registries.
 *
 * Pure. Owns nothing.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REGISTRY_HOST_MAX = 253, /* RFC 1035; an IPv6 address is shorter */
    REGISTRY_PATH_MAX = 2048,
};

struct registry_url {
    bool tls;
    char host[REGISTRY_HOST_MAX + 1]; /* IPv6 without brackets */
    uint16_t port;
    char path[REGISTRY_PATH_MAX + 1]; /* with its query; "/" at least */
};

/* "http://" or "https://", host, port, path. No user, no fragment. ERROR_INVALID. */
int registry_url_parse(const char *text, struct registry_url *ret, struct error *err);

/*
 * From a reference's domain ("docker.io", "registry:5000", "[::1]:5000"): TLS, on 443 unless it
 * says another port. `docker.io` answers as `registry-1.docker.io`.
 */
int registry_url_of_domain(const char *domain, struct registry_url *ret, struct error *err);

/* A name for this machine: engines speak to registries there without TLS, too. */
bool registry_url_is_loopback(const struct registry_url *url);

/*
 * The words before the first '/', without a scheme: `https://index.docker.io/v1/` and
 * `index.docker.io` are the same server for those who look for credentials. `docker.io` and
 * `registry-1.docker.io` are index.docker.io, too. Returns `ret`.
 */
const char *registry_server_name(const char *text, char ret[REGISTRY_HOST_MAX + 1]);
