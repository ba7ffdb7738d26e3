#pragma once

/*
 * A project: what a Compose file (or several, merged) says, checked. Everything that the Compose
 * Specification knows and this program does not support yet is refused by name, with its place;
 * nothing is ignored but `x-*` keys that are not ours.
 *
 * Parsing is pure: texts and a lookup of variables go in, a project or an error comes out.
 * compose/load.h reads the files.
 *
 * Shape:  lists of texts end with NULL and lists of pairs with a NULL name; such a list is NULL
 *         when it was not given. Other lists have a count. Texts that were not given are NULL.
 * Units:  in the names. Numbers that were not given are 0 where the comment says nothing else.
 * Owns:   a project owns all it points to, but for what other structs borrow from it.
 * Errors: ERROR_CONFIG, "FILE:LINE:COLUMN: message".
 * Source: https://github.com/compose-spec/compose-spec (2024); docker compose where it is silent.
 */

#include "compose/environment.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROJECT_FILES_MAX = 16,
    PROJECT_SERVICES_MAX = 256,
    PROJECT_REPLICAS_MAX = 10000, /* of one service; row 10 of the mission */
    PROJECT_NAME_MAX = 63,        /* it becomes part of host and network names */
};

/* Where something was said. */
struct project_place {
    const char *file;
    unsigned line;
    unsigned column;
};

enum project_role {
    PROJECT_ROLE_SIDECAR, /* also what a service without x-seatrial is */
    PROJECT_ROLE_PREPARE, /* runs once, first */
    PROJECT_ROLE_REPLICA,
    PROJECT_ROLE_LOADER,
};
/* "sidecar", ... */
const char *project_role_name(enum project_role role);

struct project_build {
    char *context;    /* as written, but for "~": see project_build_context */
    char *dockerfile; /* relative to the context; NULL: Dockerfile */
    char *target;
    struct env_pair *args; /* value NULL: not set anywhere, the Dockerfile's default */
    struct env_pair *labels;
    char **tags;             /* besides the service's image */
    char **cache_from;       /* images whose layers may be used again */
    char *dockerfile_inline; /* the Dockerfile itself; NULL: a file */
    char *platform;          /* NULL: the service's, else the engine's own */
    char *network;
    bool no_cache;
    bool pull;
    struct project_place place;
};

struct project_dependency {
    char *service;
    enum project_condition {
        PROJECT_STARTED,
        PROJECT_HEALTHY,
        PROJECT_COMPLETED,
    } condition;
    bool restart;
    bool optional; /* `required: false` */
    struct project_place place;
};

struct project_endpoint { /* of a service on a network */
    char *network;        /* key of project.networks */
    char **aliases;
    char *ipv4_address;
    char *ipv6_address;
};

struct project_port { /* ranges are spread out: one of these per port */
    uint16_t target;
    uint16_t published; /* 0: the engine chooses */
    bool publish;       /* false: only exposed */
    char *host_address; /* NULL: all */
    char *protocol;     /* "tcp", "udp", "sctp" */
};

struct project_mount {
    enum project_mount_type {
        PROJECT_MOUNT_BIND,
        PROJECT_MOUNT_TMPFS,
        PROJECT_MOUNT_VOLUME,
    } type;
    char *source; /* bind: absolute path; volume: key of project.volumes */
    char *target;
    bool read_only;
    bool create_source;       /* the short form makes a missing folder */
    bool from_project;        /* bind: written as seen from the project or the user's home */
    int64_t tmpfs_size_bytes; /* 0: no limit */
    int64_t tmpfs_mode;       /* 0: the engine's */
    bool no_copy;             /* volume: not filled with what the image has there */
};

struct project_ulimit {
    char *name;
    int64_t soft; /* -1: no limit */
    int64_t hard;
};

struct project_healthcheck {
    bool given;   /* false: the image's */
    bool disable; /* none at all, whatever the image says */
    char **test;  /* {"CMD", ...} or {"CMD-SHELL", text}; NULL: the image's, with these times */
    uint64_t interval_ns; /* 0: inherited, in all of them */
    uint64_t timeout_ns;
    uint64_t start_period_ns;
    int64_t retries;
};

struct project_hook { /* a command run in the container */
    char **command;   /* never NULL or empty */
    struct env_pair *environment;
    char *user;
    char *working_dir;
    bool privileged;
};

struct project_env_file {
    char *path; /* absolute, unless the project's folder is relative */
    bool optional;
    struct project_place place;
};

struct project_named_port {
    char *name;     /* x-seatrial.ports: what a program calls it */
    uint16_t first; /* the container in slot s of its host has first + s */
};

struct project_seatrial { /* x-seatrial */
    bool given;
    enum project_role role;
    char *fleet;      /* NULL: the deployment's only one */
    int64_t per_host; /* at least 1 */
    char *cores;      /* where core dumps appear in the container; NULL: none are collected */
    char **data;      /* what --copy-data fetches */
    char **collect;
    char **context_allow; /* files of the build context that may look like secrets: patterns */
    char *output;         /* prepare: the folder that every other container is given; NULL: none */
    struct project_named_port *ports;
    size_t port_count;
};

