#pragma once

/*
 * Requests on their way to one replica: a ring from which writev takes as many as the kernel will
 * have at once. A place holds the encoded head; the payload is sent from where it lies. With keys,
 * the head has the request's authenticator, and the frame's tag is made when it is certain how many
 * frames go before it: at the latest moment, when the vectors are asked for.
 *
 * A request is *begun* once its first byte was given to the kernel; only the first place of the
 * ring can be begun and unfinished. Until then its place can be given to another request, so that a
 * replica that reads nothing does not make the ring grow: with one request in flight for each of n
 * clients, and one that is begun but given up, n + 1 places are enough.
 *
 * Pure: moves no bytes itself. Nothing is allocated after init.
 */

#include "lib/clock.h"
#include "lib/request_auth.h"
#include "lib/seal.h"
#include "lib/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct queue_place {
    uint8_t head[WIRE_REQUEST_HEAD_SIZE_MAX];
    uint8_t tag[SEAL_TAG_SIZE];
    uint16_t head_size;
    uint8_t tag_size;            /* 0 without keys */
    uint64_t session, count;     /* for which the tag is; 0: there is none yet */
    const uint8_t *payload;      /* borrowed */
    const uint8_t *payload_hash; /* borrowed; NULL without keys */
    uint32_t payload_size;
    uint32_t owner; /* the caller's tag: whose request it is */
    bool dropped;
};

struct queue {
    struct request_prover *prover; /* borrowed */
    struct queue_place *places;
    uint32_t capacity; /* a power of two */
    uint32_t first;    /* counts up for ever; so does `end`; places are taken modulo capacity */
    uint32_t end;
    size_t first_written; /* bytes of the first place that are gone */
};

#define QUEUE_NULL ((struct queue){.places = NULL})

void queue_init(struct queue *q, struct request_prover *prover, uint32_t places);
void queue_deinit(struct queue *q);

bool queue_empty(const struct queue *q);

bool queue_full(const struct queue *q);
/* The first request is begun and unfinished. */
bool queue_begun_one(const struct queue *q);

/* Behind all others. Returns the ticket of its place; the ring must have one left. `payload_hash`
 * is borrowed as the payload is; NULL without keys. */
uint32_t queue_push(struct queue *q, const struct wire_request *request,
                    const uint8_t *payload_hash, uint32_t tag);
/* Whether the ticket's request can still be replaced: it is in the ring, and not begun. */
bool queue_waits(const struct queue *q, uint32_t ticket);
/* Puts another request (of the same tag) into a place that waits. */
void queue_replace(struct queue *q, uint32_t ticket, const struct wire_request *request,
                   const uint8_t *payload_hash);

/* Takes the request out of a place that waits. The place itself is free once all before it are; as
 * long as it still "waits", it can be given another request. */
void queue_drop(struct queue *q, uint32_t ticket);

/* What is left of the first requests, at most `count_max` (at least QUEUE_VECTORS_MIN) vectors of
 * it, sealed by `seal` if that is on. Returns how many. */
enum { QUEUE_VECTORS_MIN = 3 };
int queue_vectors(struct queue *q, struct seal *seal, struct iovec *vectors, int count_max);

/*
 * Says that `bytes` of the vectors are gone. Calls `begun` for each request whose first byte was
 * among them, in order; and counts those in the seal.
 */
typedef void queue_begun(void *context, uint32_t tag);
void queue_written(struct queue *q, struct seal *seal, size_t bytes, queue_begun *begun,
                   void *context);

/* What is left of the begun request moves into `to`, which is empty, and is begun there: all others
 * can go somewhere else. */
void queue_move_begun(struct queue *q, struct queue *to);

void queue_clear(struct queue *q);
/* The connection is lost: what is left of a begun request goes; all others wait for the next. */
void queue_restart(struct queue *q);
