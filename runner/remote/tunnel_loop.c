/* What the thread of a tunnel does while there is a connection, and while there is none. */

#include "lib/memory.h"
#include "runner/remote/tunnel_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void close_fds(struct link *link) {
    if (link->fd >= 0)
        close(link->fd);
    if (link->errors_fd >= 0)
        close(link->errors_fd);
    link->fd = link->errors_fd = -1;
}

/* ---- how links end ---- */

static void finish_job(struct link *link, int result, const struct error *err) {
    if (link->job)
        job_finish(take_ptr(link->job), result, err);
}

/* Its other end, if it has one, is told; this end is gone at once. */
static void leave(struct link *link) {
    close_fds(link);
    link_enter(link, link->channel ? LINK_CLOSING : LINK_GONE);
}

static void fail_link(struct tunnel *t, struct link *link, const struct error *err) {
    if (link == t->asking) {
        t->way_error = *err;
        tunnel_engine_answered(t, link);
    }
    close_fds(link);
    finish_job(link, -1, err);
    leave(link);
}

/* Everything went through. A command's descriptors end before its job does. */
static void finish_link(struct tunnel *t, struct link *link) {
    if (link == t->asking)
        tunnel_engine_answered(t, link);
    if (link->job)
        ssh_exit(link->channel, &link->job->exit_code, link->job->signal, sizeof link->job->signal);
    close_fds(link);
    finish_job(link, 0, NULL);
    leave(link);
}

void tunnel_drop_links(struct tunnel *t, const struct error *why) {
    for (size_t i = 0; i < t->link_count; i++) {
        struct link *link = t->links[i];
        close_fds(link);
        finish_job(link, -1, why);
        link_free(link);
    }
    t->link_count = 0;
    t->opening = t->starting = t->asking = NULL;
    t->probing = t->nudged = false;
}

/* ---- opening channels, one after the other ---- */

static size_t count_sessions(const struct tunnel *t) {
    size_t count = 0;
    for (size_t i = 0; i < t->link_count; i++)
        count += t->links[i]->session && t->links[i]->channel;
    return count;
}

static size_t count_channels(const struct tunnel *t) {
    size_t count = 0;
    for (size_t i = 0; i < t->link_count; i++)
        count += t->links[i]->channel != NULL;
    return count;
}

/* MaxSessions: those that came too late wait until one has ended. */
static void session_refused(struct tunnel *t, struct link *link, const struct error *err) {
    size_t open = count_sessions(t);
    struct instant now = clock_instant();
    if (open > 0) {
        t->sessions_max = open;
        atomic_store(&t->short_of_sessions, true);
        t->no_session_since = INSTANT_NEVER;
    } else if (t->no_session_since.ns == INSTANT_NEVER.ns) {
        t->no_session_since = now; /* the last one may not be gone there yet */
    } else if (instant_ns_between(t->no_session_since, now) > TUNNEL_SESSION_WAIT_NS) {
        struct error limit = ERROR_NULL;
        error_set(&limit, ERROR_LIMIT, "sshd opens no session for a command: %s", err->text);
        error_hint(&limit, "MaxSessions in its sshd_config should be 1 or more, and commands that "
                           "were left running there count");
        fail_link(t, link, &limit);
        return;
    }
    t->session_retry = instant_after(now, TUNNEL_SESSION_RETRY_NS);
    link->state = LINK_WAITING;
}

static void channel_refused(struct tunnel *t, struct link *link, struct error *err) {
    if (link->unwanted) {
        fail_link(t, link, err);
    } else if (link->session) {
        session_refused(t, link, err);
    } else if (link->engine) {
        link->state = LINK_WAITING;
        tunnel_engine_refused(t, link, err);
    } else {
        error_wrap(err, "connect from there");
        error_hint(err, "nobody listens there, or its sshd forbids it (AllowTcpForwarding, "
                        "AllowStreamLocalForwarding, PermitOpen)");
        fail_link(t, link, err);
    }
}

