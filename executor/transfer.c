#include "executor/transfer.h"

#include "executor/chain/block.h"
#include "executor/chain/pee.h"
#include "executor/chain/write_set.h"
#include "executor/ledger.h"
#include "executor/written.h"

#include "lib/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { BLOCKS, DIGEST, KINDS };

struct order {
    uint64_t height; /* the next one */
    uint32_t left;
    bool under_way; /* a fetch of it */
};

struct incoming {
    struct blob *block; /* NULL: none has begun */
    uint64_t height;
    uint32_t have;
};

struct transfer {
    uint16_t n;
    struct order (*orders)[KINDS]; /* by peer */
    struct incoming *incoming;     /* by peer */
    struct write_set set;
    struct sha256 hash;
};

struct transfer *transfer_new(uint16_t n) {
    struct transfer *t = mem_new(struct transfer);
    t->n = n;
    t->orders = mem_zero(n, sizeof *t->orders);
    t->incoming = mem_new_array(struct incoming, n);
    write_set_init(&t->set, COMMAND_KEYS_MAX);
    sha256_init(&t->hash);
    return t;
}

void transfer_free(struct transfer *t) {
    for (uint16_t i = 0; i < t->n; i++)
        blob_unref(t->incoming[i].block);
    write_set_deinit(&t->set);
    sha256_deinit(&t->hash);
    free(t->orders);
    free(t->incoming);
    free(t);
}

/* ---- for others ---- */

void transfer_serve(struct transfer *t, uint16_t peer, uint64_t height, uint32_t count) {
    struct order *order = &t->orders[peer][count ? BLOCKS : DIGEST];
    order->height = height;
    order->left = count ? count : 1;
}

void transfer_work(struct transfer *t, struct storage *storage, const struct transport *transport) {
    for (uint16_t i = 0; i < t->n; i++)
        for (unsigned kind = 0; kind < KINDS; kind++) {
            struct order *order = &t->orders[i][kind];
            if (order->left == 0 || order->under_way ||
                transport_queued(transport, i) > TRANSFER_QUEUE_MAX)
                continue;
            const struct storage_fetch fetch = {
                .id = i * (uint64_t)KINDS + kind, .height = order->height, .count = order->left};
            order->under_way = storage_push_fetch(storage, &fetch);
        }
}

static void send_block(struct transport *transport, uint16_t peer, uint64_t height,
                       struct blob *block) {
    uint8_t head[CODEC_HEAD_SIZE_MAX];
    struct codec_piece piece = {.height = height, .block_size = block->size};
    if (block->size <= CODEC_PIECE_MAX) {
        transport_send_peer(transport, peer, head, codec_encode_piece(&piece, block->size, head),
                            block, 0);
        return;
    }
    while (piece.offset < block->size) {
        uint32_t left = block->size - piece.offset;
        uint32_t size = left < CODEC_PIECE_MAX ? left : CODEC_PIECE_MAX;
        struct blob *part = blob_new(size);
        memcpy(part->data, block->data + piece.offset, size);
        transport_send_peer(transport, peer, head, codec_encode_piece(&piece, size, head), part, 0);
        blob_unref(part);
        piece.offset += size;
    }
}

static void send_digest(struct transfer *t, struct transport *transport, uint16_t peer,
                        uint64_t height, const struct blob *block) {
    uint8_t frame[CODEC_HEAD_SIZE_MAX];
    struct pbft_message m = {.type = PBFT_BLOCK_DIGEST, .height = height};
    block_digest(&t->hash, block->data, m.digest);
    codec_encode(&m, frame);
    transport_send_peer(transport, peer, frame, codec_size(&m), NULL, 0);
}

static void deliver(struct transfer *t, const struct storage_fetch *fetch,
                    struct transport *transport) {
    uint16_t peer = (uint16_t)(fetch->id / KINDS);
    enum kind kind = (enum kind)(fetch->id % KINDS);
    struct order *order = &t->orders[peer][kind];
    bool wanted = order->left > 0 && order->height == fetch->height;
    order->under_way = false;
    for (uint32_t i = 0; i < fetch->found; i++) {
        uint64_t height = fetch->height + i;
        if (wanted && order->left > 0 && kind == BLOCKS)
            send_block(transport, peer, height, fetch->blocks[i]);
        else if (wanted && order->left > 0)
            send_digest(t, transport, peer, height, fetch->blocks[i]);
        if (wanted && order->left > 0) {
            order->height++;
            order->left--;
        }
        blob_unref(fetch->blocks[i]);
    }
    if (wanted && fetch->found == 0)
        order->left = 0; /* it is not here (yet); the other one asks again, or somebody else */
}

