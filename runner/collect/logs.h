#pragma once

/*
 * output.log of a container: every line that it writes, as `<timestamp> <stream> <line>`, while the
 * trial runs. When following broke before the container ended, collection reads the whole log again
 * from the engine and replaces the file, so that no line is missing or doubled.
 *
 * Threads: one of its own between log_follow_start and log_follow_end.
 */

#include "lib/error.h"
#include "runner/engine/engine.h"

#include <stdint.h>

struct log_result {
    uint64_t lines, bytes;
    bool complete; /* followed to the container's end without a break */
};

struct log_follow;

struct log_watch {
    void (*on_line)(void *arg,
                    const char *line); /* in the follower's thread; NULL: nobody watches */
    void *arg;
};

/* Copies the arguments. `path` is created anew. Errors: ERROR_IO. */
int log_follow_start(const struct engine_options *engine, const char *container, const char *path,
                     struct log_watch watch, struct log_follow **ret, struct error *err);
/* Waits until the container's output has ended, at most `wait_ns`, then stops, and frees. */
void log_follow_end(struct log_follow *follow, uint64_t wait_ns, struct log_result *ret);

/* The whole log, as the engine has it now, into `path` (replaced). */
int log_fetch(struct engine *engine, const char *container, const char *path,
              const struct task *task, struct log_result *ret, struct error *err);

/* The last `count` lines as text, at most 16 KiB; "" when there are none. malloc()ed. */
char *log_tail(struct engine *engine, const char *container, int count, const struct task *task);