static void channel_opened(struct tunnel *t, struct link *link, struct ssh_channel *channel) {
    link->channel = channel;
    if (link->engine)
        tunnel_engine_opened(t, link);
    if (link->session) {
        t->no_session_since = INSTANT_NEVER;
        link_enter(link, LINK_STARTING);
        return;
    }
    link_enter(link, LINK_RUNNING);
    if (!link->job)
        return;
    bool stream = link->fd >= 0;
    finish_job(link, 0, NULL);
    if (!stream)
        leave(link); /* it was only to be seen whether it opens */
}

static int try_open(struct tunnel *t, struct error *err) {
    struct link *link = t->opening;
    struct ssh_channel *channel;
    struct error refusal = ERROR_NULL;
    uint32_t window =
        count_channels(t) < LINK_WINDOW_FEW ? LINK_WINDOW_BYTES : LINK_WINDOW_BYTES_MANY;
    int r = ssh_open(t->ssh, link->type, link->payload.data, link->payload.size, window, &channel,
                     &refusal);
    if (r == SSH_AGAIN)
        return 0;
    t->opening = NULL;
    if (r == 0)
        channel_opened(t, link, channel);
    else if (r == SSH_NO)
        channel_refused(t, link, &refusal);
    else
        *err = refusal;
    return r < 0 ? -1 : 0;
}

static bool may_open(struct tunnel *t, struct link *link) {
    if (link->state != LINK_WAITING || (link->engine && !tunnel_engine_prepare(t, link)))
        return false;
    if (!link->session)
        return true;
    if (t->sessions_max && count_sessions(t) >= t->sessions_max)
        return false;
    return instant_passed(t->session_retry, clock_instant());
}

/* As long as they open at once, many in one go. */
static int open_links(struct tunnel *t, struct error *err) {
    if (t->opening && try_open(t, err) < 0)
        return -1;
    for (size_t i = 0; i < t->link_count && !t->opening && !t->probing; i++)
        if (may_open(t, t->links[i])) {
            t->opening = t->links[i];
            t->opening->state = LINK_OPENING;
            if (try_open(t, err) < 0)
                return -1;
        }
    return 0;
}

/* ---- a pass ---- */

static int resize(struct link *link, struct error *err) {
    int columns = atomic_load(&link->job->columns), rows = atomic_load(&link->job->rows);
    if (columns == link->columns && rows == link->rows)
        return 0;
    link->columns = columns;
    link->rows = rows;
    return ssh_terminal_resize(link->channel, columns, rows, err) < 0 ? -1 : 0;
}

/* One at a time: libssh2 takes the answer to another channel's request for a fault of this one. */
static int start_link(struct tunnel *t, struct link *link, struct error *err) {
    struct error refusal = ERROR_NULL;
    if (t->starting && t->starting != link)
        return 0;
    t->starting = link;
    int r = link_start(link, &refusal);
    if (r == SSH_AGAIN)
        return 0;
    t->starting = NULL;
    if (r == 0) {
        link_enter(link, LINK_RUNNING);
        if (link->engine && link->fd < 0) /* it was only to be seen whether it starts */
            finish_link(t, link);
    } else if (r == SSH_NO) {
        error_wrap(&refusal, "start a command");
        error_hint(&refusal, "sshd may allow another command only (ForceCommand), or no terminal "
                             "(PermitTTY)");
        fail_link(t, link, &refusal);
    } else if (r < 0) {
        *err = refusal;
        return -1;
    }
    return 0;
}

/* Where engine connections are sessions, and sshd allows few of them, those that are kept open can
 * take all the room: then nothing would ever make any. */
static void waited(struct tunnel *t, struct link *link) {
    struct error limit = ERROR_NULL;
    bool engine_takes_sessions =
        t->way == ENGINE_WAY_DIAL_STDIO || t->way == ENGINE_WAY_SUDO_DIAL_STDIO;
    if (!link->session || !t->sessions_max || !engine_takes_sessions ||
        instant_ns_between(link->since, clock_instant()) < TUNNEL_SESSION_QUEUE_NS)
        return;
    error_set(&limit, ERROR_REFUSED,
              "sshd allows %zu sessions at a time (MaxSessions), and all are taken: the engine is "
              "reached by `%s`",
              t->sessions_max, engine_way_name(t->way));
    error_hint(&limit, "raise MaxSessions in its sshd_config, or let this user open the engine's "
                       "socket (group docker)");
    if (!link->engine || link->fd < 0) {
        fail_link(t, link, &limit);
        return;
    }
    finish_job(link, -1, &limit);
    link_begin_refusing(link, &limit);
}

