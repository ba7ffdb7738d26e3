#pragma once

/*
 * Machines as a provider has them, whoever that is, and which of them a deployment means. Pure.
 *
 * Owns: all texts; none is NULL but where it is said.
 */

#include "lib/clock.h"
#include "lib/error.h"
#include "runner/deployment/deployment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MACHINES_MAX = 100 * 1000 }; /* an account's, in all regions */

enum machine_state {
    MACHINE_PENDING,
    MACHINE_RUNNING,
    MACHINE_STOPPING,
    MACHINE_STOPPED,
    MACHINE_ENDING, /* shutting down for good */
    MACHINE_GONE,
};
extern const char *const machine_state_names[];

/* What else of ours there can be: it is listed, and goes at the end. */
enum machine_kind { MACHINE_IS_MACHINE, MACHINE_IS_GROUP };

struct machine {
    enum machine_kind kind;
    char *id;     /* "i-0123..." */
    char *name;   /* of the host it is, as FLEET-N; "" when the deployment has no place for it */
    char *region; /* "" where there are none */
    char *owner, *deployment, *fleet;
    char *zone, *type, *address, *private_address, *network;
    char *host_key; /* "SHA256:..." of its birth; "" unknown */
    char *reason;   /* why it stopped or ended, if not by us; "" */
    enum machine_state state;
    bool spot;
    int64_t launched_s, expires_s;      /* since 1970; expires 0: never */
    unsigned launch_index;              /* among those of one call */
    const struct deployment_host *host; /* NULL: the deployment has no place for it */
};

struct machines {
    struct machine *items;
    size_t count, capacity;
};
#define MACHINES_NULL ((struct machines){.items = NULL})
void machines_deinit(struct machines *machines);
/* A machine whose texts are all "", to be filled. ERROR_LIMIT. */
int machines_add(struct machines *machines, struct machine **ret, struct error *err);
/* Sets a text of it, made harmless. */
void machine_set(char **slot, const char *text);
/* Moves all of `from` into `to`. */
void machines_move(struct machines *to, struct machines *from);

/* It is there, running or not. */
bool machine_lives(const struct machine *machine);

/* By region, fleet, age: the order in which a fleet's machines get their names. */
void machines_sort(struct machines *machines);

/*
 * Gives each of the deployment's hosts the oldest machine of its fleet and region that lives and
 * has no host yet. Sorts.
 */
void machines_name(struct machines *machines, const struct deployment *deployment);

/* What is missing of a fleet in a region. */
struct machine_wish {
    const struct deployment_fleet *fleet;
    const struct deployment_region *region;
    size_t count;
};
/* In the order of the file; `ret` has room for all regions of all fleets. Returns how many. */
size_t machines_missing(const struct machines *machines, const struct deployment *deployment,
                        struct machine_wish *ret);
size_t machines_wishes_max(const struct deployment *deployment);

/* Who is logged in as on machines that are made. */
const char *machines_user(const struct deployment *deployment);
/* By which runner and machines reach it; "" while it has none. */
const char *machine_address(const struct machine *machine, const struct deployment *deployment);
/*
 * Fills in of the deployment's hosts what their named machines tell: who is reached where, and the
 * host key. Hosts without a machine that runs are `absent`.
 */
void machines_to_hosts(const struct machines *machines, struct deployment *deployment);
