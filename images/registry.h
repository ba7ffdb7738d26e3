#pragma once

/*
 * A registry, by the distribution API (version 2): what an image's manifest is there, whether it is
 * there at all, which tags there are. Images are pushed and pulled by engines; what engines say of
 * it is checked against what is answered here.
 *
 * How we are known is found out as the registry asks for it: user and password with each request,
 * or a token from the server that it names, which is kept while it is good and fetched again when
 * the registry does not take it any more. A registry that has too much to do (429, 503 and others)
 * is asked again, when it says (Retry-After) or after a pause that grows.
 *
 * Everything that comes is bounded, and a manifest must have the digest by which it was asked for.
 *
 * TLS, always, but for registries on this machine's loopback: to those engines speak as they can,
 * and so do we (TLS with any certificate, then without). Authorities and certificates of ours are
 * looked for where engines look: ca.crt, client.cert and client.key of
 * /etc/docker/certs.d/HOST:PORT. Proxies of the environment (https_proxy, no_proxy) are used.
 *
 * Errors:  ERROR_UNREACHABLE, ERROR_TIMEOUT, ERROR_CANCELLED, ERROR_REFUSED (we are not known, or
 *          may not; the certificate), ERROR_NOT_FOUND where nothing is said to be an outcome,
 *          ERROR_INVALID (it is no registry, or it lies), ERROR_LIMIT. All name the registry.
 * Threads: one registry belongs to one thread at a time.
 * Source:  distribution/spec/api.md; OCI distribution specification 1.0.
 */

#include "images/credentials.h"
#include "images/registry_manifest.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/error.h"
#include "lib/task.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REGISTRY_TRIES_MAX = 6,         /* of one request */
    REGISTRY_TAGS_MAX = 100 * 1000, /* of one repository */
};
/* A registry that says that it wants to be left alone for longer is not waited for. */
#define REGISTRY_WAIT_NS_MAX (120 * NS_PER_SEC)
/* The first pause; each one after is twice as long. */
#define REGISTRY_PAUSE_NS_DEFAULT (500 * NS_PER_MS)
#define REGISTRY_PAUSE_NS_MAX (16 * NS_PER_SEC)

struct registry;

struct registry_options {
    const char *domain;                    /* "docker.io", "registry:5000" */
    const struct credentials *credentials; /* NULL, or unknown: nobody */
    const char *certificates;              /* instead of /etc/docker/certs.d; or NULL */
    const char *unix_socket; /* where it is reached instead of by its name, without TLS; or NULL */
    uint64_t pause_ns;       /* 0: the default */
    /* NULL, or told of every pause: what a person may read. */
    void (*on_pause)(void *arg, const char *why, uint64_t ns);
    void *arg;
};

/* Connects to nothing yet. Copies the options. ERROR_INVALID: the domain is none. */
int registry_open(const struct registry_options *options, struct registry **ret, struct error *err);
void registry_close(struct registry *registry);
static inline void registry_closep(struct registry **registry) {
    registry_close(*registry);
}

/* It is a registry, and lets us in. */
int registry_check(struct registry *registry, const struct task *task, struct error *err);

/* What is there under a tag or digest. */
struct registry_manifest {
    char digest[DIGEST_TEXT_SIZE];
    char media[REGISTRY_MEDIA_MAX + 1];
    struct buffer body; /* of registry_get alone */
};
#define REGISTRY_MANIFEST_NULL ((struct registry_manifest){.body = BUFFER_NULL})
void registry_manifest_deinit(struct registry_manifest *manifest);

/* `path`: "team/app", "library/redis". `reference`: tag or digest. 1: there is no such thing. */
int registry_head(struct registry *registry, const char *path, const char *reference,
                  const struct task *task, struct registry_manifest *ret, struct error *err);
/* With its body, of which the digest is computed: one other than the one asked for, or than what
 * the registry says it is, is ERROR_INVALID. */
int registry_get(struct registry *registry, const char *path, const char *reference,
                 const struct task *task, struct registry_manifest *ret, struct error *err);

struct registry_tags {
    char **names;
    size_t count, capacity;
};
#define REGISTRY_TAGS_NULL ((struct registry_tags){.names = NULL})
void registry_tags_deinit(struct registry_tags *tags);
/* All of them, page by page. 1: there is no such repository. */
int registry_list_tags(struct registry *registry, const char *path, const struct task *task,
                       struct registry_tags *ret, struct error *err);

/* How many pulls a registry allows us, and how many are left of them, as Docker Hub says it. */
struct registry_limits {
    uint64_t pulls, left, window_s;
};
/* Asks about `path` and `tag`, which counts as no pull. 1: it says nothing about limits. */
int registry_pull_limits(struct registry *registry, const char *path, const char *tag,
                         const struct task *task, struct registry_limits *ret, struct error *err);

/* ---- the pure parts ---- */

/*
 * For how long to wait after the `tries`th answer (from 1) with this status; `retry_after` is the
 * header ("" : none), seconds or a date, seen from `now`; `random` spreads those that were turned
 * away at once. 0: it is of no use to ask again.
 */
uint64_t registry_pause_ns(int status, const char *retry_after, struct wall_time now,
                           unsigned tries, uint64_t first_ns, uint32_t random);
