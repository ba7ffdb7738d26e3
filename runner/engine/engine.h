#pragma once

/*
 * A Docker Engine, spoken to through its API: this file opens one and asks who it is; each resource
 * has a file of its own beside it (image, container, network, volume, exec, events). settings.h
 * finds the one that the user means.
 *
 * Engines are reached by unix socket or TCP, with or without TLS. Without TLS everybody on the way
 * is root on that machine: that is the user's choice, as it is with docker. ssh:// is for
 * runner/remote, which puts a unix socket in front of it.
 *
 * engine_open connects, asks /_ping for the newest API version that the engine knows, and uses
 * the smaller of that and ours. An engine older than 1.41 (Docker 20.10) is refused by name.
 *
 * Every function takes the engine, its own arguments, the task, its outputs and the error last. A
 * call takes at most `call_timeout_ns`, and less if the task's deadline is nearer. Some calls last
 * as long as what they carry: archives and logs are limited by silence of that length instead,
 * stopping a container gets its grace in addition, waiting and following end by the task alone, and
 * a build may be silent for `build_idle_ns`.
 *
 * Names and ids are checked before they are put into a path. Whatever the engine sends is bounded.
 *
 * Owns:    results that are structs with an x_deinit own their JSON document (`json`), and their
 *          strings are borrowed from it: they live until the deinit.
 * Errors:  the engine's own message, made harmless, behind what we were doing. By status:
 *          400 and 5xx ERROR_REFUSED, 401 and 403 ERROR_REFUSED, 404 ERROR_NOT_FOUND,
 *          409 ERROR_CONFLICT; no engine or a broken connection ERROR_UNREACHABLE; ERROR_TIMEOUT,
 *          ERROR_CANCELLED; ERROR_LIMIT and ERROR_INVALID when its answer is too large or broken.
 * Threads: an engine belongs to one thread. Opening one costs a ping; open one per thread.
 * Source:  https://docs.docker.com/reference/api/engine/ (1.41 to 1.51).
 */

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENGINE_HOST_DEFAULT "unix:///var/run/docker.sock"
#define ENGINE_CALL_TIMEOUT_NS_DEFAULT (60 * NS_PER_SEC)
#define ENGINE_BUILD_IDLE_NS_DEFAULT (1800 * NS_PER_SEC)

enum {
    ENGINE_API_MINOR_MIN = 41,            /* Docker 20.10 */
    ENGINE_API_MINOR_MAX = 51,            /* Docker 28.5, the newest we were tried with */
    ENGINE_ANSWER_MAX = 32 * 1024 * 1024, /* one JSON answer: lists of thousands of containers */
    ENGINE_NAME_MAX = 512,                /* of a container, image reference, network */
};

struct engine;

/* Files in PEM; all NULL and `on` false: no TLS. Only for tcp://. */
struct engine_tls {
    bool on;
    bool skip_verify; /* whoever answers is believed: only where the user has said so */
    char *ca_file;    /* who may vouch for the engine; NULL: the system's authorities */
    char *cert_file;  /* our certificate and its key; NULL: none */
    char *key_file;
    char *server_name; /* in the engine's certificate; NULL: the name in `host` */
};

struct engine_options {
    const char *host;            /* "unix:///path" or "tcp://host:port"; NULL or "": the default */
    struct engine_tls tls;       /* borrowed for the call; see settings.h */
    uint64_t call_timeout_ns;    /* 0: the default */
    uint64_t build_idle_ns;      /* 0: the default */
    uint64_t connect_timeout_ns; /* 0: that of lib/http.h */
};

int engine_open(const struct engine_options *options, const struct task *task, struct engine **ret,
                struct error *err);
void engine_close(struct engine *engine);
static inline void engine_closep(struct engine **engine) {
    engine_close(*engine);
}

/* "unix:///var/run/docker.sock" */
const char *engine_host(const struct engine *engine);
/* The minor part of the API version in use: 41 for 1.41. */
int engine_api_minor(const struct engine *engine);

/* A name and a value: labels, environment, options. Lists of them end with a NULL name. */
struct engine_pair {
    const char *name;
    const char *value;
};

int engine_ping(struct engine *engine, const struct task *task, struct error *err);

struct engine_info {
    struct json *json;
    const char *id;
    const char *name; /* the host's name */
    const char *server_version;
    const char *operating_system;
    const char *kernel_version;
    const char *architecture;
    const char *storage_driver;
    const char *cgroup_version;
    const char *root_dir;
    int64_t cpus;
    int64_t memory_bytes;
    int64_t containers_running;
    bool podman; /* its service, which answers as Docker does */
};
#define ENGINE_INFO_NULL ((struct engine_info){.json = NULL})

int engine_info(struct engine *engine, const struct task *task, struct engine_info *ret,
                struct error *err);
void engine_info_deinit(struct engine_info *info);

struct engine_version {
    struct json *json;
    const char *version; /* "20.10.24" */
    const char *api_version;
    const char *git_commit;
    const char *platform;
};
#define ENGINE_VERSION_NULL ((struct engine_version){.json = NULL})

int engine_version(struct engine *engine, const struct task *task, struct engine_version *ret,
                   struct error *err);
void engine_version_deinit(struct engine_version *version);
