#include "runner/command/command.h"

const struct command commands[] = {
    {"up", "start the containers without a load (use `run --no-load`)", NULL, NULL},
    {"exec", "run a command in a container", NULL, NULL},
    {"stop", "stop containers", NULL, NULL},
    {"start", "start stopped containers", NULL, NULL},
    {"cp", "copy files from and to containers", NULL, NULL},
    {"images", "build, push, pull, lock or verify images", NULL, NULL},
    {"machines", "the testbed's machines", NULL, NULL},
    {"report", "the results of a run again", NULL, NULL},
    {"compare", "two runs side by side", NULL, NULL},
    {"ssh", "a shell on a host", NULL, NULL},
    {"tunnel", "keep tunnels to the hosts' engines open", NULL, NULL},
    {"doctor", "check engine, credentials and hosts", NULL, NULL},
#define X(name, summary) {#name, summary, &name##_argp, command_##name},
    COMMANDS(X)
#undef X
};
const size_t command_count = sizeof commands / sizeof *commands;
