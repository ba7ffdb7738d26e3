#include "executor/transport/connection.h"

#include "executor/transport/limits.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/sha256_many.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    RECEIVE_ROOM = 256 * 1024, /* stays in the second-level cache */
    TAIL_SIZE = 16 * 1024,
    WRITE_SEGMENTS = 64,
    HASHED_MIN = 1024, /* a rest that is smaller is not worth a place beside others */
};

struct blob *frame_take(const struct frame *frame) {
    if (frame->blob)
        return blob_ref(frame->blob);
    struct blob *blob = blob_new(frame->size);
    memcpy(blob->data, frame->body, frame->size);
    if (frame->hash) {
        blob->hashed_from = (uint32_t)frame->hashed_from;
        memcpy(blob->hash, frame->hash, sizeof blob->hash);
    }
    return blob;
}

void receive_room_init(struct receive_room *room) {
    *room = (struct receive_room){.data = mem_alloc(RECEIVE_ROOM), .size = RECEIVE_ROOM};
}

void receive_room_deinit(struct receive_room *room) {
    free(room->data);
    *room = (struct receive_room){.data = NULL};
}

void connection_init(struct connection *c, int fd) {
    *c = (struct connection){
        .watch.fd = fd, .body_max = WIRE_BODY_MAX, .frame_since = INSTANT_NEVER};
}

static void drop_partial(struct connection *c, struct receive_room *room) {
    if (c->partial)
        room->partial_bytes -= c->partial->size;
    blob_unref(take_ptr(c->partial));
}

void connection_deinit(struct connection *c, struct receive_room *room) {
    drop_partial(c, room);
    for (size_t i = 0; i < c->segment_count; i++)
        blob_unref(c->segments[(c->segment_first + i) & (c->segment_capacity - 1)].blob);
    free(c->segments);
    blob_unref(c->tail);
    seal_deinit(&c->seal);
    if (c->watch.fd >= 0)
        close(c->watch.fd);
    *c = (struct connection){.watch.fd = -1};
}

void connection_seal(struct connection *c, struct seal_keys *keys) {
    assert(!seal_is_on(&c->seal));
    seal_init(&c->seal, keys);
}

/* ---- receiving ---- */

static int begin_partial(struct connection *c, struct receive_room *room,
                         const struct wire_header *header, const uint8_t *data, size_t have,
                         struct error *err) {
    if (!c->has_room && room->partial_bytes + header->body_size > TRANSPORT_PARTIAL_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "too many frames are begun and not completed");
    room->partial_bytes += header->body_size;
    c->partial = blob_new(header->body_size);
    c->partial_header = *header;
    c->partial_have = have;
    memcpy(c->partial->data, data, have);
    return 0;
}

/* NULL: it was not hashed with others. */
static const uint8_t *take_hash(struct hashed_frames *h, const uint8_t *body) {
    return h->next < h->count && h->bodies[h->next] == body ? h->hashes[h->next++] : NULL;
}

/* Hands out a complete frame, `blob` is all of its body or NULL. */
static int hand_out(struct connection *c, struct receive_room *room,
                    const struct wire_header *header, const uint8_t *body, struct blob *blob,
                    connection_on_frame *on_frame, struct error *err) {
    struct unsealed unsealed;
    struct frame frame = {.type = header->type,
                          .body = body,
                          .size = header->body_size,
                          .blob = blob,
                          .since = c->frame_since};
    if (!seal_is_on(&c->seal))
        return on_frame(c, &frame, err);
    if (seal_open_hashed(&c->seal, header, body, take_hash(&room->hashed, body), &unsealed, err) <
        0)
        return -1;
    frame.size = unsealed.size;
    if (unsealed.rest < unsealed.size) {
        frame.hashed_from = unsealed.rest;
        frame.hash = unsealed.hash;
    }
    if (blob) {
        blob->size = (uint32_t)unsealed.size;
        blob->hashed_from = frame.hash ? (uint32_t)unsealed.rest : BLOB_NOT_HASHED;
        memcpy(blob->hash, unsealed.hash, sizeof blob->hash);
    }
    return on_frame(c, &frame, err);
}

static int read_header(const struct connection *c, const uint8_t *data, struct wire_header *ret,
                       struct error *err) {
    return seal_is_on(&c->seal) ? wire_sealed_header_decode(data, ret, err)
                                : wire_header_decode(data, ret, err);
}

static int end_partial(struct connection *c, struct receive_room *room,
                       connection_on_frame *on_frame, struct error *err) {
    struct blob *blob = take_ptr(c->partial);
    room->partial_bytes -= blob->size;
    int r = hand_out(c, room, &c->partial_header, blob->data, blob, on_frame, err);
    c->frame_since = room->now;
    blob_unref(blob);
    return r;
}

