#pragma once

/*
 * The custom command of deployment.yaml's `runtime` section: at its interval, for every replica of
 * a host in turn, the command runs on that host with CONTAINER_ID replaced by the container's id.
 *
 * It runs as `sh -c` in its own process group and in a work folder that holds a copy of the script;
 * CONTAINER_ID, CONTAINER_NAME, SEATRIAL_INDEX and HOST are in its environment too. What it prints
 * goes to `<folder>/<n>.out` (at most 64 MiB), when it ran and how it ended to `<folder>/<n>.json`.
 * Never two at once on one host; a run that is not over when its next turn comes makes that turn an
 * overrun, which is counted. The end ends a running command: SIGTERM to its group, then SIGKILL.
 *
 * Threads: one of its own between custom_start and custom_stop.
 */

#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

struct custom_target {
    const char *container_id;
    const char *container_name;
    size_t index;
    const char *folder; /* where outputs go; made if missing */
};

struct custom_settings {
    const char *command;
    const char *script_path; /* copied into the work folder under its own name; may be NULL */
    const char *work_folder; /* made if missing */
    const char *host;
    uint64_t interval_ns;
    const struct custom_target *targets;
    size_t target_count;
};

struct custom_result {
    uint64_t runs, failures /* exit status not 0, or a signal */, overruns;
};

struct custom;

/* Copies all of `settings`. Errors: ERROR_IO names the folder or script. */
int custom_start(const struct custom_settings *settings, struct custom **ret, struct error *err);
/* Ends what runs, waits for it, frees. */
void custom_stop(struct custom *custom, struct custom_result *ret);

/* `command` with every CONTAINER_ID, CONTAINER_NAME, SEATRIAL_INDEX and HOST that stands as a word
 * of its own replaced. malloc()ed. Pure. */
char *custom_expand(const char *command, const struct custom_target *target, const char *host);
