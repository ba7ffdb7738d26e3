#pragma once

/*
 * What the threads that carry out steps tell the main thread: a queue of events. The main thread
 * alone owns plan, schedule, journal and terminal, so nothing else has to be locked.
 *
 * Threads: event_post from any thread; event_take and the descriptor belong to the main thread.
 */

#include "lib/clock.h"
#include "lib/error.h"
#include "runner/plan/schedule.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum event_kind {
    EVENT_STEP_TEXT,  /* something to show about a running step */
    EVENT_STEP_BYTES, /* how much of what `text` names has come */
    EVENT_STEP_END,
    EVENT_LINE,    /* `step` is a container's index: a line of its output */
    EVENT_WARNING, /* the same, and it goes into run.json */
    EVENT_FAILURE, /* of no step: `step` is a host's index */
    EVENT_GONE,    /* likewise, and its machine is gone */
};

struct event {
    struct event *next;
    enum event_kind kind;
    size_t step;
    enum step_state state;
    uint64_t bytes;
    struct error err; /* of a failed step */
    char *text;       /* owned; already harmless for a terminal */
};

struct event_queue {
    pthread_mutex_t lock;
    struct event *first, **last;
    int event_fd; /* readable while events wait */
};

int event_queue_init(struct event_queue *q, struct error *err);
void event_queue_deinit(struct event_queue *q);

/* Takes `event` (from event_new). */
void event_post(struct event_queue *q, struct event *event);
/* Gives the oldest event, or NULL when none waits. */
struct event *event_take(struct event_queue *q);

struct event *event_new(enum event_kind kind);
void event_free(struct event *event);

/* Shorthand: formats a text, cut at 16 KiB, makes it harmless, posts it. */
void event_post_vtext(struct event_queue *q, enum event_kind kind, size_t step, const char *format,
                      va_list args) __attribute__((format(printf, 4, 0)));
void event_post_text(struct event_queue *q, enum event_kind kind, size_t step, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));
