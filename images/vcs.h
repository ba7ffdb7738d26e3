#pragma once

/*
 * Which commit a folder is of, and whether something below it was not committed. Asks git, which
 * reads the user's repository; where there is none, nothing is known, and that is no error.
 */

#include "lib/error.h"
#include "lib/task.h"

#include <stdbool.h>

enum { VCS_COMMIT_SIZE = 65 }; /* of SHA-256, and a NUL */

struct vcs {
    char commit[VCS_COMMIT_SIZE];
    bool dirty; /* what git ignores does not count, nor does a seatrial.lock */
};

/* 1: it is in no repository, has no commit, or there is no git here. */
int vcs_look(const char *folder, const struct task *task, struct vcs *ret, struct error *err);
