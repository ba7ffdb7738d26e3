#pragma once

/*
 * A whole cluster in one thread: n cores with their disks, the network between them and clients,
 * all driven by one seeded queue of events. First everything goes wrong that the seed says:
 * messages are lost, delayed, doubled and overtake one another, links break, replicas are cut off,
 * crash and come back, clocks run at different speeds, and up to f replicas are *bad*: Byzantine
 * (byzantine.c), or they lose what they had written, or cannot write any more. Nothing may break a
 * promise meanwhile; the checkers (check.c) know nothing of the protocol and look at every block
 * and every answer. Then faults stop (the bad ones stay bad), and progress is demanded. In the end
 * all are told to stop, and must end with the same chain.
 *
 * The same seed is the same schedule, on every machine.
 */

#include <stdbool.h>
#include <stdint.h>

struct sim_options {
    uint64_t seed;
    bool verbose; /* prints what happens */
};

struct sim_result {
    uint64_t events;
    uint64_t acknowledged;
    uint64_t height;
    uint64_t view;       /* the highest that a correct replica was in */
    uint64_t transfers;  /* begun */
    char violation[256]; /* "" if there was none */
};

void sim_run(const struct sim_options *options, struct sim_result *ret);
