#pragma once

/*
 * output.log of a container: every line that it writes, as `<timestamp> <stream> <line>`, while the
 * trial runs. When the connection breaks and the host comes back, following goes on behind the last
 * line that was written, so that whoever watches misses and doubles nothing. Timestamps order lines
 * within a stream only as well as the host's clock does: after a break, collection reads the whole
 * log again from the engine and replaces the file.
 *
 * Threads: one of its own between log_follow_start and log_follow_end.
 */

#include "lib/error.h"
#include "runner/engine/engine.h"

#include <stdbool.h>
#include <stdint.h>

struct log_result {
    uint64_t lines, bytes;
    uint64_t breaks; /* how often the connection broke and following went on */
    bool complete;   /* all of it, to the container's end, without a break */
};

struct log_follow;

struct log_source {
    struct engine_options engine; /* what it points to must outlive the follower */
    const char *container;
    bool tty; /* the container has a terminal */
    /* Called in the follower's thread after a break: 0 once the engine can be reached again.
     * NULL: a break is the end. */
    int (*await)(void *arg, const struct task *task, struct error *err);
    void *arg;
};

struct log_watch {
    void (*on_line)(void *arg,
                    const char *line); /* in the follower's thread; NULL: nobody watches */
    void *arg;
};

/* Copies the arguments. `path` is created anew. Errors: ERROR_IO. */
int log_follow_start(const struct log_source *source, const char *path, struct log_watch watch,
                     struct log_follow **ret, struct error *err);
/* Waits until the container's output has ended, at most `wait_ns`, then stops, and frees. */
void log_follow_end(struct log_follow *follow, uint64_t wait_ns, struct log_result *ret);

/* The whole log, as the engine has it now; replaces `path` when it is there. */
int log_fetch(struct engine *engine, const char *container, bool tty, const char *path,
              const struct task *task, struct log_result *ret, struct error *err);

/* The last `count` lines as text, at most 16 KiB; "" when there are none. malloc()ed. */
char *log_tail(struct engine *engine, const char *container, bool tty, int count,
               const struct task *task);
