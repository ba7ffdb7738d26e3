#pragma once

/*
 * Containers of an engine: made from a typed description, started, watched, stopped, removed.
 * Logs and archives are in log.h and archive.h.
 *
 * A description that is zero asks for nothing: whatever is NULL, 0 or false is left to the engine
 * and the image. All lists end with NULL (pairs: a NULL name); an empty list and NULL are different
 * where the API tells them apart (cmd, entrypoint).
 */

#include "runner/engine/engine.h"

struct engine_mount {
    enum engine_mount_type {
        ENGINE_MOUNT_BIND,   /* `source` is an absolute path of the engine's host */
        ENGINE_MOUNT_VOLUME, /* `source` is a volume's name; NULL: an anonymous one */
        ENGINE_MOUNT_TMPFS,
    } type;
    const char *source;
    const char *target;
    bool read_only;
    bool create_source;       /* bind: make the folder if it is missing, as `-v` does */
    int64_t tmpfs_size_bytes; /* 0: no limit */
    int64_t tmpfs_mode;       /* 0: the engine's (01777) */
    bool no_copy;             /* volume: not filled with what the image has there */
};

struct engine_endpoint {
    const char *network; /* name or id; NULL ends a list */
    const char *const *aliases;
    const char *ipv4_address;
    const char *ipv6_address;
};

struct engine_port {
    uint16_t container_port; /* 0 ends a list */
    const char *protocol;    /* NULL: tcp */
    bool published;          /* false: only exposed */
    const char *host_address;
    uint16_t host_port; /* 0: the engine chooses */
};

struct engine_ulimit {
    const char *name; /* NULL ends a list */
    int64_t soft;     /* -1: no limit */
    int64_t hard;
};

struct engine_healthcheck {
    const char *const
        *test;            /* {"CMD", "/bin/x", NULL}, {"CMD-SHELL", "...", NULL}, {"NONE", NULL} */
    uint64_t interval_ns; /* 0: inherited, in all of them */
    uint64_t timeout_ns;
    uint64_t start_period_ns;
    int64_t retries;
};

struct engine_container_spec {
    const char *name;
    const char *image;
    const char *const *cmd;
    const char *const *entrypoint;
    const struct engine_pair *env; /* value NULL: removes what the image sets */
    const struct engine_pair *labels;
    const char *user;
    const char *working_dir;
    const char *hostname;
    const char *domainname;
    bool tty;
    bool stdin_open;

    const struct engine_mount *mounts; /* the list ends with a NULL target */
    const char *const *binds;          /* "source:target[:options]", for what mounts cannot say */
    const struct engine_pair *tmpfs;   /* path, options ("" for none) */
    const char *const *volumes_from;
    int64_t shm_size_bytes;
    bool read_only;

    const char *network_mode; /* "host", "none", "bridge", "container:ID"; NULL: first endpoint's */
    const struct engine_endpoint *endpoints;
    const char *const *extra_hosts; /* "name:address" */
    const struct engine_port *ports;
    const char *const *dns;
    const char *const *dns_search;
    const char *const *dns_options;
    const char *mac_address;

    const struct engine_healthcheck *healthcheck; /* NULL: the image's */
    const char *stop_signal;
    int64_t stop_grace_s;       /* 0: the engine's 10 s */
    const char *restart_policy; /* "no", "always", "unless-stopped", "on-failure" */
    int64_t restart_retries_max;
    bool init;

    const char *const *cap_add;
    const char *const *cap_drop;
    const char *const *security_opt;
    const char *const *group_add;
    const char *const *devices; /* "host[:container[:rwm]]" */
    bool privileged;
    const char *pid_mode;
    const char *ipc_mode;
    const char *userns_mode;
    const char *runtime;

    const struct engine_ulimit *ulimits;
    const struct engine_pair *sysctls;
    int64_t memory_bytes;
    int64_t memory_swap_bytes; /* -1: no limit */
    int64_t memory_reservation_bytes;
    int64_t nano_cpus; /* 1.5 CPUs are 1500000000 */
    int64_t cpu_shares;
    const char *cpuset;
    int64_t pids_max; /* -1: no limit */
    int64_t oom_score_adj;
    const char *cgroup_parent;

    const char *log_driver;
    const struct engine_pair *log_options;
};

/* Pure: the body of the create call. The caller frees it. The name is not part of it. */
struct json *engine_container_json(const struct engine_container_spec *spec);

enum { ENGINE_ID_SIZE = 65 };

