#include "loader/queue.h"

#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct queue_place *place_of(const struct queue *q, uint32_t ticket) {
    return &q->places[ticket & (q->capacity - 1)];
}

void queue_init(struct queue *q, struct request_prover *prover, uint32_t places) {
    assert(places > 0 && places <= UINT32_C(1) << 30);
    *q = (struct queue){.prover = prover, .capacity = 1};
    while (q->capacity < places)
        q->capacity *= 2;
    q->places = mem_new_array(struct queue_place, q->capacity);
}

void queue_deinit(struct queue *q) {
    free(q->places);
    *q = QUEUE_NULL;
}

bool queue_empty(const struct queue *q) {
    return q->first == q->end;
}

bool queue_full(const struct queue *q) {
    return q->end - q->first == q->capacity;
}

bool queue_begun_one(const struct queue *q) {
    return q->first_written > 0;
}

static void put(const struct queue *q, struct queue_place *place,
                const struct wire_request *request, const uint8_t *payload_hash) {
    place->head_size = (uint16_t)request_prove(q->prover, request, payload_hash, place->head);
    place->payload = request->payload;
    place->payload_hash = payload_hash;
    place->payload_size = request->payload_size;
    place->session = 0;
    place->tag_size = q->prover->identity ? SEAL_TAG_SIZE : 0;
    if (place->tag_size)
        seal_header(place->head, place->head_size - (size_t)WIRE_HEADER_SIZE);
}

static size_t size_of(const struct queue_place *place) {
    return (size_t)place->head_size + place->payload_size + place->tag_size;
}

uint32_t queue_push(struct queue *q, const struct wire_request *request,
                    const uint8_t *payload_hash, uint32_t tag) {
    assert(q->end - q->first < q->capacity);
    struct queue_place *place = place_of(q, q->end);
    put(q, place, request, payload_hash);
    place->owner = tag;
    place->dropped = false;
    return q->end++;
}

bool queue_waits(const struct queue *q, uint32_t ticket) {
    if (ticket - q->first >= q->end - q->first)
        return false;
    return ticket != q->first || q->first_written == 0;
}

void queue_replace(struct queue *q, uint32_t ticket, const struct wire_request *request,
                   const uint8_t *payload_hash) {
    assert(queue_waits(q, ticket));
    struct queue_place *place = place_of(q, ticket);
    put(q, place, request, payload_hash);
    place->dropped = false;
}

/* Dropped requests never stand first. */
static void skip_dropped(struct queue *q) {
    while (!queue_empty(q) && place_of(q, q->first)->dropped)
        q->first++;
}

void queue_drop(struct queue *q, uint32_t ticket) {
    assert(queue_waits(q, ticket));
    place_of(q, ticket)->dropped = true;
    skip_dropped(q);
}

/* Made again only if the frame's place among those of the session has changed. */
static void seal_place(struct queue_place *place, struct seal *seal, uint64_t count) {
    const struct sealed frame = {
        .parts = {place->head + WIRE_HEADER_SIZE},
        .sizes = {place->head_size - (size_t)WIRE_HEADER_SIZE},
        .rest_hash = place->payload_size ? place->payload_hash : NULL,
    };
    assert(place->tag_size && (place->payload_hash || !place->payload_size));
    if (place->session == seal->session && place->count == count)
        return;
    seal_tag(seal, count, place->head, &frame, place->tag);
    place->session = seal->session;
    place->count = count;
}

/* Of one of a request's parts, what is behind `*skip` bytes that are gone. */
static int add_vector(struct iovec *vector, const uint8_t *data, size_t size, size_t *skip) {
    size_t gone = *skip < size ? *skip : size;
    *skip -= gone;
    if (gone == size)
        return 0;
    /* writev only reads, but its vectors cannot say so */
    *vector = (struct iovec){.iov_base = (void *)(uintptr_t)(data + gone), .iov_len = size - gone};
    return 1;
}

int queue_vectors(struct queue *q, struct seal *seal, struct iovec *vectors, int count_max) {
    int count = 0;
    size_t skip = q->first_written;
    uint64_t sealed = seal->sent;
    for (uint32_t at = q->first; at != q->end && count + QUEUE_VECTORS_MIN <= count_max;
         at++, skip = 0) {
        struct queue_place *place = place_of(q, at);
        if (place->dropped)
            continue;
        if (seal_is_on(seal) && skip == 0)
            seal_place(place, seal, sealed++);
        count += add_vector(&vectors[count], place->head, place->head_size, &skip);
        count += add_vector(&vectors[count], place->payload, place->payload_size, &skip);
        count += add_vector(&vectors[count], place->tag, place->tag_size, &skip);
    }
    return count;
}

void queue_written(struct queue *q, struct seal *seal, size_t bytes, queue_begun *begun,
                   void *context) {
    while (bytes > 0) {
        assert(!queue_empty(q));
        struct queue_place *place = place_of(q, q->first);
        size_t left = size_of(place) - q->first_written;
        if (q->first_written == 0) {
            seal->sent++;
            begun(context, place->owner);
        }
        if (bytes < left) {
            q->first_written += bytes;
            return;
        }
        bytes -= left;
        q->first_written = 0;
        q->first++;
        skip_dropped(q);
    }
}

void queue_move_begun(struct queue *q, struct queue *to) {
    assert(queue_begun_one(q) && queue_empty(to));
    *place_of(to, to->end++) = *place_of(q, q->first++);
    to->first_written = q->first_written;
    q->first_written = 0;
    skip_dropped(q);
}

void queue_restart(struct queue *q) {
    if (q->first_written > 0)
        q->first++;
    q->first_written = 0;
    skip_dropped(q);
}

void queue_clear(struct queue *q) {
    q->first = q->end;
    q->first_written = 0;
}
