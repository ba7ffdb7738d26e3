#pragma once

/*
 * The same thing done to many, side by side: a thread or more per host, each with an engine of its
 * own, that take one job after the other. Nothing is shared but the jobs themselves.
 */

#include "lib/error.h"
#include "runner/engine/engine.h"

#include <stddef.h>

struct job {
    const struct engine_options
        *engine; /* jobs of one host follow each other, and share this; NULL: none */
    void *subject;
    int result;          /* what the function returned */
    struct error *fault; /* malloc()ed; NULL unless it failed */
};

typedef int job_function(void *subject, struct engine *engine, void *arg, struct error *err);

/* What the caller's thread does meanwhile, a few times a second; `tick` NULL: nothing. */
struct jobs_watch {
    void (*tick)(void *arg);
    void *arg;
};

/* Returns when all are done. `workers` at most per host; 0: a thread for every job. */
void jobs_run(struct job *jobs, size_t count, size_t workers, job_function *function, void *arg);
void jobs_run_watched(struct job *jobs, size_t count, size_t workers, job_function *function,
                      void *arg, const struct jobs_watch *watch);
void jobs_free(struct job *jobs, size_t count);
