#pragma once

/*
 * One non-blocking TCP connection that carries frames (lib/wire.h).
 *
 * Receiving: bytes land in a buffer that all connections of a loop share, and frames are handed
 * out from there; only a frame that is not complete yet gets memory of its own, of exactly its
 * size. So an idle connection costs next to nothing, and a large frame is not moved twice.
 *
 * Sending: small heads are collected in blocks, bodies are queued as references to shared blobs;
 * everything queued goes out by writev when the loop's round ends.
 *
 * Once connection_seal was called, all frames in both directions are sealed (lib/seal.h); owners
 * see them without their tags, and one that is not authentic ends the connection.
 */

#include "executor/transport/blob.h"
#include "executor/transport/loop.h"

#include "lib/error.h"
#include "lib/seal.h"
#include "lib/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RECEIVE_TOGETHER = 8 /* frames that are hashed together */ };

struct frame {
    uint8_t type;
    const uint8_t *body; /* valid during the call */
    size_t size;
    struct blob *blob;    /* the body is all of it, or NULL: it lies in the shared buffer */
    size_t hashed_from;   /* sealed: the body from here on has that hash */
    const uint8_t *hash;  /* NULL: none is known */
    struct instant since; /* when its first bytes were here */
};

/* A reference to the body as a blob of its own: shared if it is one already, else copied. */
struct blob *frame_take(const struct frame *frame);

/* Of large frames that came together, hashed side by side before they are handed out: in the order
 * in which they lie in the room. */
struct hashed_frames {
    const uint8_t *until; /* what lies before it was looked at */
    size_t next, count;
    const uint8_t *bodies[RECEIVE_TOGETHER];
    uint8_t hashes[RECEIVE_TOGETHER][32]; /* of the rests (lib/seal.h) */
};

/* Shared by the connections of a loop. */
struct receive_room {
    uint8_t *data;
    size_t size;
    struct hashed_frames hashed;
    uint64_t partial_bytes; /* in frames that are not complete */
    struct instant now;     /* of this round of the loop: what is read now came then */
};

void receive_room_init(struct receive_room *room);
void receive_room_deinit(struct receive_room *room);

struct segment {
    struct blob *blob;
    uint32_t offset;
    uint32_t size;
};

struct connection {
    struct watch watch;         /* first: the watch is the connection */
    size_t body_max;            /* larger frames are ERROR_LIMIT */
    bool has_room;              /* for a frame that has begun, however many others have */
    struct seal seal;           /* SEAL_NULL: frames are plain */
    struct instant frame_since; /* when the frame that is not complete began; INSTANT_NEVER */

    uint8_t head[WIRE_HEADER_SIZE]; /* a header that is not complete */
    size_t head_have;
    struct wire_header partial_header;
    struct blob *partial;
    size_t partial_have;

    struct segment *segments; /* a ring */
    size_t segment_first;
    size_t segment_count;
    size_t segment_capacity; /* 0 or a power of two */
    struct blob *tail;       /* where small heads are collected */
    size_t tail_used;
    uint64_t queued_bytes;
};

/* Takes the descriptor. */
void connection_init(struct connection *c, int fd);
/* Closes it. Unwatched before. */
void connection_deinit(struct connection *c, struct receive_room *room);

/* From the next frame on in each direction. The keys are forgotten. */
void connection_seal(struct connection *c, struct seal_keys *keys);

/* Error: the connection ends with it. */
typedef int connection_on_frame(struct connection *c, const struct frame *frame, struct error *err);

/*
 * Reads once and hands out the complete frames. The receiver may not deinit the connection.
 * Errors: ERROR_UNREACHABLE (it ended, text says how), ERROR_INVALID, ERROR_LIMIT, the receiver's.
 */
int connection_receive(struct connection *c, struct receive_room *room,
                       connection_on_frame *on_frame, struct error *err);

/* Queues a frame: `head` is copied, of `blob` (or NULL) the bytes from `offset` on are referenced.
 */
void connection_queue(struct connection *c, const void *head, size_t head_size, struct blob *blob,
                      size_t offset);

/* Writes what is queued, as far as it goes. 0: all gone; 1: wait until it is writable. */
int connection_flush(struct connection *c, struct error *err);
