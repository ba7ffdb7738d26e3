#include "runner/command/command.h"

const struct command commands[] = {
    {"run", "the whole trial, until all is collected and reported", command_run},
    {"plan", "every step that `run` would take; touches nothing", command_plan},
    {"ps", "the trial's containers", command_ps},
    {"logs", "what the containers wrote", command_logs},
    {"load", "start the loader by hand against running replicas", command_load},
    {"collect", "fetch what is still on the hosts of a run", command_collect},
    {"down", "stop, collect and remove the trial's containers", command_down},
    {"config", "the merged Compose project", command_config},
    {"up", "start the containers without a load (use `run --no-load`)", NULL},
    {"exec", "run a command in a container", NULL},
    {"stop", "stop containers", NULL},
    {"start", "start stopped containers", NULL},
    {"cp", "copy files from and to containers", NULL},
    {"images", "build, push, pull, lock or verify images", NULL},
    {"machines", "the testbed's machines", NULL},
    {"report", "the results of a run again", NULL},
    {"compare", "two runs side by side", NULL},
    {"ssh", "a shell on a host", NULL},
    {"tunnel", "keep tunnels to the hosts' engines open", NULL},
    {"doctor", "check engine, credentials and hosts", NULL},
};
const size_t command_count = sizeof commands / sizeof *commands;
