#pragma once

/*
 * Does a core dump of a service's containers come home from a host? Tried, not guessed: a container
 * with the rights and limits of the service, of an image that holds nothing but a program that
 * crashes, is started, and what it leaves in the service's folder is fetched and looked at. Image,
 * volume and container carry our labels, and are removed whatever happens.
 */

#include "runner/engine/engine.h"
#include "runner/plan/plan.h"
#include "runner/remote/host.h"

struct crash_test {
    struct host *host;
    struct engine *engine;                 /* its */
    const char *owner, *project;           /* for the labels */
    const char *architecture;              /* of the engine's machine, as it says it */
    const char *core_pattern;              /* of the host; NULL: not known */
    const struct project_service *service; /* one that is asked for core dumps */
    const char *image_user;                /* of its image; "" or NULL: root */
    const char *image_working_dir;         /* of its image; "" or NULL: the root */
};

struct crash_test_result {
    bool arrived;        /* in the folder from where it is collected, and it is that program's */
    uint64_t size_bytes; /* of the core dump */
    int64_t exit_code;   /* of the container: 128 + SIGILL if all was as it should be */
    char *elsewhere;     /* where in the container one appeared instead; hostile; NULL: nowhere */
    bool other_user;     /* its user has a name, which only its image knows: another stood for it */
};

/*
 * Returns 1, and nothing else, for an architecture of which we know no way to crash.
 * Errors: those of the engine; ERROR_LEFT_BEHIND, with the names, when something could not be
 * removed.
 */
int crash_test_run(const struct crash_test *test, const struct task *task,
                   struct crash_test_result *ret, struct error *err);
void crash_test_result_deinit(struct crash_test_result *result);
