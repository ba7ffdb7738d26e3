#pragma once

/*
 * The storage thread: executes ordered requests one after the other, makes their blocks, and
 * stores them; what is done comes back to the event loop. Neighbouring blocks are committed
 * together, so that a store whose commit is dear pays it once per batch.
 *
 * Between two commits it serves read-only requests, a batch of them too, so that neither kind waits
 * for more than a batch of the other. A read sees what is committed: every block that has come back
 * when it was pushed, and no part of another.
 *
 * Shape:   storage_push, storage_push_read ... storage_kick (once per round) -> [thread] ->
 *          `done_fd` readable -> storage_take, storage_take_reads.
 * Owns:    the store and the chain from storage_start to storage_stop.
 * Threads: all functions belong to the thread of the loop.
 */

#include "executor/chain/block.h"
#include "executor/store/store.h"

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORAGE_BATCH_MAX = 16,                    /* blocks in one commit: bounds the first's wait */
    STORAGE_BATCH_BYTES_MAX = 8 * 1024 * 1024, /* also of what is read in a row */
    /* Reads that wait, or are not taken back: without their payloads some 400 bytes each. */
    STORAGE_READS_MAX = 4096,
    /* What one of them reads: as much as one write set has. */
    STORAGE_READ_BYTES_MAX = PEE_WRITE_SET_MAX,
    STORAGE_PROBLEM_SIZE = 160,
};

struct storage_job {
    uint64_t height;
    void *request; /* carried along */
    struct pee_command command;
    bool busy_wait;
    bool skip_execution; /* its time has been spent before */
    uint8_t request_digest[SHA256_SIZE];
    uint8_t digest[SHA256_SIZE]; /* of the block, when it comes back */
};

struct storage_read {
    void *request;              /* carried along */
    struct pee_command command; /* with a key space */
    /* When it comes back: */
    uint64_t height;                    /* of the last block that it saw */
    uint8_t digest[SHA256_SIZE];        /* of what was read (executor/chain/read_set.h) */
    char problem[STORAGE_PROBLEM_SIZE]; /* why it could not be read; "": it was */
};

struct storage;

/* `jobs_max`: the most that are pushed and not yet taken back. Takes the store, and the chain that
 * is in it, also when it fails. */
int storage_start(struct store *store, struct chain *chain, uint32_t jobs_max, struct storage **ret,
                  struct error *err);

void storage_push(struct storage *s, const struct storage_job *job);
/* False: too many wait already. */
bool storage_push_read(struct storage *s, const struct storage_read *read);
/* Lets the thread see what was pushed. */
void storage_kick(struct storage *s);

int storage_done_fd(const struct storage *s);
/* Blocks that are stored, in order. Returns how many (0: none for now). */
size_t storage_take(struct storage *s, struct storage_job *out, size_t max);
/* Reads that were served, in order. */
size_t storage_take_reads(struct storage *s, struct storage_read *out, size_t max);
/* Storing has failed for good: jobs from then on do not come back; reads do. */
bool storage_failed(struct storage *s, struct error *ret);

/* Ends the thread. Jobs and reads that it has not begun come back too. */
void storage_stop(struct storage *s);
/* After storage_stop. Gives the store. */
struct store *storage_free(struct storage *s);

/* Spends the time of an execution; also what pre-execution calls. */
void storage_execute(uint32_t execution_ms, bool busy_wait);