static int step_link(struct tunnel *t, struct link *link, struct error *err) {
    if (link->job && atomic_load(&link->job->abandoned))
        link->unwanted = true;
    bool asking = link->state == LINK_OPENING || link == t->starting;
    if (link->unwanted && !asking && link->state < LINK_CLOSING) {
        struct error cancelled = ERROR_NULL;
        error_set(&cancelled, ERROR_CANCELLED, "cancelled");
        fail_link(t, link, &cancelled);
    }
    switch (link->state) {
    case LINK_STARTING: return start_link(t, link, err);
    case LINK_RUNNING: {
        if (link->has_terminal && link->job && resize(link, err) < 0)
            return -1;
        int r = link_pump(link, t->ssh, t->scratch, err);
        if (r > 0)
            finish_link(t, link);
        return r < 0 ? -1 : 0;
    }
    case LINK_REFUSING:
        if (link_refuse(link, t->scratch) > 0 ||
            instant_ns_between(link->since, clock_instant()) > TUNNEL_REFUSE_NS)
            leave(link);
        return 0;
    case LINK_CLOSING:
        if (ssh_channel_free(link->channel) == 0) {
            link->channel = NULL;
            link_enter(link, LINK_GONE);
        }
        return 0;
    case LINK_WAITING: waited(t, link); return 0;
    case LINK_OPENING:
    case LINK_GONE: return 0;
    }
    return 0;
}

/* Each pass begins with another one, so that none is always the last to get room. */
static int step_links(struct tunnel *t, struct error *err) {
    size_t count = t->link_count;
    t->turn++;
    for (size_t i = 0; i < count; i++)
        if (step_link(t, t->links[(t->turn + i) % count], err) < 0)
            return -1;
    size_t kept = 0;
    for (size_t i = 0; i < t->link_count; i++)
        if (t->links[i]->state == LINK_GONE)
            link_free(t->links[i]);
        else
            t->links[kept++] = t->links[i];
    t->link_count = kept;
    return 0;
}

/* ---- what has come, and what has not ---- */

static int begin_probe(struct tunnel *t, struct error *err) {
    t->probing = true;
    t->asked_at = clock_instant();
    int r = ssh_probe(t->ssh, err);
    if (r == 0)
        t->probing = false;
    return r < 0 ? -1 : 0;
}

/* Somebody has to take in what came, even if nothing is going on. */
static int drive(struct tunnel *t, struct error *err) {
    if (t->probing) {
        int r = ssh_probe(t->ssh, err);
        t->probing = r == SSH_AGAIN;
        return r < 0 ? -1 : 0;
    }
    if (t->opening || !ssh_has_input(t->ssh))
        return 0; /* open_links does */
    for (size_t i = 0; i < t->link_count; i++)
        if (t->links[i]->channel)
            return ssh_drive(t->links[i]->channel, err);
    return begin_probe(t, err);
}

/* Whether the other side is still there; -1 when it is not. */
static int keep_alive(struct tunnel *t, struct error *err) {
    struct instant now = clock_instant();
    if (ssh_received(t->ssh) != t->received_before) {
        t->received_before = ssh_received(t->ssh);
        t->received_at = now;
        t->nudged = false;
        return 0;
    }
    uint64_t silent_ns = instant_ns_between(t->received_at, now);
    if (silent_ns < t->probe_after_ns)
        return 0;
    if (!t->probing && !t->nudged) {
        t->nudged = true;
        if (!t->opening)
            return begin_probe(t, err);
        t->asked_at = now;
        /* The answer would be taken for that of a listener's request. */
        return ssh_nudge(t->ssh, !t->forwards, err);
    }
    bool answers = !t->opening || !t->forwards;
    if (answers && instant_ns_between(t->asked_at, now) >= t->probe_limit_ns &&
        !ssh_has_input(t->ssh)) {
        return error_set(err, ERROR_UNREACHABLE, "nothing was heard of it for %u s",
                         (unsigned)(silent_ns / NS_PER_SEC));
    }
    return 0;
}

