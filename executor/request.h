#pragma once

/*
 * A client's request as the replica holds it: its bytes as they came (the body of the REQUEST
 * frame, at `offset` of the blob that brought it), and what they say. The core knows it by a
 * handle. A read-only request is none of the core's: nobody else sees its bytes, so they are given
 * back at once unless they are kept.
 *
 * References are counted by the thread of the loop; storage and pre-execution only carry one along.
 */

#include "executor/endorsed.h"
#include "executor/handler.h"
#include "executor/pbft/pbft.h"
#include "executor/stages.h"
#include "executor/transport/connection.h"

#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/request_auth.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request {
    uint32_t references;
    struct blob *blob; /* NULL: read-only, and not kept */
    size_t offset;
    size_t payload_offset;
    uint32_t payload_size;
    uint8_t flags;               /* enum wire_request_flag */
    struct command command;      /* its payload lies in the blob */
    uint8_t digest[SHA256_SIZE]; /* of what it says (lib/request_auth.h) */
    enum request_authentic authentic;
    const char *doubt; /* constant: why it is not authentic */
    uint64_t origin;   /* where it came from; CLIENTS_NOWHERE: another replica had it */
    enum stage stage;  /* that it is in, as long as the loop has it */
    uint64_t at_ns;    /* since when; 0: from before a crash */
    /* It was executed ahead of its order, and this is what that has given; else NULL. */
    struct endorsed *endorsed;
    bool vouched; /* that is so: we have done it ourselves, or f + 1 have signed that */
};

/*
 * The request in a frame, from `offset` of the body on, and whether it is authentic, by `checker`.
 * Gives one reference.
 * Errors: ERROR_INVALID, ERROR_LIMIT: the bytes are no request. One that cannot be executed is one
 * all the same: request_check.
 */
int request_new(const struct frame *frame, size_t offset, struct sha256 *hash,
                struct request_checker *checker, struct request **ret, struct error *err);
/* Keeps the bytes of a read-only request; `frame` is the one that it is of. */
void request_keep(struct request *request, const struct frame *frame);
struct request *request_ref(struct request *request);
void request_unref(struct request *request);

/* Its stage ends now, and that one begins. `stages` may be NULL. */
void request_goes_on(struct request *request, enum stage stage, uint64_t now_ns,
                     struct stages *stages);

bool request_reads(const struct request *request);
/* Whether a replica with that handler can execute it: ERROR_LIMIT, ERROR_REFUSED, ERROR_INVALID. */
int request_check(const struct request *request, const struct handler *handler, struct error *err);

/* That it was executed ahead, and what that has given; once, and before the core has it. */
void request_endorse(struct request *request, const struct endorsed *endorsed);

/* How the core sees it: the handle stands for one reference. */
struct pbft_request request_for_core(const struct request *request);
struct request *request_of(const struct pbft_request *core_request);
