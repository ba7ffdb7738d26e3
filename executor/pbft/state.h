#pragma once

/*
 * Inside of the core: its state, and what its files share. One file per event or message; step.c
 * dispatches and then *advances*: whatever the new state allows is done, in a fixed order, until
 * the update is full. So a handler only changes state, and no work is lost between two steps.
 */

#include "executor/pbft/pbft.h"

#include <assert.h>
#include <string.h>

#define VIEW_NONE UINT64_MAX

enum { NOBODY = UINT32_MAX /* as an index of a client */ };

/* A batch that was proposed for a sequence number: an entry of Q. */
struct proposal {
    bool used;
    bool known;     /* its requests are here */
    bool persisted; /* so are they after a crash */
    bool vouched;   /* we have sent PREPARE or PRE-PREPARE for it: it is in Q */
    uint64_t view;  /* the last in which it was proposed */
    uint32_t count;
    uint8_t digest[PBFT_DIGEST_SIZE];
    struct pbft_request *requests; /* room for PBFT_BATCH_MAX */
};

/* The last that a replica said of a sequence number. */
struct vote {
    uint64_t view; /* VIEW_NONE: nothing */
    uint8_t digest[PBFT_DIGEST_SIZE];
};

/* The batch of this view that we sent to a replica. */
struct sent {
    uint64_t ns; /* the last time; 0: never */
    uint8_t again;
};

/* One sequence number of the window. */
struct slot {
    uint64_t seq; /* 0: nothing is known of it */
    struct proposal proposals[PBFT_PROPOSALS_MAX];
    int current;  /* the proposal of this view; -1: none */
    int decided;  /* the one that committed, in whatever view; -1: none */
    bool vouched; /* we can tell that all requests are their clients', or the new view says so */
    bool prepare_sent, prepared; /* in this view */
    uint64_t prepared_view;      /* of the last certificate: the entry of P; VIEW_NONE */
    uint8_t prepared_digest[PBFT_DIGEST_SIZE];
    uint64_t end_height;             /* of the chain, once it was executed */
    struct vote *prepares, *commits; /* by replica */
    struct sent *sent;               /* by replica */
};

/* What is remembered of a client, by id in an open-addressing table. */
struct client {
    bool used;
    uint64_t client;
    /* Its last request that was executed, or is about to: at most once. 0: none. */
    uint64_t number;
    uint64_t height;
    uint64_t origin;
    uint8_t digest[PBFT_DIGEST_SIZE]; /* of the block, once stored >= height */
    /* Its request that waits to be ordered. */
    bool waits;
    struct pbft_request waiting;
    uint32_t next, previous;          /* in the line of those who wait; NOBODY */
    uint64_t proposed, proposed_view; /* new primary: what the new view has proposed already */
};

/* One of the last blocks: on its way to the store, or in it. */
struct flight {
    uint64_t client, number, seq;
    bool adopted;                     /* nobody is answered */
    uint8_t digest[PBFT_DIGEST_SIZE]; /* once stored >= its height */
};

/* A VIEW-CHANGE, with room for all that it may hold. */
struct change {
    struct pbft_view_change m; /* m.view VIEW_NONE: none */
    struct pbft_checkpoint *checkpoints;
    struct pbft_certificate *prepared, *proposed;
};

struct peer {
    bool up;
    uint64_t up_ns; /* since when */
    bool reported;
    uint64_t view;     /* of the report */
    uint64_t suspects; /* the view whose primary it suspects; VIEW_NONE */
    struct pbft_report report;
    struct pbft_checkpoint checkpoints[PBFT_CHECKPOINTS_MAX]; /* by number over interval; seq 0 */
    struct change change;                                     /* with the highest view */
    struct change shown;                                      /* in the NEW-VIEW of our view */
    /* Transfer: what it says is at transfer.to. */
    bool answered;
    uint8_t answer[PBFT_DIGEST_SIZE];
};

struct transfer {
    bool active;
    struct pbft_checkpoint target;
    uint64_t from, to; /* heights of the part that is under way; 0: none */
    bool agreed;       /* f + 1 have said the same digest of `to` */
    uint8_t digest[PBFT_DIGEST_SIZE];
    uint16_t source;
    uint32_t attempts; /* of this part that brought nothing */
    uint64_t asked_ns;
    uint32_t received;
    bool have[PBFT_TRANSFER_MAX];
    struct pbft_block blocks[PBFT_TRANSFER_MAX];
};

