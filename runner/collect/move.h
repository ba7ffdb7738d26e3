#pragma once

/* From where files were unpacked to their place. */

#include "lib/error.h"

#include <stdint.h>

/*
 * Renames all that is in one folder into another; a folder that is there already takes what is in
 * the new one, a file is replaced. No link is followed. `kept`: names that are never replaced
 * (NULL: none); those, and a file where a folder would go or the other way round, stay and are
 * counted.
 */
int move_all(int from_fd, int to_fd, const char *const *kept, uint64_t *skipped, struct error *err);
