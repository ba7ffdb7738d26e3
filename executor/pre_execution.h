#pragma once

/*
 * Pre-execution (-p): the execution time of requests is spent before they are ordered, on threads
 * of the primary, so that different requests execute side by side; the others then skip it. (That
 * replicas check one another's results comes with the BFT core.)
 *
 * Threads: all functions belong to the thread of the loop.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PRE_EXECUTION_THREADS = 32, /* sleeping ones cost nothing; started with the first request */
    PRE_EXECUTION_WAITING_MAX = 4096,
};

struct pre_execution;

struct pre_execution_job {
    void *request; /* carried along */
    uint32_t execution_ms;
    bool busy_wait;
};

int pre_execution_new(struct pre_execution **ret, struct error *err);
/* Waits for executions that have begun. Requests inside are given to `release`. */
void pre_execution_free(struct pre_execution *p, void (*release)(void *request));

/* False: too many wait already, or no thread can be started. */
bool pre_execution_push(struct pre_execution *p, const struct pre_execution_job *job);
/* Readable when something is done. */
int pre_execution_fd(const struct pre_execution *p);
/* A request whose time has been spent, in any order; NULL: none for now. */
void *pre_execution_take(struct pre_execution *p);
