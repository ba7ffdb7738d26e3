#pragma once

/*
 * The replica's consensus as a pure step function: an event goes in, a bounded list of actions
 * comes out. It does no I/O, reads no clock, keeps nothing outside the memory it was given at init
 * and allocates nothing; the unit test `executor_pbft_purity` proves it by the symbols of the
 * library. The shell around it carries actions out in their order: executor/replica.c, and the
 * simulator (tests/sim/pbft).
 *
 * The protocol is PBFT for n = 3f + 1 replicas, up to f of them Byzantine; other n get the quorum
 * that is safe with f = (n - 1) / 3. Sources, cited at the lines that implement them:
 *   OSDI '99  M. Castro, B. Liskov: Practical Byzantine Fault Tolerance.
 *   TOCS '02  the same: Practical Byzantine Fault Tolerance and Proactive Recovery; its view
 *             changes need no signed prepares. VIEW-CHANGE and NEW-VIEW alone are signed here, so
 *             that they can be shown to third parties (docs/decisions/0024, 0037).
 *
 * Requests are ordered in *batches*, each with a sequence number; executing a batch makes one block
 * per request that its client had not had executed before. A block's height follows from the chain,
 * its digest comes back from the store and is the result that clients compare.
 *
 * What it promises, whatever up to f replicas do and however messages are lost, delayed, doubled or
 * reordered (tests/sim holds it to that):
 * - correct replicas store the same blocks at the same heights;
 * - a request of a client is executed at most once, however often it is sent and ordered;
 * - an answer that f + 1 replicas give alike stands in the chain of every correct replica, for
 * ever;
 * - when messages arrive in time, every request of a correct client is answered.
 *
 * Authentication is the shell's: what reaches the core came from the peer that the event names, and
 * signatures of VIEW-CHANGE and NEW-VIEW messages were right. Whether a *request* is its client's,
 * the shell may not be able to tell (pbft_request.authentic): then f others must vouch for it.
 *
 * A crash: what PBFT_PERSIST named before a send is there afterwards (pbft_recover_record); the
 * store brings the chain. A replica that lost either counts towards f.
 *
 * Requests and blocks are known by *handle*: bytes that the shell keeps. Each event that brings one
 * gives one reference to the core, which gives it back by exactly one PBFT_RELEASE. Other actions
 * borrow: a shell that carries them out later takes a reference of its own. Arrays in messages and
 * records are borrowed until the next step.
 *
 * Limits: everything is bounded by struct pbft_config. Requests beyond what may wait are answered
 * as overloaded; a replica that is slow or was away is fed from the window, or else takes over
 * blocks from the others (*transfer*).
 */

#include "lib/keyed_hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PBFT_REPLICAS_MAX = 31, /* so that NEW-VIEW stays within one frame */
    PBFT_DIGEST_SIZE = 32,
    PBFT_SIGNATURE_SIZE = 64,
    PBFT_BATCH_MAX = 64,      /* requests in a batch */
    PBFT_WINDOW_MAX = 128,    /* sequence numbers beyond the stable checkpoint */
    PBFT_CHECKPOINTS_MAX = 8, /* in the window; its size over the interval, plus the stable one */
    PBFT_PROPOSALS_MAX = 3,   /* remembered for one sequence number, of different views */
    PBFT_ACTIONS_MAX = 256,   /* of one step; what does not fit comes with the next */
    PBFT_ACTIONS_SPARE = 8,   /* below the maximum: room that handlers may count on */
    PBFT_STORED_MAX = 64,     /* blocks in one PBFT_STORED event */
    PBFT_TRANSFER_MAX = 32,   /* blocks of one transfer that are under way */
    PBFT_ALL = UINT16_MAX,    /* as a peer: every other replica */
};

/* SHA-256, or what a simulator takes for it. Must be collision resistant where anybody is hostile.
 */
typedef void pbft_hash(void *context, const void *data, size_t size, uint8_t out[PBFT_DIGEST_SIZE]);

