#pragma once

/*
 * Who has the machines of a deployment, and what can be asked of them. All kinds of providers
 * answer to this: `local` and `hosts` have machines that are nobody's to make or end, `ec2` makes
 * them. A further cloud is one more file with a `struct provider_kind`.
 *
 * Whatever is made carries the owner, the deployment and a time until which it is wanted, from its
 * birth; nothing that lacks our owner is ever touched. Each call that changes something is in the
 * journal before it is made. Every operation can be repeated, whatever became of the one before.
 *
 * Errors:  those of the provider's client, with the region, the machine, and a hint.
 * Threads: a provider belongs to one thread; it may use others inside, and tells of events on them,
 *          one at a time.
 */

#include "compose/environment.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/task.h"
#include "runner/cloud/machine.h"
#include "runner/deployment/deployment.h"

struct provider_events {
    /* Before a call that changes something: on disk when it returns. Takes `fields`. */
    int (*journal)(void *arg, const char *event, struct json *fields, struct error *err);
    /* The token of a call that made machines for the fleet in the region, of which nobody knows how
     * it ended; malloc()ed, or NULL: there is none. */
    char *(*pending)(void *arg, const char *fleet, const char *region);
    void (*note)(void *arg, const char *text);
    void *arg;
};

struct provider_settings {
    const struct deployment *deployment;
    const struct environment *environment;
    const char *owner, *name;   /* of what is made: "user@host", and the deployment's name */
    const char *authorized_key; /* a line that lets us in; NULL: the deployment's ssh_key_name */
    struct provider_events events;
    const char *unix_socket; /* for tests: where the provider's service is; or NULL */
    uint64_t pause_ns;       /* between two looks and before calls are repeated; 0: as is good */
};

enum provider_scope {
    PROVIDER_DEPLOYMENT, /* what is of the deployment, in its regions */
    PROVIDER_ALL,        /* all that is the owner's, anywhere */
};

/* What is so of the way to machines, as `examine` finds it. */
enum provider_result {
    PROVIDER_GOOD,
    PROVIDER_WARNING,
    PROVIDER_FAILED,
    PROVIDER_NOT_CHECKED,
};
struct provider_finding {
    const char *region;
    const char *check; /* constant: "identity", "permissions", "machines", ... */
    enum provider_result result;
    const char *text;
    const char *remedy; /* or NULL */
};
typedef void provider_found(void *arg, const struct provider_finding *finding);

struct provider;

struct provider_kind {
    const char *name;
    bool makes; /* machines, so that the deployment's hosts are what `list` finds */
    void (*close)(struct provider *provider);
    /* Appends what is there, named. */
    int (*list)(struct provider *provider, enum provider_scope scope, const struct task *task,
                struct machines *ret, struct error *err);
    /*
     * Starts what is stopped, makes what is missing (if `make`), and returns when each of the
     * deployment's hosts has a machine that runs and can be reached. `ret` as of list.
     */
    int (*up)(struct provider *provider, bool make, const struct task *task, struct machines *ret,
              struct error *err);
    int (*stop)(struct provider *provider, const struct task *task, struct error *err);
    /* Begins the time to live of all that is of the deployment anew; `ret` as of list. What the
     * machines themselves know of it is not the provider's. */
    int (*renew)(struct provider *provider, const struct task *task, struct machines *ret,
                 struct error *err);
    /* Ends machines and removes what belongs to them. `ret_left`: what is still there at the end;
     * without any, all of it was seen to be gone. */
    int (*down)(struct provider *provider, enum provider_scope scope, const struct task *task,
                struct machines *ret_left, struct error *err);
    /* Ends the owner's machines, anywhere, whose time has passed. `ret`: those. */
    int (*reap)(struct provider *provider, const struct task *task, struct machines *ret,
                struct error *err);
    /* Asks whether all of the deployment's machines could be made, and makes nothing. */
    int (*check)(struct provider *provider, const struct task *task, struct error *err);
    /* Who we are there, what we may do, and all that check asks, each told by `found` as it is
     * known, on this thread. What is wrong is a finding, and no error. */
    int (*examine)(struct provider *provider, const struct task *task, provider_found *found,
                   void *arg, struct error *err);
};

/* The head of each kind's own struct. */
struct provider {
    const struct provider_kind *kind;
};

/* The deployment's. Borrows all of the settings. */
int provider_open(const struct provider_settings *settings, struct provider **ret,
                  struct error *err);
static inline void provider_closep(struct provider **provider) {
    if (*provider)
        (*provider)->kind->close(*provider);
}

/* provider_hosts.c: `local` and `hosts`. */
int provider_hosts_open(const struct provider_settings *settings, struct provider **ret,
                        struct error *err);
/* ec2_provider.c */
int provider_ec2_open(const struct provider_settings *settings, struct provider **ret,
                      struct error *err);

/* How long machines are wanted where the deployment does not say it. */
enum { PROVIDER_TIME_TO_LIVE_SEC = 8 * 3600 };
int64_t provider_expires_s(const struct deployment *deployment);
