#pragma once

/*
 * Custom commands: what deployment.yaml's `runtime` section says, carried out on one host. Each
 * command runs for each of its containers in turn, on the host or inside of the container, with
 * CONTAINER_ID replaced by the container's id: at an interval, once, or by hand.
 *
 * A command runs under sh(1), in a folder that holds a copy of its script (on the host; in a
 * container below /seatrial, which can be written to whatever the root is); CONTAINER_ID,
 * CONTAINER_NAME, SEATRIAL_INDEX and HOST are in its environment too. What it prints comes home to
 * `<folder>/<n>.out` (at most 64 MiB; what is more is dropped, and counted), when it ran and how it
 * ended to `<folder>/<n>.json`. Numbers go on behind what is there already.
 *
 * Never two at once on one host, of whatever commands; a turn that comes while another still runs
 * is an overrun, which is counted. There is no turn for a container that does not run. A run ends
 * with its container, by its timeout, or when we stop: SIGTERM, then SIGKILL, to all that it has
 * started, and what it leaves in the background is ended too (custom_words.h).
 *
 * This machine and those over SSH are the same to it (runner/remote/host.h). A run during which the
 * connection broke is counted as lost; what is left of it is ended before the next one.
 *
 * Threads: one of its own per phase (custom_once, custom_begin), and one per run that watches it.
 * All functions belong to one thread at a time.
 */

#include "lib/cleanup.h"
#include "lib/error.h"
#include "runner/collect/custom_words.h"
#include "runner/engine/engine.h"
#include "runner/remote/host.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum custom_when { CUSTOM_INTERVAL, CUSTOM_START, CUSTOM_END, CUSTOM_DEMAND };

struct custom_command {
    const char *name; /* NULL: it has none, and its work folder is that of all */
    const char *command;
    const char *script_path; /* put where it runs, under its own name; may be NULL */
    bool in_container;
    enum custom_when when;
    uint64_t interval_ns;
    uint64_t timeout_ns; /* of a run; 0: a minute, or the interval if that is longer */
    const struct custom_target *targets;
    size_t target_count;
};

struct custom_settings {
    struct host *host;
    const char *run;         /* whose it is */
    const char *work_folder; /* on the host, absolute; made if missing */
    bool remove_work_folder; /* at the end */
    const struct custom_command *commands;
    size_t command_count;
    /* NULL: there is none to ask. Then every container counts as running, and commands cannot run
     * inside of one. */
    int (*open_engine)(void *arg, const struct task *task, struct engine **ret, struct error *err);
    /* After the connection broke: 0 once the host can be reached again. NULL: nobody waits. */
    int (*await)(void *arg, const struct task *task, struct error *err);
    /* What a run prints, as it comes; NULL: nobody looks. */
    void (*show)(void *arg, const struct custom_target *target, const void *data, size_t size);
    void *arg;
};

struct custom_count {
    uint64_t runs;
    uint64_t failures;        /* exit status not 0, a signal, or it could not be run at all */
    uint64_t overruns;        /* turns that did not take place */
    uint64_t lost;            /* the connection broke */
    uint64_t timed_out;       /* ended by us; no failures */
    uint64_t container_ended; /* likewise */
};

struct custom;

/* Does nothing yet. Copies all of `settings` but the host. */
int custom_new(const struct custom_settings *settings, struct custom **ret, struct error *err);

/*
 * Makes the folders and puts the scripts. May be called again after ERROR_UNREACHABLE. ERROR_IO
 * names the folder or script; ERROR_CONFIG a container without a shell.
 */
int custom_prepare(struct custom *custom, const struct task *task, struct error *err);

/* Runs all that is for this time, one after the other, but not what it has begun before. That a
 * command failed is counted, and no error. */
int custom_once(struct custom *custom, enum custom_when when, const struct task *task,
                struct error *err);

/* Those at an interval, from now on; custom_pause ends what runs. */
int custom_begin(struct custom *custom, struct error *err);
void custom_pause(struct custom *custom);

/* In the order of the settings. */
const struct custom_count *custom_count(const struct custom *custom, size_t command);

/* Ends what runs, and removes the work folder if it should; frees. 1 when something had to be left
 * on the host. */
int custom_close(struct custom *custom);
static inline void custom_closep(struct custom **custom) {
    if (*custom)
        custom_close(*custom);
}

/* Where the work folder of a run is on a host that is not ours; `part` tells several apart. */
char *custom_work_folder(const char *run, const char *part);

/*
 * Ends and removes all that commands of this run have left on the host, whoever began them: of a
 * runner that was killed, for example.
 */
int custom_clean(struct host *host, const char *run, const struct task *task, struct error *err);
