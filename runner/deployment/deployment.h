#pragma once

/*
 * deployment.yaml: where and how a trial runs. `sweep` is refused by name.
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
#include "runner/deployment/commands.h"
#include "runner/deployment/secret.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    DEPLOYMENT_HOSTS_MAX = 256, /* each has a connection and threads of its own */
    DEPLOYMENT_FLEETS_MAX = 32,
    DEPLOYMENT_REGIONS_MAX = 32, /* of one fleet; AWS has about as many in all */
};

enum deployment_provider {
    DEPLOYMENT_LOCAL,
    DEPLOYMENT_HOSTS,
    DEPLOYMENT_EC2,
};

enum deployment_compress {
    DEPLOYMENT_COMPRESS_NONE, /* also when not given */
    DEPLOYMENT_COMPRESS_ZSTD,
};

enum deployment_host_keys {
    DEPLOYMENT_HOST_KEYS_STRICT,     /* unless ~/.ssh/config says otherwise */
    DEPLOYMENT_HOST_KEYS_ACCEPT_NEW, /* a key of a host that nobody knows yet is remembered */
};

/*
 * One of testbed.hosts: a machine that is there already, reached over SSH. With provider `ec2` the
 * fleets' machines stand here from the beginning, as FLEET-1, FLEET-2, ...: what is not known of
 * them before they are found (where they are, their host keys) is filled in then; until then `ssh`
 * is their name.
 */
struct deployment_host {
    char *name;     /* of folders, messages, containers; by default the host of `ssh` */
    char *ssh;      /* "[user@]host[:port]", or a name of ~/.ssh/config */
    char *ssh_host; /* only the host of it: what stands for `address` where nothing is known */
    char *address;  /* at which containers of other hosts reach it; NULL: what `ssh` leads to */
    char *fleet;    /* NULL: none */
    char *host_key; /* "ssh-ed25519 AAAA..." or "SHA256:..."; NULL: known_hosts decides */
    char *engine;   /* the engine's socket there; NULL: /var/run/docker.sock */
    char *absent;   /* why there is no machine to connect to; NULL: there is one */
    struct project_place place;
};

/* The root disk of a fleet's machines, in EC2's words; what is not given is the image's. */
struct deployment_disk {
    int64_t size_gib;       /* 0: not given, as all of them */
    char *type;             /* "gp3"; NULL: not given */
    char *device;           /* "/dev/sda1", as the image names it; NULL: EC2 is asked */
    int64_t iops;           /* per second */
    int64_t throughput_mib; /* per second */
};

enum deployment_market { DEPLOYMENT_MARKET_ON_DEMAND, DEPLOYMENT_MARKET_SPOT };

/* What of a fleet may differ from region to region. */
struct deployment_region {
    char *name; /* "us-east-2" */
    int64_t count;
    char *image;       /* as the fleet's; NULL: that */
    char *subnet;      /* "subnet-..."; NULL: one of the default VPC's, which EC2 chooses */
    char **zones;      /* tried in this order where there is no capacity; NULL: EC2 chooses */
    size_t first_host; /* where its machines stand in testbed.hosts */
};

struct deployment_fleet {
    char *name;
    struct deployment_region *regions;
    size_t region_count;
    char *instance_type;
    char *image; /* "ami-...", "ssm:/...", "name:OWNER/PATTERN"; NULL: the regions say it */
    char *placement_group;
    struct deployment_disk disk;
    bool no_instance_store; /* disks of the machine itself are left as they are */
    enum deployment_market market;
    bool spot_fallback; /* on demand where there is no spot machine */
    struct project_place place;
};

enum deployment_addresses { DEPLOYMENT_PUBLIC, DEPLOYMENT_PRIVATE };

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
        struct deployment_command *commands; /* the one without a name first, if there is one */
        size_t command_count;
    } runtime;

    struct {
        enum deployment_provider provider;
        struct deployment_host *hosts; /* in the order of the file; not used by `local` */
        size_t host_count;
        enum deployment_host_keys host_keys;
        struct deployment_fleet *fleets;
        size_t fleet_count;
        enum deployment_addresses addresses; /* by which runner and machines reach machines */
        char **ssh_from;                 /* networks that may come in by SSH; NULL: this machine */
        char *user;                      /* of the machines' images; NULL: ubuntu */
        int64_t time_to_live_sec;        /* 0: not given */
        char *prices;                    /* a file of prices, resolved; NULL: the program's own */
        int64_t cost_limit_usd_per_hour; /* above it one is asked; 0: not given */
    } testbed;

    struct {
        bool cores;                        /* true when not given */
        bool data;                         /* false when not given */
        enum deployment_compress compress; /* of data folders */
    } collect;
};

/* Through which images go to hosts: docker.registry, Docker Hub where only a user is said; NULL:
 * none.
 */
const char *deployment_registry(const struct deployment *deployment);

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
 * Reads `file`, checks that the scripts of custom commands exist. `file` NULL:
 * `deployment_local.yaml`, then `deployment.yaml` in `folder`, else the defaults.
 */
int deployment_load(const char *file, const char *folder, const struct environment *env,
                    struct deployment **ret, struct error *err);

/*
 * What both files must agree on: num_of_replicas against deploy.replicas of the one service of
 * role replica, and the services that custom commands are for. Where only the deployment says the
 * number, the service's becomes that.
 */
int deployment_check_project(const struct deployment *deployment, struct project *project,
                             struct error *err);

/* The deployment says something of it. */
bool deployment_disk_given(const struct deployment_disk *disk);

/* A host's name or an IP address, of harmless characters: it goes into other files. */
bool deployment_is_address(const char *text);

/* As YAML, secrets redacted, for run.json and for people. */
void deployment_write(const struct deployment *deployment, struct buffer *out);