struct pbft {
    struct pbft_config config;
    uint16_t f;
    uint16_t quorum;
    uint64_t now_ns;

    uint64_t view;
    bool active; /* false: a view change to `view` is under way */
    bool view_persisted;

    uint64_t low;       /* slots up to it are cleared: the window is (low, low + window] */
    uint64_t sweep;     /* slots from here on are to be looked at again; 0: none */
    uint64_t proposed;  /* the highest number that is proposed in this view */
    uint64_t committed; /* every number up to it is handed to the store */
    uint32_t executed;  /* requests of committed + 1 that are handed over already */
    bool flush;         /* the primary may propose now */

    uint64_t head;   /* height of the last block handed to the store */
    uint64_t stored; /* in it */
    uint8_t null_digest[PBFT_DIGEST_SIZE];

    /* Ours, in order: [0] is the stable one. */
    struct pbft_checkpoint checkpoints[PBFT_CHECKPOINTS_MAX];
    uint32_t checkpoint_count;

    struct peer peers[PBFT_REPLICAS_MAX];
    struct transfer transfer;
    uint64_t shown_view; /* whose NEW-VIEW is in peers[].shown; VIEW_NONE */
    uint8_t shown_signature[PBFT_SIGNATURE_SIZE]; /* of its primary; of ours: zeros */
    uint32_t shown_count;

    /* What is waited for, and since when (suspect.c). */
    bool watching;
    uint64_t watched_client, watched_number, watched_seq;
    uint64_t watch_ns;
    uint64_t suspects;  /* a view whose primary we suspect; VIEW_NONE */
    uint32_t attempts;  /* view changes without a commit since */
    uint64_t change_ns; /* since when a quorum wants this view; UINT64_MAX */
    uint64_t asked_ns;  /* when batches were asked for that a NEW-VIEW of ours needs; 0: not yet */
    uint64_t progress_ns; /* when something was committed, or a view entered */
    uint64_t status_sent_ns;
    uint64_t status_progress_ns; /* the progress since which `statuses` were sent */
    uint32_t statuses;           /* while something is waited for */
    uint64_t proposed_ns;

    bool store_failed, diverged;
    bool draining, drain_late;
    uint64_t drain_since_ns;

    uint64_t waiting_bytes, waiting_count;
    uint32_t first, last; /* the line of those who wait */
    uint64_t executed_clients, known_clients;
    uint64_t client_slots; /* a power of two */

    struct slot *slots;
    struct client *clients;
    struct flight *flights;
    uint64_t flight_slots;            /* a power of two */
    struct pbft_view_change *changes; /* scratch: a NEW-VIEW that is made or judged */
    /* What our view says of the numbers from choice_first on; and what choose() has found last. */
    struct pbft_certificate *choice, *found;
    uint64_t choice_first, choice_last;
    struct pbft_checkpoint begun; /* that our view began at: f + 1 have signed that they have it */
};

static inline uint16_t primary_of(const struct pbft *core, uint64_t view) {
    return (uint16_t)(view % core->config.n);
}

static inline bool is_primary(const struct pbft *core) {
    return primary_of(core, core->view) == core->config.replica;
}

static inline bool digest_equal(const uint8_t *a, const uint8_t *b) {
    return memcmp(a, b, PBFT_DIGEST_SIZE) == 0;
}

static inline const struct pbft_checkpoint *stable(const struct pbft *core) {
    return &core->checkpoints[0];
}

static inline bool in_window(const struct pbft *core, uint64_t seq) {
    return seq > core->low && seq - core->low <= core->config.window;
}

/* Height 0 is the empty chain, whose digest is all zero. */
static inline struct flight *flight_of(const struct pbft *core, uint64_t height) {
    return &core->flights[height & (core->flight_slots - 1)];
}

/* It takes part in nothing any more. */
static inline bool is_out(const struct pbft *core) {
    return core->diverged || core->store_failed;
}

/* ---- update.c: writing actions ---- */

/* Room for what advancing wants to add, beside what handlers may add unasked. */
bool update_has_room(struct pbft_update *update, size_t actions);
struct pbft_message *emit_message(struct pbft_update *update, uint16_t peer,
                                  enum pbft_message_type type);
