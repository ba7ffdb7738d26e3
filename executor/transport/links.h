#pragma once

/* Inside of the transport: what its files share. transport.c keeps the connections, greeting.c
 * what is said first, dial.c the way to other replicas. */

#include "executor/transport/transport.h"

#include "lib/handshake.h"

enum link_state {
    LINK_CONNECTING, /* connect() is under way */
    LINK_GREETING,   /* we have sent HELLO and wait for the answer */
    LINK_PROVEN,     /* we have proven who we are and wait for WELCOME */
    LINK_STRANGER,   /* it has connected and owes us a HELLO */
    LINK_PROVING,    /* it has said who it is and owes us the proof */
    LINK_CLIENT,
    LINK_MONITOR, /* may ask for the status only */
    LINK_PEER,
    LINK_CLOSING, /* refused: closed once the answer is out */
};

struct link {
    struct connection connection; /* first: a connection is its link */
    struct transport *transport;
    enum link_state state;
    uint16_t peer;               /* CONNECTING, GREETING, PROVEN, PEER; of a client, its loader */
    struct instant opened;       /* for the HELLO's time */
    struct handshake *handshake; /* under way; NULL */
    enum wire_role role;         /* PROVING: what it is going to be */
    struct wire_clients clients; /* of a client connection */
    uint32_t index;              /* in transport->links */
    bool dirty;                  /* has something to send */
    uint64_t unsent;             /* its part of transport->unsent */
    char where[64];              /* the other side's address */
    char doom[64];               /* why it is closed as soon as nobody is inside of it; "" if not */
};

struct slot {
    struct link *link; /* NULL: free */
    uint32_t generation;
};

struct dial {
    struct link *link; /* PEER, or on the way to it; NULL */
    struct instant next;
    uint32_t pause_ms;
    bool noted; /* that it cannot be reached, since it was last up */
};

struct transport {
    struct loop *loop;
    struct transport_config config;
    struct transport_events events;
    struct watch listener;
    bool accepting;
    struct instant accept_again; /* no descriptors were left */
    struct receive_room room;
    struct slot *links;
    uint32_t link_count; /* used */
    uint32_t turn;       /* of the link that may have to make room next */
    uint32_t *free_slots;
    uint32_t free_count;
    uint32_t *dirty;
    uint32_t dirty_count;
    uint64_t unsent;    /* bytes that wait for others than peers, as of when they were flushed */
    struct link **dead; /* freed when the round ends */
    uint32_t dead_count;
    struct dial *dials; /* by replica */
    uint64_t random;
    struct instant due;
};

void transport_note(struct transport *t, bool warning, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Gives the link its place and watches it; takes the descriptor. NULL: too many (closed). */
struct link *link_new(struct transport *t, int fd, enum link_state state, uint32_t events);
/* `why` may be NULL: nothing to note. */
void link_close(struct link *link, const char *why);
void link_send(struct link *link, const void *frame, size_t size);
/* How its owner knows it. */
uint64_t link_origin(const struct link *link);
/* It has become (or ceased to be) the connection to its peer. */
void link_up(struct link *link);
/* It is done, or given up. */
void link_forget_handshake(struct link *link);

/* greeting.c: a frame of a link that is not CLIENT or PEER yet. */
int greeting_frame(struct link *link, const struct frame *frame, struct error *err);
void greeting_begin(struct link *link);

/* dial.c */
void dial_due(struct transport *t, struct instant now);
void dial_connected(struct link *link);
/* Try again after a pause. */
void dial_later(struct transport *t, uint16_t peer);
struct addrinfo;
int address_resolve(const char *host, uint16_t port, bool passive, struct addrinfo **ret,
                    struct error *err);
void socket_options(int fd);
