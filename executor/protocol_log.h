#pragma once

/*
 * The disk of the consensus core: the records that PBFT_PERSIST names, in files beside the store,
 * so that a replica that was killed keeps its word when it starts again. `--store memory` has none.
 *
 * Shape: a folder of segments, 1.log, 2.log, ..., each a head that says whose it is, and records
 * one behind the other. A STABLE record begins a new segment, which also repeats the last VIEW;
 * once that is on the disk, earlier ones are removed of which all is at or below the number. So
 * there are the records of some two windows.
 *
 * A record is a head of known size with the first bytes of its SHA-256 before it, and, for a
 * PROPOSAL, the requests behind it as their clients sent them: their digests, which the head has,
 * say whether they are whole. The end of the last segment may be torn, by whatever ended the
 * process: it is cut off, and with it a record there whose size was damaged so that it seems to go
 * beyond the file. Anything else that is not as it was written is ERROR_INVALID and names the file
 * and the place.
 *
 * Durability: what was appended survives the process. The power, once protocol_log_sync has been
 * called: only where the store is synchronous too.
 *
 * Errors: ERROR_IO, ERROR_LIMIT (PROTOCOL_LOG_BYTES_MAX: the cluster changes views and does not get
 * on), ERROR_CONFLICT (another replica's), ERROR_INVALID.
 */

#include "executor/pbft/pbft.h"
#include "executor/transport/blob.h"

#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Two windows of the largest batches are 260 MiB; each of three proposals for a number has its
 * requests once. What is beyond that are messages of view changes without a checkpoint between. */
#define PROTOCOL_LOG_BYTES_MAX (UINT64_C(4) << 30)

struct protocol_log;

struct protocol_log_options {
    const char *folder; /* made if it is not there */
    const char *run;
    uint16_t replica, n;
    bool sync;
};

/* Of a PROPOSAL that was read. The visitor takes the reference to the blob. */
struct protocol_log_request {
    struct blob *blob;    /* the body of its REQUEST */
    const uint8_t *ahead; /* what goes before it if it was executed ahead (executor/endorsed.h) */
    size_t ahead_size;    /* 0: it was not */
};

/* `record` is without requests; of PROPOSAL `requests` has record->count of them. */
typedef int protocol_log_visit(void *context, const struct pbft_record *record,
                               const struct protocol_log_request *requests, struct error *err);

/*
 * Opens it, and gives what pbft_recover_record wants, in its order: the last STABLE whose height is
 * at most `height` (what the store has), the last VIEW, all later records.
 */
int protocol_log_open(const struct protocol_log_options *options, uint64_t height,
                      protocol_log_visit *visit, void *context, struct protocol_log **ret,
                      struct error *err);
void protocol_log_free(struct protocol_log *log);
DEFINE_CLEANUP_FREE(protocol_log);

/* Borrows. After an error nothing can be appended any more. */
int protocol_log_append(struct protocol_log *log, const struct pbft_record *record,
                        struct error *err);
/* Before anything is sent that depends on what was appended. */
int protocol_log_sync(struct protocol_log *log, struct error *err);

/* Bytes in all segments. */
uint64_t protocol_log_bytes(const struct protocol_log *log);
