#pragma once

/*
 * `replica kv get|put|delete`: a client of a cluster that runs with --handler kv. It asks all
 * replicas, and believes what a quorum of them says alike: then whoever reads later finds a correct
 * replica among those asked that has the write. Nobody orders a read (OSDI '99, section 4.4). Where
 * no quorum comes of it, because something is written just then or too few replicas are there, it
 * is ordered like a write: then f + 1 that say the same are enough, and for a refusal they always
 * are.
 *
 * With keys it speaks as one of the cluster's loaders. Its client is one of 65,536 of that loader,
 * drawn at random; numbers are the time of day in nanoseconds, so that they rise.
 *
 * Errors: ERROR_USAGE, ERROR_NOT_FOUND (there is no such key), ERROR_REFUSED (by f + 1 replicas),
 * ERROR_TIMEOUT, ERROR_UNREACHABLE, ERROR_IO (the standard input); those of place.h.
 */

#include "lib/error.h"

int kv_main(int argc, char **argv, struct error *err);
