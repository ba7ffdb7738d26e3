#pragma once

/*
 * The custom command of deployment.yaml's `runtime` section: at its interval, for every replica of
 * a host in turn, the command runs on that host with CONTAINER_ID replaced by the container's id.
 *
 * It runs under sh(1), in a work folder there that holds a copy of the script; CONTAINER_ID,
 * CONTAINER_NAME, SEATRIAL_INDEX and HOST are in its environment too. What it prints comes home to
 * `<folder>/<n>.out` (at most 64 MiB), when it ran and how it ended to `<folder>/<n>.json`. Never
 * two at once on one host; a run that is not over when its next turn comes makes that turn an
 * overrun, which is counted. The end ends a running command: SIGTERM to its group, then SIGKILL.
 *
 * This machine and those over SSH are the same to it (runner/remote/host.h). A run during which the
 * connection broke is counted as lost; what is left of it on the host is ended before the next one.
 *
 * Threads: one of its own between custom_start and custom_stop.
 */

#include "lib/error.h"
#include "runner/remote/host.h"

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
    const char *script_path; /* put into the work folder under its own name; may be NULL */
    const char *work_folder; /* on the host, absolute; made if missing */
    bool remove_work_folder; /* at the end */
    struct host *host;
    uint64_t interval_ns;
    const struct custom_target *targets;
    size_t target_count;
    /* After the connection broke: 0 once the host can be reached again. NULL: it cannot break. */
    int (*await)(void *arg, const struct task *task, struct error *err);
    void *arg;
};

struct custom_result {
    uint64_t runs, failures /* exit status not 0, or a signal */, overruns, lost;
    bool kept; /* the work folder could not be removed */
};

struct custom;

/*
 * Copies all of `settings` but the host. May be called again after ERROR_UNREACHABLE. Other errors:
 * ERROR_IO names the folder or script.
 */
int custom_start(const struct custom_settings *settings, const struct task *task,
                 struct custom **ret, struct error *err);
/* Ends what runs, waits for it, frees. */
void custom_stop(struct custom *custom, struct custom_result *ret);

/* `command` with every CONTAINER_ID, CONTAINER_NAME, SEATRIAL_INDEX and HOST that stands as a word
 * of its own replaced. malloc()ed. Pure. */
char *custom_expand(const char *command, const struct custom_target *target, const char *host);
