#pragma once

/*
 * `loader import FILE`: what another load generator has measured, as ours would have reported it.
 * FILE is CSV, a line for each request, with the columns that `loader export` prints:
 *
 *     client,number,intended_ns,sent_ns,latency_ns,outcome
 *     1,1,1441812279474000000,1441812279474120000,2713000,acknowledged
 *     ,,1441812279475000000,,10000000000,unsent
 *
 * Times count from 1970, or from whatever start (then the log's clock times are those of the
 * import); latencies from the intended time. Client and number may be empty; they are not looked
 * at. Lines may stand in any order. What comes out is load.json and latency.hlog in --out, and the
 * summary on stdout: of a closed loop, or with --rate of an open one.
 *
 * Returns: as trial_run.
 * Errors:  ERROR_INVALID naming file and line; ERROR_LIMIT; ERROR_IO; ERROR_NOT_FOUND.
 */

#include "loader/options.h"

int import_run(const struct options *options, struct error *err);
