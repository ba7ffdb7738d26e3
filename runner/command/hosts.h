#pragma once

/*
 * The hosts of the deployment as commands see them: chosen by -m/--machine, opened and asked side
 * by side, each by a thread of its own. A host that cannot be reached is named with its reason and
 * keeps nobody else from answering; the command's exit status says that it was missing.
 *
 * Threads: what is declared here belongs to the main thread; the functions that are handed in run
 * on threads of the hosts, and may touch only what they are given.
 */

#include "runner/command/command.h"
#include "runner/run/testbed.h"

enum {
    HOSTS_CHOSEN_MAX = 64, /* -m options */
    /* At once on one host: where engines start and stop containers fastest (decision 0002). */
    HOSTS_WORKERS = 8,
};

/* ---- -m/--machine: an argp child of every command about hosts ---- */

struct hosts_chosen {
    const char *patterns[HOSTS_CHOSEN_MAX]; /* as fnmatch(3) reads them; none: all hosts */
    size_t count;
};
/* Its input is a struct hosts_chosen; a command's parser hands it over at ARGP_KEY_INIT. */
extern const struct argp_child hosts_children[];
/* For command_hosts_choose: all, of whom only the names are wanted; no provider is asked where they
 * are. */
extern const struct hosts_chosen hosts_names_only;

/* ---- hosts ---- */

struct command_host {
    const char *name;
    struct testbed_host *at;           /* how it is reached, once connected to */
    struct engine_container_list list; /* our containers of the project, running or not */
    bool failed;                       /* and was reported: what follows passes it over */
};

struct command_container {
    struct command_host *host;
    const struct engine_container_entry *entry;
    const struct json *json; /* the engine's own words about it */
    const char *service;     /* "" when it says none */
    uint64_t number;         /* within its service, 1.. */
    bool running;            /* or paused, or about to run again: what `ps` shows without --all */
    int result;              /* of the last function that ran for it; negative when it failed */
};

struct command_hosts {
    const struct command_context *context;
    struct command_files files;
    struct testbed *testbed;
    struct command_host *hosts; /* those chosen, in the deployment's order */
    size_t count;
    struct command_container *containers; /* by host, then by service and number */
    size_t container_count;
    int status; /* what became of it so far: the exit status of the first failure, else 0 */
};
#define COMMAND_HOSTS_NULL ((struct command_hosts){.hosts = NULL})

/*
 * Reads the files, looks where the hosts are if a provider makes them, and chooses. ERROR_USAGE
 * when a pattern fits none, listing them. `context` is borrowed.
 */
int command_hosts_choose(const struct command_context *context, const struct hosts_chosen *chosen,
                         struct command_hosts *ret, struct error *err);

/* Connects to those that were chosen. Hosts that cannot be reached are reported, and decide
 * `status`. */
void command_hosts_connect(struct command_hosts *hosts);
/* The same, but reports nothing: `at` says why a host has failed. */
void command_hosts_try(struct command_hosts *hosts);

/* Connects, and asks each for our containers. */
void command_hosts_list(struct command_hosts *hosts);

/* All of it: files, hosts, containers. */
int command_hosts_look(const struct command_context *context, const struct hosts_chosen *chosen,
                       struct command_hosts *ret, struct error *err);
void command_hosts_deinit(struct command_hosts *hosts);

/* The run that our containers belong to; ERROR_NOT_FOUND when there are none. */
int command_hosts_run(const struct command_hosts *hosts, char ret_run[RUN_ID_SIZE],
                      struct error *err);

/*
 * Runs `act` for every host that has not failed, side by side, each with an engine of its own;
 * then reports failures in the hosts' order.
 */
typedef int command_host_act(struct command_host *host, struct engine *engine, void *arg,
                             struct error *err);
void command_hosts_each(struct command_hosts *hosts, command_host_act *act, void *arg);

/* A failure there, which decides `status` if it is the first; none when Ctrl-C was the reason. */
void command_hosts_report(struct command_hosts *hosts, const struct command_host *host,
                          struct error *err);

/* ---- containers ---- */

/*
 * Those of these services or names, all when `count` is 0; in the order of hosts->containers. A
 * word that names neither a service of the project nor a container is ERROR_NOT_FOUND with the
 * nearest. `ret` is malloc()ed.
 */
int command_containers_find(const struct command_hosts *hosts, const char *const *words,
                            size_t count, struct command_container ***ret, size_t *ret_count,
                            struct error *err);

/*
 * The one container that SERVICE or CONTAINER means: that of number `index`, for 0 the first.
 * ERROR_NOT_FOUND.
 */
int command_container_one(const struct command_hosts *hosts, const char *word, uint64_t index,
                          struct command_container **ret, struct error *err);

/*
 * Runs `act` for each of them, on every host side by side with at most `workers` at once (0: one
 * per container); then reports failures in their order. Cancelled by Ctrl-C.
 */
typedef int command_container_act(struct command_container *container, struct engine *engine,
                                  void *arg, struct error *err);
void command_containers_each(struct command_hosts *hosts, struct command_container **containers,
                             size_t count, size_t workers, command_container_act *act, void *arg);
/* The same, looked on at. */
struct jobs_watch;
void command_containers_each_watched(struct command_hosts *hosts,
                                     struct command_container **containers, size_t count,
                                     size_t workers, command_container_act *act, void *arg,
                                     const struct jobs_watch *watch);
