#pragma once

/*
 * What a replica leaves in its output folder when it stops: `state.json` (height and digest) and
 * `executed.json` (lib/request_set.h), both read back from the store, not from memory, and each
 * file whole or not there.
 */

#include "executor/store/store.h"

#include "lib/error.h"

int result_write(struct store *store, const char *folder, struct error *err);
