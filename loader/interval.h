#pragma once

/*
 * What happened in an interval of whole seconds, on its way from the thread that measures it to the
 * one that shows it while the load runs. Nothing is copied: at the end of a second the measuring
 * thread puts its full interval into the *exchange* and takes the empty one that lies there. If
 * nobody has fetched the last one yet, it keeps its own, which then covers another second: it never
 * waits, allocates nothing, and no latency is lost.
 *
 * Threads: an interval belongs to whoever took it; an exchange is shared by two.
 */

#include "lib/histogram.h"
#include "loader/outcome.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interval {
    uint64_t from_ns, to_ns; /* since the start */
    uint64_t sent;           /* requests */
    uint64_t outcomes[OUTCOME_COUNT];
    /* Of acknowledged requests, from the intended time and from the first byte. */
    struct histogram latency, latency_from_send;
    /* The first of these by shape, where requests have several. */
    struct histogram *shapes;
    size_t shapes_count;
};

void interval_init(struct interval *i);
/* Of requests of so many shapes. Once, while it is empty; 0 changes nothing. */
void interval_shapes(struct interval *i, size_t count);
void interval_deinit(struct interval *i);
/* Empty, and begins at `from_ns`. */
void interval_clear(struct interval *i, uint64_t from_ns);
/* Adds what happened, of as many shapes; the end becomes the later one. */
void interval_add(struct interval *to, const struct interval *from);

struct exchange {
    pthread_mutex_t lock;
    struct interval slot;
    bool full;
    int wake_fd; /* borrowed: an eventfd that tells whoever fetches */
};

void exchange_init(struct exchange *x, int wake_fd);
/* Of intervals of so many shapes. Before anybody uses it. */
void exchange_shapes(struct exchange *x, size_t count);
void exchange_deinit(struct exchange *x);

/* Hands `own` over, and takes an empty one that begins at its end, if the slot is free. */
void exchange_put(struct exchange *x, struct interval *own, uint64_t to_ns);
/* Whether there is one. */
bool exchange_ready(struct exchange *x);
/* Adds what was put to `sum`, and leaves an empty one. There is one. */
void exchange_fetch(struct exchange *x, struct interval *sum);
