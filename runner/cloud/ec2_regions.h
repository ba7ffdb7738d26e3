#pragma once

/*
 * Inside provider `ec2`: its regions, each with a client of its own, asked side by side, and what
 * is done in one of them.
 */

#include "runner/cloud/ec2.h"
#include "runner/cloud/ec2_group.h"
#include "runner/cloud/provider.h"

#include <pthread.h>

struct ec2_provider {
    struct provider base;
    const struct provider_settings *settings;
    struct provider_events events;   /* the settings', one at a time */
    struct provider_settings locked; /* the settings with those */
    struct aws_chain *chain;
    pthread_mutex_t lock; /* around events */
    struct ec2_region *regions;
    size_t region_count, deployment_region_count; /* the deployment's come first */
    char **ssh_from;                              /* networks of the runner; NULL: not known yet */
    provider_found *found;                        /* while ec2_examine runs */
    void *found_arg;
};

struct ec2_region {
    struct ec2_provider *provider;
    char *name;
    struct ec2 *ec2;
    enum provider_scope scope;
    struct machines found; /* of the last look */
    char **peers;          /* addresses of the deployment's machines elsewhere; or NULL */
    int64_t expires_s;
    bool flag; /* an argument of what is done */
    const struct task *task;
    int (*act)(struct ec2_region *region, struct error *err);
    struct error err;
    int result;
};

/* For a client of a service ("ec2", "sts") in a region; borrows of both. */
struct ec2_options ec2_region_options(const struct ec2_provider *p, const char *region,
                                      const char *service);
/* Adds one that is not there yet. */
int ec2_region_add(struct ec2_provider *p, const char *name, struct error *err);
void ec2_regions_free(struct ec2_provider *p);

/* All that AWS has open for the account. */
int ec2_regions_discover(struct ec2_provider *p, const struct task *task, struct error *err);

/* `act` in the first `count`, side by side. The first error, in their order. */
int ec2_regions_each(struct ec2_provider *p, size_t count, const struct task *task,
                     int act(struct ec2_region *region, struct error *err), struct error *err);

/* ---- acts ---- */

/* Machines and groups of the scope into `found`. */
int ec2_region_look(struct ec2_region *r, struct error *err);
/* The deployment's group in each network that its fleets use here, with rules for `peers`. */
int ec2_region_groups(struct ec2_region *r, struct error *err);
/* Makes what is missing (if `flag`) and starts what is stopped. */
int ec2_region_up(struct ec2_region *r, struct error *err);
/* Only the latter. */
int ec2_region_start(struct ec2_region *r, struct error *err);
int ec2_region_stop(struct ec2_region *r, struct error *err);
/* Ends what is found there, and waits until the machines are gone and the groups deleted. */
int ec2_region_down(struct ec2_region *r, struct error *err);
/* Ends those whose time has passed; `found` keeps only them. */
int ec2_region_reap(struct ec2_region *r, struct error *err);
/* The time until which all of it is wanted: `expires_s`. */
int ec2_region_renew(struct ec2_region *r, struct error *err);
/* As make's dry run. */
int ec2_region_check(struct ec2_region *r, struct error *err);
/* The deployment's group in a network; borrows of both. */
struct ec2_group_wish ec2_region_group_wish(const struct ec2_region *r, const char *network);

/* As struct provider_kind has it (ec2_examine.c). */
int ec2_examine(struct provider *provider, const struct task *task, provider_found *found,
                void *arg, struct error *err);

/* Sleeps before look `n` + 1 (n from 1): longer each time, up to some seconds. */
int ec2_pause(const struct ec2_provider *p, unsigned n, const struct task *task, struct error *err);
