#pragma once

/*
 * How several loaders begin as one. Each connects, says that it is ready by making a file `ready`
 * in its output folder, and waits for a file with the time at which the load begins, which whoever
 * started the loaders (the runner) puts there once all are ready:
 *
 *     1441812279474000000\n     nanoseconds since 1970, by the wall clock of this machine
 *
 * The folder is watched (inotify), and looked into once a second in case it is on a file system
 * that tells nothing. A time that has passed already is an error that says by how much: a load that
 * begins late without a word would not be the one that was asked for.
 */

#include "lib/clock.h"
#include "lib/error.h"
#include "lib/task.h"

#include <stdint.h>

/* Text of such a file. 0; 1: not whole yet; ERROR_INVALID. */
int start_parse(const char *text, struct wall_time *ret, struct error *err);

/*
 * Both clocks at one moment, as near to each other as several looks can bring them. From then on
 * the wall clock may be set, the monotonic one counts.
 */
struct start_clocks {
    struct wall_time wall;
    struct instant instant;
};
struct start_clocks start_clocks(void);

/* When `at` is, by the monotonic clock. ERROR_TIMEOUT when it has passed, ERROR_INVALID when it is
 * further ahead than LOADER_START_AHEAD_NS_MAX. Pure. */
int start_convert(struct wall_time at, const struct start_clocks *now, struct instant *ret,
                  struct error *err);

/*
 * Says that we are ready, waits for the time and then until shortly before it. 0: it is `ret`,
 * and by the wall clock `ret_at`. 1: cancelled. ERROR_TIMEOUT when none came within `timeout_ns`.
 */
int start_await(const char *ready_path, const char *start_path, uint64_t timeout_ns,
                const struct cancel *cancel, struct wall_time *ret_at, struct instant *ret,
                struct error *err);
