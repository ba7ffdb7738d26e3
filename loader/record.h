#pragma once

/*
 * What a run has measured: counts of outcomes, latencies in histograms, a table of seconds, which
 * requests were acknowledged, and every request in requests.bin unless -i 0.
 *
 * A latency is measured twice: from the *intended* time (in the closed loop: when the client became
 * free) and from when the first byte was given to the kernel. Only acknowledged requests are in the
 * histograms; what became of all others is counted beside them and must be read with them.
 *
 * Acknowledged are reads too, but what was acknowledged is remembered of writes only: reads are in
 * no chain.
 *
 * Memory is bounded: nothing grows with the number of requests but ranges of acknowledged numbers,
 * and the table by a row per second.
 *
 * Threads: one record belongs to one thread; those of all threads are merged at the end. Units: ns
 * since the start of the run.
 */

#include "lib/error.h"
#include "lib/histogram.h"
#include "lib/request_set.h"
#include "loader/durations.h"
#include "loader/interval.h"
#include "loader/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What completed in one second, by the time of its outcome; latencies from the intended time. */
struct record_second {
    uint64_t sent;
    uint64_t outcomes[OUTCOME_COUNT];
    uint64_t max_ns;
};

/* What became of the requests of one shape. One that no client was free for has none. */
struct record_shape {
    uint64_t sent; /* that have an outcome */
    uint64_t outcomes[OUTCOME_COUNT];
    uint64_t window_acknowledged;
    struct histogram latency, latency_from_send;
};

struct record {
    uint64_t client_base;
    uint64_t window_from_ns, window_to_ns; /* see record_window */
    uint64_t window_acknowledged;          /* replies in it */
    uint64_t begun_ns;    /* after time 0, when the last thread was awake; 0: none was yet */
    uint64_t due;         /* open loop: requests whose intended time has come */
    uint64_t sent;        /* requests whose first byte was given to the kernel */
    uint64_t sent_end_ns; /* of the last one */
    uint64_t outcomes[OUTCOME_COUNT];
    uint64_t late; /* replies to requests that had already timed out, or that nobody sent */
    uint64_t ordered_reads; /* no quorum of replicas said the same of them */
    uint64_t end_ns;        /* of the last outcome */

    struct histogram latency;           /* from the intended time */
    struct histogram latency_from_send; /* from the first byte */

    struct histogram lateness; /* open loop: of sends, after their intended time */

    struct record_shape *shapes; /* of the mix, if there are several */
    size_t shapes_count;

    struct record_second *seconds; /* whole ones; the current one is behind them */
    size_t seconds_count, seconds_capacity;
    struct record_second second;
    struct interval interval;  /* since the last whole second that could be handed over */
    struct exchange *exchange; /* borrowed; NULL: nobody wants to see it while it runs */
    uint64_t told_ns;          /* the last whole second that was offered to it */

    struct request_set *acknowledged;
    struct durations_writer *durations; /* borrowed; NULL: not kept */
};

void record_init(struct record *r, uint64_t client_base, struct durations_writer *durations,
                 struct exchange *exchange);
void record_deinit(struct record *r);
/* Requests have so many shapes, and are told apart by them; 0: they are not. Once, before all else.
 */
void record_shapes(struct record *r, size_t count);
/* Only requests that are intended in the window are in the three histograms: warming up and cooling
 * down is not measured. All other counts and the table of seconds are of the whole run. */
void record_window(struct record *r, uint64_t from_ns, uint64_t to_ns);
/* Adds what another thread has measured of the same run, with other clients. Exact. */
int record_merge(struct record *to, const struct record *from, struct error *err);

/* Closes the seconds before `now_ns`. Called with rising times, and before what happens at them. */
void record_advance(struct record *r, uint64_t now_ns);
void record_due(struct record *r);
void record_sent(struct record *r, uint64_t at_ns);
/* Of a send in the open loop. */
void record_lateness(struct record *r, uint64_t intended_ns, uint64_t sent_ns);
void record_late(struct record *r);
void record_ordered_read(struct record *r);
/* The outcome is at intended_ns + latency_ns. */
int record_outcome(struct record *r, const struct duration *one, struct error *err);

/* Of all kinds. */
uint64_t record_outcomes(const struct record *r);
uint64_t record_errors(const struct record_second *second);
