#pragma once

/*
 * Which engine the user means: what DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_TLS_VERIFY,
 * DOCKER_CERT_PATH, DOCKER_TLS and the contexts of `docker context` say, with docker's own
 * precedence:
 *
 *     DOCKER_HOST, then DOCKER_CONTEXT, then `currentContext` of config.json, then the default.
 *
 * A variable that is empty is one that is not set (docker 23 and newer). The context `default` is
 * the engine of the environment; only there the TLS variables count, a context brings its own
 * material. A unix socket or ssh:// needs none, and gets none. DOCKER_TLS_VERIFY with any value
 * turns TLS on with verification, DOCKER_TLS with any value turns it on without; the certificates
 * are ca.pem, cert.pem and key.pem of DOCKER_CERT_PATH, else of the configuration's folder.
 * DOCKER_CONFIG is that folder, else ~/.docker.
 *
 * Nothing is connected to. The host of ssh:// endpoints is for runner/remote; every other goes to
 * engine_open:
 *
 *     cleanup(engine_endpoint_settings_deinit) struct engine_endpoint_settings endpoint =
 *         ENGINE_ENDPOINT_SETTINGS_NULL;
 *     if (engine_endpoint_resolve(NULL, &endpoint, err) < 0)
 *         return -1;
 *     struct engine_options options = {.host = endpoint.host, .tls = endpoint.tls};
 *
 * Errors:  ERROR_CONFIG, naming the variable, context or file: no such context, one without a
 *          docker endpoint, a broken file, an endpoint that is none, a missing certificate.
 *          Unlike docker, a config.json that cannot be read is an error, not a warning.
 * Source:  docker/cli, cli/command/cli.go and cli/context/store; the oracle of the tests is
 *          `docker context inspect`.
 */

#include "lib/json.h"
#include "runner/engine/engine.h"

enum {
    ENGINE_CONFIG_MAX = 1024 * 1024, /* of config.json, which may hold many tokens */
    ENGINE_CONTEXT_MAX = 64 * 1024,  /* of one context's meta.json */
};

/* Where variables come from. */
struct engine_environment {
    /* NULL when it is not set. */
    const char *(*lookup)(void *arg, const char *name);
    void *arg;
};

struct engine_endpoint_settings {
    char *context; /* its name; "default" */
    char *host;   /* "unix:///path", "tcp://host:port", "ssh://[user@]host[:port]", or as written */
    char *origin; /* what decided, for messages: "DOCKER_HOST", "context 'lab'", "the default" */
    struct engine_tls tls; /* its strings belong to this struct */
};
#define ENGINE_ENDPOINT_SETTINGS_NULL ((struct engine_endpoint_settings){.host = NULL})

/* `environment` NULL: the process's. */
int engine_endpoint_resolve(const struct engine_environment *environment,
                            struct engine_endpoint_settings *ret, struct error *err);
void engine_endpoint_settings_deinit(struct engine_endpoint_settings *settings);

/* ---- the pure part ---- */

/* What meta.json of a context says. */
struct engine_context {
    const char *name; /* borrowed from the document, as `host` */
    const char *host; /* "" : the default engine */
    bool skip_verify;
};
int engine_context_read(const struct json *meta, struct engine_context *ret, struct error *err);