/* ---- polling ---- */

enum { FD_SSH, FD_WAKE };

/* Only what is open: poll refuses more entries than there may be descriptors. What is not there
 * has its index at NO_FD. */
static size_t put_fd(struct tunnel *t, int fd, short events) {
    if (fd < 0)
        return NO_FD;
    mem_grow(t->fds, t->fd_count, t->fds_capacity);
    t->fds[t->fd_count] = (struct pollfd){.fd = fd, .events = events};
    return t->fd_count++;
}

static short found(const struct tunnel *t, size_t at) {
    return at == NO_FD ? 0 : t->fds[at].revents;
}

static bool has_room(const struct tunnel *t) {
    return t->link_count < TUNNEL_LINKS_MAX;
}

static bool may_accept(const struct tunnel *t) {
    return has_room(t) && instant_passed(t->accept_after, clock_instant());
}

static void fill_fds(struct tunnel *t) {
    bool accept = may_accept(t);
    t->fd_count = 0;
    /* Without a connection there is nothing in the first place, but there always is a first. */
    put_fd(t, t->ssh ? ssh_fd(t->ssh) : t->stop.event_fd, t->ssh ? ssh_events(t->ssh) : POLLIN);
    put_fd(t, t->wake_fd, POLLIN);
    put_fd(t, t->stop.event_fd, POLLIN);
    t->socket_at = put_fd(t, accept ? t->socket.listen_fd : -1, POLLIN);
    for (struct forward *f = t->forwards; f; f = f->next)
        f->fd_at = put_fd(t, accept && !f->closing ? f->listen_fd : -1, POLLIN);
    for (size_t i = 0; i < t->link_count; i++) {
        struct link *link = t->links[i];
        bool gone = link->hung_up || (link->job && link->down_ended);
        link->fd_at = put_fd(t, gone ? -1 : link->fd, link_events(link, t->ssh));
        short events = link_errors_events(link);
        put_fd(t, events ? link->errors_fd : -1, events);
    }
}

static void accept_from(struct tunnel *t, int listen_fd, const struct forward *forward) {
    for (int i = 0; i < 16 && has_room(t); i++) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            t->accept_after = instant_after(clock_instant(), TUNNEL_ACCEPT_RETRY_NS);
        if (fd < 0)
            return;
        if (!t->ssh) {
            close(fd);
            continue;
        }
        struct link *link = link_new(fd, -1);
        if (forward)
            link_to(link, &forward->to);
        else
            link->engine = true;
        tunnel_add_link(t, link);
    }
}

static void read_fds(struct tunnel *t) {
    for (size_t i = 0; i < t->link_count; i++)
        t->links[i]->revents |= found(t, t->links[i]->fd_at);
    if (found(t, t->socket_at))
        accept_from(t, t->socket.listen_fd, NULL);
    for (struct forward *f = t->forwards; f; f = f->next)
        if (found(t, f->fd_at))
            accept_from(t, f->listen_fd, f);
}

/* It could go on although nothing comes: more was taken in than one piece, or an exchange of keys
 * was in the way. */
static bool is_ready(const struct link *link) {
    if (link->state != LINK_RUNNING || link->hung_up)
        return false;
    return (link->up.size && ssh_room(link->channel) > 0) ||
           (!link->down.size && ssh_waiting(link->channel));
}

static int poll_ms(const struct tunnel *t) {
    if (ssh_has_input(t->ssh))
        return 0;
    for (size_t i = 0; i < t->link_count; i++)
        if (is_ready(t->links[i]))
            return ssh_unsent(t->ssh) ? 1 : 0;
    for (size_t i = 0; i < t->link_count; i++)
        if (t->links[i]->state == LINK_WAITING && t->links[i]->session)
            return (int)(TUNNEL_SESSION_RETRY_NS / NS_PER_MS);
    return instant_passed(t->accept_after, clock_instant())
               ? 500
               : (int)(TUNNEL_ACCEPT_RETRY_NS / NS_PER_MS);
}

