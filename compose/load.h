#pragma once

/*
 * Compose files from the disk: the thin shell around compose/project.h. Reads the files, the `.env`
 * beside the first one, and all `env_file`s.
 *
 * Errors: ERROR_CONFIG, also when a file cannot be read.
 */

#include "compose/project.h"

struct project_load_options {
    const char *const *files; /* -f, NULL-terminated; NULL: COMPOSE_FILE, else the usual names */
    const char *name;         /* -p; NULL: as Compose finds it */
    struct environment environment; /* above `.env` */
};

/*
 * Without files: COMPOSE_FILE (separated by COMPOSE_PATH_SEPARATOR or ':'), then compose.yaml,
 * compose.yml, docker-compose.yaml, docker-compose.yml (and its override beside it) in the working
 * folder.
 */
int project_load(const struct project_load_options *options, struct project **ret,
                 struct error *err);