bool transfer_take_fetches(struct transfer *t, struct storage *storage, struct transport *transport,
                           char ret_problem[STORAGE_PROBLEM_SIZE]) {
    struct storage_fetch fetch;
    bool good = true;
    while (storage_take_fetches(storage, &fetch, 1) > 0) {
        if (fetch.problem[0]) {
            memcpy(ret_problem, fetch.problem, STORAGE_PROBLEM_SIZE);
            good = false;
        }
        deliver(t, &fetch, transport);
    }
    return good;
}

/* ---- from others ---- */

static void drop(struct incoming *in) {
    blob_unref(in->block);
    *in = (struct incoming){.block = NULL};
}

void transfer_peer_down(struct transfer *t, uint16_t peer) {
    drop(&t->incoming[peer]);
    for (unsigned kind = 0; kind < KINDS; kind++)
        t->orders[peer][kind].left = 0;
}

struct blob *transfer_block(uint64_t handle) {
    assert(transfer_is_block(handle));
    return (struct blob *)(uintptr_t)(handle - 1);
}

static int begin(struct incoming *in, const struct codec_piece *piece, struct error *err) {
    if (in->block || piece->offset != 0)
        return error_set(err, ERROR_INVALID, "a piece of block %llu out of turn",
                         (unsigned long long)piece->height);
    if (piece->block_size < BLOCK_HEADER_SIZE || piece->block_size > LEDGER_BLOCK_MAX)
        return error_set(err, ERROR_LIMIT, "a block of %u bytes", piece->block_size);
    in->block = blob_new(piece->block_size);
    in->height = piece->height;
    return 0;
}

/* The block with that header, if its write set is the header's. */
static int check_block(struct transfer *t, const struct blob *block, uint64_t height,
                       struct pbft_block *ret, struct error *err) {
    struct block_header h;
    size_t size = block->size - (size_t)BLOCK_HEADER_SIZE;
    if (block_header_decode(block->data, BLOCK_HEADER_SIZE, &h, err) < 0)
        return -1;
    if (h.height != height || h.write_set_size != size || h.number == 0)
        return error_set(err, ERROR_INVALID, "its header is of another block");
    if (written_check(&t->set, &h, block->data + BLOCK_HEADER_SIZE, size, err) < 0)
        return -1;
    *ret = (struct pbft_block){
        .height = height, .seq = h.sequence, .client = h.client, .number = h.number};
    memcpy(ret->parent, h.parent, PBFT_DIGEST_SIZE);
    block_digest(&t->hash, block->data, ret->digest);
    return 0;
}

int transfer_receive(struct transfer *t, uint16_t peer, const struct codec_message *m,
                     const struct frame *frame, struct pbft_block *ret, struct error *err) {
    struct incoming *in = &t->incoming[peer];
    const struct codec_piece *piece = &m->piece;
    size_t size = frame->size - m->offset;
    if ((!in->block || piece->offset == 0) && begin(in, piece, err) < 0)
        return -1;
    if (piece->height != in->height || piece->block_size != in->block->size ||
        piece->offset != in->have)
        return error_set(err, ERROR_INVALID, "a piece of block %llu out of turn",
                         (unsigned long long)piece->height);
    memcpy(in->block->data + in->have, frame->body + m->offset, size);
    in->have += (uint32_t)size;
    if (in->have < in->block->size)
        return 0;
    int r = check_block(t, in->block, in->height, ret, err);
    if (r == 0)
        ret->handle = (uint64_t)(uintptr_t)take_ptr(in->block) + 1;
    else
        error_wrap(err, "block %llu", (unsigned long long)in->height);
    drop(in);
    return r < 0 ? -1 : 1;
}
