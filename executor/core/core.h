#pragma once

/*
 * The replica's consensus as a pure step function: an event goes in, a bounded list of actions
 * comes out. It does no I/O, reads no clock, keeps nothing outside the memory it was given at init
 * and allocates nothing; the unit test `core_purity` proves it by the symbols of the library. The
 * shell around it (executor/replica.c) carries actions out, the simulator (tests/sim) does so too.
 *
 * The protocol: replica 0 is the primary. It gives each request a height, sends them in order to
 * the backups, stores them itself, and answers a client once f + 1 replicas, itself among them,
 * have *stored* its block with the same digest. A backup that returns is fed from the primary's
 * log, a bounded window of the last requests. This is crash-tolerant replication with a fixed
 * primary; the BFT protocol replaces it behind the same events and actions.
 *
 * What it promises (tests/sim holds it to that, under delays, disconnects and restarts):
 * - every replica stores the same blocks at the same heights;
 * - a request of a client is executed at most once, however often it is sent;
 * - an answered request is stored by f + 1 replicas.
 *
 * Requests are known by *handle*: bytes that the shell keeps. Each event that brings a request
 * gives one reference to the core, which gives it back by exactly one CORE_RELEASE. CORE_STORE and
 * CORE_SEND borrow: a shell that carries them out later takes a reference of its own.
 *
 * Limits: everything is bounded by struct core_config. A window that is full because a connected
 * backup is slow holds new requests back (they wait, and then are answered as overloaded); a
 * backup that makes no progress for `laggard_ns` is left behind instead.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CORE_REPLICAS_MAX = 64,
    CORE_DIGEST_SIZE = 32,
    CORE_ACTIONS_MAX = 256, /* of one step; what does not fit comes with the next */
    CORE_ACTIONS_SPARE = 8, /* below the maximum: room that handlers may count on */
    CORE_STORED_MAX = 64,   /* blocks in one CORE_STORED event */
    CORE_LOG_SLOTS_MAX = 1 << 20,
};

struct core_config {
    uint16_t replica;
    uint16_t n;            /* 1..CORE_REPLICAS_MAX; f = (n - 1) / 3 */
    uint32_t log_slots;    /* a power of two: requests in the window */
    uint32_t pipeline_max; /* requests ordered and not yet answered; below log_slots */
    uint32_t pending_max;  /* a power of two: requests waiting to be ordered */
    uint32_t clients_max;  /* clients whose last request is remembered; others are refused */
    uint64_t bytes_max;    /* of all requests that the core holds references to */
    uint64_t laggard_ns;
    uint64_t drain_ns;          /* a clean stop waits so long for the others */
    uint64_t drain_together_ns; /* stops that begin so close to each other are one stop of all */
};

/* What a replica of this program runs with. 256 MiB hold 17,000 requests of 15,100 bytes. */
#define CORE_CONFIG_DEFAULT                                                                        \
    ((struct core_config){                                                                         \
        .n = 1,                                                                                    \
        .log_slots = 32768,                                                                        \
        .pipeline_max = 16384,                                                                     \
        .pending_max = 16384,                                                                      \
        .clients_max = 131072,                                                                     \
        .bytes_max = UINT64_C(256) << 20,                                                          \
        .laggard_ns = UINT64_C(10) * 1000000000,                                                   \
        .drain_ns = UINT64_C(5) * 1000000000,                                                      \
        .drain_together_ns = UINT64_C(1) * 1000000000,                                             \
    })

/* ---- in ---- */

struct core_request {
    uint64_t handle;
    uint32_t size_bytes;
    bool pre_executed; /* its execution time has been spent before it was ordered */
    uint64_t client;
    uint64_t number; /* from 1 up */
    uint64_t origin; /* the shell's name for where an answer goes; means nothing to others */
    uint8_t digest[CORE_DIGEST_SIZE]; /* of the request */
};

/* What replicas say to each other; executor/core/codec.h puts it into frames. */
enum core_message_type {
    CORE_JOIN = 32, /* backup: I have stored up to `height`, `digest`; feed me from there */
    CORE_APPEND,    /* primary: `request` is number `height` */
    CORE_ACK,       /* backup: I have stored up to `height`, and my chain's digest is `digest` */
    CORE_BEHIND,    /* primary: I keep `height` and later; you need earlier ones */
    CORE_ASK_DRAIN, /* backup: I am stopping; let me have what is ordered so far */
    CORE_DRAINED,   /* primary: that was everything up to `height` */
    CORE_MESSAGE_END,
};

struct core_message {
    enum core_message_type type;
    uint64_t height;
    uint8_t digest[CORE_DIGEST_SIZE]; /* JOIN, ACK */
    struct core_request request;      /* APPEND; its origin is not sent */
};

