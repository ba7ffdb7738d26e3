#pragma once

/*
 * What the state in a block's header is. All replicas of a cluster have the same.
 *
 *     basic   no tree: zeros
 *     block   the root of the tree of blocks (block_tree.h)
 *     keys    the root of the tree of keys (tree.h)
 */

#include "lib/error.h"

enum merkle { MERKLE_BASIC, MERKLE_BLOCK, MERKLE_KEYS };

const char *merkle_name(enum merkle merkle);
/* ERROR_USAGE */
int merkle_parse(const char *name, enum merkle *ret, struct error *err);
