#pragma once

/*
 * The threads that execute ahead of the order (-p), so that different requests execute side by
 * side: each request's time is spent, its write set made and hashed, and what that gives is signed
 * (endorsed.h). What becomes of it is ahead.h's. Also the times of read-only requests are spent
 * here.
 *
 * Threads: all functions belong to the thread of the loop.
 */

#include "executor/endorsed.h"
#include "executor/handler.h"

#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PRE_EXECUTION_THREADS = 32, /* sleeping ones cost nothing; started with the first request */
    PRE_EXECUTION_WAITING_MAX = 4096,
};

/* Of the requests that wait. */
#define PRE_EXECUTION_BYTES_MAX (UINT64_C(256) << 20)

/* Of write sets that are made at a time, to be hashed and forgotten: each has up to 64 MiB. */
#define PRE_EXECUTION_MAKING_MAX (UINT64_C(128) << 20)

struct pre_execution;

struct pre_execution_job {
    void *request; /* carried along; what follows is borrowed from it */
    uint32_t execution_ms;
    bool busy_wait;
    uint32_t size_bytes;
    const struct command *command; /* NULL: only its time is spent */
    const uint8_t *digest;         /* of the request */
    /* Its read set comes with it; the rest when it comes back. */
    struct execution execution;
    uint8_t signature[AUTH_SIGNATURE_SIZE];
};

/* Borrows both. */
int pre_execution_new(const struct handler *handler, const struct auth *auth,
                      struct pre_execution **ret, struct error *err);
/* Waits for executions that have begun. Requests inside are given to `release`. */
void pre_execution_free(struct pre_execution *p, void (*release)(void *request));

/* False: too many wait already, or no thread can be started. */
bool pre_execution_push(struct pre_execution *p, const struct pre_execution_job *job);
/* What was pushed and not taken. */
uint64_t pre_execution_count(struct pre_execution *p);
/* Readable when something is done. */
int pre_execution_fd(const struct pre_execution *p);
/* One that is done, in any order. False: none for now. */
bool pre_execution_take(struct pre_execution *p, struct pre_execution_job *ret);