struct pbft_config {
    uint16_t replica;
    uint16_t n;                   /* 1..PBFT_REPLICAS_MAX; f = (n - 1) / 3 */
    uint32_t window;              /* a multiple of the interval, a power of two */
    uint32_t checkpoint_interval; /* sequence numbers from one checkpoint to the next */
    uint32_t pipeline_max;        /* batches that the primary proposes before the first commits */
    uint32_t batch_max;           /* requests, up to PBFT_BATCH_MAX */
    uint32_t batch_bytes_max;     /* of all requests in a batch, unless there is but one */
    uint32_t clients_max;         /* clients whose last request is remembered */
    uint64_t waiting_bytes_max;   /* of requests that wait to be ordered */
    uint64_t request_timeout_ns;  /* a request that waits longer makes us doubt the primary */
    uint64_t status_ns;           /* without progress, we tell the others so often where we are */
    uint64_t drain_ns;            /* a clean stop waits so long for the others */
    uint64_t drain_together_ns;   /* stops that begin so close to each other are one stop of all */
    struct keyed_hash clients;    /* where clients stand in a table: a secret of this replica */
    pbft_hash *hash;
    void *hash_context;
};

/* What a replica of this program runs with. The window holds up to 128 MiB of requests. */
#define PBFT_CONFIG_DEFAULT                                                                        \
    ((struct pbft_config){                                                                         \
        .n = 1,                                                                                    \
        .window = 128,                                                                             \
        .checkpoint_interval = 64,                                                                 \
        .pipeline_max = 8,                                                                         \
        .batch_max = PBFT_BATCH_MAX,                                                               \
        .batch_bytes_max = 1024 * 1024,                                                            \
        .clients_max = 131072,                                                                     \
        .waiting_bytes_max = UINT64_C(256) << 20,                                                  \
        .request_timeout_ns = UINT64_C(2) * 1000000000,                                            \
        .status_ns = UINT64_C(100) * 1000000,                                                      \
        .drain_ns = UINT64_C(5) * 1000000000,                                                      \
        .drain_together_ns = UINT64_C(1) * 1000000000,                                             \
    })

/* ---- what is spoken of ---- */

enum pbft_authentic {
    PBFT_AUTHENTIC,         /* its client's, as far as we can tell by ourselves */
    PBFT_AUTHENTIC_UNKNOWN, /* we cannot tell */
};

struct pbft_request {
    uint64_t handle;
    uint32_t size_bytes;
    enum pbft_authentic authentic;
    bool pre_executed; /* executed before it was ordered: what that gave is in the digest */
    uint64_t client;
    uint64_t number;                  /* from 1 up */
    uint64_t origin;                  /* where an answer goes; means nothing to the core */
    uint8_t digest[PBFT_DIGEST_SIZE]; /* of its bytes, and of what executing it gave */
};

/* The state after a sequence number: the chain's height and digest. */
struct pbft_checkpoint {
    uint64_t seq;
    uint64_t height;
    uint8_t digest[PBFT_DIGEST_SIZE];
};

/* A batch by its digest, in a view. */
struct pbft_certificate {
    uint64_t seq;
    uint64_t view;
    uint8_t digest[PBFT_DIGEST_SIZE];
};

/* TOCS '02, section 4.5: VIEW-CHANGE with its sets C, P and Q. */
struct pbft_view_change {
    uint16_t replica;
    uint64_t view;
    uint64_t stable; /* h */
    uint32_t checkpoint_count, prepared_count, proposed_count;
    const struct pbft_checkpoint *checkpoints; /* C: up to PBFT_CHECKPOINTS_MAX */
    const struct pbft_certificate *prepared;   /* P: up to one per number of the window */
    const struct pbft_certificate *proposed;   /* Q: up to PBFT_PROPOSALS_MAX per number */
    uint8_t signature[PBFT_SIGNATURE_SIZE];    /* kept for the shell; of our own: not set */
};

/* Where a replica is. */
struct pbft_report {
    bool active;   /* in `view`, not on the way to it */
    bool suspects; /* the primary of `view` */
    bool draining;
    bool busy; /* orders or executes something, or will */
    uint64_t stable;
    uint64_t committed; /* every sequence number up to it */
    uint64_t proposed;  /* the last one of which it knows */
    uint64_t stored;    /* height */
    uint32_t changes;   /* VIEW-CHANGEs for `view` that it has, a bit per replica */
};

/* A block of another replica. */
struct pbft_block {
    uint64_t handle;
    uint64_t height, seq, client, number;
    uint8_t parent[PBFT_DIGEST_SIZE];
    uint8_t digest[PBFT_DIGEST_SIZE];
};

