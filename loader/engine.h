#pragma once

/*
 * The threads of a load: each has a driver with its slice of the clients, its own connections and
 * its own record; while the load runs they share nothing. They connect side by side, begin at one
 * instant, and are merged exactly when all have ended.
 *
 * The calling thread shows progress meanwhile: at the end of each second every thread hands over a
 * whole interval (interval.h). It also passes on the cancellation, and ends all when one failed.
 *
 * Threads: engine_run is called by one, in which `note`, `tell`, `log` and `begin` are called,
 * too.
 */

#include "lib/error.h"
#include "lib/task.h"
#include "loader/driver.h"

#include <stdint.h>

/* How far the load is, when a second has ended. */
struct engine_progress {
    uint64_t elapsed_ns;
    uint64_t sent;
    uint64_t outcomes[OUTCOME_COUNT];
    const struct interval *last; /* usually one second */
};
typedef void engine_tell(void *context, const struct engine_progress *progress);

/* What all threads did in an interval, usually of one second. Each adjoins the one before; all of
 * them together, of which the last may be shorter, hold everything. */
typedef void engine_log(void *context, struct instant start, const struct interval *interval);

/*
 * All threads are connected and wait: when time 0 is. May wait itself, and is the place to begin
 * together with others. 1: cancelled; faults end the load before it has begun.
 */
typedef int engine_begin(void *context, struct instant *ret_start, struct error *err);

/* Everything is borrowed, for the call. */
struct engine_config {
    struct carrier_maker maker;
    const struct workload *workload;
    uint32_t clients;
    uint64_t client_base;                   /* of the first one's id */
    uint32_t threads;                       /* at most as many as clients */
    uint64_t requests;                      /* closed loop; UINT64_MAX: no limit */
    uint64_t end_ns;                        /* closed loop; UINT64_MAX: no limit */
    const struct arrivals_config *arrivals; /* open loop; NULL: closed */
    uint64_t in_flight_max;                 /* open loop; not less than threads */
    bool spin;
    uint64_t window_from_ns, window_to_ns; /* of record_window */
    uint64_t request_timeout_ns;
    const struct cancel *cancel;
    struct durations *durations; /* NULL: not kept */
    loader_note *note;
    engine_tell *tell;
    engine_log *log;
    engine_begin *begin; /* NULL: as soon as all are connected */
    void *context;       /* of all four */
};

/*
 * Merges what was measured into `record`, whatever ended the load; outcomes and faults are those of
 * driver_connect and driver_run, of the thread that failed first.
 */
int engine_run(const struct engine_config *config, struct record *record, struct error *err);

/* CPUs that this process may use. */
uint32_t engine_cores(void);