struct project_service {
    char *name;
    char *image; /* never NULL: "<project>-<service>" if there is only `build` */
    bool image_given;
    struct project_build *build; /* NULL: none */
    char **command;              /* NULL: the image's; empty: none */
    char **entrypoint;
    /* env_file below environment; a value NULL was named and is set nowhere: remove it. */
    struct env_pair *environment;
    struct project_env_file *env_files;
    size_t env_file_count;
    struct env_pair *labels;
    char *platform; /* that its image is built for; NULL: the engine's own */
    char *user;
    char *working_dir;
    char *hostname;
    char *domainname;
    char *container_name;
    int64_t replicas;    /* deploy.replicas or scale; at least 0, 1 when not given */
    bool replicas_given; /* ... and where, for who compares it with another file */
    struct project_place replicas_place;
    struct project_dependency *dependencies;
    size_t dependency_count;

    char *network_mode; /* NULL: its networks. "host", "none", "bridge", "service:NAME" */
    struct project_endpoint *endpoints; /* `default` was added where nothing is said */
    size_t endpoint_count;
    struct project_port *ports;
    size_t port_count;
    char **extra_hosts; /* "name:address" */
    char **dns;
    char **dns_search;
    char **dns_options;

    struct project_mount *mounts;
    size_t mount_count;
    struct env_pair *tmpfs; /* path, options ("" for none) */

    struct project_healthcheck healthcheck;
    char *stop_signal;
    int64_t stop_grace_ns;         /* -1: not given */
    struct project_hook *pre_stop; /* one after the other, before the container is stopped */
    size_t pre_stop_count;
    char *restart; /* NULL, "no", "always", "unless-stopped", "on-failure" */
    int64_t restart_retries_max;
    bool init;
    bool tty;
    bool stdin_open;

    char **cap_add;
    char **cap_drop;
    char **security_opt;
    char **group_add;
    char **devices;
    char *pid_mode;
    char *ipc_mode;
    bool privileged;
    bool read_only;
    struct env_pair *sysctls;
    struct project_ulimit *ulimits;
    size_t ulimit_count;
    int64_t shm_size_bytes;
    int64_t memory_bytes;
    int64_t memory_swap_bytes; /* -1: no limit */
    int64_t memory_reservation_bytes;
    int64_t nano_cpus;
    int64_t cpu_shares;
    char *cpuset;
    int64_t pids_max; /* -1: no limit */
    int64_t oom_score_adj;
    char *cgroup_parent;
    char *log_driver;
    struct env_pair *log_options;

    struct project_seatrial seatrial;
    struct project_place place;
};

struct project_network {
    char *key;    /* as services name it */
    char *name;   /* the engine's: "<project>_<key>" unless `name` says else */
    char *driver; /* NULL: the engine's default */
    struct env_pair *options;
    struct env_pair *labels;
    bool internal;
    bool attachable;
    bool ipv6;
    char *subnet; /* ipam.config[0] */
    char *gateway;
    char *ip_range;
    struct project_place place;
};

struct project_volume {
    char *key;    /* as services name it */
    char *name;   /* the engine's: "<project>_<key>" unless `name` says else; external: <key> */
    char *driver; /* NULL: the engine's default */
    struct env_pair *options;
    struct env_pair *labels;
    bool external; /* not ours: neither made nor removed */
    struct project_place place;
};

struct project {
    char *name;
    char *folder; /* of the first file, as given: the base of relative paths */
    char **files;
    struct project_service *services; /* in the order of the file */
    size_t service_count;
    /* Indices into services: each after all that it depends on. */
    size_t *start_order;
    struct project_network *networks; /* only those that a service uses */
    size_t network_count;
    struct project_volume *volumes; /* only those that a service mounts */
    size_t volume_count;
    char **warnings; /* for people: "FILE:LINE:COLUMN: message"; never NULL */
};

void project_free(struct project *project);
DEFINE_CLEANUP_FREE(project);

struct project_source {
    const char *file; /* as errors name it */
    const char *text;
    size_t size;
};

struct project_options {
    const char *name;           /* -p; NULL: COMPOSE_PROJECT_NAME, `name:`, the folder's name */
    const char *folder;         /* of the first file; "" is the working folder */
    const char *working_folder; /* absolute: what a relative `folder` starts at; NULL: nothing */
    struct environment environment;
};

/*
 * Checks and merges. Pure: `env_file`s are listed in their services, not read
 * (project_apply_env_file brings their contents in).
 */
int project_parse(const struct project_source *sources, size_t count,
                  const struct project_options *options, struct project **ret, struct error *err);

/* The contents of one of service->env_files. To be called from the last file to the first: what is
 * set already stays, so that `environment` stands above files, and later files above earlier ones.
 */
int project_apply_env_file(struct project_service *service, const char *file, const char *text,
                           size_t size, const struct environment *env, struct error *err);

/* What another file says of deploy.replicas; checks what depends on it again. */
int project_set_replicas(struct project *project, const char *service, int64_t replicas,
                         struct error *err);

/* NULL: no such service. */
const struct project_service *project_service(const struct project *project, const char *name);
const struct project_network *project_network(const struct project *project, const char *key);
const struct project_volume *project_volume(const struct project *project, const char *key);

/* Lower-case letters, digits, dashes and underscores, from a folder's name; "" if nothing is left.
 * malloc()ed. */
char *project_name_normalised(const char *name);

/* `path` as seen from `base`, "." and ".." resolved by their text. An absolute path stays.
 * malloc()ed. */
char *project_resolve_path(const char *base, const char *path);

/*
 * Where the service's build context is: `context` as seen from `concord_root` (of the deployment),
 * without one (NULL) from the project's folder. malloc()ed; the service has a build.
 */
char *project_build_context(const struct project *project, const struct project_service *service,
                            const char *concord_root);

/* The merged project as canonical YAML, as `docker compose config` prints it. */
void project_write_config(const struct project *project, struct buffer *out);