enum core_event_type {
    CORE_REQUEST,      /* a client's; takes the handle */
    CORE_MESSAGE,      /* of another replica; takes the handle of an APPEND */
    CORE_STORED,       /* blocks are in the store, in the order of their CORE_STORE actions */
    CORE_STORE_FAILED, /* this and all later CORE_STORE will not be done */
    CORE_PEER_UP,
    CORE_PEER_DOWN,
    CORE_TICK,  /* the timer, or that the last update said `more` */
    CORE_DRAIN, /* stop cleanly: SIGTERM */
};

struct core_event {
    enum core_event_type type;
    uint64_t now_ns; /* never goes back */
    uint16_t peer;   /* MESSAGE, PEER_* */
    union {
        struct core_request request;
        struct core_message message;
        struct {
            uint64_t height;                            /* of the first */
            uint32_t count;                             /* 1..CORE_STORED_MAX */
            const uint8_t (*digests)[CORE_DIGEST_SIZE]; /* of the blocks */
        } stored;
    };
};

/* ---- out ---- */

enum core_reply_status { CORE_REPLY_OK, CORE_REPLY_OVERLOADED, CORE_REPLY_REFUSED };

enum core_reason {
    CORE_REASON_NONE,
    CORE_REASON_FULL,         /* overloaded: too many requests wait */
    CORE_REASON_NOT_PRIMARY,  /* refused, all of them */
    CORE_REASON_STALE_NUMBER, /* the client has used a higher number before */
    CORE_REASON_CLIENTS_FULL,
    CORE_REASON_DRAINING,
    CORE_REASON_STORE_FAILED,
    CORE_REASON_PEER_AHEAD, /* another replica has blocks that this primary has lost */
    CORE_REASON_COUNT,
};

enum core_note {
    CORE_NOTE_PEER_BEHIND,   /* it needs `height`, the window begins at `other_height` */
    CORE_NOTE_PEER_LAGGING,  /* left behind at `height`, the head is `other_height` */
    CORE_NOTE_PEER_DIVERGED, /* its block `height` is not ours */
    CORE_NOTE_PEER_AHEAD,    /* it has `height`, we have `other_height` */
    CORE_NOTE_PEER_JOINED,   /* at `height`, while the head is `other_height` */
    CORE_NOTE_WE_ARE_BEHIND, /* we need `height`, the primary begins at `other_height` */
    CORE_NOTE_DRAIN_LATE,    /* time is over: we stop at `height`, known head `other_height` */
    CORE_NOTE_VIOLATION,     /* the peer broke the protocol about `height`; disconnected */
    CORE_NOTE_COUNT,
};

enum core_action_type {
    CORE_STORE,      /* make `request` block `height` */
    CORE_SEND,       /* `message` to `peer`; lost if it is down by now */
    CORE_REPLY,      /* to `request.origin` about (request.client, request.number) */
    CORE_RELEASE,    /* request.handle */
    CORE_DISCONNECT, /* `peer`; PEER_DOWN follows */
    CORE_NOTE,       /* for the log */
};

struct core_action {
    enum core_action_type type;
    uint16_t peer;
    enum core_reply_status status;
    enum core_reason reason;
    enum core_note note;
    uint64_t height;
    uint64_t other_height;
    uint8_t digest[CORE_DIGEST_SIZE]; /* REPLY: of the block */
    struct core_request request;      /* STORE, REPLY, RELEASE */
    struct core_message message;      /* SEND */
};

struct core_update {
    bool more;         /* step again with CORE_TICK as soon as these actions are done */
    bool drained;      /* after CORE_DRAIN: the process may end now */
    uint64_t timer_ns; /* step with CORE_TICK then; UINT64_MAX: no need */
    size_t count;
    struct core_action actions[CORE_ACTIONS_MAX];
};

/* ---- the core ---- */

struct core;

/* Bytes that core_init wants, suitably aligned for anything, zeroed. */
size_t core_size(const struct core_config *config);
/* With an empty chain. */
struct core *core_init(void *memory, const struct core_config *config);

/* Before the first step, once per block in the store, in order from height 1. False when there are
 * more clients than clients_max. */
bool core_recover(struct core *core, uint64_t client, uint64_t number, uint64_t height,
                  const uint8_t digest[CORE_DIGEST_SIZE]);

/* `update` need not be cleared. */
void core_step(struct core *core, const struct core_event *event, struct core_update *update);

/* After the last step: gives back the requests that it still holds references to. */
void core_drop(struct core *core, void (*release)(const struct core_request *request));

struct core_status {
    uint16_t primary;
    uint16_t f;
    uint16_t peers_up;
    uint16_t peers_joined; /* primary: that are fed; backup: 1 if the primary feeds us */
    uint64_t head;         /* last height that was ordered, as far as we know */
    uint64_t stored;
    uint64_t answered; /* primary: last height whose client was answered */
    uint64_t pending;
    uint64_t bytes;
    bool store_failed;
    bool behind;  /* backup: needs blocks that the primary's window does not have any more */
    bool healthy; /* n - f replicas are in touch, so that a request can be answered */
};

void core_get_status(const struct core *core, struct core_status *ret);
