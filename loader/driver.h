#pragma once

/*
 * Drives one thread's slice of the load: one epoll loop, and every n-th client of the pool. A
 * client is a number, not a thread or a connection: how its requests get where they belong is the
 * carrier's.
 *
 * Closed loop: a client's next request is due when its last one has an outcome. Open loop: requests
 * are due by arrivals.h, whatever became of others; the client that was idle for the longest time
 * takes each. A request that is due while no client is free, too many are in flight, or the
 * connection takes no bytes, goes out as soon as it can, late; its latency counts from when it was
 * due.
 *
 * What becomes of a request: acknowledged by its reply; timed out, or unsent, when it had no reply
 * or could not be sent within the request timeout; failed when it was refused, when its connection
 * was lost after it was sent, or when an interrupted run ended without its reply; overloaded when
 * the cluster said so, after which the client pauses for 10 ms. In each case the client goes on
 * with its next number: no number is sent twice, so no request can be executed twice because of us.
 *
 * Threads: belongs to one; only `cancel` is shared, and what is constant.
 */

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/error.h"
#include "lib/task.h"
#include "loader/arrivals.h"
#include "loader/carrier.h"
#include "loader/record.h"
#include "loader/schedule.h"
#include "loader/workload.h"

#include <stdint.h>

/* Everything is borrowed, and outlives the driver. */
struct driver_config {
    struct carrier_maker maker;
    const struct workload *workload;        /* says which shape a request has */
    uint32_t clients;                       /* of the whole pool */
    uint32_t thread, threads;               /* client i of the pool is in slice i mod threads */
    uint64_t requests;                      /* closed loop: of this slice; UINT64_MAX: no limit */
    uint64_t end_ns;                        /* closed loop: none is begun later */
    const struct arrivals_config *arrivals; /* open loop; NULL: closed */
    uint64_t in_flight_max;                 /* open loop: in this slice */
    bool spin;                              /* open loop: instead of sleeping to the end */
    uint64_t request_timeout_ns;
    const struct cancel *cancel;
    loader_note *note;
    void *note_context;
};

struct driver;

int driver_new(const struct driver_config *config, struct driver **ret, struct error *err);
void driver_free(struct driver *d);
DEFINE_CLEANUP_FREE(driver);

/* Outcomes of the two below. */
enum { DRIVER_DONE = 0, DRIVER_INTERRUPTED = 1 };

/* Connects; nothing of it is measured. A fault: the system cannot be reached. */
int driver_connect(struct driver *d, struct error *err);

/*
 * Sends the load and records what becomes of it, from time 0 on, which is `start`. DRIVER_DONE:
 * every request has an outcome. DRIVER_INTERRUPTED: `cancel` was raised; what was sent has an
 * outcome, and in the open loop what was due; the rest was not sent. A fault: the system was lost
 * for good, or refuses everything, or the record cannot be written; what was recorded until then
 * stands.
 */
int driver_run(struct driver *d, struct instant start, struct record *record, struct error *err);
