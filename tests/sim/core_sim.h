#pragma once

/*
 * A whole cluster in one thread: n cores with their disks, the links between them and clients, all
 * driven by one seeded queue of events. Links keep the order of what they carry, but each has its
 * own delays, breaks, and comes back; backups crash and lose what they had not stored; stores are
 * slow. First all of that happens and nothing may go wrong (the checkers look at every step); then
 * faults stop, and the cluster must make progress; then all are told to stop, and must end with the
 * same chain.
 *
 * The primary does not crash here: without a view change that costs liveness by design.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_options {
    uint64_t seed;
    bool verbose; /* prints every event */
};

struct sim_result {
    uint64_t events;
    uint64_t answered;
    uint64_t height;
    uint64_t left_behind; /* backups that fell out of the window */
    char violation[256];  /* "" if there was none */
};

void sim_run(const struct sim_options *options, struct sim_result *ret);