static void add_hashed(struct hashed_frames *h, struct sha256_input *in,
                       const struct wire_header *header, const uint8_t *body) {
    size_t at, size = seal_rest(header, &at);
    if (size < HASHED_MIN)
        return;
    h->bodies[h->count] = body;
    in[h->count++] = (struct sha256_input){body + at, size};
}

/* The large frames that are complete in `data`, and the one before it in `partial`, if there is
 * one: four hashes side by side take little longer than one. */
static void hash_frames(struct connection *c, struct receive_room *room, const uint8_t *data,
                        size_t size, struct blob *partial) {
    struct hashed_frames *h = &room->hashed;
    struct sha256_input in[RECEIVE_TOGETHER];
    struct error err;
    error_init(&err);
    h->next = h->count = 0;
    if (partial)
        add_hashed(h, in, &c->partial_header, partial->data);
    while (size >= WIRE_HEADER_SIZE && h->count < RECEIVE_TOGETHER) {
        struct wire_header header;
        if (read_header(c, data, &header, &err) < 0 || header.body_size > c->body_max ||
            header.body_size > size - WIRE_HEADER_SIZE)
            break;
        add_hashed(h, in, &header, data + WIRE_HEADER_SIZE);
        data += WIRE_HEADER_SIZE + header.body_size;
        size -= WIRE_HEADER_SIZE + header.body_size;
    }
    h->until = data;
    if (h->count > 1)
        sha256_many(in, h->count, h->hashes);
    else
        h->count = 0;
}

/* Hands out the complete frames in `data`; what is left over is kept in the connection. */
static int cut_frames(struct connection *c, struct receive_room *room, const uint8_t *data,
                      size_t size, connection_on_frame *on_frame, struct error *err) {
    while (size >= WIRE_HEADER_SIZE) {
        struct wire_header header;
        if (data >= room->hashed.until && seal_is_on(&c->seal))
            hash_frames(c, room, data, size, NULL);
        if (read_header(c, data, &header, err) < 0)
            return -1;
        if (header.body_size > c->body_max)
            return error_set(err, ERROR_LIMIT, "a frame of %u bytes, at most %zu are accepted now",
                             header.body_size, c->body_max);
        data += WIRE_HEADER_SIZE;
        size -= WIRE_HEADER_SIZE;
        if (size < header.body_size)
            return begin_partial(c, room, &header, data, size, err);
        if (hand_out(c, room, &header, data, NULL, on_frame, err) < 0)
            return -1;
        c->frame_since = room->now;
        data += header.body_size;
        size -= header.body_size;
    }
    memcpy(c->head, data, size);
    c->head_have = size;
    if (size == 0)
        c->frame_since = INSTANT_NEVER;
    return 0;
}

static ssize_t read_into(struct connection *c, struct receive_room *room) {
    if (c->partial) {
        struct iovec parts[2] = {
            {c->partial->data + c->partial_have, c->partial->size - c->partial_have},
            {room->data, room->size},
        };
        return readv(c->watch.fd, parts, 2);
    }
    memcpy(room->data, c->head, c->head_have);
    return read(c->watch.fd, room->data + c->head_have, room->size - c->head_have);
}

static int take_bytes(struct connection *c, struct receive_room *room, size_t got,
                      connection_on_frame *on_frame, struct error *err) {
    if (c->frame_since.ns == INSTANT_NEVER.ns)
        c->frame_since = room->now;
    if (!c->partial) {
        size_t size = c->head_have + got;
        c->head_have = 0;
        room->hashed.until = room->data;
        return cut_frames(c, room, room->data, size, on_frame, err);
    }
    size_t missing = c->partial->size - c->partial_have;
    if (got < missing) {
        c->partial_have += got;
        return 0;
    }
    room->hashed.until = room->data;
    if (seal_is_on(&c->seal))
        hash_frames(c, room, room->data, got - missing, c->partial);
    if (end_partial(c, room, on_frame, err) < 0)
        return -1;
    return cut_frames(c, room, room->data, got - missing, on_frame, err);
}

int connection_receive(struct connection *c, struct receive_room *room,
                       connection_on_frame *on_frame, struct error *err) {
    ssize_t got = read_into(c, room);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got < 0)
        return error_set_os(err, ERROR_UNREACHABLE, errno, "the connection broke");
    if (got == 0)
        return error_set(err, ERROR_UNREACHABLE, "%s",
                         c->partial || c->head_have ? "closed in the middle of a frame"
                                                    : "closed by the other side");
    return take_bytes(c, room, (size_t)got, on_frame, err);
}

/* ---- sending ---- */

static struct segment *segment_at(const struct connection *c, size_t i) {
    return &c->segments[(c->segment_first + i) & (c->segment_capacity - 1)];
}

