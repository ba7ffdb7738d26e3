#pragma once

/*
 * What can block is told how long it may and who can end it. A `struct task` is passed down to
 * every function that waits; `task_wait` is the one place where threads of the runner sleep on a
 * descriptor, and it watches the descriptor, the cancellation and the deadline together.
 *
 * Threads: a `struct cancel` is shared; cancel_raise may be called from any thread and from a
 * signal handler. A `struct task` belongs to one thread, and is copied to narrow its deadline.
 */

#include "lib/clock.h"
#include "lib/error.h"

#include <stdatomic.h>
#include <stdbool.h>

struct cancel {
    int event_fd;     /* readable once raised */
    atomic_int level; /* 0 not cancelled, 1 finish and clean up, 2 stop waiting */
};

int cancel_init(struct cancel *c, struct error *err);
void cancel_deinit(struct cancel *c);
/* Levels only rise. Async-signal-safe. */
void cancel_raise(struct cancel *c, int level);
int cancel_level(const struct cancel *c);

struct task {
    const struct cancel *cancel; /* borrowed; NULL: cannot be cancelled */
    struct instant deadline;
};

/* Neither cancelled nor timed out, ever. */
#define TASK_FOREVER ((struct task){.cancel = NULL, .deadline = INSTANT_NEVER})

/* A copy whose deadline is at most `ns` from now. */
struct task task_within(const struct task *task, uint64_t ns);

/* ERROR_CANCELLED or ERROR_TIMEOUT if the task should end now, else 0. */
int task_check(const struct task *task, struct error *err);

/*
 * Waits until `fd` has one of the poll() `events` (or an error or hang-up, which the caller's next
 * read or write will name). `fd` may be -1: then only for cancellation and deadline.
 * Errors: ERROR_CANCELLED, ERROR_TIMEOUT.
 */
int task_wait(const struct task *task, int fd, short events, struct error *err);

/* Sleeps for `ns`: 0 when they have passed, else as task_wait (the task's own deadline). */
int task_sleep(const struct task *task, uint64_t ns, struct error *err);
