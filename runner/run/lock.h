#pragma once

/*
 * One run per project and user at a time on this machine: an advisory lock that the kernel releases
 * when its holder ends, however it ends. Runs of others are noticed by the containers they own.
 */

#include "lib/error.h"
#include "lib/task.h"

#include <stdbool.h>

struct project_lock {
    int fd;
    char *end; /* the file by which its holder is asked to end */
};
#define PROJECT_LOCK_NULL ((struct project_lock){.fd = -1})

/* ERROR_CONFLICT names the process that holds it. */
int project_lock_take(const char *project, struct project_lock *ret, struct error *err);
void project_lock_release(struct project_lock *lock);

/* From now on the holder looks whether it is asked to end, and others may wait for that. */
int project_lock_attach(const struct project_lock *lock, struct error *err);
bool project_lock_end_is_wanted(const struct project_lock *lock);

/*
 * Takes it; from a holder that has attached, by asking it to end, and waiting. Returns 1 when it
 * had to. ERROR_CONFLICT when the holder does not listen.
 */
int project_lock_take_over(const char *project, const struct task *task, struct project_lock *ret,
                           struct error *err);

/* ---- the lock of a project on a host ---- */

/* The volume that it is. Release with free(). */
char *lock_volume_name(const char *project);

enum { LOCK_HOLDER_SIZE = 80 };

/* "process N of boot B": this process, and which life of which machine it is of. Returns `text`. */
const char *lock_holder(char text[LOCK_HOLDER_SIZE]);
/* It was a process of this machine, in this life of it, and is not there any more. */
bool lock_holder_is_dead(const char *holder);
