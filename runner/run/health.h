#pragma once

/*
 * Is a container healthy now? Its own health check is run through exec, instead of waiting until
 * the engine has run it (docs/decisions/0003-health.md); engines without a timer for it never do.
 */

#include "runner/engine/container.h"

enum { HEALTH_OUTPUT_MAX = 4096 };
enum { HEALTH_NOT_CHECKED = 2 }; /* it has no health check */

/* Of one that runs: 0 it is, 1 not yet, HEALTH_NOT_CHECKED. *said is what the check said, one
 * harmless line. */
int health_probe(struct engine *engine, const struct engine_container *state,
                 const struct task *task, char said[HEALTH_OUTPUT_MAX], struct error *err);
