#pragma once

/*
 * All connections of a replica: the listener, clients, and one connection to each other replica (of
 * two replicas the one with the higher index connects; it tries again, with growing pauses and
 * jitter, for as long as the process lives). Strangers must say HELLO of this run in time.
 *
 * What arrives is handed to the owner frame by frame; what is sent goes out together at the end of
 * a round of the loop. An answer for a client that has gone is dropped.
 *
 * Authentication comes with a later issue: whoever knows the run id can speak as any replica.
 *
 * Threads: one, that of the loop.
 */

#include "executor/transport/blob.h"
#include "executor/transport/connection.h"
#include "executor/transport/loop.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct transport;

struct transport_address {
    const char *host; /* name or number */
    uint16_t port;
};

struct transport_config {
    const char *run;
    uint16_t replica;
    uint16_t n;
    const struct transport_address *addresses; /* of all n, where they are reached */
    const char *listen_host;                   /* where this one listens, at its port */
    uint32_t hello_ms; /* for strangers to say HELLO; 0: as limits.h has it */
};

struct transport_events {
    void *context;
    void (*peer_up)(void *context, uint16_t peer);
    void (*peer_down)(void *context, uint16_t peer);
    /* Error: the peer is disconnected (peer_down follows). */
    int (*peer_frame)(void *context, uint16_t peer, const struct frame *frame, struct error *err);
    /* `origin` names the connection, also when it has gone. Error: it is closed. */
    int (*client_frame)(void *context, uint64_t origin, const struct frame *frame,
                        struct error *err);
    /* What an accepted HELLO is answered with: primary and f. */
    void (*hello)(void *context, struct wire_hello_answer *answer);
    /* For the log. */
    void (*note)(void *context, bool warning, const char *text);
};

/* Listens when it returns. Borrows `config` (its strings too) and the loop. Errors: ERROR_CONFLICT
 * (the port is in use), ERROR_CONFIG (an address that is none), ERROR_IO. */
int transport_open(struct loop *loop, const struct transport_config *config,
                   const struct transport_events *events, struct transport **ret,
                   struct error *err);
void transport_free(struct transport *t);
DEFINE_CLEANUP_FREE(transport);

/* Sends what is queued and does what is due. Called once per round; returns when it wants to be
 * called again at the latest. */
struct instant transport_round(struct transport *t);

/* Nothing happens if the peer is not up, or the client has gone. */
void transport_send_peer(struct transport *t, uint16_t peer, const void *head, size_t head_size,
                         struct blob *blob, size_t offset);
void transport_send_client(struct transport *t, uint64_t origin, const void *frame, size_t size);
void transport_disconnect_peer(struct transport *t, uint16_t peer, const char *why);

/* Something is queued that is not sent. */
bool transport_unsent(const struct transport *t);
