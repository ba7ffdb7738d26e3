#pragma once

/*
 * Inside of the running replica: what its files share. The shell brings the core events and carries
 * out its actions, in their order: replica.c is its life and its loop, actions.c does what the core
 * wants, from_peers.c takes what other replicas say, from_clients.c what clients say; execute.c
 * executes ahead of the order.
 *
 * A round of the loop: whatever has come is stepped through the core, event by event; then
 * PBFT_FLUSH, so that the primary proposes what has gathered; then the protocol log is on the disk
 * as far as that was asked for; and only then everything that was queued goes out.
 */

#include "executor/ahead.h"
#include "executor/auth.h"
#include "executor/clients.h"
#include "executor/metrics.h"
#include "executor/pbft/codec.h"
#include "executor/pbft/pbft.h"
#include "executor/place.h"
#include "executor/pre_execution.h"
#include "executor/protocol_log.h"
#include "executor/replica.h"
#include "executor/request.h"
#include "executor/stages.h"
#include "executor/storage.h"
#include "executor/transfer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Requests of a peer that its next PRE-PREPARE or BATCH is of. */
struct gathered {
    struct pbft_request requests[PBFT_BATCH_MAX];
    uint32_t count;
    uint64_t bytes;
};

struct replica {
    const struct replica_options *options;
    const struct place *place;
    struct loop loop;
    struct transport *transport;
    struct storage *storage;
    struct pre_execution *pre_execution;
    struct ahead *ahead;
    struct watch storage_watch;
    struct watch pre_execution_watch;
    struct watch signal_watch;
    struct sha256 hash;
    struct request_checker checker;
    struct auth auth;
    struct clients *clients;
    struct codec_room *room;
    struct gathered *gathered; /* by replica */
    struct transfer *transfer;
    struct protocol_log *log; /* NULL: --store memory */
    struct pbft_config config;
    void *core_memory;
    struct pbft *core;
    struct pbft_update *update; /* of the step that is carried out */
    bool stepping;
    bool stepped; /* since the last PBFT_FLUSH */
    bool drained;
    bool storage_failed; /* the store, or the protocol log; the core knows it, or is told next */
    bool log_failed;     /* what the core says from then on is not said */
    bool stopping;       /* a signal said so */
    uint32_t reads;      /* that wait for their time or for the store */
    bool read_failed;    /* one, and the log has it */
    uint64_t timer_ns;
    uint64_t now_ns; /* of the last step */
    struct replica_counts counts;
    struct replica_metrics *metrics; /* NULL: nobody asked for them */
    struct stages *stages;           /* NULL: the same */
    uint64_t *stored_ns;             /* when those were stored whose answers go out next */
    uint32_t stored_count;
    bool traces;                 /* what the core does is in the log */
    uint8_t digest[SHA256_SIZE]; /* of the last stored block */
};

static inline const struct handler *handler_of(const struct replica *r) {
    return r->options->ledger.handler;
}

/* replica.c: the event, and what follows from it at once. */
void step(struct replica *r, struct pbft_event *event);
/* Nothing can be stored any more. */
void storing_failed(struct replica *r, const struct error *why);

/* actions.c */
void carry_out(struct replica *r, const struct pbft_action *action);
/* To whom the request came from, or to where its client is. */
void send_reply(struct replica *r, uint64_t origin, struct wire_reply *reply);
/* What the request has read, if that is the answer; before its reply. Gives `answer` back. */
void send_value(struct replica *r, const struct request *request, uint64_t height,
                struct blob *answer);
/* Of a request or of a block. */
void release_handle(void *context, uint64_t handle);

/* from_peers.c */
void on_peer_up(void *context, uint16_t peer);
void on_peer_down(void *context, uint16_t peer);
int on_peer_frame(void *context, uint16_t peer, const struct frame *frame, struct error *err);
void drop_gathered(struct replica *r, uint16_t peer);

/* from_clients.c */
void on_client_up(void *context, uint64_t origin, const struct wire_clients *clients);
int on_client_frame(void *context, uint64_t origin, uint16_t loader, const struct frame *frame,
                    struct error *err);
void order(struct replica *r, struct request *request);
/* Takes it. */
void refuse(struct replica *r, struct request *request, enum wire_reply_status status,
            const char *why);
/* A read-only request whose time has been spent. */
void read_now(struct replica *r, struct request *request);
/* Reads that the store has served. */
void take_reads(struct replica *r);
void goes_on(struct replica *r, struct request *request, enum stage stage);

/* execute.c: executing ahead of the order (ahead.h). */
void open_ahead(struct replica *r);
/* By the primary, if the client wants that. False: it does not, or that was done; order it. */
bool execute_ahead(struct replica *r, struct request *request);
/* The bytes that go before a request say that it was executed ahead: looks at them, and whether
 * that is so. ERROR_INVALID, ERROR_REFUSED. */
int take_endorsed(struct replica *r, struct request *request, const uint8_t *bytes, size_t size,
                  struct error *err);
/* The time of a read-only request. False: too many wait. */
bool spend_time_of_read(struct replica *r, struct request *request);
/* What the threads have done. */
void take_executed(struct replica *r);
/* The store has looked up what it would read. */
void read_set_there(struct replica *r, const struct storage_read *read);
