#pragma once

/*
 * The machines of a trial, opened: from the deployment to a `struct host` for each, side by side,
 * and to what engine_open needs to reach its engine.
 *
 * A host that cannot be opened does not keep the others from being opened: its record holds the
 * error, and whoever needs that host returns it. DOCKER_HOST and docker contexts that say ssh://
 * are opened like any other host.
 *
 * Owns:    hosts and records; they live until testbed_close.
 * Threads: opened and closed by one thread; what is in the records does not change in between, and
 *          `struct host` may be used from any thread.
 */

#include "runner/deployment/deployment.h"
#include "runner/engine/engine.h"
#include "runner/remote/host.h"

struct testbed_host {
    char *name;                   /* as the deployment has it; "local" for this machine's engine */
    char *ssh;                    /* destination; NULL: this machine */
    char *address;                /* at which containers of other hosts reach it */
    struct host *host;            /* NULL: it could not be opened, or was not wanted */
    struct engine_options engine; /* for engine_open, when `host` is there */
    struct error err;             /* why it could not be opened */
};

struct testbed {
    struct testbed_host *hosts; /* in the order of the deployment */
    size_t count;
    size_t builder; /* the host whose engine builds images */
};

struct testbed_options {
    const struct deployment *deployment;
    struct engine_options engine; /* of this machine, as the environment says */
    const char *const *only;      /* open these alone, NULL-terminated; NULL: all */
    /* Called on the thread of testbed_open when a host is open, or failed; may be NULL. */
    void (*on_host)(void *arg, const struct testbed_host *host);
    void *arg;
};

/*
 * Returns 0 when all that was wanted is open, 1 when some could not be opened (their records say
 * why). Faults: ERROR_CANCELLED, ERROR_NOT_FOUND (`only` names a host that does not exist),
 * ERROR_CONFIG.
 */
int testbed_open(const struct testbed_options *options, const struct task *task,
                 struct testbed **ret, struct error *err);
void testbed_close(struct testbed *testbed);
static inline void testbed_closep(struct testbed **testbed) {
    if (*testbed)
        testbed_close(*testbed);
}

/* Index of the host of that name; -1 and ERROR_NOT_FOUND with the nearest name as a hint. */
long testbed_find(const struct testbed *testbed, const char *name, struct error *err);

/* A connection to the engine of a host; the host's own error when it is not open. */
int testbed_engine(const struct testbed *testbed, size_t host, const struct task *task,
                   struct engine **ret, struct error *err);

/* The first error of a host that could not be opened, wrapped with how many others there are; for
 * commands that need all of them. Always -1. */
int testbed_refuse(const struct testbed *testbed, struct error *err);