/* What replicas say to each other; executor/pbft/codec.h puts it into frames. */
enum pbft_message_type {
    PBFT_FORWARD = 32, /* requests[0], of a client who asks us all: for the primary */
    PBFT_PRE_PREPARE,  /* view, seq, requests */
    PBFT_PREPARE,      /* view, seq, digest */
    PBFT_COMMIT,       /* view, seq, digest */
    PBFT_CHECKPOINT,   /* seq, height, digest */
    PBFT_VIEW_CHANGE,  /* changes[0] */
    PBFT_NEW_VIEW,     /* view, changes, signature */
    PBFT_STATUS,       /* view, report; answered by what its sender lacks */
    PBFT_ASK_BATCH,    /* seq, digest */
    PBFT_BATCH,        /* seq, requests */
    PBFT_ASK_DIGEST,   /* height: which block do you have there? */
    PBFT_BLOCK_DIGEST, /* height, digest */
    PBFT_ASK_BLOCKS,   /* height, count */
    PBFT_BLOCK,        /* block */
    PBFT_MESSAGE_END,
};

struct pbft_message {
    enum pbft_message_type type;
    uint64_t view;
    uint64_t seq;
    uint64_t height;
    uint8_t digest[PBFT_DIGEST_SIZE];
    uint32_t count; /* of requests, changes or blocks */
    /* NEW_VIEW: of the view's primary; kept for the shell; of our own: not set. */
    uint8_t signature[PBFT_SIGNATURE_SIZE];
    union {
        const struct pbft_request *requests;
        const struct pbft_view_change *changes;
        struct pbft_report report;
        struct pbft_block block;
    };
};

/* What has to be there after a crash, before anything is said that depends on it. */
enum pbft_record_type {
    PBFT_RECORD_VIEW, /* view, active; changes and signature of its NEW-VIEW, to be shown to others
                       */
    PBFT_RECORD_PROPOSAL,   /* view, seq, digest; requests unless count is 0 */
    PBFT_RECORD_PREPARED,   /* view, seq, digest */
    PBFT_RECORD_CHECKPOINT, /* seq, height, digest: ours */
    PBFT_RECORD_STABLE, /* seq, height, digest: what is at and below seq is not needed any more */
    PBFT_RECORD_END,
};

struct pbft_record {
    enum pbft_record_type type;
    bool active;
    bool empty; /* PROPOSAL: a batch of no requests, rather than one whose requests were persisted
                   before or are not known */
    uint64_t view;
    uint64_t seq;
    uint64_t height;
    uint8_t digest[PBFT_DIGEST_SIZE];
    uint32_t count; /* of requests or changes */
    uint8_t signature[PBFT_SIGNATURE_SIZE];
    union {
        const struct pbft_request *requests;
        const struct pbft_view_change *changes;
    };
};

/* ---- in ---- */

enum pbft_event_type {
    PBFT_REQUEST,      /* a client's; takes the handle */
    PBFT_MESSAGE,      /* of another replica; takes the handles of requests or block */
    PBFT_STORED,       /* blocks are in the store, in the order of their PBFT_STORE, PBFT_ADOPT */
    PBFT_STORE_FAILED, /* this and all later ones will not be done */
    PBFT_PEER_UP,
    PBFT_PEER_DOWN,
    PBFT_TICK,  /* the timer, or that the last update said `more` */
    PBFT_FLUSH, /* no more events for now: the primary proposes what waits */
    PBFT_DRAIN, /* stop cleanly: SIGTERM */
};

struct pbft_event {
    enum pbft_event_type type;
    uint64_t now_ns; /* never goes back */
    uint16_t peer;   /* MESSAGE, PEER_* */
    union {
        struct pbft_request request;
        struct pbft_message message;
        struct {
            uint64_t height;                            /* of the first */
            uint32_t count;                             /* 1..PBFT_STORED_MAX */
            const uint8_t (*digests)[PBFT_DIGEST_SIZE]; /* of the blocks */
        } stored;
    };
};

/* ---- out ---- */

enum pbft_reply_status { PBFT_REPLY_OK, PBFT_REPLY_OVERLOADED, PBFT_REPLY_REFUSED };

enum pbft_reason {
    PBFT_REASON_NONE,
    PBFT_REASON_FULL,         /* overloaded: too many requests wait */
    PBFT_REASON_STALE_NUMBER, /* the client has used a higher number before */
    PBFT_REASON_CLIENTS_FULL,
    PBFT_REASON_DRAINING,
    PBFT_REASON_STORE_FAILED,
    PBFT_REASON_DIVERGED,
    PBFT_REASON_COUNT,
};

