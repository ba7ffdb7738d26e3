#pragma once

/*
 * The running replica: the one place where core, chain, store and transport meet. One thread runs
 * the event loop and the core, another one the store (storage.h), and for pre-execution some more.
 */

#include "executor/options.h"
#include "executor/place.h"

#include "lib/error.h"

/*
 * Serves until SIGTERM or SIGINT (which the caller has blocked in all threads), then stops cleanly
 * and writes its results. The log is open. 0: all of that went well.
 */
int replica_run(const struct replica_options *options, const struct place *place,
                struct error *err);
