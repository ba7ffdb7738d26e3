#pragma once

/*
 * The core's messages as frames (lib/wire.h): each between replicas that have said HELLO. Beside
 * the pure core, because errors are texts.
 *
 * A batch travels in pieces: each of its requests is a frame of its own, CODEC_REQUEST, in which
 * the request is as its client sent it; so its bytes go from the client's connection to the
 * backups' uncopied, and what authenticates the frame has hashed the payload for the request's
 * digest, too. The PRE-PREPARE or BATCH behind them says how many of the last such frames are its
 * requests.
 *
 * A block travels in pieces as well (CODEC_PIECE_MAX), for it may be larger than a frame.
 *
 * What comes in is hostile: every bound is checked, nothing is left over, and what is decoded is
 * encoded to the same bytes again.
 */

#include "executor/pbft/pbft.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/wire.h"

#include <stddef.h>
#include <stdint.h>

enum {
    CODEC_REQUEST = PBFT_MESSAGE_END, /* of the batch that a later frame names */
    CODEC_EXECUTE,                    /* a request: execute it ahead of its order */
    CODEC_EXECUTED,                   /* what that has given */
    CODEC_END,

    /* What goes before a request that was executed ahead (executor/endorsed.h). */
    CODEC_AHEAD_SIZE_MAX = 1024,
    CODEC_BLOCK_FIELDS_SIZE = 8 + 2 * 4,
    CODEC_PIECE_MAX = 1024 * 1024, /* of a block, in one frame */
    /* Of all frames but those with VIEW-CHANGEs. */
    CODEC_HEAD_SIZE_MAX = (int)WIRE_HEADER_SIZE + 2 + CODEC_AHEAD_SIZE_MAX,
    CODEC_EXECUTED_SIZE = 2 * 8 + 3 * PBFT_DIGEST_SIZE + PBFT_SIGNATURE_SIZE,
};

/* EXECUTED. */
struct codec_execution {
    uint64_t client, number;
    uint8_t request[PBFT_DIGEST_SIZE]; /* its digest */
    uint8_t read_set[PBFT_DIGEST_SIZE];
    uint8_t write_set[PBFT_DIGEST_SIZE];
    uint8_t signature[PBFT_SIGNATURE_SIZE]; /* of whoever has executed it */
};

/* A part of a block: its bytes are header and write set, as one run (executor/ledger.h). */
struct codec_piece {
    uint64_t height;
    uint32_t block_size;
    uint32_t offset;
};

/* ---- out ---- */

/* Of the frame of a message that is neither FORWARD nor BLOCK. At most WIRE_BODY_MAX and a header,
 * for up to PBFT_REPLICAS_MAX replicas. */
size_t codec_size(const struct pbft_message *m);
void codec_encode(const struct pbft_message *m, uint8_t *out);

/* The head of a FORWARD, REQUEST or EXECUTE, which the `request_size` bytes of a REQUEST's body
 * follow; `ahead` is what goes before a request that was executed. */
size_t codec_encode_request(uint8_t type, const void *ahead, size_t ahead_size, size_t request_size,
                            uint8_t out[CODEC_HEAD_SIZE_MAX]);
size_t codec_encode_executed(const struct codec_execution *execution,
                             uint8_t out[WIRE_HEADER_SIZE + CODEC_EXECUTED_SIZE]);
/* The head of a BLOCK, which `piece_size` bytes of it follow. */
size_t codec_encode_piece(const struct codec_piece *piece, size_t piece_size,
                          uint8_t out[CODEC_HEAD_SIZE_MAX]);

/* What is signed of a VIEW-CHANGE: all but the signature. Of a NEW-VIEW: the bytes of its body but
 * the last PBFT_SIGNATURE_SIZE. */
size_t codec_change_size(const struct pbft_view_change *c);
void codec_encode_change(const struct pbft_view_change *c, uint8_t *out);

/* ---- in ---- */

/* Where VIEW-CHANGEs are decoded to. What was there before is gone then. */
struct codec_room;
struct codec_room *codec_room_new(void);
void codec_room_free(struct codec_room *room);
DEFINE_CLEANUP_FREE(codec_room);

struct codec_message {
    struct pbft_message message; /* FORWARD and batches: without their requests; BLOCK: no block */
    uint8_t type;                /* enum pbft_message_type, or CODEC_REQUEST and so on */
    const uint8_t *ahead;        /* REQUEST; borrowed from the body */
    size_t ahead_size;           /* 0: it was not executed ahead */
    struct codec_execution execution; /* EXECUTED */
    struct codec_piece piece;         /* BLOCK */
    size_t offset; /* FORWARD, REQUEST, EXECUTE, BLOCK: where in the body the bytes begin */
};

/* Arrays are of `room`, and borrow nothing from the body. */
int codec_decode(uint8_t type, const uint8_t *body, size_t size, struct codec_room *room,
                 struct codec_message *ret, struct error *err);

/* What the i-th VIEW-CHANGE that was decoded last has signed; borrowed from the body. */
const uint8_t *codec_signed_bytes(const struct codec_room *room, uint32_t i, size_t *ret_size);
/* What the primary has signed of the NEW-VIEW that was decoded last; borrowed from the body. */
const uint8_t *codec_signed_view(const struct codec_room *room, size_t *ret_size);
