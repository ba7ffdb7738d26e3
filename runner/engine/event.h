#pragma once

/*
 * What happens on an engine, as it happens: containers that start, die, run out of memory or change
 * their health; execs; networks, volumes and images.
 *
 * An engine remembers its last 256 events, of all containers, until it is restarted. After a broken
 * connection the stream goes on where it was with the same cursor, and nothing comes twice; but
 * whoever was away for longer, or saw the engine restart, has to look at the containers themselves.
 *
 * Threads: the callback runs on the caller's.
 */

#include "runner/engine/container.h"
#include "runner/engine/engine.h"

enum { ENGINE_EVENT_SIZE_MAX = 1024 * 1024 }; /* labels travel in it */

enum engine_event_kind {
    ENGINE_EVENT_OTHER, /* see type and action */
    ENGINE_EVENT_CREATE,
    ENGINE_EVENT_START,
    ENGINE_EVENT_DIE, /* it ended; with exit_code */
    ENGINE_EVENT_STOP,
    ENGINE_EVENT_KILL, /* a signal was sent */
    ENGINE_EVENT_OOM,
    ENGINE_EVENT_PAUSE,
    ENGINE_EVENT_UNPAUSE,
    ENGINE_EVENT_RESTART,
    ENGINE_EVENT_RENAME,
    ENGINE_EVENT_DESTROY,
    ENGINE_EVENT_HEALTH, /* with health */
    ENGINE_EVENT_EXEC_START,
    ENGINE_EVENT_EXEC_DIE, /* with exit_code */
};

struct engine_event {
    enum engine_event_kind kind; /* of containers; others are ENGINE_EVENT_OTHER */
    const char *type;            /* "container", "image", "network", "volume", "daemon", ... */
    const char *action;          /* as the engine writes it: "health_status: healthy" */
    const char *id;
    const char *name;              /* of the container or network; "" */
    const struct json *attributes; /* strings: labels and more; or NULL */
    int64_t time_ns;               /* the engine's wall clock */
    int64_t exit_code;             /* -1 where it does not apply */
    enum engine_health health;     /* ENGINE_HEALTH_NONE where it does not apply */
};

/* Pure: one line of the stream; the strings are borrowed from the document. */
int engine_event_read(const struct json *line, struct engine_event *ret, struct error *err);

/* How far a stream has come. Zero-initialised: from now on, or from `since_ns`. */
enum { ENGINE_CURSOR_MAX = 64 }; /* events of one nanosecond that are told apart */
struct engine_event_cursor {
    int64_t time_ns;                  /* of the last event */
    uint64_t seen[ENGINE_CURSOR_MAX]; /* which events of that time were delivered */
    size_t seen_count;
};

struct engine_events_options {
    /* NULL: any, in all of them; several in a list: any of them (of labels: all of them). */
    const struct engine_pair *labels;
    const char *const *types;      /* "container", ... */
    const char *const *actions;    /* "die", "health_status", ... */
    const char *const *containers; /* names or ids */
    int64_t since_ns;              /* 0: from now on */
    int64_t until_ns;              /* 0: without end */
    /* NULL; or where it goes on from, and where it notes how far it came. */
    struct engine_event_cursor *cursor;
};

/*
 * Calls `on_event` for each, until `until_ns`, or by the task alone. A negative return of it ends
 * the call with that error, a positive one with 1. A stream that the engine ends otherwise is
 * ERROR_UNREACHABLE: ask again with the same cursor.
 */
int engine_events(struct engine *engine, const struct engine_events_options *options,
                  int (*on_event)(void *arg, const struct engine_event *event, struct error *err),
                  void *arg, const struct task *task, struct error *err);