static void grow_segments(struct connection *c) {
    size_t capacity = c->segment_capacity ? 2 * c->segment_capacity : 16;
    struct segment *segments = mem_new_array(struct segment, capacity);
    for (size_t i = 0; i < c->segment_count; i++)
        segments[i] = *segment_at(c, i);
    free(c->segments);
    c->segments = segments;
    c->segment_first = 0;
    c->segment_capacity = capacity;
}

/* Takes a reference. */
static void add_segment(struct connection *c, struct blob *blob, size_t offset, size_t size) {
    if (c->segment_count == c->segment_capacity)
        grow_segments(c);
    *segment_at(c, c->segment_count++) =
        (struct segment){.blob = blob, .offset = (uint32_t)offset, .size = (uint32_t)size};
    c->queued_bytes += size;
}

static void add_head(struct connection *c, const void *head, size_t size) {
    assert(size <= TAIL_SIZE);
    if (size == 0)
        return;
    if (!c->tail || TAIL_SIZE - c->tail_used < size) {
        blob_unref(c->tail);
        c->tail = blob_new(TAIL_SIZE);
        c->tail_used = 0;
    }
    memcpy(c->tail->data + c->tail_used, head, size);
    struct segment *last = c->segment_count ? segment_at(c, c->segment_count - 1) : NULL;
    if (last && last->blob == c->tail && last->offset + last->size == c->tail_used) {
        last->size += (uint32_t)size;
        c->queued_bytes += size;
    } else {
        add_segment(c, blob_ref(c->tail), c->tail_used, size);
    }
    c->tail_used += size;
}

/* Where the blob's part begins that is in the MAC by its hash, which is known afterwards. */
static size_t hashed_part(struct blob *blob, size_t offset, size_t head_size) {
    bool known = blob->hashed_from != BLOB_NOT_HASHED && blob->hashed_from >= offset;
    if (known && head_size + (blob->hashed_from - offset) <= UINT16_MAX)
        return blob->hashed_from;
    blob->hashed_from = (uint32_t)offset;
    sha256_of(blob->data + offset, blob->size - offset, blob->hash);
    return offset;
}

static void queue_sealed(struct connection *c, const uint8_t *head, size_t head_size,
                         struct blob *blob, size_t offset) {
    uint8_t header[WIRE_HEADER_SIZE], tag[SEAL_TAG_SIZE];
    size_t own = head_size - WIRE_HEADER_SIZE;
    struct sealed frame = {.parts = {head + WIRE_HEADER_SIZE}, .sizes = {own}};
    memcpy(header, head, sizeof header);
    if (blob) {
        frame.parts[1] = blob->data + offset;
        frame.sizes[1] = hashed_part(blob, offset, own) - offset;
        frame.rest_hash = blob->hash;
    }
    seal_header(header, own + frame.sizes[1]);
    seal_tag(&c->seal, c->seal.sent++, header, &frame, tag);
    add_head(c, header, sizeof header);
    add_head(c, head + WIRE_HEADER_SIZE, own);
    if (blob)
        add_segment(c, blob_ref(blob), offset, blob->size - offset);
    add_head(c, tag, sizeof tag);
}

void connection_queue(struct connection *c, const void *head, size_t head_size, struct blob *blob,
                      size_t offset) {
    if (blob && offset >= blob->size)
        blob = NULL;
    if (seal_is_on(&c->seal)) {
        queue_sealed(c, head, head_size, blob, offset);
        return;
    }
    add_head(c, head, head_size);
    if (blob)
        add_segment(c, blob_ref(blob), offset, blob->size - offset);
}

static void consume(struct connection *c, size_t size) {
    c->queued_bytes -= size;
    while (size > 0) {
        struct segment *first = segment_at(c, 0);
        if (size < first->size) {
            first->offset += (uint32_t)size;
            first->size -= (uint32_t)size;
            return;
        }
        size -= first->size;
        blob_unref(first->blob);
        c->segment_first = (c->segment_first + 1) & (c->segment_capacity - 1);
        c->segment_count--;
    }
    /* Nobody else reads the tail: begin it again while it is warm. */
    if (c->segment_count == 0 && c->tail && c->tail->references == 1)
        c->tail_used = 0;
}

int connection_flush(struct connection *c, struct error *err) {
    while (c->segment_count > 0) {
        struct iovec parts[WRITE_SEGMENTS];
        size_t count = 0;
        for (; count < c->segment_count && count < WRITE_SEGMENTS; count++) {
            const struct segment *s = segment_at(c, count);
            parts[count] = (struct iovec){s->blob->data + s->offset, s->size};
        }
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t sent = sendmsg(c->watch.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return 1;
        if (sent < 0)
            return error_set_os(err, ERROR_UNREACHABLE, errno, "the connection broke");
        consume(c, (size_t)sent);
    }
    return 0;
}
