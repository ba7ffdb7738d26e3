#pragma once

/*
 * Blocks from replica to replica, for those who have fallen behind (executor/pbft: PBFT_SERVE,
 * PBFT_BLOCK): reads what others ask for, a little at a time, and puts together what they send. A
 * block travels in pieces, in order, none between those of another (pbft/codec.h).
 *
 * Limits: one order of each kind per peer, a later one replaces it. What waits to be sent to a peer
 * stays at TRANSFER_QUEUE_MAX and one fetch. Of each peer one incomplete block.
 * Threads: of the loop.
 */

#include "executor/pbft/codec.h"
#include "executor/pbft/pbft.h"
#include "executor/storage.h"
#include "executor/transport/transport.h"

#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdint.h>

enum { TRANSFER_QUEUE_MAX = 8 * 1024 * 1024 };

struct transfer;

struct transfer *transfer_new(uint16_t n);
void transfer_free(struct transfer *t);
DEFINE_CLEANUP_FREE(transfer);

/* As PBFT_SERVE asks. */
void transfer_serve(struct transfer *t, uint16_t peer, uint64_t height, uint32_t count);
/* Once per round: reads what is asked for as far as there is room. */
void transfer_work(struct transfer *t, struct storage *storage, const struct transport *transport);
/* Sends what was read. False: a block could not be read; `ret_problem` says why. */
bool transfer_take_fetches(struct transfer *t, struct storage *storage, struct transport *transport,
                           char ret_problem[STORAGE_PROBLEM_SIZE]);
void transfer_peer_down(struct transfer *t, uint16_t peer);

/*
 * A piece that the peer sent. 0: more has to come. 1: `ret` is a whole block, whose write set is
 * what its header says; its handle is a reference to a blob (transfer_block). Errors:
 * ERROR_INVALID, ERROR_LIMIT: that is no block.
 */
int transfer_receive(struct transfer *t, uint16_t peer, const struct codec_message *m,
                     const struct frame *frame, struct pbft_block *ret, struct error *err);

/* Handles of blocks are told from those of requests. */
static inline bool transfer_is_block(uint64_t handle) {
    return handle & 1;
}
struct blob *transfer_block(uint64_t handle);
