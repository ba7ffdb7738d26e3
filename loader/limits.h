#pragma once

/*
 * The loader's maxima, each with its reason. What comes over the wire is limited in lib/wire.h.
 */

#include "lib/clock.h"
#include "lib/wire.h"

#include <stdint.h>

enum {
    /* issue: up to 100,000 clients in one process; their ids are one aligned block (workload.h). */
    LOADER_CLIENTS_MAX = 100 * 1000,
    /* Each has some 2 MB of histograms and a connection to each replica. */
    LOADER_THREADS_MAX = 256,
    /* A write set beyond these is refused by every replica (executor/chain); we say it earlier. */
    LOADER_KEYS_MAX = 1000 * 1000,
    LOADER_KEY_SIZE_MAX = 64 * 1024,
    LOADER_VALUE_SIZE_MAX = 16 * 1024 * 1024,
    LOADER_EXECUTION_MS_MAX = 3600 * 1000,

    /* Shapes in a mix: each has four histograms of 270 kB in each thread. */
    LOADER_SHAPES_MAX = 8,
    LOADER_SHAPE_NAME_SIZE = 32, /* with its NUL */
    LOADER_WEIGHT_MAX = 1000 * 1000,

    /* SEATRIAL_LOADER_ARGS: the environment of a process is limited to a few MB anyway. */
    LOADER_WORDS_MAX = 1024,
    LOADER_WORDS_SIZE_MAX = 64 * 1024,

    /* Loaders of one load: their logs are merged at once, each an open file. */
    LOADER_LOADERS_MAX = 256,

    /* Requests imported: kept in memory, 48 bytes each, to be put in order. */
    LOADER_IMPORT_MAX = 20 * 1000 * 1000,

    /* Logs merged or summarized at once: each is an open file. */
    LOADER_FILES_MAX = 256,

    /* Replicas in one cluster: 3f+1 with f = 33. */
    LOADER_REPLICAS_MAX = 100,

    /* Rows of the per-second table: 7 days. Later seconds are added to the last row. */
    LOADER_SECONDS_MAX = 7 * 24 * 3600,
    /* Rows of it that people are shown. */
    LOADER_SECONDS_SHOWN_MAX = 30,

    /* Replies read at once: a thousand of the usual ones. */
    LOADER_INPUT_SIZE = 128 * 1024,
    /* Requests on their way to a replica for the second time. */
    LOADER_RESENT_MAX = 1024,
    /* Connections that a thread makes at once: servers have queues for some hundred. */
    LOADER_CONNECTING_MAX = 128,
    /* Servers named by --target. */
    LOADER_TARGETS_MAX = 1024,
    /* What one writev takes: 256 requests, head and payload each. The kernel's own limit is 1,024.
     */
    LOADER_IOVECS_MAX = 512,
    /* requests.bin is written in pieces of this size: small, so that one write() delays no reply.
     */
    LOADER_PIECE_SIZE = 16 * 1024,

    /* As many refusals one after the other, and nothing else, end the run: the replicas will not
     * take this shape of request however often it is sent. */
    LOADER_REFUSALS_MAX = 100,
};

#define LOADER_REQUESTS_MAX UINT64_C(1000000000000)
/* A draw by skew is computed in double: every number up to here is one. */
#define LOADER_KEY_SPACE_MAX UINT64_C(1000000000000)

/* How long a client that was told "overloaded" waits before its next request. */
#define LOADER_OVERLOAD_PAUSE_NS (10 * NS_PER_MS)
/* Between two attempts to connect; doubles from the first to the last. */
#define LOADER_RETRY_FIRST_NS (50 * NS_PER_MS)
#define LOADER_RETRY_LAST_NS NS_PER_SEC
/* One attempt to connect and be greeted. */
#define LOADER_ATTEMPT_NS (5 * NS_PER_SEC)
/* An agreed start is a few seconds ahead: further, and somebody's clock is wrong. */
#define LOADER_START_AHEAD_NS_MAX (300 * NS_PER_SEC)
/* After the first SIGINT or SIGTERM: for the replies that are still under way. */
#define LOADER_DRAIN_NS (2 * NS_PER_SEC)

/* --time: rates have as long a course. */
#define LOADER_TIME_NS_MAX (UINT64_C(30) * 24 * 3600 * NS_PER_SEC)
/* Imported times: what follows them by two such loads can still be written into a log. */
#define LOADER_IMPORT_NS_MAX ((uint64_t)INT64_MAX - 2 * LOADER_TIME_NS_MAX - NS_PER_SEC)
/* An open loop has generated its load if so many of 100 requests were sent, 99 of 100 of them no
 * later than this. It is the time in which a rate can be said to have been kept at all, far above
 * what a loader with a core of its own needs, and what a busy machine takes away now and then. */
enum { LOADER_SENT_PERCENT_MIN = 99 };
#define LOADER_LATENESS_P99_NS_MAX (100 * NS_PER_MS)
