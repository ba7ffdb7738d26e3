#pragma once

/*
 * A host's connection, kept by a thread of its own: it logs in, serves what others ask of it and
 * whoever connects to its sockets, notices when the connection is dead, fails what ran over it and
 * makes it again with back-off.
 *
 * The loop is in tunnel_loop.c, engine connections in tunnel_engine.c, forwards in forward.c.
 *
 * Threads: tunnel_open and tunnel_close from one; the others from any.
 */

#include "runner/remote/host.h"
#include "runner/remote/job.h"
#include "runner/remote/target.h"

struct tunnel;

struct tunnel_options {
    struct target *target;     /* taken */
    struct tunnel *jump;       /* taken: through which it goes; or NULL */
    const char *socket_name;   /* of its local socket; NULL: none is needed */
    const char *engine_socket; /* there */
    const char *host_key;
    enum host_unknown_keys unknown_keys;
    uint64_t connect_timeout_ns; /* 0: the target's, else 15 s */
};

/* Returns once it is logged in. */
int tunnel_open(struct tunnel_options *options, const struct task *task, struct tunnel **ret,
                struct error *err);
void tunnel_close(struct tunnel *tunnel);
static inline void tunnel_closep(struct tunnel **tunnel) {
    tunnel_close(*tunnel);
}

/* Of its local socket. */
const char *tunnel_socket(const struct tunnel *tunnel);
const char *tunnel_engine_socket(const struct tunnel *tunnel);
const struct target *tunnel_target(const struct tunnel *tunnel);
const char *tunnel_identity_file(const struct tunnel *tunnel);
uint64_t tunnel_reconnects(struct tunnel *tunnel);
/* As host.h says. */
bool tunnel_is_short_of_sessions(const struct tunnel *tunnel);
bool tunnel_engine_takes_sessions(const struct tunnel *tunnel);

/* Hands a job over, and waits for its end. */
int tunnel_run(struct tunnel *tunnel, struct job *job, const struct task *task, struct error *err);
/* The same in two parts. ERROR_UNREACHABLE at once while there is no connection, unless it awaits
 * one. */
int tunnel_submit(struct tunnel *tunnel, struct job *job, struct error *err);
int tunnel_wait(struct tunnel *tunnel, struct job *job, const struct task *task, struct error *err);
void tunnel_abandon(struct tunnel *tunnel, struct job *job);
/* Something of a job has changed: its terminal's size. */
void tunnel_wake(struct tunnel *tunnel);

/* A stream to an address as seen from there. */
int tunnel_stream(struct tunnel *tunnel, const char *address, uint16_t port,
                  const struct task *task, int *ret_fd, struct error *err);
