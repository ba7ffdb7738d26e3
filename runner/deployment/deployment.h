#pragma once

/*
 * deployment.yaml: where and how a trial runs. Sections that belong to clouds and registries are
 * read, checked and kept although nothing uses them yet; provider `ec2`, `fleets` and `sweep` are
 * refused by name.
 *
 * A value that is null says nothing. A variable that is not set and has no default is an error.
 *
 * Parsing is pure; deployment_load reads the file, and checks what only the disk can tell.
 *
 * Shape:  texts that were not given are NULL.
 * Owns:   all it points to.
 * Errors: ERROR_CONFIG, "FILE:LINE:COLUMN: message".
 */

#include "compose/environment.h"
#include "compose/project.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "runner/deployment/secret.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    DEPLOYMENT_HOSTS_MAX = 256, /* each has a connection and threads of its own */
};

enum deployment_provider {
    DEPLOYMENT_LOCAL,
    DEPLOYMENT_HOSTS,
    DEPLOYMENT_EC2, /* refused for now */
};

enum deployment_host_keys {
    DEPLOYMENT_HOST_KEYS_STRICT,     /* unless ~/.ssh/config says otherwise */
    DEPLOYMENT_HOST_KEYS_ACCEPT_NEW, /* a key of a host that nobody knows yet is remembered */
};

/* One of testbed.hosts: a machine that is there already, reached over SSH. */
struct deployment_host {
    char *name;     /* of folders, messages, containers; by default the host of `ssh` */
    char *ssh;      /* "[user@]host[:port]", or a name of ~/.ssh/config */
    char *ssh_host; /* only the host of it: what stands for `address` where nothing is known */
    char *address;  /* at which containers of other hosts reach it; NULL: what `ssh` leads to */
    char *fleet;    /* NULL: none */
    char *host_key; /* "ssh-ed25519 AAAA..." or "SHA256:..."; NULL: known_hosts decides */
    char *engine;   /* the engine's socket there; NULL: /var/run/docker.sock */
    struct project_place place;
};

struct deployment {
    char *file;   /* NULL: there is none, and these are the defaults */
    char *folder; /* of the file; without one, as deployment_new_default was told */
    char *name;   /* NULL: the project's */

    struct {
        struct secret *access_key_id; /* all NULL: the usual AWS chain */
        struct secret *secret_access_key;
        struct secret *session_token;
        char *ssh_key_path;
        char *ssh_key_name;
    } credentials;

    struct {
        char *registry;
        char *username;
        struct secret *access_token;
    } docker;

    struct {
        char *concord_root;   /* resolved; NULL: not given */
        char *perf_test_root; /* resolved; never NULL: `results` beside the file */
    } local;

    struct {
        int64_t num_of_replicas; /* 0: not given */
        struct project_place num_of_replicas_place;
        char *loader_cli;           /* one line, for SEATRIAL_LOADER_ARGS; NULL: not given */
        int64_t loader_timeout_sec; /* 0: not given, and there is no default */
    } general;

    struct {
        char *custom_script_path; /* resolved */
        struct project_place custom_script_place;
        char *custom_command;                    /* CONTAINER_ID not yet replaced */
        int64_t custom_command_run_interval_sec; /* with a command at least 1, else 0 */
    } runtime;

    struct {
        enum deployment_provider provider;
        struct deployment_host *hosts; /* in the order of the file; used by provider `hosts` only */
        size_t host_count;
        enum deployment_host_keys host_keys;
        int64_t time_to_live_sec; /* 0: not given */
    } testbed;

    struct {
        bool cores; /* true when not given */
        bool data;  /* false when not given */
    } collect;
};

void deployment_free(struct deployment *deployment);
DEFINE_CLEANUP_FREE(deployment);

/* What holds when there is no file. `folder`: the Compose file's. */
struct deployment *deployment_new_default(const char *folder);

/*
 * Pure. `folder` is where the file lies; `mode` its permission bits (a literal secret in a file
 * that others can read is refused); HOME of the environment stands for a `~` in front.
 */
int deployment_parse(const char *file, const char *folder, unsigned mode, const char *text,
                     size_t size, const struct environment *env, struct deployment **ret,
                     struct error *err);

/*
 * Reads `file`, checks that the custom script exists. `file` NULL: `deployment_local.yaml`, then
 * `deployment.yaml` in `folder`, else the defaults.
 */
int deployment_load(const char *file, const char *folder, const struct environment *env,
                    struct deployment **ret, struct error *err);

/*
 * What both files must agree on: num_of_replicas against deploy.replicas of the one service of
 * role replica. Where only the deployment says it, the service's number becomes that.
 */
int deployment_check_project(const struct deployment *deployment, struct project *project,
                             struct error *err);

/* A host's name or an IP address, of harmless characters: it goes into other files. */
bool deployment_is_address(const char *text);

/* As YAML, secrets redacted, for run.json and for people. */
void deployment_write(const struct deployment *deployment, struct buffer *out);
