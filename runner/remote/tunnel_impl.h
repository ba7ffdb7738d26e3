#pragma once

/*
 * What the parts of a tunnel share: tunnel.c, tunnel_loop.c, tunnel_engine.c, forward.c.
 */

#include "runner/remote/engine_way.h"
#include "runner/remote/link.h"
#include "runner/remote/private_socket.h"
#include "runner/remote/ssh.h"
#include "runner/remote/tunnel.h"

#include <poll.h>
#include <pthread.h>

enum {
    TUNNEL_LINKS_MAX = 1024, /* channels of one connection, with those that wait to be */
    TUNNEL_LISTENERS_MAX = 64,
    TUNNEL_BACKLOG = 256,
};

/* Silence after which it is asked, and for how long it may not answer that. */
#define TUNNEL_PROBE_AFTER_NS (4 * NS_PER_SEC)
#define TUNNEL_PROBE_LIMIT_NS (8 * NS_PER_SEC)
#define TUNNEL_BACKOFF_NS_MIN (200 * NS_PER_MS)
#define TUNNEL_BACKOFF_NS_MAX (5 * NS_PER_SEC)
/* Between attempts to open a session where sshd has refused one; and when that is an error. */
#define TUNNEL_SESSION_RETRY_NS (50 * NS_PER_MS)
#define TUNNEL_SESSION_WAIT_NS (10 * NS_PER_SEC)
/* The old sshd may hold a port for some time after the connection broke. */
#define FORWARD_RETRY_NS (500 * NS_PER_MS)
/* After a connection could not be accepted: there are no descriptors left, for now. */
#define TUNNEL_ACCEPT_RETRY_NS (100 * NS_PER_MS)
/* A refused engine connection reads its explanation. */
#define TUNNEL_REFUSE_NS (5 * NS_PER_SEC)
/* How long a command or engine connection may wait for a session where engine connections are some
 */
#define TUNNEL_SESSION_QUEUE_NS (20 * NS_PER_SEC)

#define NO_FD SIZE_MAX

enum tunnel_state { TUNNEL_CONNECTING, TUNNEL_UP, TUNNEL_DOWN };

struct forward {
    struct forward *next; /* of the tunnel's thread */
    bool there;           /* listens there */
    struct destination from, to;
    int listen_fd;  /* here */
    bool owns_path; /* has made the unix socket that it listens on */
    struct ssh_listener *listener;
    struct job *job; /* of its beginning */
    uint16_t port;   /* 0 until it is known */
    bool listened, closing;
    struct instant retry_at;
    size_t fd_at; /* among those that are polled */
};

struct tunnel {
    /* From tunnel_open on it stays as it is. */
    struct target *target;
    struct tunnel *jump;
    char *engine_socket;
    char *host_key;
    enum host_unknown_keys unknown_keys;
    uint64_t timeout_ns;
    uint64_t probe_after_ns, probe_limit_ns;
    struct private_socket socket; /* or none */
    struct cancel stop;
    int wake_fd;
    pthread_t thread;
    bool has_thread;

    /* Of everybody. */
    pthread_mutex_t lock;
    struct job *first_job, **last_job;
    enum tunnel_state state;
    struct error why; /* there is no connection */
    uint64_t reconnects;
    char *identity_file;

    /* Set by its thread for others to see. */
    atomic_bool short_of_sessions, engine_takes_sessions;

    /* Of its thread. */
    bool gave_up; /* the first attempt failed, and that is that */
    bool fresh;   /* connected just now: whoever waits has waited */
    struct ssh *ssh;
    struct link **links;
    size_t link_count, link_capacity, turn;
    struct link *opening, *starting; /* those with a request on its way */
    struct forward *forwards;
    struct forward *listening; /* the one whose request is on its way */
    struct job *awaiting;      /* list */
    struct instant accept_after;
    char *scratch;
    struct pollfd *fds;
    size_t fd_count, fds_capacity, socket_at;
    /* keep-alive */
    bool probing, nudged;
    uint64_t received_before;
    struct instant received_at, asked_at;
    /* sessions: 0, or so many that sshd refused one more */
    size_t sessions_max;
    struct instant session_retry, no_session_since;
    /* the engine */
    enum engine_way way;
    struct link *asking; /* the shell that is asked for the way */
    struct error way_error;
    struct instant way_asked;
};

/* ---- tunnel.c ---- */

/* Its own thread; takes the link. */
void tunnel_add_link(struct tunnel *t, struct link *link);
struct job *tunnel_take_jobs(struct tunnel *t);

/* ---- tunnel_loop.c ---- */

/* Serves until the connection breaks (`err` says why) or the tunnel is to stop. */
void tunnel_serve(struct tunnel *t, struct error *err);
/* The same without a connection: refuses all, until the time has come. */
void tunnel_serve_down(struct tunnel *t, struct instant until);
/* Fails everything that ran over a connection that is no more. */
void tunnel_drop_links(struct tunnel *t, const struct error *why);

/* ---- tunnel_engine.c ---- */

/* Makes a link go to the engine as far as the way is known. false: it has to wait. */
bool tunnel_engine_prepare(struct tunnel *t, struct link *link);
/* Its channel was refused. */
void tunnel_engine_refused(struct tunnel *t, struct link *link, const struct error *err);
void tunnel_engine_opened(struct tunnel *t, struct link *link);
/* A link that was asked for the way is finished, or failed. */
void tunnel_engine_answered(struct tunnel *t, struct link *link);

/* ---- forward.c ---- */

void forward_free(struct forward *f);
/* Of a job that was not begun. */
void forward_discard(struct job *job);
void forward_begin(struct tunnel *t, struct job *job);
void forward_end(struct tunnel *t, struct job *job);
/* Asks for listeners there, accepts from them, cancels them. */
int forward_drive(struct tunnel *t, struct error *err);
void forward_disconnected(struct tunnel *t);
void forward_free_all(struct tunnel *t);