enum pbft_note {
    PBFT_NOTE_SUSPECT,     /* of view `height`: a request waits too long; primary is `peer` */
    PBFT_NOTE_VIEW_CHANGE, /* to view `height` */
    PBFT_NOTE_NEW_VIEW,    /* `height`, whose primary is `peer`, from number `other_height` on */
    PBFT_NOTE_TRANSFER,    /* of blocks after `height`, up to `other_height` */
    PBFT_NOTE_TRANSFERRED, /* up to `height`, sequence number `other_height` */
    PBFT_NOTE_BAD_BLOCKS,  /* what the peer sent is not block `height` */
    PBFT_NOTE_DIVERGED,    /* our state at number `height` is not that of the others */
    PBFT_NOTE_DRAIN_LATE,  /* time is over: we stop at `height`; `other_height` was proposed */
    PBFT_NOTE_VIOLATION,   /* the peer broke the protocol about number `height`; disconnected */
    PBFT_NOTE_COUNT,
};

enum pbft_action_type {
    PBFT_PERSIST,    /* `record` */
    PBFT_SEND,       /* `message` to `peer`; lost if it is down by now */
    PBFT_STORE,      /* execute `request`, of batch `seq`, as block `height` */
    PBFT_ADOPT,      /* `block` of another replica */
    PBFT_REPLY,      /* to `request.origin` about (request.client, request.number) */
    PBFT_RELEASE,    /* request.handle */
    PBFT_SERVE,      /* `peer` asks for `count` blocks from `height` on; 0: for the digest of one */
    PBFT_DISCONNECT, /* `peer`; PEER_DOWN follows */
    PBFT_NOTE,       /* for the log */
};

struct pbft_action {
    enum pbft_action_type type;
    uint16_t peer;
    enum pbft_reply_status status;
    enum pbft_reason reason;
    enum pbft_note note;
    uint32_t count;
    uint64_t view; /* REPLY: the one we are in */
    uint64_t seq;
    uint64_t height;
    uint64_t other_height;
    uint8_t digest[PBFT_DIGEST_SIZE]; /* REPLY: of the block */
    struct pbft_request request;      /* STORE, REPLY, RELEASE */
    union {
        struct pbft_message message; /* SEND */
        struct pbft_record record;   /* PERSIST */
        struct pbft_block block;     /* ADOPT */
    };
};

struct pbft_update {
    bool more;         /* step again with PBFT_TICK as soon as these actions are done */
    bool drained;      /* after PBFT_DRAIN: the process may end now */
    uint64_t timer_ns; /* step with PBFT_TICK then; UINT64_MAX: no need */
    size_t count;
    struct pbft_action actions[PBFT_ACTIONS_MAX];
};

/* ---- the core ---- */

struct pbft;

/* Bytes that pbft_init wants, suitably aligned for anything, zeroed. */
size_t pbft_size(const struct pbft_config *config);
/* With an empty chain, in view 0. */
struct pbft *pbft_init(void *memory, const struct pbft_config *config);

/*
 * Before the first step: once per block in the store, in order from height 1; false when there are
 * more clients than clients_max. Then the last STABLE whose height is in the store, the last VIEW,
 * and of the other records those above that STABLE, in the order in which they were persisted. True
 * when the core has taken the handles of the record's requests. What it forgets for them is in
 * `update`, which need not be cleared: nothing but PBFT_RELEASE.
 */
bool pbft_recover_block(struct pbft *core, const struct pbft_block *block);
bool pbft_recover_record(struct pbft *core, const struct pbft_record *record,
                         struct pbft_update *update);

/* `update` need not be cleared. */
void pbft_step(struct pbft *core, const struct pbft_event *event, struct pbft_update *update);

/* After the last step: gives back the handles that it still holds references to. */
void pbft_drop(struct pbft *core, void (*release)(void *context, uint64_t handle), void *context);

/* The digest that a batch of these requests has; none: the null request of a new view. */
void pbft_batch_digest(const struct pbft_config *config, const struct pbft_request *requests,
                       uint32_t count, uint8_t out[PBFT_DIGEST_SIZE]);

struct pbft_status {
    uint64_t view;
    uint16_t primary;
    uint16_t f;
    uint16_t peers_up;
    bool active;
    uint64_t stable, committed, proposed; /* sequence numbers */
    uint64_t head;                        /* height of the last block that was ordered */
    uint64_t stored;
    uint64_t waiting; /* requests that we know and that are not ordered */
    uint64_t waiting_bytes;
    bool store_failed;
    bool transferring;
    bool diverged;
    bool draining;
    bool healthy; /* a quorum is in touch and in one view, so that a request can be answered */
};

void pbft_get_status(const struct pbft *core, struct pbft_status *ret);
