#pragma once

/*
 * Which images of ours on an engine are of no use any more. Pure.
 *
 * Ours are those that carry our owner's label; every other is passed over. Of those without a name
 * (a newer build has taken it) the newest `keep` stay; what is older than `age_s` goes, with a name
 * or without. That an image is in use, by any container at all, is for its engine to say, which
 * keeps it then.
 */

#include "runner/engine/image.h"

#include <stdbool.h>

enum { STALE_KEEP_DEFAULT = 3 };
#define STALE_AGE_S_DEFAULT (INT64_C(30) * 24 * 3600)

struct stale_limits {
    size_t keep;
    int64_t age_s;
};

/* For each image of the list: whether it goes. */
void stale_images(const struct engine_image_list *list, const char *owner, int64_t now_s,
                  const struct stale_limits *limits, bool *ret);
