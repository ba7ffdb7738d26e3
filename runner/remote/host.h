#pragma once

/*
 * A host: a machine that runs containers, this one or one reached over SSH. Whoever has opened one
 * sees no difference: an address where its Docker Engine answers, commands, files, forwards.
 *
 * Over SSH a host has one connection, which a thread of its own keeps: engine connections,
 * commands, transfers and forwards are channels of it. In front of the remote engine stands a unix
 * socket in a private folder (0700), so that libcurl, and any Docker client, talks to it as to a
 * local one. When the connection breaks it is made again with back-off; what was under way fails
 * with ERROR_UNREACHABLE, and host_await says when it may be tried again.
 *
 * Errors:  ERROR_UNREACHABLE (cannot be reached, or the connection broke), ERROR_REFUSED (host key,
 * user or key not accepted, or a forward), ERROR_TIMEOUT, ERROR_CANCELLED, ERROR_LIMIT,
 * ERROR_INVALID (not SSH), ERROR_CONFIG; with the host's name and, as a hint, what to do. Threads:
 * every function from any thread, several at once; host_open and host_close from one.
 */

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/stream.h"
#include "lib/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host;

enum host_unknown_keys {
    HOST_UNKNOWN_REFUSE,     /* unless ~/.ssh/config says otherwise by StrictHostKeyChecking */
    HOST_UNKNOWN_ACCEPT_NEW, /* and remember them in the user's known_hosts */
};

struct host_options {
    const char *name;   /* in messages, and of its socket */
    const char *ssh;    /* "[user@]host[:port]", or a name of ~/.ssh/config; NULL: this machine */
    const char *engine; /* this machine: as DOCKER_HOST; over SSH: the socket's path there. NULL:
                           the default */
    const char *identity_file; /* before those of ~/.ssh/config; or NULL */
    const char *host_key; /* the only key accepted: "ssh-ed25519 AAAA...", or "SHA256:..."; or NULL.
                             Two while one takes the other's place: a line for each */
    enum host_unknown_keys unknown_keys;
    const char *config_file;     /* instead of ~/.ssh/config and the system's; or NULL */
    uint64_t connect_timeout_ns; /* 0: 15 s */
};

/* Connects and authenticates (over SSH), but asks nothing of the engine. Copies the options. */
int host_open(const struct host_options *options, const struct task *task, struct host **ret,
              struct error *err);
/* Ends what runs over it, closes the connection, removes its sockets. */
void host_close(struct host *host);
static inline void host_closep(struct host **host) {
    host_close(*host);
}

const char *host_name(const struct host *host);
bool host_is_local(const struct host *host);

/* The machine on which its commands run is the engine's own; else the engine's is reached by the
 * engine's API alone (DOCKER_HOST says tcp://). */
bool host_is_of_engine(const struct host *host);

/* For engine_open: "unix:///run/user/0/seatrial-x/r1.sock", or as DOCKER_HOST was. */
const char *host_engine(const struct host *host);
/* The path of its socket there, for commands; NULL for this machine. */
const char *host_engine_socket(const struct host *host);

/*
 * Whether the engine there takes connections. What a client only knows as a broken connection is
 * said here: ERROR_UNREACHABLE no engine listens now, ERROR_REFUSED this user has no way to it
 * (clients are told that by an HTTP answer too). For this machine: 0, ask the engine itself.
 */
int host_check_engine(struct host *host, const struct task *task, struct error *err);

/* How the SSH configuration resolved it, for the inventory; NULL for this machine. */
struct host_ssh {
    const char *user, *address;
    uint16_t port;
    const char *identity_file; /* that let us in; NULL: the agent's */
    const char *proxy_jump;    /* or NULL */
};
const struct host_ssh *host_ssh(const struct host *host);

/* 0 once there is a connection, waiting at most as long as the task; 1: it was never lost.
 * ERROR_REFUSED when the host now refuses us: waiting is of no use. */
int host_await(struct host *host, const struct task *task, struct error *err);

/* How often the connection was lost and made again. */
uint64_t host_reconnects(const struct host *host);

/* sshd has refused a session (MaxSessions), so that commands wait for one another: one that can be
 * done without should not go on for long. */
bool host_is_short_of_sessions(const struct host *host);
/* Its engine is reached by a command there, so that each connection to it is a session. */
bool host_engine_takes_sessions(const struct host *host);

/* ---- commands ---- */

struct host_exec {
    const char *command;        /* for the user's login shell; as sh(1) reads it. With a terminal
                                   also NULL: that shell itself */
    const struct source *input; /* NULL: none */
    const int *input_fd;        /* or what is read from this, when there is something: pipes,
                                   terminals, sockets */
    const struct sink *output;  /* NULL: dropped; their callbacks run on the caller's thread */
    const struct sink *errors;  /* NULL: the last 4 KiB go to `ret->errors` */
    bool terminal;              /* this process's own instead of the three, which are NULL then; for
                                   `seatrial ssh` */
};
struct host_exec_result {
    int exit_code; /* -1: ended by a signal */
    char signal[16];
    char errors[4096]; /* the end of stderr, harmless */
};
/* Runs it to its end: 0, whatever its exit code. 1: a sink wanted no more. A command that is cut
 * off, by the task or a sink, is hung up on (and, here, killed with its process group). */
int host_exec(struct host *host, const struct host_exec *exec, const struct task *task,
              struct host_exec_result *ret, struct error *err);

/* Its output as text of at most `size_max` bytes; an exit code other than 0 is ERROR_FAILED with
 * what it said. */
struct buffer;
int host_exec_text(struct host *host, const char *command, size_t size_max, const struct task *task,
                   struct buffer *ret, struct error *err);

/* `text` as one word of a command line. malloc()ed. Pure. */
char *host_quote(const char *text);

/* ---- files ---- */

/* Writes `path` as a whole or not at all; folders in front are made. */
int host_put(struct host *host, const char *path, unsigned mode, const struct source *content,
             const struct task *task, struct error *err);
/* 1 when there is no such file. */
int host_get(struct host *host, const char *path, const struct sink *content,
             const struct task *task, struct error *err);

/* ---- clock ---- */

struct host_clock {
    int64_t offset_ns;     /* its wall clock minus ours */
    uint64_t uncertain_ns; /* half of the round trip of the best sample */
};
int host_clock_offset(struct host *host, const struct task *task, struct host_clock *ret,
                      struct error *err);

/* ---- forwards; they end with the host, or by host_forward_close before that ---- */

struct host_forward;
/* Listens here (port 0: any; or a unix socket's path, which is removed at the end) and connects
 * there. For this machine: ERROR_CONFIG. */
struct host_endpoint {
    const char *unix_socket; /* or */
    const char *address;
    uint16_t port;
};
int host_forward_local(struct host *host, const struct host_endpoint *here,
                       const struct host_endpoint *there, const struct task *task,
                       struct host_forward **ret, struct error *err);
/* Listens there, connects here. There only TCP: libssh2 cannot ask for a unix socket. It listens
 * again, on the same port, after a reconnect. */
int host_forward_remote(struct host *host, const struct host_endpoint *there,
                        const struct host_endpoint *here, const struct task *task,
                        struct host_forward **ret, struct error *err);
/* The port that was found for 0. */
uint16_t host_forward_port(const struct host_forward *forward);
void host_forward_close(struct host_forward *forward);
