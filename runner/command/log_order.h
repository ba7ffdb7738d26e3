#pragma once

/*
 * Lines of many containers in the order of their times. Each has a queue; the line with the
 * earliest time comes out when every container that has not ended has one waiting, or when it has
 * waited for a window: a container that is silent, or a host that is slow, keeps the others back no
 * longer. So order is as good as the hosts' clocks, and where a host is later than the window, as
 * good as that.
 *
 * A queue that is full makes its reader wait: memory is bounded.
 *
 * Threads: log_order_push and log_order_end by the container's reader, log_order_pop by one
 * printer.
 */

#include <stddef.h>
#include <stdint.h>

struct log_order;

struct log_order *log_order_new(size_t sources, uint64_t window_ns);
void log_order_free(struct log_order *o);

/* Takes the malloc()ed `text`. */
void log_order_push(struct log_order *o, size_t source, int64_t ns, char *text, size_t size);
void log_order_end(struct log_order *o, size_t source);

/* Gives the next text to free(). NULL when all have ended. `before_wait` is called when there is
 * none at the moment. */
char *log_order_pop(struct log_order *o, void (*before_wait)(void), size_t *ret_size);
