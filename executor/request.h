#pragma once

/*
 * A client's request as the replica holds it: its bytes as they came (the body of the REQUEST
 * frame, at `offset` of the blob that brought it), and what they say. The core knows it by a
 * handle. A read-only request is none of the core's: nobody else sees its bytes, so they are given
 * back at once.
 *
 * References are counted by the thread of the loop; storage and pre-execution only carry one along.
 */

#include "executor/chain/pee.h"
#include "executor/core/core.h"
#include "executor/transport/connection.h"

#include "lib/crypto.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request {
    uint32_t references;
    struct blob *blob; /* NULL: read-only */
    size_t offset;
    uint8_t flags; /* enum wire_request_flag */
    struct pee_command command;
    uint8_t digest[SHA256_SIZE]; /* of its bytes */
    uint64_t origin;             /* primary: where it came from */
};

/*
 * The request in a frame, from `offset` of the body on. Gives one reference.
 * Errors: ERROR_INVALID, ERROR_LIMIT: the bytes are no request. A request beyond the limits of the
 * PEE is one all the same: request_check.
 */
int request_new(const struct frame *frame, size_t offset, struct sha256 *hash, struct request **ret,
                struct error *err);
struct request *request_ref(struct request *request);
void request_unref(struct request *request);

bool request_reads(const struct request *request);
/* Whether a replica can execute it: ERROR_LIMIT, ERROR_REFUSED. */
int request_check(const struct request *request, struct error *err);

/* How the core sees it: the handle stands for one reference. */
struct core_request request_for_core(const struct request *request, bool pre_executed);
struct request *request_of(const struct core_request *core_request);
