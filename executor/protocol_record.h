#pragma once

/*
 * A record of the protocol log as bytes: pure. Head and requests; see protocol_log.h.
 *
 * Shape: check u64 (the first bytes of SHA-256 of what follows of the head) | head size u32 | type
 *        u8 | flags u8 | view u64 | seq u64 | height u64 | digest | count u32 | ...
 *        PROPOSAL: for each request its size u32 and digest, and size u16 and bytes of what goes
 *        before it if it was executed ahead (executor/endorsed.h); then the requests themselves,
 *        behind the head. VIEW: the NEW-VIEW's frame, if there is one.
 */

#include "executor/pbft/codec.h"
#include "executor/pbft/pbft.h"
#include "executor/protocol_log.h"

#include "lib/buffer.h"
#include "lib/crypto.h"
#include "lib/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROTOCOL_SEGMENT_HEAD_SIZE = 4 + 4 + 2 * 2 + WIRE_RUN_SIZE,
    PROTOCOL_RECORD_HEAD_MAX = 2 * 1024 * 1024, /* a NEW-VIEW fits into a frame */
};

/* Whose a segment is. */
struct protocol_owner {
    char run[WIRE_RUN_SIZE];
    uint16_t replica, n;
};

void protocol_owner_encode(const struct protocol_owner *owner,
                           uint8_t out[PROTOCOL_SEGMENT_HEAD_SIZE]);
/* ERROR_INVALID: no segment, or of another version. ERROR_CONFLICT: somebody else's. */
int protocol_owner_check(const struct protocol_owner *owner,
                         const uint8_t head[PROTOCOL_SEGMENT_HEAD_SIZE], struct error *err);

/* Its head, appended. Requests are those of executor/request.h. */
void protocol_record_encode(const struct pbft_record *record, struct buffer *out);

struct record_reader {
    struct pbft_record record; /* of the last one that was read; changes are the reader's */
    struct codec_room *room;
    struct sha256 hash;
    const uint8_t *bytes[PBFT_BATCH_MAX]; /* of its requests */
    uint32_t sizes[PBFT_BATCH_MAX];
    const uint8_t *ahead[PBFT_BATCH_MAX];
    size_t ahead_sizes[PBFT_BATCH_MAX];
    struct protocol_log_request requests[PBFT_BATCH_MAX];
};

void record_reader_init(struct record_reader *r);
void record_reader_deinit(struct record_reader *r);
/*
 * The record that the bytes begin with, whole and unchanged; `ret_size` is its size. False: it is
 * not; then `ret_size` is how large it seems to be, SIZE_MAX if more than there is, 0 if that
 * cannot be told.
 */
bool record_reader_read(struct record_reader *r, const uint8_t *data, size_t size,
                        size_t *ret_size);
/* Its requests, each with a reference for whoever asks. */
const struct protocol_log_request *record_reader_requests(struct record_reader *r);
