#pragma once

/*
 * Asks a running replica for its status, as a client: for `replica --health` and `--status`.
 * Errors: ERROR_UNREACHABLE, ERROR_TIMEOUT, ERROR_REFUSED (of another run), ERROR_INVALID.
 */

#include "executor/place.h"

#include "lib/error.h"
#include "lib/task.h"
#include "lib/wire.h"

int query_status(const struct task *task, const struct place *place, struct wire_status *ret,
                 struct error *err);
