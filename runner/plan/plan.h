#pragma once

/*
 * The plan of a trial: from the project, the deployment and the user's wishes to the ordered steps
 * that carry it out, on which host, for which container. Pure: nothing is touched, nothing is
 * asked, equal input makes an equal plan. `seatrial plan` prints it, `seatrial run` journals and
 * does it.
 *
 * A trial: check the hosts; build or find the images, bring them to the hosts, make networks and
 * volumes; run the prepare services to their end and fetch their output; create the containers;
 * start replicas and sidecars in the order of their dependencies and wait until they are healthy;
 * start the custom commands; start the loaders, give several of them one time to begin at, and wait
 * for their end; stop loaders, then replicas, then
 * sidecars; collect; remove. What comes after the load is cleanup: it is done whatever happened.
 *
 * Where: with provider `local` all is on this machine's engine. With provider `hosts` a container
 * goes to one of the hosts of its service's fleet (plan/place.h), and images are built by this
 * machine's engine, the *builder*, which is a host of its own that runs nothing.
 *
 * Shape:  containers of one service are consecutive; steps refer by index, and only backwards.
 * Owns:   its own texts and lists; borrows project and deployment, which must outlive it.
 * Errors: ERROR_CONFIG for what the two files ask for together and cannot be had.
 */

#include "compose/project.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "runner/deployment/deployment.h"
#include "runner/plan/step.h"

#include <stdbool.h>
#include <stdint.h>

/* Which part of a trial is planned. */
enum plan_mode {
    PLAN_TRIAL,   /* all of it */
    PLAN_LOAD,    /* only a loader, started by hand against replicas that run already */
    PLAN_COLLECT, /* fetch what is still on the hosts; stop and remove nothing */
    PLAN_DOWN,    /* stop, collect and remove what an earlier plan started */
};

struct plan_options {
    enum plan_mode mode;
    const char *run; /* the run's id */
    bool no_build_replica, no_build_loader;
    bool no_push_replica, no_push_loader;
    bool frozen;        /* nothing is built: what runs is what seatrial.lock says */
    bool keep;          /* leave stopped containers and networks after collection */
    bool no_load;       /* start the replicas, and no loader */
    bool detach;        /* of no_load: leave them running; else hold until somebody ends it */
    bool machines_only; /* only look at the hosts */
    bool in_memory, no_merkle;
    bool copy_data;
    const char *loader_args; /* instead of general.loader_cli; NULL: that */
    /*
     * To where `ssh` of the deployment's hosts leads (HostName of ssh_config), in their order: the
     * addresses of those that say none themselves. NULL, or a NULL in it: the host in `ssh`.
     */
    const char *const *addresses;
};

#define PLAN_NONE SIZE_MAX

/* Their logs of histograms are merged at once, each an open file. */
enum { PLAN_LOADERS_MAX = 256 };

/* Those of the deployment come first and in its order, whether used or not; the builder is last. */
struct plan_host {
    char *name;
    char *address;                            /* at which containers of other hosts reach it */
    const struct deployment_host *deployment; /* how to reach it; NULL: this machine's engine */
    size_t container_count;
    bool used;          /* some step is carried out on it */
    size_t files_image; /* which it has anyway when PUT_FILES is carried out; or PLAN_NONE */
};

struct plan_image {
    char *reference;
    const struct project_service *service; /* the first that uses it; its build, if it is built */
    bool build;
    char *context; /* folder; NULL unless built */
    bool carried;  /* from the builder to the hosts, by TRANSFER_IMAGE or the registry */
    char *remote;  /* its name in the registry that it goes through; NULL: it goes directly */
    bool no_push;  /* it must be there already */
};

struct plan_port {
    const char *name;
    uint16_t port;
};

struct plan_container {
    char *name;
    const struct project_service *service;
    size_t number; /* 1.. within the service, as Compose counts */
    size_t index;  /* 0.. within the role: SEATRIAL_INDEX */
    size_t host;
    size_t slot; /* 0.. among the service's containers on this host: what ports are counted by */
    size_t image;
    struct plan_port *ports;
    size_t port_count;
    size_t network_of; /* of `network_mode: service:...`: whose network it shares; or PLAN_NONE */
    size_t *outputs;   /* prepare containers whose output is put into it before it starts */
    size_t output_count;
};

struct plan {
    const struct project *project;
    const struct deployment *deployment;
    char *run;
    char *name;
    char *loader_args; /* SEATRIAL_LOADER_ARGS; NULL: none */
    struct plan_options options;
    struct plan_host *hosts;
    size_t host_count;
    size_t builder; /* where images are built, and carried from; PLAN_NONE: no image is */
    struct plan_image *images;
    size_t image_count;
    struct plan_container *containers;
    size_t container_count;
    struct step *steps;
    size_t step_count, step_capacity;
};

int plan_make(const struct project *project, const struct deployment *deployment,
              const struct plan_options *options, struct plan **ret, struct error *err);
void plan_free(struct plan *plan);
DEFINE_CLEANUP_FREE(plan);

/* What a step is about: a host's, image's, network's, volume's or container's name. Borrowed. */
const char *plan_subject(const struct plan *plan, const struct step *step);

/* It has its host's own address and ports, by itself or by the container whose network it shares.
 */
bool plan_on_host_network(const struct plan *plan, const struct plan_container *container);

/* It deals with what an earlier plan has started: PLAN_COLLECT and PLAN_DOWN. */
bool plan_is_rest(const struct plan *plan);

/* What it starts is left running when all was good. */
bool plan_is_left(const struct plan *plan);

/* Whether a custom command of the deployment is run for this container. */
bool plan_command_wants(const struct plan *plan, const struct deployment_command *command,
                        size_t container);

/* How many containers have this role. */
size_t plan_role_count(const struct plan *plan, enum project_role role);

/* /seatrial/cluster.yaml: who is in the trial, and where. */
void plan_write_cluster(const struct plan *plan, struct buffer *out);

/* The steps as a table for people; with provider hosts, who is where in front of it. */
void plan_write_text(const struct plan *plan, struct buffer *out);
