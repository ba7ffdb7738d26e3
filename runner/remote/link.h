#pragma once

/*
 * One channel of a connection and its end on this side: a descriptor that is pumped both ways, half
 * closed as the other half is, with what could not be passed on yet kept, at most one piece each
 * way. Backpressure is the rest: what the descriptor does not take is not read from the channel, so
 * its window closes; what the channel has no room for is not read from the descriptor.
 *
 * Threads: those of one connection belong to its thread.
 */

#include "lib/buffer.h"
#include "lib/clock.h"
#include "runner/remote/job.h"
#include "runner/remote/ssh.h"

#include <poll.h>

enum link_state {
    LINK_WAITING,  /* for its turn to open */
    LINK_OPENING,  /* its channel is the one on its way */
    LINK_STARTING, /* the terminal and the command are asked for */
    LINK_RUNNING,
    LINK_REFUSING, /* an engine connection that gets an explanation instead */
    LINK_CLOSING,  /* until the other side agrees */
    LINK_GONE,
};

enum {
    LINK_WINDOW_BYTES = 1024 * 1024,     /* more makes sshd slower, see docs/REMOTE.md */
    LINK_WINDOW_FEW = 16,                /* so many channels have it; others: */
    LINK_WINDOW_BYTES_MANY = 256 * 1024, /* so that all of them are bounded */
    LINK_PIECE_BYTES = SSH_READ_BYTES,
    LINK_CAPTURE_MAX = 4096,
};

struct link {
    enum link_state state;
    bool engine;  /* to the engine, by the way that is found for it */
    bool session; /* runs a command, so sshd counts it by MaxSessions */
    bool capture; /* keeps output instead of passing it on */
    struct ssh_channel *channel;
    int fd, errors_fd; /* -1: none, or no longer */
    short revents;     /* of fd */
    size_t fd_at;      /* where fd is among those that are polled */
    struct job *job;   /* or NULL */

    char type[40];
    struct buffer payload;
    char *command;         /* of a session */
    struct error *refusal; /* while it is REFUSING: why */
    bool has_terminal;
    int columns, rows;
    struct instant since; /* in this state; while it waits: from the beginning */

    struct buffer up, down, down_errors; /* what is left of a piece */
    struct buffer captured;
    bool up_ended, end_sent, down_ended, errors_ended;
    bool hung_up;  /* nobody is at the descriptor any more */
    bool unwanted; /* to be closed as soon as it can be */
};

/* Takes the descriptors (or -1). */
struct link *link_new(int fd, int errors_fd);
/* Drops the channel, too: for the end of the connection. */
void link_free(struct link *link);

/* As "direct-tcpip" or "direct-streamlocal@openssh.com". */
void link_to(struct link *link, const struct destination *destination);
/* Takes the command. */
void link_run(struct link *link, char *command);

void link_enter(struct link *link, enum link_state state);

/* What to poll its descriptors for. */
short link_events(const struct link *link, const struct ssh *ssh);
short link_errors_events(const struct link *link);

/* Moves what can be moved; `scratch` of LINK_PIECE_BYTES. 1: it is finished, and is to be closed.
 */
int link_pump(struct link *link, struct ssh *ssh, char *scratch, struct error *err);
/* LINK_STARTING. 0, SSH_AGAIN, SSH_NO, -1. */
int link_start(struct link *link, struct error *err);
/* Answers the HTTP request that will come by saying why: 403 when this will not change by itself
 * (ERROR_REFUSED), else 503. */
void link_begin_refusing(struct link *link, const struct error *why);
/* LINK_REFUSING. 1: finished. */
int link_refuse(struct link *link, char *scratch);
