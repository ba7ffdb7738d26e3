#pragma once

/* Where this user's cache is, and keeping it small: anything in it may be removed at any time. */

#include <stdint.h>

/* $XDG_CACHE_HOME/seatrial/NAME, else ~/.cache/seatrial/NAME; NULL: neither is an absolute path.
 * malloc()ed. */
char *cache_folder(const char *name);

/* Files of the folder, of these first letters, that were last written or used before that. Faults
 * are nobody's business: it is tried again next time. */
void cache_remove_older(const char *folder, const char *prefix, int64_t before_s);