/*
 * Creates it, and connects it to all its endpoints; if that fails, removes it again.
 * Errors: ERROR_NOT_FOUND (no such image), ERROR_CONFLICT (the name is taken).
 */
int engine_container_create(struct engine *engine, const struct engine_container_spec *spec,
                            const struct task *task, char ret_id[ENGINE_ID_SIZE],
                            struct error *err);

/* Returns 1 when it was running already. */
int engine_container_start(struct engine *engine, const char *container, const struct task *task,
                           struct error *err);

/*
 * Stop signal, grace (0 or more seconds), then SIGKILL. Within the grace and the call timeout.
 * Returns 1 when it was not running.
 */
int engine_container_stop(struct engine *engine, const char *container, int64_t grace_s,
                          const struct task *task, struct error *err);

/* `signal` by name or number; NULL: SIGKILL. Returns 1 when it was not running. */
int engine_container_kill(struct engine *engine, const char *container, const char *signal,
                          const struct task *task, struct error *err);

/* Until it is not running; at once if it is not. Ends by the task alone. */
int engine_container_wait(struct engine *engine, const char *container, const struct task *task,
                          int64_t *ret_exit_code, struct error *err);

/* Return 1 when it is so already. ERROR_CONFLICT when it is not running. */
int engine_container_pause(struct engine *engine, const char *container, const struct task *task,
                           struct error *err);
int engine_container_unpause(struct engine *engine, const char *container, const struct task *task,
                             struct error *err);

/* ERROR_CONFLICT when the name is taken. */
int engine_container_rename(struct engine *engine, const char *container, const char *name,
                            const struct task *task, struct error *err);

/* Its anonymous volumes too if `volumes`. Returns 1 when there is no such container (any more). */
int engine_container_remove(struct engine *engine, const char *container, bool force, bool volumes,
                            const struct task *task, struct error *err);

enum engine_health {
    ENGINE_HEALTH_NONE, /* no health check */
    ENGINE_HEALTH_STARTING,
    ENGINE_HEALTH_HEALTHY,
    ENGINE_HEALTH_UNHEALTHY,
};

struct engine_container {
    struct json *json; /* the whole answer, for container.json */
    const char *id;
    const char *name; /* without the slash in front */
    const char *image_id;
    const char *image; /* as the description named it */
    const struct json *labels;
    const char *status; /* created running paused restarting removing exited dead */
    bool running;
    bool oom_killed;
    int64_t exit_code;
    int64_t pid;
    int64_t restarts;
    const char *error; /* why it could not start; "" */
    const char *created;
    const char *started; /* RFC 3339; "0001-01-01T00:00:00Z" when never */
    const char *finished;
    enum engine_health health;
    const struct json *health_log; /* array of {Start, End, ExitCode, Output}; or NULL */
    bool tty;
    const char *working_dir; /* of its own or its image's; "" is "/" */
    int64_t memory_bytes;    /* that it may use; 0: no limit */
    const char *log_driver;
    const struct json *networks; /* object: name → {IPAddress, ...}; or NULL */
    const struct json *ports;    /* object: "80/tcp" → [{HostIp, HostPort}]; or NULL */
};
#define ENGINE_CONTAINER_NULL ((struct engine_container){.json = NULL})

/* By name or id. Returns 1, and nothing else, when there is no such container. */
int engine_container_inspect(struct engine *engine, const char *container, const struct task *task,
                             struct engine_container *ret, struct error *err);
void engine_container_deinit(struct engine_container *container);

/*
 * What in its own layer differs from its image: an array of objects with a `Path`, which is
 * hostile; not checked further. The caller frees it. Returns 1 when there is no such container.
 */
int engine_container_changes(struct engine *engine, const char *container, const struct task *task,
                             struct json **ret, struct error *err);

struct engine_container_entry {
    const char *id;
    const char *name;
    const char *image;
    const char *image_id;
    const char *state;  /* running, exited, ... */
    const char *status; /* for people: "Up 3 seconds (healthy)" */
    const struct json *labels;
    const struct json *ports; /* array of {IP, PrivatePort, PublicPort, Type}; or NULL */
    int64_t created_s;
};
struct engine_container_list {
    struct json *json;
    struct engine_container_entry *entries;
    size_t count;
};
#define ENGINE_CONTAINER_LIST_NULL ((struct engine_container_list){.json = NULL})

/* Running or not, those that carry all of these labels (a NULL value: whatever its value). */
int engine_container_list(struct engine *engine, const struct engine_pair *labels,
                          const struct task *task, struct engine_container_list *ret,
                          struct error *err);
void engine_container_list_deinit(struct engine_container_list *list);
