#pragma once

/*
 * Inside compose/: what the readers of the sections share. Readers have the shape that tables want
 * (lib/yaml.h): `target` is the struct that a table fills, `context` a struct reading.
 */

#include "compose/project.h"
#include "lib/yaml.h"

struct reading {
    struct project *project;
    const struct environment *environment;
    const char *home;   /* for "~/"; NULL: not known */
    const char *folder; /* base of relative paths of the host */
};

/* The tables; service.c has the one of a service. */
int read_service(const struct yaml_node *name, const struct yaml_node *value,
                 struct reading *reading, struct project_service *service, struct error *err);
int read_build(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_deploy(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_replicas(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_limit_cpus(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_limit_memory(const struct yaml_node *value, void *service, void *reading,
                      struct error *err);
int read_limit_pids(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_reserved_memory(const struct yaml_node *value, void *service, void *reading,
                         struct error *err);
int read_ports(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_expose(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_volumes(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_tmpfs(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_healthcheck(const struct yaml_node *value, void *service, void *reading,
                     struct error *err);
int read_pre_stop(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_depends_on(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_service_networks(const struct yaml_node *value, void *service, void *reading,
                          struct error *err);
int read_seatrial(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_ulimits(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_extra_hosts(const struct yaml_node *value, void *service, void *reading,
                     struct error *err);
int read_env_file(const struct yaml_node *value, void *service, void *reading, struct error *err);
int read_logging(const struct yaml_node *value, void *service, void *reading, struct error *err);
/* All of the top level's `volumes`. */
int read_project_volumes(const struct yaml_node *value, void *project, void *reading,
                         struct error *err);
/* All of the top level's `networks`. */
int read_networks(const struct yaml_node *value, void *project, void *reading, struct error *err);

/* ---- shapes that several sections share ---- */

/* "NUMBER" or a number with a fraction, to billionths: cpus. */
int read_nano(const struct yaml_node *value, int64_t *ret, struct error *err);
/* A text or a list of texts. */
int read_text_or_texts(const struct yaml_node *value, char ***ret, struct error *err);
/* A list, or a text split into words as a shell does: command, entrypoint. */
int read_command(const struct yaml_node *value, char ***ret, struct error *err);
enum pairs_without_value {
    PAIRS_EMPTY,       /* labels: NAME alone is NAME= */
    PAIRS_ENVIRONMENT, /* environment: taken from ours; NULL if not set there */
};
/* A mapping of scalars, or a list of NAME=VALUE. */
int read_pairs(const struct yaml_node *value, const struct reading *reading,
               enum pairs_without_value without, struct env_pair **ret, struct error *err);
/* Labels: not those by which we know our own. */
int read_labels(const struct yaml_node *value, const struct reading *reading, struct env_pair **ret,
                struct error *err);
/* An absolute path in a container. */
int check_container_path(const struct yaml_node *value, struct error *err);
/* A path of the host as Compose resolves it: "~/", or as seen from the folder. malloc()ed. */
char *host_path(const struct reading *reading, const char *path);
struct project_place place_of(const struct yaml_node *node);

/* Words of a command line, with quotes and backslashes of POSIX, nothing else of a shell. */
int split_words(const char *text, char ***ret, struct error *err);

void project_warn(struct project *project, struct project_place at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void project_drop_network(struct project *project, size_t index);
void project_drop_volume(struct project *project, size_t index);

int check_mounted_volumes(const struct project *project, const struct project_service *service,
                          struct error *err);
void keep_mounted_volumes(struct project *project);
/* Role prepare: of one dependency, and of all services once they are read. */
int check_prepare_dependency(const struct project_service *service,
                             const struct project_service *other,
                             const struct project_dependency *dependency, struct error *err);
int check_prepare(const struct project *project, struct error *err);

/* Once all is read: what must be true of the whole, the order of start. */
int check_project(struct project *project, struct error *err);

/* `over` merged into `base` by Compose's rules; both of one tree. */
int merge_files(struct yaml_tree *tree, struct yaml_node *base, struct yaml_node *over,
                struct error *err);
