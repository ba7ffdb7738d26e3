#pragma once

/*
 * output.log of a container: every line that it writes, while the trial runs (log_record.h says how
 * it looks). A follower writes it; when the connection breaks and the host comes back, it goes on
 * behind the last line, by time and content, so that whoever watches misses and doubles nothing.
 * In the end `log_complete` merges what the file has with what the engine still has, each line once
 * and in order (log_merge.h): engines rotate logs and lose what was not on a disk, so that either
 * may have more. Both begin with whatever file is there: one that a killed runner has left is
 * completed in the same way.
 *
 * What the engine has lost is a gap. It is *known* where lines that were read from the engine are
 * not in its log any more, or where its log begins behind the last line of the file; *perhaps* one
 * where an engine was restarted while the container ran, or went down with it: what it had read
 * from the container and not yet written can't be seen in any log. No gap is seen where a log was
 * rotated before anybody read it, where the log driver drops lines (`mode: non-blocking`,
 * journald's rate limit), or where an engine loses lines in the middle of its own log.
 *
 * Threads: one of its own between log_follow_start and log_follow_end.
 */

#include "lib/error.h"
#include "runner/collect/log_file.h"
#include "runner/engine/container.h"
#include "runner/engine/engine.h"

#include <stdbool.h>
#include <stdint.h>

struct log_result {
    uint64_t lines, bytes; /* in the file */
    uint64_t breaks;       /* how often the connection broke and following went on */
    bool complete;         /* all that the engine had, as far as the container has come */
    bool unreadable;       /* the engine cannot read this log driver */
    struct log_gap *gaps;  /* malloc()ed */
    size_t gap_count;
    uint64_t gaps_all; /* also those above LOG_GAPS_MAX */
};
#define LOG_RESULT_NULL ((struct log_result){.gaps = NULL})
void log_result_deinit(struct log_result *result);

struct log_follow;

struct log_source {
    struct engine_options engine; /* what it points to must outlive the follower */
    const char *container;
    bool tty;                /* the container has a terminal */
    int64_t clock_offset_ns; /* of the engine's host: its wall clock minus ours */
    /* Called in the follower's thread after a break: 0 once the engine can be reached again.
     * NULL: a break is the end. */
    int (*await)(void *arg, const struct task *task, struct error *err);
    /* How often the way to the engine broke; a stream that breaks without it was ended by the
     * engine. NULL: always so. */
    uint64_t (*connections)(void *arg);
    void *arg;
};

struct log_watch {
    void (*on_line)(void *arg,
                    const char *line); /* in the follower's thread; NULL: nobody watches */
    void *arg;
};

/* Copies the arguments. Continues `path` if it is there. Errors: ERROR_IO. */
int log_follow_start(const struct log_source *source, const char *path, struct log_watch watch,
                     struct log_follow **ret, struct error *err);
/* Waits until the container's output has ended, at most `wait_ns`, then stops, and frees. */
void log_follow_end(struct log_follow *follow, uint64_t wait_ns, struct log_result *ret);

/*
 * Completes `path`, made if it is not there, by what the engine has now, and tells what is in it.
 * Can be done as often as one likes. `state` is the container as inspected now. `result` is what a
 * follower said, which saves reading what cannot be missing, or LOG_RESULT_NULL.
 * 1: the engine cannot read the container's log driver; what is in the file stays.
 */
int log_complete(struct engine *engine, const struct engine_container *state, const char *path,
                 const struct task *task, struct log_result *result, struct error *err);

/* The last `count` lines as text, at most 16 KiB; "" when there are none. malloc()ed. */
char *log_tail(struct engine *engine, const char *container, bool tty, int count,
               const struct task *task);

/* ---- between the files of this room ---- */

/* Of a container that had ended without its engine. */
enum { LOG_EXIT_LOST = 255 };

/* Does the container's log driver drop old lines at all; and may it have dropped some of so much?
 */
bool log_can_rotate(const struct engine_container *state);
bool log_may_have_rotated(const struct engine_container *state, uint64_t bytes, uint64_t lines);

/* Takes the file's list of gaps. */
void log_result_of(struct log_file *file, struct log_result *ret);
