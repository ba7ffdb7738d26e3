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
 * Threads: made and closed by one thread. A record does not change once its host is open, and
 *          `struct host` may be used from any thread.
 */

#include "runner/deployment/deployment.h"
#include "runner/engine/engine.h"
#include "runner/remote/host.h"

#include <pthread.h>

struct testbed_host {
    char *name;                               /* as the plan has it */
    const struct deployment_host *deployment; /* NULL: this machine's engine */
    char *ssh;                                /* destination; NULL: this machine */
    char *address;                            /* to where `ssh` leads, for plan_options; or NULL */
    struct host *host;                        /* NULL: it could not be opened, or was not wanted */
    struct engine_options engine;             /* for engine_open, when `host` is there */
    struct error err;                         /* why it could not be opened */
    pthread_mutex_t lock;                     /* of testbed_connect_one */
};

/* Indices are those of plan.hosts: the deployment's hosts in its order, then this machine's engine.
 * With provider `local` there is only the latter. */
struct testbed {
    struct testbed_host *hosts;
    size_t count;
    const char **addresses; /* by host of the deployment; for plan_options.addresses */
    const struct deployment *deployment;
    struct engine_options engine; /* of this machine */
    const char *ssh_config;
};

/* Is told when a host is open or has failed, on the thread that opens the testbed. */
struct testbed_watch {
    void (*on_host)(void *arg, const struct testbed_host *host); /* NULL: nobody watches */
    void *arg;
};

/*
 * Reads the user's SSH configuration (`ssh_config`: that file instead; or NULL) for where the hosts
 * are; connects to nobody. Borrows the deployment, the file's name and what `engine` (this
 * machine's, as the environment says) points to. Errors: ERROR_CONFIG.
 */
int testbed_new(const struct deployment *deployment, const struct engine_options *engine,
                const char *ssh_config, struct testbed **ret, struct error *err);
void testbed_close(struct testbed *testbed);
static inline void testbed_closep(struct testbed **testbed) {
    if (*testbed)
        testbed_close(*testbed);
}

/*
 * Opens the hosts that are `wanted` (by index; NULL: all that run containers) and not open yet.
 * Returns how many could not be opened; their records say why.
 */
size_t testbed_connect(struct testbed *testbed, const bool *wanted,
                       const struct testbed_watch *watch, const struct task *task);

/* Opens one, if it is not open yet; from any thread. Errors: those of host_open. */
int testbed_connect_one(struct testbed *testbed, size_t host, const struct task *task,
                        struct error *err);
/* Closes one that nobody uses. */
void testbed_disconnect_one(struct testbed *testbed, size_t host);

/* What is told while hosts are waited for; on the thread that waits. */
struct testbed_wait {
    const bool *young; /* by host: it was started a short time ago */
    void (*on_ready)(void *arg, size_t ready, size_t wanted);
    /* For some seconds nothing has come: one that is waited for, and why it is not ready. */
    void (*on_wait)(void *arg, const struct testbed_host *host, const struct error *why);
    void *arg;
};

/*
 * Waits until every host that runs containers is open and its engine answers: after machines were
 * started. What refuses us while it is young (keys and users come late) is asked again, as is
 * what does not answer. The first host's error that waiting does not mend; within ten minutes.
 */
int testbed_await(struct testbed *testbed, const struct testbed_wait *wait, const struct task *task,
                  struct error *err);

/* Index of the host of that name; -1 and ERROR_NOT_FOUND with the nearest name as a hint. */
long testbed_find(const struct testbed *testbed, const char *name, struct error *err);

/* A connection to the engine of a host; the host's own error when it is not open. */
int testbed_engine(const struct testbed *testbed, size_t host, const struct task *task,
                   struct engine **ret, struct error *err);
