#pragma once

/*
 * All connections of a replica: the listener, clients, and one connection to each other replica (of
 * two replicas the one with the higher index connects; it tries again, with growing pauses and
 * jitter, for as long as the process lives). Strangers must say HELLO of this run in time.
 *
 * What arrives is handed to the owner frame by frame; what is sent goes out together at the end of
 * a round of the loop. An answer for a client that has gone is dropped.
 *
 * With keys (`identity`), who is at the other end is proven by a handshake, and every frame after
 * it is sealed (lib/handshake.h): what reaches the owner as a peer's or a loader's is from it,
 * whole, once and in order. A peer that is connected is replaced only by one that has proven to be
 * the same. Without keys, whoever knows the run id can speak as any replica.
 *
 * Threads: one, that of the loop.
 */

#include "executor/transport/blob.h"
#include "executor/transport/connection.h"
#include "executor/transport/loop.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/identity.h"
#include "lib/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct transport;

enum { TRANSPORT_MONITOR = UINT16_MAX };

struct transport_address {
    const char *host; /* name or number */
    uint16_t port;
};

struct transport_config {
    const char *run;
    const struct identity *identity; /* borrowed; NULL: nothing is authenticated */
    uint16_t replica;
    uint16_t n;
    const struct transport_address *addresses; /* of all n, where they are reached */
    const char *listen_host;                   /* where this one listens, at its port */
    /* For strangers to say HELLO, and how many connections there may be; 0: as limits.h has it. */
    uint32_t hello_ms, connections_max;
};

struct transport_events {
    void *context;
    void (*peer_up)(void *context, uint16_t peer);
    void (*peer_down)(void *context, uint16_t peer);
    /* A client connection is accepted, and has these clients; with keys they are its loader's. */
    void (*client_up)(void *context, uint64_t origin, const struct wire_clients *clients);
    /* Error: the peer is disconnected (peer_down follows). */
    int (*peer_frame)(void *context, uint16_t peer, const struct frame *frame, struct error *err);
    /* `origin` names the connection, also when it has gone. Error: it is closed. `loader` is whose
     * it is with keys, TRANSPORT_MONITOR of one that may only ask for the status. */
    int (*client_frame)(void *context, uint64_t origin, uint16_t loader, const struct frame *frame,
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
 * called again at the latest. What its events queue meanwhile is sent in the next round. */
struct instant transport_round(struct transport *t);

/* Nothing happens if the peer is not up, or the client has gone. */
void transport_send_peer(struct transport *t, uint16_t peer, const void *head, size_t head_size,
                         struct blob *blob, size_t offset);
void transport_send_client(struct transport *t, uint64_t origin, const void *frame, size_t size);
/* The same of a frame whose end is a blob. */
void transport_send_client_blob(struct transport *t, uint64_t origin, const void *head,
                                size_t head_size, struct blob *blob);
/* Once what is queued for it is out; until then nothing is heard from it any more. */
void transport_dismiss_client(struct transport *t, uint64_t origin, const char *why);
void transport_disconnect_peer(struct transport *t, uint16_t peer, const char *why);

/* Bytes that wait to be sent to it. */
uint64_t transport_queued(const struct transport *t, uint16_t peer);
/* Connections, and bytes: that wait to be sent, and of frames that have begun to come. */
struct transport_stats {
    uint32_t peers, clients, strangers; /* those who have not said who they are, or must go */
    uint64_t peer_bytes, client_bytes, partial_bytes;
};
void transport_get_stats(const struct transport *t, struct transport_stats *ret);
/* Something is queued that is not sent. */
bool transport_unsent(const struct transport *t);