/* PREPARE, COMMIT, ASK_BATCH: those of a batch. */
void emit_batch_message(struct pbft_update *update, uint16_t peer, enum pbft_message_type type,
                        uint64_t view, uint64_t seq, const uint8_t digest[PBFT_DIGEST_SIZE]);
struct pbft_record *emit_record(struct pbft_update *update, enum pbft_record_type type);
void emit_store(struct pbft_update *update, uint64_t height, uint64_t seq,
                const struct pbft_request *request);
void emit_adopt(struct pbft_update *update, const struct pbft_block *block);
void emit_serve(struct pbft_update *update, uint16_t peer, uint64_t height, uint32_t count);
void emit_release(struct pbft_update *update, uint64_t handle);
void emit_release_all(struct pbft_update *update, const struct pbft_request *requests,
                      uint32_t count);
void emit_reply(const struct pbft *core, struct pbft_update *update,
                const struct pbft_request *request, enum pbft_reply_status status,
                enum pbft_reason reason);
void emit_answer(const struct pbft *core, struct pbft_update *update, const struct client *client);
void emit_note(struct pbft_update *update, enum pbft_note note, uint16_t peer, uint64_t height,
               uint64_t other_height);
/* The peer did what the protocol does not allow. */
void emit_violation(struct pbft_update *update, uint16_t peer, uint64_t seq);
void wake_at(struct pbft_update *update, uint64_t ns);

/* ---- client.c: at most once, and who waits ---- */

struct client *client_find(const struct pbft *core, uint64_t client);
/* NULL when too many are known already. */
struct client *client_ensure(struct pbft *core, uint64_t client);
/* Is this request the next one of its client? Then it is noted as block `height`. The answer is the
 * same on every replica. */
bool client_execute(struct pbft *core, const struct pbft_request *request, uint64_t height);
void client_wait(struct pbft *core, struct client *client, const struct pbft_request *request);
/* Its waiting request, if there is one that is not above `number`, waits no more. */
void client_served(struct pbft *core, struct client *client, uint64_t number,
                   struct pbft_update *update);

/* ---- slot.c: certificates ---- */

/* NULL outside of the window. */
struct slot *slot_of(const struct pbft *core, uint64_t seq);
/* A free place for a proposal, or that of one that can be forgotten, whose requests are released:
 * up to PBFT_BATCH_MAX. -1: none of that. */
int slot_make_room(struct slot *slot, struct pbft_update *update);
/* For the proposal of this digest: the one that is there, or room for it. -1: there is none. */
int slot_propose(struct slot *slot, const uint8_t digest[PBFT_DIGEST_SIZE], uint64_t view,
                 struct pbft_update *update);
/* Takes the requests into a proposal that has none. */
void proposal_fill(struct proposal *p, const struct pbft_request *requests, uint32_t count);
/* PREPARE, COMMIT and commitment, as far as the votes allow it. Up to SLOT_ACTIONS actions. */
enum { SLOT_ACTIONS = 5 };
void slot_advance(struct pbft *core, struct slot *slot, struct pbft_update *update);
/* It is committed where a quorum has said COMMIT as `vote` does. Its requests are asked for if they
 * are not here. */
void slot_decide(const struct pbft *core, struct slot *slot, const struct vote *vote,
                 struct pbft_update *update);
/* All that was there is forgotten. */
void slot_clear(struct slot *slot, uint16_t n, struct pbft_update *update);
/* In a new view: votes of older ones do not count. */
void slot_restart(struct slot *slot, uint16_t n);
bool all_authentic(const struct pbft_request *requests, uint32_t count);

/* ---- events and messages, one file each ---- */

void on_request(struct pbft *core, const struct pbft_request *request, struct pbft_update *update);
void on_forward(struct pbft *core, const struct pbft_message *m, struct pbft_update *update);
void on_pre_prepare(struct pbft *core, uint16_t peer, const struct pbft_message *m,
                    struct pbft_update *update);
void on_prepare(struct pbft *core, uint16_t peer, const struct pbft_message *m,
                struct pbft_update *update);
void on_commit(struct pbft *core, uint16_t peer, const struct pbft_message *m,
               struct pbft_update *update);
void on_checkpoint(struct pbft *core, uint16_t peer, const struct pbft_message *m);
void on_view_change(struct pbft *core, uint16_t peer, const struct pbft_message *m,
                    struct pbft_update *update);
void on_new_view(struct pbft *core, uint16_t peer, const struct pbft_message *m,
                 struct pbft_update *update);
