#pragma once

/*
 * How a block's header binds what was written, and whether that is so.
 *
 * With a Merkle tree: by SHA-256 of each key and value (chain/write_set.h). Leaves need them, and
 * so does whoever is shown one.
 *
 * Without one: by what makes it. What `pee` writes follows from client, number and shape of its
 * request, which the header has: so the header binds every byte, though it has no hash of them. It
 * names the handler (`maker`), and a checksum tells replicas apart that have made something else.
 * What a request of `kv` writes its payload says: it is hashed here, too.
 *
 * Who is given a block with a maker makes the write set again, and compares all bytes: a lie is
 * found as it is by a hash, in less time. Why: docs/decisions/0036. Pure.
 *
 * Threads: any; one write set at a time.
 */

#include "executor/chain/block.h"
#include "executor/chain/merkle.h"
#include "executor/chain/write_set.h"
#include "executor/handler.h"

#include "lib/error.h"

/* What headers of that chain name as their maker; 0: write sets are hashed. */
uint32_t written_maker(const struct handler *handler, enum merkle merkle);

/* Reads a write set that was just made; `set->digest` is what the header needs. ERROR_INVALID,
 * ERROR_LIMIT. */
int written_read(struct write_set *set, uint32_t maker, const uint8_t *bytes, size_t size,
                 struct error *err);

/* Reads a write set from anywhere, if it is the one that the header binds; ERROR_INVALID if it is
 * not, or the header is none that this replica could have made; ERROR_LIMIT. */
int written_check(struct write_set *set, const struct block_header *h, const uint8_t *bytes,
                  size_t size, struct error *err);

/* ERROR_INVALID: a chain with such a tree has no such header. */
int written_fits(const struct block_header *h, enum merkle merkle, struct error *err);
