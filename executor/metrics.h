#pragma once

/*
 * What a replica tells Prometheus (docs/REPLICA.md lists all of it), where --metrics says. The
 * server's thread asks the loop, which fills in a snapshot between two rounds: nothing is prepared
 * for nobody, and what is told is of one instant. Counts are kept in any case, by the loop alone;
 * stages (stages.h) are timed only if somebody may ask.
 */

#include "executor/pbft/codec.h"
#include "executor/pbft/pbft.h"

#include "lib/error.h"
#include "lib/wire.h"

#include <stdint.h>

/* Since the start. */
struct replica_counts {
    uint64_t from_clients, from_replicas; /* requests that came */
    uint64_t replies[WIRE_REPLY_REFUSED + 1];
    uint64_t executed, adopted; /* blocks that are stored */
    uint64_t ahead, conflicts;  /* of them, ordered as executed ahead; and then once more */
    uint64_t notes[PBFT_NOTE_COUNT];
    uint64_t messages_sent[PBFT_MESSAGE_END - PBFT_FORWARD];
    uint64_t messages_received[PBFT_MESSAGE_END - PBFT_FORWARD];
};

struct replica;
struct replica_metrics;

/* If the options ask for it; the loop must run soon. */
int replica_metrics_open(struct replica *r, struct error *err);
/* Before what it tells about is gone. NULL is allowed. */
void replica_metrics_close(struct replica_metrics *m);