void on_status(struct pbft *core, uint16_t peer, const struct pbft_message *m,
               struct pbft_update *update);
void on_ask_batch(struct pbft *core, uint16_t peer, const struct pbft_message *m,
                  struct pbft_update *update);
void on_batch(struct pbft *core, const struct pbft_message *m, struct pbft_update *update);
void on_ask_blocks(uint16_t peer, const struct pbft_message *m, struct pbft_update *update);
void on_block_digest(struct pbft *core, uint16_t peer, const struct pbft_message *m);
void on_block(struct pbft *core, uint16_t peer, const struct pbft_message *m,
              struct pbft_update *update);
void on_stored(struct pbft *core, const struct pbft_event *event, struct pbft_update *update);

/* ---- what the state allows ---- */

/* order.c */
void advance_window(struct pbft *core, struct pbft_update *update);
void advance_sweep(struct pbft *core, struct pbft_update *update);
void advance_execution(struct pbft *core, struct pbft_update *update);
void advance_proposals(struct pbft *core, struct pbft_update *update);
/* checkpoint.c */
/* The state after `seq` is that of block `height`, which is stored. */
void checkpoint_take(struct pbft *core, uint64_t seq, uint64_t height, struct pbft_update *update);
void checkpoint_note(struct pbft *core, uint16_t peer, const struct pbft_checkpoint *c);
/* How many others say the same. */
unsigned checkpoint_count_equal(const struct pbft *core, const struct pbft_checkpoint *c);
void advance_stable(struct pbft *core, struct pbft_update *update);
/* It is, whoever says so: older ones of ours are forgotten. */
void checkpoint_stabilise(struct pbft *core, const struct pbft_checkpoint *c,
                          struct pbft_update *update);
/* transfer.c */
void advance_transfer(struct pbft *core, struct pbft_update *update);
/* view.c */
void view_change_start(struct pbft *core, uint64_t view, struct pbft_update *update);
void advance_view(struct pbft *core, struct pbft_update *update);
/* What shows a peer our view: NEW-VIEW, or our VIEW-CHANGE. */
void view_send(struct pbft *core, uint16_t peer, struct pbft_update *update);
/* False: it holds more than a replica can have to say. */
bool change_copy(struct pbft *core, struct change *to, const struct pbft_view_change *from);
/* on_view_change.c: it could be what a correct replica says. */
bool change_is_sane(const struct pbft *core, const struct pbft_view_change *c);
/* choose.c: the decision procedure. False: these VIEW-CHANGEs do not decide every number.
 * core->found[seq - checkpoint.seq - 1] says what is proposed, up to `ret_last`. */
bool choose(struct pbft *core, const struct pbft_view_change *changes, uint32_t count,
            struct pbft_checkpoint *ret_checkpoint, uint64_t *ret_last);
/* on_new_view.c */
/* The batch that the new view has for this number, if there is one. What its requests are, is asked
 * for by advance_sweep. Releases up to PBFT_BATCH_MAX. */
void new_view_propose(struct pbft *core, struct slot *slot, struct pbft_update *update);
/* What shows the view to others: that of `changes`, and to `peer`. `signature` NULL: it is ours. */
void new_view_keep(struct pbft *core, uint64_t view, const struct pbft_view_change *changes,
                   uint32_t count, const uint8_t *signature);
void new_view_send(struct pbft *core, uint16_t peer, struct pbft_update *update);
/* What choose() has found is the choice of our view. */
void new_view_choose(struct pbft *core, const struct pbft_checkpoint *from, uint64_t last);
void new_view_enter(struct pbft *core, uint64_t view, const struct pbft_checkpoint *from,
                    uint64_t last, struct pbft_update *update);
/* suspect.c */
void advance_suspicion(struct pbft *core, struct pbft_update *update);
/* status.c */
void status_send(struct pbft *core, uint16_t peer, struct pbft_update *update);
/* A batch of this slot may be sent to that one (again), and is taken to be: not while the last one
 * is under way. */
bool batch_may_go(const struct pbft *core, uint16_t peer, struct slot *slot);
void advance_status(struct pbft *core, struct pbft_update *update);
/* drain.c: something is under way, or will be. */
bool is_busy(const struct pbft *core);
/* Also sets update->drained. */
void on_drain(struct pbft *core, struct pbft_update *update);
void advance_drain(struct pbft *core, struct pbft_update *update);
