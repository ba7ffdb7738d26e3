#pragma once

/*
 * Inside of the core: its state, and what its files share. One file per event or message; step.c
 * dispatches and then *advances*: whatever the new state allows is done, in a fixed order, until
 * the update is full. So a handler only changes state, and no work is lost between two steps.
 */

#include "executor/core/core.h"

/* One height of the window. */
struct slot {
    struct core_request request;
    uint8_t digest[CORE_DIGEST_SIZE]; /* of the block, once stored >= its height */
};

struct peer {
    bool up;
    bool joined;    /* primary: it has said what it has, and is fed from `next` on */
    uint64_t next;  /* height to be sent next */
    uint64_t acked; /* stored there, with our digest */
    /* What it says to have stored; compared with our digest as soon as we have stored it too. */
    uint64_t claimed;
    uint8_t claimed_digest[CORE_DIGEST_SIZE];
    uint64_t progress_ns; /* when it last stored something, or had nothing left to store */
    bool drain_asked;
    uint64_t drain_asked_ns;
    uint64_t drain_height; /* what it will have got when it is answered; 0: not decided yet */
};

/* The last request of a client: at most once. Slot of an open-addressing table; number 0 is free.
 */
struct client {
    uint64_t client;
    uint64_t number;
    uint64_t height; /* 0 while it waits to be ordered */
    uint64_t origin;
    uint8_t digest[CORE_DIGEST_SIZE]; /* of the block, once answered >= height */
};

struct core {
    struct core_config config;
    uint16_t f;
    uint64_t now_ns;
    bool draining;
    bool store_failed;
    bool behind;         /* backup */
    bool drain_sent;     /* backup: to the primary it is connected to */
    bool drain_answered; /* backup */
    bool drain_late;
    uint64_t drain_until_ns;
    uint64_t drain_upto; /* backup: head of the primary when it answered */
    uint64_t ahead;      /* primary: some replica has this height and we had less; 0: none */

    uint64_t low;       /* first height whose slot is kept */
    uint64_t head;      /* last ordered */
    uint64_t stored;    /* last in our store */
    uint64_t answered;  /* primary */
    uint64_t log_bytes; /* of requests in the log: at most half of bytes_max */
    uint64_t
        flight_bytes; /* of requests not answered yet, queued ones too: at most the other half */
    uint8_t digest[CORE_DIGEST_SIZE];     /* of block `stored` */
    uint8_t low_digest[CORE_DIGEST_SIZE]; /* of block `low` - 1 */

    uint64_t pending_first; /* queue positions; the difference is the count */
    uint64_t pending_end;

    uint64_t client_count;
    uint64_t client_slots; /* a power of two, at least twice clients_max */

    /* Peer that the full log waits for; CORE_NOBODY if none. */
    uint16_t held_by;

    struct peer peers[CORE_REPLICAS_MAX];
    struct slot *log;
    struct core_request *pending;
    struct client *clients;
};

enum { CORE_PRIMARY = 0, CORE_NOBODY = UINT16_MAX };

static inline bool is_primary(const struct core *core) {
    return core->config.replica == CORE_PRIMARY;
}

static inline struct slot *slot_of(const struct core *core, uint64_t height) {
    return &core->log[height & (core->config.log_slots - 1)];
}

static inline uint64_t pending_count(const struct core *core) {
    return core->pending_end - core->pending_first;
}

/* ---- update.c: writing actions ---- */

/* Room for what advancing wants to add, beside what handlers may add unasked. */
bool update_has_room(const struct core_update *update, size_t actions);
void emit_store(struct core_update *update, uint64_t height, const struct core_request *request);
void emit_message(struct core_update *update, uint16_t peer, enum core_message_type type,
                  uint64_t height, const uint8_t digest[CORE_DIGEST_SIZE]);
void emit_append(struct core_update *update, uint16_t peer, uint64_t height,
                 const struct core_request *request);
void emit_release(struct core_update *update, const struct core_request *request);
void emit_reply(struct core_update *update, const struct core_request *request,
                enum core_reply_status status, enum core_reason reason);
void emit_answer(struct core_update *update, const struct core_request *request, uint64_t height,
                 const uint8_t digest[CORE_DIGEST_SIZE]);
void emit_disconnect(struct core_update *update, uint16_t peer);
void emit_note(struct core_update *update, enum core_note note, uint16_t peer, uint64_t height,
               uint64_t other_height);

/* ---- client.c: at most once ---- */

struct client *client_find(const struct core *core, uint64_t client);
/* NULL when there are clients_max already. */
struct client *client_ensure(struct core *core, uint64_t client);

/* ---- events and messages, one file each ---- */

void on_request(struct core *core, const struct core_request *request, struct core_update *update);
void on_stored(struct core *core, const struct core_event *event, struct core_update *update);
void on_peer_up(struct core *core, uint16_t peer, struct core_update *update);
void on_peer_down(struct core *core, uint16_t peer);
void on_drain(struct core *core);

void on_join(struct core *core, uint16_t peer, const struct core_message *message,
             struct core_update *update);
void on_append(struct core *core, uint16_t peer, const struct core_message *message,
               struct core_update *update);
void on_ack(struct core *core, uint16_t peer, const struct core_message *message,
            struct core_update *update);
void on_behind(struct core *core, uint16_t peer, const struct core_message *message,
               struct core_update *update);
void on_ask_drain(struct core *core, uint16_t peer);
void on_drained(struct core *core, const struct core_message *message);

/* The peer has blocks that this primary has lost. */
void leave_ahead(struct core *core, uint16_t peer, uint64_t height, struct core_update *update);
/* The peer did what the protocol does not allow. */
void violation(struct core *core, uint16_t peer, uint64_t height, struct core_update *update);

/* ---- advance.c: what the state allows ---- */

void advance(struct core *core, struct core_update *update);
/* Is `claimed` of this peer ours? Ends the feeding of one that has another chain. */
void verify_claim(struct core *core, uint16_t peer, struct core_update *update);
/* drain.c: also sets update->drained. */
void advance_drain(struct core *core, struct core_update *update);
