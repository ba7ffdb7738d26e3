#include "loader/queue.h"

#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct queue_place *place_of(const struct queue *q, uint32_t ticket) {
    return &q->places[ticket & (q->capacity - 1)];
}

void queue_init(struct queue *q, uint32_t places) {
    assert(places > 0 && places <= UINT32_C(1) << 30);
    *q = (struct queue){.capacity = 1};
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

static void put(struct queue_place *place, const struct wire_request *request) {
    wire_request_encode_head(request, place->head);
    place->payload = request->payload;
    place->payload_size = request->payload_size;
}

uint32_t queue_push(struct queue *q, const struct wire_request *request, uint32_t tag) {
    assert(q->end - q->first < q->capacity);
    struct queue_place *place = place_of(q, q->end);
    put(place, request);
    place->tag = tag;
    place->dropped = false;
    return q->end++;
}

bool queue_waits(const struct queue *q, uint32_t ticket) {
    if (ticket - q->first >= q->end - q->first)
        return false;
    return ticket != q->first || q->first_written == 0;
}

void queue_replace(struct queue *q, uint32_t ticket, const struct wire_request *request) {
    assert(queue_waits(q, ticket));
    struct queue_place *place = place_of(q, ticket);
    put(place, request);
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

int queue_vectors(const struct queue *q, struct iovec *vectors, int count_max) {
    int count = 0;
    size_t skip = q->first_written;
    for (uint32_t at = q->first; at != q->end && count + 2 <= count_max; at++, skip = 0) {
        struct queue_place *place = place_of(q, at);
        if (place->dropped)
            continue;
        size_t head_gone = skip < sizeof place->head ? skip : sizeof place->head;
        size_t payload_gone = skip - head_gone;
        if (head_gone < sizeof place->head)
            vectors[count++] = (struct iovec){.iov_base = place->head + head_gone,
                                              .iov_len = sizeof place->head - head_gone};
        if (payload_gone < place->payload_size)
            /* writev only reads, but its vectors cannot say so */
            vectors[count++] =
                (struct iovec){.iov_base = (void *)(uintptr_t)(place->payload + payload_gone),
                               .iov_len = place->payload_size - payload_gone};
    }
    return count;
}

void queue_written(struct queue *q, size_t bytes, queue_begun *begun, void *context) {
    while (bytes > 0) {
        assert(!queue_empty(q));
        struct queue_place *place = place_of(q, q->first);
        size_t left = sizeof place->head + place->payload_size - q->first_written;
        if (q->first_written == 0)
            begun(context, place->tag);
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
