#pragma once

/*
 * One run per project and user at a time on this machine: an advisory lock that the kernel releases
 * when its holder ends, however it ends. Runs of others are noticed by the containers they own.
 */

#include "lib/error.h"

struct project_lock {
    int fd;
};
#define PROJECT_LOCK_NULL ((struct project_lock){.fd = -1})

/* ERROR_CONFLICT names the process that holds it. */
int project_lock_take(const char *project, struct project_lock *ret, struct error *err);
void project_lock_release(struct project_lock *lock);
