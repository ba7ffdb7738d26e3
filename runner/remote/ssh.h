#pragma once

/*
 * One SSH connection over a connected socket, and its channels: the door to libssh2. Nothing here
 * blocks; who owns the connection polls.
 *
 * libssh2 keeps a packet that could only be sent in part as a debt of whoever sent it: until that
 * same call is repeated, no other may be made. So it never sees a full socket: what it sends goes
 * to a buffer of ours, which ssh_flush empties, and which the owner keeps small by not asking for
 * more while ssh_unsent is large. What it receives comes from a buffer of ours too: reading ahead
 * saves system calls, and handing on only SSH_READ_BYTES at a time keeps libssh2 from turning all
 * of it into packets on its heap before the first is passed on.
 *
 * Returns: 0 done; SSH_AGAIN not yet: the same call, with the same arguments, once something was
 *          received; SSH_NO the other side said no, with `err` set to what it said.
 * Errors:  ERROR_UNREACHABLE the connection broke; ERROR_INVALID not SSH, or not as it is spoken;
 *          ERROR_REFUSED no algorithm in common; ERROR_LIMIT it made us hold too much. After one,
 *          only ssh_free.
 * Threads: a connection and its channels belong to one thread.
 * Source:  RFC 4251 to 4254; OpenSSH's PROTOCOL.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SSH_AGAIN = 1, SSH_NO = 2 };

enum {
    SSH_READ_BYTES = 64 * 1024,         /* taken in by one call */
    SSH_READ_AHEAD_BYTES = 256 * 1024,  /* by one system call */
    SSH_UNSENT_HIGH = 512 * 1024,       /* more should not be asked for */
    SSH_UNSENT_MAX = 8 * 1024 * 1024,   /* it does not read what it asked for */
    SSH_BANNER_MAX = 16 * 1024,         /* of text before its version */
    SSH_MEMORY_MAX = 256 * 1024 * 1024, /* of libssh2, for one connection */
    SSH_LISTEN_QUEUE_MAX = 64,          /* not yet accepted */
};

struct ssh;
struct ssh_channel;
struct ssh_listener;

/* Lists of names, most wanted first. NULL: ours. */
struct ssh_algorithms {
    const char *kex, *host_key, *ciphers, *macs;
    bool compression;
};

/* Our own lists, for those who change them. */
extern const struct ssh_algorithms ssh_algorithms_ours;

/* Takes the socket. */
int ssh_new(int fd, const struct ssh_algorithms *algorithms, struct ssh **ret, struct error *err);
/* Without a farewell. What is left of channels and listeners goes by their `drop`. */
void ssh_free(struct ssh *ssh);
static inline void ssh_freep(struct ssh **ssh) {
    ssh_free(*ssh);
}
/* Says that we leave, as far as the socket takes it. */
void ssh_farewell(struct ssh *ssh);

/* ---- the socket ---- */

int ssh_fd(const struct ssh *ssh);
/* What to poll for. */
short ssh_events(const struct ssh *ssh);
/* What poll found. */
void ssh_polled(struct ssh *ssh, short revents);
/* There are bytes that need no poll: go on at once. */
bool ssh_has_input(const struct ssh *ssh);
int ssh_flush(struct ssh *ssh, struct error *err);
size_t ssh_unsent(const struct ssh *ssh);
/* All bytes that ever came. */
uint64_t ssh_received(const struct ssh *ssh);

/* ---- beginning ---- */

int ssh_handshake(struct ssh *ssh, struct error *err);
/* The first line that it said before its version, harmless; "". Returns `text`. */
const char *ssh_greeting(const struct ssh *ssh, char *text, size_t size);
/* It ended, or broke, before it said its version. */
bool ssh_ended_before_banner(const struct ssh *ssh);
const void *ssh_host_key(struct ssh *ssh, size_t *ret_size);
/* "aes128-ctr hmac-sha2-256 curve25519-sha256 ssh-ed25519". Returns `text`. */
const char *ssh_methods(struct ssh *ssh, char *text, size_t size);

/* `ret_methods` "publickey,password", borrowed; NULL: we are in without any. */
int ssh_login_methods(struct ssh *ssh, const char *user, const char **ret_methods,
                      struct error *err);
struct ssh_key {
    const void *blob;
    size_t blob_size;
    const char *algorithm; /* instead of the blob's own name */
    /* 0 and the whole signature blob, malloc()ed; or -1 with `err` set. */
    int (*sign)(void *arg, const void *data, size_t size, unsigned char **ret, size_t *ret_size,
                struct error *err);
    void *arg;
};
int ssh_login_key(struct ssh *ssh, const char *user, const struct ssh_key *key, struct error *err);

/* ---- channels ---- */

/* One may be on its way at a time. `payload` is what follows the common fields. */
int ssh_open(struct ssh *ssh, const char *type, const void *payload, size_t payload_size,
             uint32_t window_bytes, struct ssh_channel **ret, struct error *err);
/* A channel of a type that nobody knows, to hear that somebody is there. Counts as one on its way;
 * 0 when it answered. */
int ssh_probe(struct ssh *ssh, struct error *err);
/* For when an ssh_open is on its way: something to acknowledge, or to answer; but libssh2 keeps
 * such answers for ever. */
int ssh_nudge(struct ssh *ssh, bool answer, struct error *err);

int ssh_terminal(struct ssh_channel *channel, const char *term, int columns, int rows,
                 struct error *err);
int ssh_terminal_resize(struct ssh_channel *channel, int columns, int rows, struct error *err);
int ssh_start(struct ssh_channel *channel, const char *command, struct error *err);

/* Takes in what has come, for all channels; so do the calls that may say SSH_AGAIN. */
int ssh_drive(struct ssh_channel *channel, struct error *err);
/* Of what was taken in. `stream`: 0, or 1 for errors. Up to SSH_READ_BYTES, always:
 * see ssh_drive. 0: none now. */
ssize_t ssh_read(struct ssh_channel *channel, int stream, void *data, struct error *err);
/* There may be something of it. Cheap. */
bool ssh_readable(struct ssh_channel *channel, int stream);
/* There certainly is something on stream 0. */
bool ssh_waiting(struct ssh_channel *channel);
/* It sends no more, and all that it sent was read. */
bool ssh_ended(struct ssh_channel *channel);
/* It is closed on its side: neither sends nor receives. */
bool ssh_closed(struct ssh_channel *channel);

/* What the other side is ready to take. */
size_t ssh_room(struct ssh_channel *channel);
/* How many were taken. */
ssize_t ssh_write(struct ssh_channel *channel, const void *data, size_t size, struct error *err);
int ssh_end(struct ssh_channel *channel, struct error *err);

/* `signal` is "" unless one ended it. */
void ssh_exit(struct ssh_channel *channel, int *ret_code, char *signal, size_t signal_size);
/* Closes it and waits for the other side to do so. Afterwards, but for SSH_AGAIN, it is gone. */
int ssh_channel_free(struct ssh_channel *channel);
/* For the end of the connection, which ends the channel too. */
void ssh_channel_drop(struct ssh_channel *channel);

/* ---- listening there ---- */

int ssh_listen(struct ssh *ssh, const char *address, uint16_t port, uint16_t *ret_port,
               struct ssh_listener **ret, struct error *err);
/* NULL: nobody now. */
struct ssh_channel *ssh_accept(struct ssh_listener *listener);
int ssh_unlisten(struct ssh_listener *listener);
void ssh_listener_drop(struct ssh_listener *listener);
