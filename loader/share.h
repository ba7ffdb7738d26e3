#pragma once

/*
 * The part of a load that one of several loaders generates. Options are of the whole load, because
 * a user asks for a load on the system, not on each loader: -b, -c, --rate, --clients and
 * --in-flight-max are divided exactly, so that the parts of all loaders add up to what was asked
 * for.
 *
 * Clients: loader i of N has those of index i, i + N, ... A closed loop's requests follow the
 * clients, as in the slices of threads (schedule.h); an open loop's are positions i, i + N, ... of
 * the one schedule, which therefore is the same for any N. What varies by seed in that schedule has
 * to be the same for all: where --seed is not given, it follows from the run's id.
 *
 * Who is asked is said by the environment: SEATRIAL_LOADERS (1 when missing) and SEATRIAL_INDEX.
 *
 * Pure but for share_write_window. Errors: ERROR_CONFIG.
 */

#include "lib/error.h"
#include "loader/options.h"
#include "loader/record.h"

#include <stdint.h>

struct share {
    uint32_t index;   /* of this loader among its kind; of a loader by itself it may be any */
    uint32_t loaders; /* 1: by itself, and the whole load is ours */
};

/* Of the two variables; NULL: not set. */
int share_parse(const char *index, const char *loaders, struct share *ret, struct error *err);

/*
 * `part` becomes a copy of `whole` with the numbers that are ours: requests, concurrency and
 * in_flight_max. It borrows from `whole`. The rate stays that of the whole. Refuses what cannot be
 * divided so that each loader has something to do.
 */
int share_take(const struct share *share, const struct options *whole, struct options *part,
               struct error *err);

/* 0 of 1 for a loader by itself, whatever its index. */
static inline uint32_t share_part(const struct share *share) {
    return share->loaders > 1 ? share->index : 0;
}

/*
 * window.hlog: whole what load.json has percentiles of, for whoever merges the loaders' results.
 * One interval each: latencies without a tag, `from-send`, and in the open loop `lateness`; of a
 * shape of a mix, NAME and NAME.from-send. The intervals of latency.hlog cover warming up and
 * cooling down, too.
 */
int share_write_window(const char *path, const struct record *record, const struct mix *mix,
                       struct wall_time start, struct error *err);

/* From what the times of arrivals are drawn, in all loaders alike: FNV-1a of the run's id. */
uint64_t share_seed(const char *run);
