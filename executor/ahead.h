#pragma once

/*
 * Requests that are executed before they are ordered (-p), as this replica sees them. The primary
 * asks all others to execute a request, and collects what it has given, with their signatures
 * (endorsed.h). As soon as f + 1 say the same, the request is ordered with that. Where they do not,
 * because they were at different points of the chain, or too few answer in time, it is ordered
 * without, and executed in its order. After Concord's pre-execution.
 *
 * What a primary can do wrong: not ask, not order, as with every request (then it is replaced);
 * order without what was collected (then it is executed in its order); make something up (then
 * nobody can vouch for the batch). What a backup can do wrong: say nothing, or something else than
 * the others, until the time is over; sign badly, and be disconnected.
 *
 * A request is executed here once, whoever asks and however often: of each client the last
 * request's execution is remembered, also for the next primary.
 *
 * Only decides; it does what it has to through struct ahead_ops. Time comes in.
 *
 * Limits: AHEAD_COLLECTIONS_MAX requests are collected for at a time, one of a client; each takes
 * n times 130 bytes. Of each client some 250 bytes are remembered. Requests themselves have up to
 * AHEAD_BYTES_MAX while they are collected for, and as much while they are executed, wherever they
 * wait for that; what executes them has limits of its own (pre_execution.h).
 * Threads: of the loop.
 */

#include "executor/endorsed.h"
#include "executor/pbft/codec.h"
#include "executor/request.h"

#include "lib/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    AHEAD_COLLECTIONS_MAX = 4096,
    /* Payloads of the requests that are collected for; and of those that are executed here, which
     * goes on when a client has given its request up. */
    AHEAD_BYTES_MAX = 128 * 1024 * 1024,
};

/* Once a primary has executed a request itself, the others have as long once more, and this. */
#define AHEAD_PATIENCE_NS (UINT64_C(500) * 1000000)

struct ahead_ops {
    void *context;
    /* Begins to execute; takes a reference that ahead_executed gives back. False: too much is
     * under way. */
    bool (*execute)(void *context, struct request *request);
    void (*fan_out)(void *context, const struct request *request);
    void (*tell)(void *context, uint16_t peer, const struct codec_execution *execution);
    /* Takes the reference. */
    void (*order)(void *context, struct request *request);
    void (*blame)(void *context, uint16_t peer, const char *why);
    /* This replica is the primary of that view, and in it. */
    bool (*leads)(void *context, uint64_t view);
};

struct ahead_config {
    uint16_t replica, n, f;
    uint32_t clients_max;
    const struct auth *auth; /* borrowed */
    struct ahead_ops ops;
};

struct ahead;

struct ahead *ahead_new(const struct ahead_config *config);
/* Requests inside are given back; nothing is executed any more. */
void ahead_free(struct ahead *a);
DEFINE_CLEANUP_FREE(ahead);

enum ahead_begun {
    AHEAD_TAKEN, /* with its reference; it will be ordered */
    AHEAD_ORDER, /* it was before, or cannot be noted: order it as it is */
    AHEAD_FULL,  /* too much is under way */
};
/* By the primary of `view`. */
enum ahead_begun ahead_begin(struct ahead *a, struct request *request, uint64_t view,
                             uint64_t now_ns);
/* The primary asks for it. Takes the reference. */
void ahead_asked(struct ahead *a, uint16_t peer, struct request *request);
/* What was begun here is done; NULL: it could not be. Takes the reference. */
void ahead_executed(struct ahead *a, struct request *request, const struct execution *execution,
                    const uint8_t *signature, uint64_t now_ns);
/* What another replica has told. */
void ahead_told(struct ahead *a, uint16_t peer, const struct codec_execution *execution);
/* This replica has executed that request, and this is what it has given. */
bool ahead_agrees(const struct ahead *a, const struct request *request,
                  const struct execution *execution);

/* When ahead_tick wants to be called; UINT64_MAX: not at all. */
uint64_t ahead_due(const struct ahead *a);
/* Orders what has waited for others for too long. */
void ahead_tick(struct ahead *a, uint64_t now_ns);
