#pragma once

/*
 * Lanes: the threads that carry out the steps of one host. Each keeps its own connection to the
 * host's engine, so that engine calls of different containers run side by side; a lane blocks in
 * its step, and the main thread never does. Decision 0002 says why threads and not callbacks.
 *
 * Threads: lanes_push and lanes_free belong to the main thread. `act` runs in a lane's thread; what
 * it needs to tell the main thread goes through the event queue.
 */

#include "lib/error.h"

#include <stddef.h>

struct engine;
struct lanes;

/* Carries out `step`. `engine` is the lane's slot: NULL until the first step opens it. */
typedef void lane_act(void *user, size_t step, struct engine **engine);

/* `count` threads at most; they start when there is something to do. */
struct lanes *lanes_new(size_t count, lane_act *act, void *user);
void lanes_push(struct lanes *lanes, size_t step);
/* Waits for the running steps, closes the connections. Steps not begun are dropped. */
void lanes_free(struct lanes *lanes);
