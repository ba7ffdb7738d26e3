#pragma once

/*
 * Answers of replicas to one request, until enough of them are equal: f + 1 equal answers hold at
 * least one of a replica that is not faulty. A replica has one vote; its later answers do not
 * count.
 *
 * An answer is known by 64 bits of it. A faulty replica that made its answer look like another's
 * would only vote for that one, as it can do anyway.
 *
 * Pure. Source: Castro and Liskov, Practical Byzantine Fault Tolerance, OSDI '99, section 4.1.
 */

#include "lib/wire.h"

#include <stddef.h>
#include <stdint.h>

/* Not 0, which stands for no vote. */
uint64_t votes_of(const struct wire_reply *reply);

/* Counts it for reply->replica (below n) in `votes`, n of them. Returns how many replicas say the
 * same; 0 if this one has voted before. */
size_t votes_add(uint64_t *votes, size_t n, const struct wire_reply *reply);
/* How many have voted. */
size_t votes_count(const uint64_t *votes, size_t n);
void votes_clear(uint64_t *votes, size_t n);