/* ---- jobs ---- */

static struct link *link_of(struct job *job) {
    struct link *link = link_new(job->fds[0], job->fds[1]);
    job->fds[0] = job->fds[1] = -1;
    link->job = job;
    return link;
}

static void begin_job(struct tunnel *t, struct job *job) {
    switch (job->kind) {
    case JOB_AWAIT: job_finish(job, !t->fresh, NULL); return;
    case JOB_LISTEN_HERE:
    case JOB_LISTEN_THERE: forward_begin(t, job); return;
    case JOB_FORWARD_CLOSE: forward_end(t, job); return;
    case JOB_COMMAND:
    case JOB_STREAM:
    case JOB_ENGINE: break;
    }
    if (!has_room(t)) {
        struct error limit = ERROR_NULL;
        error_set(&limit, ERROR_LIMIT, "more than %d channels at once", TUNNEL_LINKS_MAX);
        job_finish(job, -1, &limit);
        return;
    }
    struct link *link = link_of(job);
    if (job->kind == JOB_COMMAND)
        link_run(link, take_ptr(job->command));
    else if (job->kind == JOB_STREAM)
        link_to(link, &job->destination);
    else
        link->engine = true;
    tunnel_add_link(t, link);
}

static void begin_jobs(struct tunnel *t) {
    for (struct job *job = tunnel_take_jobs(t), *next; job; job = next) {
        next = job->next;
        begin_job(t, job);
    }
}

/* ---- the loops ---- */

static int pass(struct tunnel *t, struct error *err) {
    fill_fds(t);
    if (poll(t->fds, t->fd_count, poll_ms(t)) < 0 && errno != EINTR)
        return error_set_os(err, ERROR_IO, errno, "poll");
    ssh_polled(t->ssh, t->fds[FD_SSH].revents);
    read_fds(t);
    if (t->fds[FD_WAKE].revents)
        begin_jobs(t);
    if (drive(t, err) < 0 || open_links(t, err) < 0 || forward_drive(t, err) < 0 ||
        step_links(t, err) < 0 || open_links(t, err) < 0 || ssh_flush(t->ssh, err) < 0)
        return -1;
    return keep_alive(t, err);
}

void tunnel_serve(struct tunnel *t, struct error *err) {
    t->way = ENGINE_WAY_UNKNOWN;
    t->sessions_max = 0;
    atomic_store(&t->short_of_sessions, false);
    atomic_store(&t->engine_takes_sessions, false);
    t->no_session_since = INSTANT_NEVER;
    t->session_retry = t->received_at = clock_instant();
    t->received_before = 0;
    error_clear(&t->way_error);
    t->fresh = true;
    begin_jobs(t);
    t->fresh = false;
    while (cancel_level(&t->stop) == 0)
        if (pass(t, err) < 0)
            return;
}

static void refuse_job(struct tunnel *t, struct job *job) {
    bool hopeless = t->gave_up || t->why.kind == ERROR_REFUSED || atomic_load(&job->abandoned);
    if (job->kind == JOB_AWAIT && !hopeless) {
        job->next = t->awaiting;
        t->awaiting = job;
    } else if (job->kind == JOB_FORWARD_CLOSE) {
        forward_end(t, job);
    } else {
        forward_discard(job);
        job_finish(job, -1, &t->why);
    }
}

void tunnel_serve_down(struct tunnel *t, struct instant until) {
    struct instant now;
    while (cancel_level(&t->stop) == 0 && !instant_passed(until, now = clock_instant())) {
        fill_fds(t);
        if (poll(t->fds, t->fd_count, instant_poll_ms(until, now, 1000)) < 0 && errno != EINTR)
            return;
        read_fds(t);
        for (struct job *job = tunnel_take_jobs(t), *next; job; job = next) {
            next = job->next;
            refuse_job(t, job);
        }
    }
}
