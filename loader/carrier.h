#pragma once

/*
 * How requests get to the system under load and answers come back, as a driver sees it. The driver
 * decides when which client sends; a carrier has the connections, and knows the protocol. There are
 * two: replicas.h (all clients of a thread share the connections to the replicas) and streams.h
 * (each client has a connection of its own).
 *
 * A client has one request at a time: from carrier_submit until the carrier says `ended`, or the
 * driver withdraws it. Whatever comes for it later is late.
 *
 * Threads: belongs to its driver's. Times are ns since the start of the run.
 */

#include "lib/clock.h"
#include "lib/error.h"
#include "loader/note.h"
#include "loader/outcome.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* What the carrier tells the driver. */
struct carrier_owner {
    void *context;
    /* The time, looked at now; before answers that were just read are told. */
    uint64_t (*now)(void *context);
    /* The moment that such a time is. */
    struct instant (*at)(const void *context, uint64_t ns);
    /* The first byte of the client's request was given to the kernel at that time. */
    void (*begun)(void *context, uint32_t client, uint64_t at_ns);
    int (*ended)(void *context, uint32_t client, enum outcome outcome, struct error *err);
    /* An answer to a request that has its outcome already. */
    void (*late)(void *context);
    /* A read that is sent again as a request that is ordered. */
    void (*ordered)(void *context);
    loader_note *note;
};

struct carrier {
    const struct carrier_kind *kind;
    struct carrier_owner owner;
    int epoll_fd; /* borrowed; events of a carrier carry indexes below CARRIER_EVENTS_MAX */
};

/* Above them are the driver's own. */
#define CARRIER_EVENTS_MAX (UINT32_MAX - 16)

/* The clients of one thread: client i of the pool is in slice i mod threads. */
struct carrier_slice {
    uint32_t thread, threads;
    uint32_t clients; /* in this slice */
    int epoll_fd;
};

/* Makes the carrier of a thread; called in any, `context` is constant. */
struct carrier_maker {
    struct carrier *(*make)(const void *context, const struct carrier_slice *slice,
                            const struct carrier_owner *owner);
    const void *context; /* borrowed, outlives the carriers */
};

struct carrier_kind {
    /* Begins to connect. */
    void (*start)(struct carrier *c, struct instant now);
    /* Whether requests can be sent now; before the load starts it also waits for whoever may still
     * come. */
    bool (*ready)(struct carrier *c, struct instant now);
    /* Somebody may still answer. */
    bool (*alive)(const struct carrier *c);
    void (*submit)(struct carrier *c, uint32_t client, uint64_t number);
    void (*withdraw)(struct carrier *c, uint32_t client);
    /* Hands what was submitted to the kernel. */
    int (*flush)(struct carrier *c, struct error *err);
    int (*handle)(struct carrier *c, const struct epoll_event *event, struct error *err);
    /* What is due by time. A fault ends the run: the system cannot be reached, or refuses
     * everything. */
    int (*tick)(struct carrier *c, struct instant now, struct error *err);
    /* When tick is needed next. */
    struct instant (*due)(const struct carrier *c);
    void (*free)(struct carrier *c);
};
