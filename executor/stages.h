#pragma once

/*
 * How long requests are in each stage of a replica, from their first byte to their answer, as
 * histograms. The stages of a request follow one another without a gap, so their sums say where its
 * time goes.
 *
 * Recording is an addition to each of two words that only one thread writes: no lock, no system
 * call. Stages end where the time is known anyhow, but for those within a block, where the clock is
 * read. A reader gets every word whole; the last recording may be in one of them and not yet in the
 * other.
 *
 * Units:   nanoseconds in, seconds out.
 * Threads: each stage is recorded by one; all may read.
 */

#include "lib/buffer.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stage {
    /* By the loop: */
    STAGE_RECEIVE,     /* from its first byte until the core has it: read, hashed, authenticated */
    STAGE_PRE_EXECUTE, /* -p: its time is spent before it is ordered */
    STAGE_ORDER,       /* until it is agreed on, and all before it are on their way to the store */
    STAGE_REPLY,       /* from its commit until its answer went out */
    STAGE_READ,        /* a read-only request, until it was looked up */
    /* By the storage thread: */
    STAGE_QUEUE,   /* until that thread takes it */
    STAGE_EXECUTE, /* its time, its write set, the hashes of that */
    STAGE_TREE,    /* the state that it leads to */
    STAGE_STORE,   /* until it is committed, with others */
    STAGE_COMMIT,  /* of the commits themselves: no stage of a request */
    STAGE_COUNT,
};

/* "receive" */
const char *stage_name(enum stage stage);

/* Upper ends of what is counted together; there is one more without an end. */
enum { STAGE_BOUNDS = 43 };
extern const uint64_t stage_bounds_ns[STAGE_BOUNDS];

struct stage_times {
    atomic_uint_least64_t counts[STAGE_BOUNDS + 1];
    atomic_uint_least64_t sum_ns;
};

struct stages {
    struct stage_times of[STAGE_COUNT];
};

/* `stages` NULL: nobody wants to know. */
void stages_record(struct stages *stages, enum stage stage, uint64_t ns);
/* From `since_ns` on; 0: it is not known since when. */
static inline void stages_record_since(struct stages *stages, enum stage stage, uint64_t since_ns,
                                       uint64_t now_ns) {
    if (stages && since_ns > 0 && now_ns >= since_ns)
        stages_record(stages, stage, now_ns - since_ns);
}

/* For stages that follow one another in one thread. NULL is one that stands still. */
struct stopwatch {
    struct stages *stages; /* NULL: it stands still */
    uint64_t at_ns;        /* when the last one ended */
};

void stopwatch_start(struct stopwatch *w);
/* This one ends now. */
void stopwatch_lap(struct stopwatch *w, enum stage stage);
/* What has passed since then, which is of no stage. */
uint64_t stopwatch_split(struct stopwatch *w);

/* As Prometheus wants them. */
void stages_write(const struct stages *stages, struct buffer *out);
