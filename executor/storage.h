#pragma once

/*
 * The storage thread: executes ordered requests one after the other, makes their blocks, and
 * stores them (executor/ledger.h); what is done comes back to the event loop. Neighbouring blocks
 * are committed together, so that a store whose commit is dear pays it once per batch.
 *
 * A replica that has fallen behind gets blocks from others instead: it pushes them as jobs, which
 * are checked and stored, and come back with their digests like all others, or refused. The other
 * side fetches blocks as it reads values.
 *
 * Waking a thread and being told by it takes longer than executing a request that writes next to
 * nothing. So where the store is memory, little waits, and the thread has nothing to do, the loop
 * does it itself (storage_do_at_once).
 *
 * Between two commits it serves read-only requests, a batch of them too, so that neither kind waits
 * for more than a batch of the other. A read sees what is committed: every block that has come back
 * when it was pushed, and no part of another.
 *
 * Shape:   storage_push, storage_push_block, storage_push_read, storage_push_fetch ...
 *          storage_do_at_once, storage_kick (once per round) -> [thread] -> `done_fd` readable ->
 *          storage_take, storage_take_reads, storage_take_fetches.
 *
 * Owns:    the store and the chain from storage_start to storage_stop.
 *
 * Threads: all functions belong to the thread of the loop.
 */

#include "executor/chain/block.h"
#include "executor/ledger.h"
#include "executor/stages.h"
#include "executor/store/store.h"
#include "executor/transport/blob.h"

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
    STORAGE_READ_BYTES_MAX = COMMAND_WRITE_SET_MAX,
    /* Answers that are values and not taken back, before more is read; each of them up to 1 MiB. */
    STORAGE_ANSWER_BYTES_MAX = 64 * 1024 * 1024,
    STORAGE_PROBLEM_SIZE = 160,
    /* What the loop does itself: as much as it takes some ten microseconds to do. */
    STORAGE_AT_ONCE_BYTES_MAX = 16 * 1024,
    STORAGE_AT_ONCE_JOB_BYTES = 256, /* for each, beside its write set */
    /* Fetches that wait, or are not taken back; each has at most this many blocks, and no more of
     * them once they have this many bytes together. */
    STORAGE_FETCHES_MAX = 16,
    STORAGE_FETCH_BLOCKS_MAX = 64,
    STORAGE_FETCH_BYTES_MAX = 4 * 1024 * 1024,
};

struct storage_job {
    uint64_t height;
    uint64_t sequence; /* of the batch that ordered the request */
    void *request;     /* carried along */
    struct command command;
    bool busy_wait;
    /* It was executed ahead: then its read set was this. Where it is that still, its time is not
     * spent again. */
    bool ahead;
    uint8_t read_set[SHA256_SIZE];
    uint8_t request_digest[SHA256_SIZE];
    struct blob *block; /* carried along; not NULL: a block to take over, see storage_push_block */
    uint64_t at_ns;     /* when it was pushed; comes back as when it was stored (storage_measure) */
    /* When it comes back: */
    uint8_t digest[SHA256_SIZE];        /* of the block */
    struct blob *answer;                /* what was read, if that is the answer; else NULL */
    bool conflict;                      /* it was executed ahead, and had to be once more */
    bool refused;                       /* it is not in the chain, and changed nothing */
    char problem[STORAGE_PROBLEM_SIZE]; /* why it was refused */
};

struct storage_read {
    void *request;          /* carried along */
    struct command command; /* its payload is borrowed until it comes back, as that of a job */
    bool ahead;             /* only the read set is wanted that it would have; else read-only */
    /* When it comes back: */
    uint64_t height;                    /* of the last block that it saw */
    uint8_t digest[SHA256_SIZE];        /* of what was read (executor/chain/read_set.h), or of: */
    struct blob *answer;                /* what was read, if that is the answer; else NULL */
    char problem[STORAGE_PROBLEM_SIZE]; /* why it could not be read; "": it was */
};

/* Blocks `height`, `height` + 1, ... for another replica. */
struct storage_fetch {
    uint64_t id; /* carried along */
    uint64_t height;
    uint32_t count; /* so many are wanted, up to STORAGE_FETCH_BLOCKS_MAX */
    /* When it comes back: */
    uint32_t
        found; /* so many there are, from `height` on; fewer where the chain or the room ends */
    struct blob *blocks[STORAGE_FETCH_BLOCKS_MAX]; /* as storage_push_block takes them; a reference
                                                      to each is whose who takes the fetch back */
    char problem[STORAGE_PROBLEM_SIZE]; /* why the store could not be read; "": it could */
};

struct storage;

/* `jobs_max`: the most that are pushed and not yet taken back. Takes the store, and the chain that
 * is in it, also when it fails. */
int storage_start(struct store *store, struct chain *chain, const struct ledger_options *options,
                  uint32_t jobs_max, struct storage **ret, struct error *err);

/* From now on stages are recorded there; before anything is pushed. */
void storage_measure(struct storage *s, struct stages *stages);

void storage_push(struct storage *s, const struct storage_job *job);
/*
 * A block that another replica has made, as one run of bytes: encoded header, then write set. It is
 * a job of its height like those of storage_push, in one order with them; the reference to `block`
 * comes back with it. It is stored if it follows, and if write set and state are what its header
 * says; otherwise it is refused, and so are all jobs behind it, since they do not follow either.
 * That the block is the one that the cluster agreed on is the caller's to know: by its digest.
 */
void storage_push_block(struct storage *s, uint64_t height, struct blob *block, void *request);
/* False: too many wait already. */
bool storage_push_fetch(struct storage *s, const struct storage_fetch *fetch);
/* False: too many wait already. */
bool storage_push_read(struct storage *s, const struct storage_read *read);
/* Stores what was pushed, if that is quickly done: true, and it can be taken. */
bool storage_do_at_once(struct storage *s);
/* Lets the thread see what was pushed. */
void storage_kick(struct storage *s);

int storage_done_fd(const struct storage *s);
/* Blocks that are stored, or refused, in order. Returns how many (0: none for now). */
size_t storage_take(struct storage *s, struct storage_job *out, size_t max);
/* Reads that were served, in order. */
size_t storage_take_reads(struct storage *s, struct storage_read *out, size_t max);
/* Fetches, in order. */
size_t storage_take_fetches(struct storage *s, struct storage_fetch *out, size_t max);
/* Storing has failed for good: jobs from then on do not come back; reads and fetches do.
 */
bool storage_failed(struct storage *s, struct error *ret);

/* What was pushed and not taken back, and the thread's CPU time. */
struct storage_stats {
    uint64_t jobs, reads, fetches;
    uint64_t answer_bytes;
    uint64_t cpu_ns;
};
void storage_get_stats(const struct storage *s, struct storage_stats *ret);

/* Ends the thread. Jobs, reads and fetches that it has not begun come back too. */
void storage_stop(struct storage *s);
/* After storage_stop. Gives the store. */
struct store *storage_free(struct storage *s);

/* Spends the time of an execution; also what pre-execution calls. */
void storage_execute(uint32_t execution_ms, bool busy_wait);
