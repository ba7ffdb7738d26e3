#pragma once

/*
 * One load from options to files: reads the cluster file, connects, drives the load, writes
 * `load.json`, `acknowledged.json`, `latency.hlog` and, unless -i 0, `requests.bin` into the output
 * folder, and the summary for people to stdout. Files of an earlier load there are removed first;
 * each new one appears whole or not at all, but the log of histograms, which grows every second.
 *
 * Whatever ended the load, what was measured until then is written. The exit status is 0 only if
 * every request was acknowledged, and an open loop sent them as it was asked to.
 */

#include "lib/error.h"
#include "lib/task.h"
#include "loader/options.h"

enum {
    TRIAL_GOOD = 0,
    TRIAL_INTERRUPTED = 1,
    TRIAL_NOT_ALL_ACKNOWLEDGED = 2,
    TRIAL_NOT_GENERATED = 3, /* why is said on stderr */
};

int trial_run(const struct options *options, const struct cancel *cancel, struct error *err);
