/* Forwards: sockets that listen on one side, and whose connections go to the other. */

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/tunnel_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void forward_free(struct forward *f) {
    if (f->listener)
        ssh_listener_drop(f->listener);
    if (f->listen_fd >= 0)
        close(f->listen_fd);
    if (f->owns_path && f->from.unix_socket)
        unlink(f->from.unix_socket);
    destination_deinit(&f->from);
    destination_deinit(&f->to);
    free(f);
}

static void unlist(struct tunnel *t, struct forward *f) {
    struct forward **at = &t->forwards;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    if (t->listening == f)
        t->listening = NULL;
}

void forward_discard(struct job *job) {
    if (job->kind == JOB_LISTEN_HERE || job->kind == JOB_LISTEN_THERE)
        forward_free(job->forward);
}

void forward_begin(struct tunnel *t, struct job *job) {
    struct forward *f = job->forward;
    size_t count = 0;
    for (struct forward *other = t->forwards; other; other = other->next)
        count++;
    if (count >= TUNNEL_LISTENERS_MAX) {
        struct error limit = ERROR_NULL;
        error_set(&limit, ERROR_LIMIT, "more than %d forwards", TUNNEL_LISTENERS_MAX);
        forward_free(f);
        job_finish(job, -1, &limit);
        return;
    }
    f->next = t->forwards;
    t->forwards = f;
    if (f->there) {
        f->job = job;
        return;
    }
    job->port = f->port;
    job_finish(job, 0, NULL);
}

void forward_end(struct tunnel *t, struct job *job) {
    struct forward *f = job->forward;
    if (f->listener || t->listening == f) {
        f->closing = true;
        f->job = job;
        return;
    }
    unlist(t, f);
    forward_free(f);
    job_finish(job, 0, NULL);
}

/* ---- there ---- */

static void refused(struct tunnel *t, struct forward *f, struct error *err) {
    if (f->listened) { /* again after a reconnect: the old sshd may still hold the port */
        f->retry_at = instant_after(clock_instant(), FORWARD_RETRY_NS);
        return;
    }
    error_wrap(err, "listen on %s:%u there", f->from.address, f->from.port);
    error_hint(err, "the port is taken, or its sshd forbids it (AllowTcpForwarding, PermitListen, "
                    "GatewayPorts)");
    struct job *job = take_ptr(f->job);
    unlist(t, f);
    forward_free(f);
    if (job)
        job_finish(job, -1, err);
}

static int listen_there(struct tunnel *t, struct forward *f, struct error *err) {
    struct error refusal = ERROR_NULL;
    uint16_t port;
    /* The port that was found for 0 stays the same. */
    int r = ssh_listen(t->ssh, f->from.address, f->port, &port, &f->listener, &refusal);
    if (r == SSH_AGAIN) {
        t->listening = f;
        return 0;
    }
    t->listening = NULL;
    if (r < 0) {
        *err = refusal;
        return -1;
    }
    if (r == SSH_NO) {
        refused(t, f, &refusal);
        return 0;
    }
    f->port = port;
    f->listened = true;
    if (f->job && atomic_load(&f->job->abandoned)) {
        f->closing = true; /* nobody knows of it */
    } else if (f->job && !f->closing) {
        f->job->port = port;
        job_finish(take_ptr(f->job), 0, NULL);
    }
    return 0;
}

static int connect_unix(const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path)
        return -1;
    memcpy(a.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Does not wait: the link finds out what becomes of it. */
static int connect_here(const struct destination *d) {
    if (d->unix_socket)
        return connect_unix(d->unix_socket);
    char port[8];
    snprintf(port, sizeof port, "%u", d->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    const char *address = strcmp(d->address, "localhost") == 0 ? "127.0.0.1" : d->address;
    if (getaddrinfo(address, port, &hints, &found) != 0)
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) < 0 && errno != EINPROGRESS) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static void accept_there(struct tunnel *t, struct forward *f) {
    for (struct ssh_channel *channel; (channel = ssh_accept(f->listener));) {
        bool room = t->link_count < TUNNEL_LINKS_MAX;
        struct link *link = link_new(room ? connect_here(&f->to) : -1, -1);
        link->channel = channel;
        link_enter(link, link->fd < 0 ? LINK_CLOSING : LINK_RUNNING);
        tunnel_add_link(t, link);
    }
}

static int drive_one(struct tunnel *t, struct forward *f, struct error *err) {
    if (!f->there)
        return 0;
    if (!f->listener && (!t->listening || t->listening == f) &&
        instant_passed(f->retry_at, clock_instant()))
        return listen_there(t, f, err);
    if (f->listener && !f->closing)
        accept_there(t, f);
    if (f->listener && f->closing && ssh_unlisten(f->listener) == 0) {
        f->listener = NULL;
        forward_end(t, take_ptr(f->job));
    }
    return 0;
}

int forward_drive(struct tunnel *t, struct error *err) {
    for (struct forward *f = t->forwards, *next; f; f = next) {
        next = f->next;
        if (drive_one(t, f, err) < 0)
            return -1;
    }
    return 0;
}

void forward_disconnected(struct tunnel *t) {
    t->listening = NULL;
    for (struct forward *f = t->forwards, *next; f; f = next) {
        next = f->next;
        if (f->listener)
            ssh_listener_drop(f->listener);
        f->listener = NULL;
        f->retry_at = clock_instant();
        if (f->closing) {
            forward_end(t, take_ptr(f->job));
        } else if (f->job) { /* it never listened */
            struct job *job = take_ptr(f->job);
            unlist(t, f);
            forward_free(f);
            job_finish(job, -1, &t->why);
        }
    }
}

void forward_free_all(struct tunnel *t) {
    while (t->forwards) {
        struct forward *f = t->forwards;
        t->forwards = f->next;
        forward_free(f);
    }
}
