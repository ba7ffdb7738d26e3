#pragma once

/*
 * What a container wrote, line by line, each with its stream. The order of lines is kept within a
 * stream; between streams it is the engine's.
 */

#include "runner/engine/engine.h"

enum engine_stream { ENGINE_STDOUT = 1, ENGINE_STDERR = 2 };

enum { ENGINE_LOG_LINE_MAX = 1024 * 1024 }; /* longer lines come in pieces of this size */

struct engine_log_line {
    enum engine_stream stream;
    const char *data; /* without the newline; foreign bytes; followed by a NUL */
    size_t size;
    bool partial;          /* more of the same line follows */
    const char *timestamp; /* RFC 3339 with nanoseconds, of the line's first byte; "" without */
};

struct engine_log_options {
    bool follow; /* until the container stops; ends by the task alone */
    bool timestamps;
    bool tty; /* the container has a terminal: one stream, not multiplexed */
    bool only_stdout, only_stderr;
    int64_t since_ns; /* wall time; 0: from the start */
    int64_t until_ns; /* wall time; 0: to the end */
    int64_t tail;     /* the last so many lines of both streams together; 0: all; -1: none */
    /* When the lines of what came at once are through; with on_line's `arg`. May be NULL. */
    int (*on_pause)(void *arg, struct error *err);
};

/* A negative return of `on_line` ends the call with that error, a positive one with 1. */
int engine_container_logs(struct engine *engine, const char *container,
                          const struct engine_log_options *options,
                          int (*on_line)(void *arg, const struct engine_log_line *line,
                                         struct error *err),
                          void *arg, const struct task *task, struct error *err);
