#include "loader/interval.h"

#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

void interval_init(struct interval *i) {
    *i = (struct interval){.from_ns = 0};
    histogram_init(&i->latency, HISTOGRAM_HOUR_NS);
    histogram_init(&i->latency_from_send, HISTOGRAM_HOUR_NS);
}

void interval_shapes(struct interval *i, size_t count) {
    assert(!i->shapes && i->latency.count == 0);
    if (count == 0)
        return;
    i->shapes = mem_new_array(struct histogram, count);
    i->shapes_count = count;
    for (size_t s = 0; s < count; s++)
        histogram_init(&i->shapes[s], HISTOGRAM_HOUR_NS);
}

void interval_deinit(struct interval *i) {
    histogram_deinit(&i->latency);
    histogram_deinit(&i->latency_from_send);
    for (size_t s = 0; s < i->shapes_count; s++)
        histogram_deinit(&i->shapes[s]);
    free(i->shapes);
}

void interval_clear(struct interval *i, uint64_t from_ns) {
    if (i->latency.count > 0) {
        histogram_clear(&i->latency);
        histogram_clear(&i->latency_from_send);
    }
    for (size_t s = 0; s < i->shapes_count; s++)
        if (i->shapes[s].count > 0)
            histogram_clear(&i->shapes[s]);
    *i = (struct interval){.from_ns = from_ns,
                           .to_ns = from_ns,
                           .latency = i->latency,
                           .latency_from_send = i->latency_from_send,
                           .shapes = i->shapes,
                           .shapes_count = i->shapes_count};
}

void interval_add(struct interval *to, const struct interval *from) {
    to->to_ns = from->to_ns > to->to_ns ? from->to_ns : to->to_ns;
    to->sent += from->sent;
    for (int i = 0; i < OUTCOME_COUNT; i++)
        to->outcomes[i] += from->outcomes[i];
    if (from->latency.count > 0) {
        histogram_add(&to->latency, &from->latency);
        histogram_add(&to->latency_from_send, &from->latency_from_send);
    }
    assert(to->shapes_count == from->shapes_count);
    for (size_t s = 0; s < from->shapes_count; s++)
        if (from->shapes[s].count > 0)
            histogram_add(&to->shapes[s], &from->shapes[s]);
}

void exchange_init(struct exchange *x, int wake_fd) {
    x->full = false;
    x->wake_fd = wake_fd;
    pthread_mutex_init(&x->lock, NULL);
    interval_init(&x->slot);
}

void exchange_shapes(struct exchange *x, size_t count) {
    interval_shapes(&x->slot, count);
}

void exchange_deinit(struct exchange *x) {
    interval_deinit(&x->slot);
    pthread_mutex_destroy(&x->lock);
}

void exchange_put(struct exchange *x, struct interval *own, uint64_t to_ns) {
    own->to_ns = to_ns;
    pthread_mutex_lock(&x->lock);
    bool handed_over = !x->full;
    if (handed_over) {
        struct interval empty = x->slot;
        x->slot = *own;
        x->full = true;
        *own = empty;
        own->from_ns = own->to_ns = to_ns;
    }
    pthread_mutex_unlock(&x->lock);
    uint64_t one = 1;
    ssize_t n = handed_over ? write(x->wake_fd, &one, sizeof one) : 0;
    (void)n; /* full means that it was told already */
}

bool exchange_ready(struct exchange *x) {
    pthread_mutex_lock(&x->lock);
    bool full = x->full;
    pthread_mutex_unlock(&x->lock);
    return full;
}

/* The slot is ours while it is full: the other side waits for nothing but the lock. */
void exchange_fetch(struct exchange *x, struct interval *sum) {
    assert(x->full);
    interval_add(sum, &x->slot);
    interval_clear(&x->slot, 0);
    pthread_mutex_lock(&x->lock);
    x->full = false;
    pthread_mutex_unlock(&x->lock);
}
