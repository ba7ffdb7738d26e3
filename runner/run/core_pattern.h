#pragma once

/*
 * Where the kernel of a host puts the core dumps of a service's containers, by its core pattern
 * (core(5)): relative, into the working directory of the process that crashed; absolute, below the
 * root that this process sees, which is its container's; with a `|` in front, into a program on the
 * host. Pure. The pattern is the host's alone: we say what to change, and never change it.
 */

#include "lib/buffer.h"
#include "runner/plan/plan.h"

enum core_way {
    CORE_ARRIVES,        /* in the folder from where it is collected */
    CORE_IN_WORKING_DIR, /* if its user may write there; it is looked for there */
    CORE_ELSEWHERE,      /* in another folder of the container, if that is there and writable */
    CORE_NOT_KNOWN,      /* the image is not there to say its working directory */
    CORE_PIPED,          /* to a program on the host */
    CORE_NOT_WRITTEN,    /* nowhere */
};

enum { CORE_SENTENCE_MAX = 1024 };

/*
 * `working_dir`: of its container ("": the root); NULL: not known. The service is one that is asked
 * for core dumps (describe_cores). Adds to `what` where they go, as a sentence about "it", and to
 * `remedy` what to do, where that is not CORE_ARRIVES.
 */
enum core_way core_pattern_judge(const char *pattern, const struct project_service *service,
                                 const char *working_dir, struct buffer *what,
                                 struct buffer *remedy);

/* May a file of this name be a core dump, by the host's pattern (NULL: not known) or by custom? */
bool core_pattern_matches(const char *pattern, const char *name);
