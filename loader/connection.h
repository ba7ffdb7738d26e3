#pragma once

/*
 * A non-blocking TCP connection to one replica: connect, greeting, frames in, bytes out. It never
 * waits; its owner watches `fd` for the `events` and calls connection_ready for the greeting, and
 * reads and writes itself afterwards. With keys, the greeting proves who both are, and every frame
 * is sealed from then on (lib/handshake.h): those that come are opened here, those that go are
 * sealed by the owner.
 *
 * Memory is bounded: a frame larger than any that a replica may send us is an error before it is
 * read, so one buffer of fixed size holds whatever is on its way.
 *
 * Errors (each names the replica and its address): ERROR_UNREACHABLE (worth another try);
 * ERROR_INVALID (not our protocol) and ERROR_REFUSED (it does not want us), which are not.
 */

#include "lib/error.h"
#include "lib/handshake.h"
#include "lib/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct endpoint {
    char *name;    /* of the container */
    char *address; /* as people write it: host:port */
    struct sockaddr_storage socket_address;
    socklen_t socket_address_size;
};

enum connection_state {
    CONNECTION_CLOSED,
    CONNECTION_CONNECTING,
    CONNECTION_GREETING,
    CONNECTION_PROVEN, /* we are, and wait for WELCOME */
    CONNECTION_READY,
};

struct connection {
    const struct endpoint *peer;     /* borrowed */
    uint16_t index;                  /* of the replica that must answer there */
    const char *run;                 /* borrowed */
    uint64_t id;                     /* ours, for the replica's log; with keys our index */
    struct wire_clients clients;     /* who is answered on it */
    const struct identity *identity; /* borrowed; NULL: without keys */
    struct handshake handshake;
    struct seal seal; /* SEAL_NULL without keys */

    int fd; /* -1 when closed */
    enum connection_state state;
    struct wire_hello_answer answer; /* once ready */

    uint8_t *in;
    size_t in_begin, in_end; /* read, and not yet given out */
};

void connection_init(struct connection *c, const struct endpoint *peer, uint16_t index,
                     const char *run, uint64_t id, const struct wire_clients *clients,
                     const struct identity *identity);
void connection_deinit(struct connection *c);

/* Starts to connect. The socket is new in every attempt. */
int connection_open(struct connection *c, struct error *err);
void connection_close(struct connection *c);
/* What to watch for before it is ready: EPOLLIN or EPOLLOUT. */
uint32_t connection_greeting_events(const struct connection *c);
/* Goes on with connect and greeting after an event. The state says how far it came. */
int connection_ready(struct connection *c, struct error *err);

/* Reads once what is there. 0, or a fault; the end of the stream is one. */
int connection_read(struct connection *c, struct error *err);
/* The next whole frame: 1 (its body is borrowed until the next read), 0 when there is none. */
int connection_frame(struct connection *c, struct wire_header *ret, const uint8_t **ret_body,
                     struct error *err);

/* `ret_bytes` are gone; fewer than asked when the kernel's buffer is full. */
int connection_write(struct connection *c, const struct iovec *vectors, int count,
                     size_t *ret_bytes, struct error *err);

/* Says which replica the error is about. */
#define connection_error(c, err) error_minus_one(connection_error_text((c), (err)))
void connection_error_text(const struct connection *c, struct error *err);
