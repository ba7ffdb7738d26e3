#pragma once

/*
 * The `runtime` section: commands of the user's own that run beside the trial's containers, on
 * their hosts or inside of them. Pure.
 *
 * Seed 000 knows one, said by three keys, which runs on the host of every replica at an interval;
 * it has no name here. Under `commands` there may be any number, each with a name.
 *
 * Errors: ERROR_CONFIG, "FILE:LINE:COLUMN: message".
 */

#include "compose/project.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deployment;
struct yaml_node;
struct yaml_writer;

enum {
    DEPLOYMENT_COMMANDS_MAX = 64,     /* each has its turn on every host, one after the other */
    DEPLOYMENT_COMMAND_NAME_MAX = 63, /* of a folder in the results, and of one on the host */
};

enum deployment_command_in { DEPLOYMENT_IN_HOST, DEPLOYMENT_IN_CONTAINER };

enum deployment_command_when {
    DEPLOYMENT_AT_INTERVAL, /* again and again while the load runs */
    DEPLOYMENT_AT_START,    /* once, when all is healthy, before the load */
    DEPLOYMENT_AT_END,      /* once, after the load, before anything is stopped */
    DEPLOYMENT_ON_DEMAND,   /* only by `seatrial custom` */
};

struct deployment_command {
    char *name;    /* NULL: the one of the three keys */
    char *script;  /* resolved; NULL: none is put there */
    char *command; /* CONTAINER_ID not yet replaced */
    enum deployment_command_in in;
    enum deployment_command_when when;
    int64_t interval_sec; /* AT_INTERVAL: at least 1, else 0 */
    int64_t timeout_sec;  /* of one run; 0: not given */
    char **services;      /* for whose containers; NULL: for those of `roles` */
    bool roles[PROJECT_ROLE_LOADER + 1];
    struct project_place place, script_place;
};

/* By what the command is called where it must have a name: of messages and of `seatrial custom`. */
const char *deployment_command_name(const struct deployment_command *command);

/* "interval", ... */
const char *deployment_command_when(const struct deployment_command *command);

/* Whether it is run for the containers of this service. */
bool deployment_command_wants(const struct deployment_command *command, const char *service,
                              enum project_role role);

/* That the services exist, and that their containers are there when the command runs. */
int deployment_check_commands(const struct deployment *deployment, const struct project *project,
                              struct error *err);

/* ---- inside this room ---- */

int deployment_read_commands(const struct yaml_node *value, struct deployment *deployment,
                             struct error *err);
void deployment_write_commands(struct yaml_writer *w, const struct deployment *deployment);
void deployment_free_commands(struct deployment *deployment);
