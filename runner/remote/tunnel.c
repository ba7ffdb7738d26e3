#include "runner/remote/tunnel.h"

#include "lib/crypto.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/login.h"
#include "runner/remote/tunnel_impl.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_NS_DEFAULT (15 * NS_PER_SEC)

/* ---- jobs ---- */

void tunnel_wake(struct tunnel *t) {
    uint64_t one = 1;
    ssize_t n = write(t->wake_fd, &one, sizeof one);
    (void)n; /* full: awake already */
}

struct job *tunnel_take_jobs(struct tunnel *t) {
    uint64_t count;
    ssize_t n = read(t->wake_fd, &count, sizeof count);
    (void)n;
    pthread_mutex_lock(&t->lock);
    struct job *jobs = t->first_job;
    t->first_job = NULL;
    t->last_job = &t->first_job;
    pthread_mutex_unlock(&t->lock);
    return jobs;
}

int tunnel_submit(struct tunnel *t, struct job *job, struct error *err) {
    bool always = job->kind == JOB_AWAIT || job->kind == JOB_FORWARD_CLOSE;
    pthread_mutex_lock(&t->lock);
    bool refuse = !always && t->state != TUNNEL_UP;
    if (refuse) {
        *err = t->why;
    } else {
        atomic_fetch_add(&job->holders, 1);
        *t->last_job = job;
        t->last_job = &job->next;
    }
    pthread_mutex_unlock(&t->lock);
    if (refuse)
        return -1;
    tunnel_wake(t);
    return 0;
}

void tunnel_abandon(struct tunnel *t, struct job *job) {
    job_abandon(job);
    tunnel_wake(t);
}

int tunnel_wait(struct tunnel *t, struct job *job, const struct task *task, struct error *err) {
    int r = job_wait(job, task, err);
    if (r < 0)
        tunnel_wake(t); /* it may have been abandoned */
    return r;
}

int tunnel_run(struct tunnel *t, struct job *job, const struct task *task, struct error *err) {
    if (tunnel_submit(t, job, err) < 0)
        return -1;
    return tunnel_wait(t, job, task, err);
}

int tunnel_stream(struct tunnel *t, const char *address, uint16_t port, const struct task *task,
                  int *ret_fd, struct error *err) {
    cleanup(job_releasep) struct job *job = NULL;
    int fds[2];
    if (job_new(JOB_STREAM, &job, err) < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return error_set_os(err, ERROR_IO, errno, "create sockets");
    cleanup_close int ours = fds[0];
    job->fds[0] = fds[1];
    job->destination = (struct destination){.address = text_dup(address), .port = port};
    if (tunnel_run(t, job, task, err) < 0)
        return -1;
    *ret_fd = take_fd(&ours);
    return 0;
}

/* ---- its thread ---- */

void tunnel_add_link(struct tunnel *t, struct link *link) {
    mem_grow(t->links, t->link_count, t->link_capacity);
    t->links[t->link_count++] = link;
}

static void set_state(struct tunnel *t, enum tunnel_state state, const struct error *why) {
    pthread_mutex_lock(&t->lock);
    t->state = state;
    if (why)
        t->why = *why;
    pthread_mutex_unlock(&t->lock);
}

/* Through another host: when that one is lost too, it is waited for. */
static int dial_jump(void *arg, const char *host, uint16_t port, const struct task *task,
                     int *ret_fd, struct error *err) {
    struct tunnel *jump = arg;
    cleanup(job_releasep) struct job *await = NULL;
    if (job_new(JOB_AWAIT, &await, err) < 0)
        return -1;
    if (tunnel_run(jump, await, task, err) < 0 ||
        tunnel_stream(jump, host, port, task, ret_fd, err) < 0)
        return error_wrap(err, "through '%s'", jump->target->name);
    return 0;
}

static int log_in(struct tunnel *t, struct error *err) {
    struct task task = {.cancel = &t->stop, .deadline = INSTANT_NEVER};
    struct login how = {.target = t->target,
                        .host_key = t->host_key,
                        .unknown_keys = t->unknown_keys,
                        .timeout_ns = t->timeout_ns,
                        .dial = t->jump ? dial_jump : NULL,
                        .dial_arg = t->jump};
    char *identity_file = NULL;
    if (login(&how, &task, &t->ssh, &identity_file, err) < 0)
        return -1;
    pthread_mutex_lock(&t->lock);
    if (!t->identity_file)
        t->identity_file = take_ptr(identity_file);
    pthread_mutex_unlock(&t->lock);
    free(identity_file);
    return 0;
}

static void answer_awaiting(struct tunnel *t, int result, const struct error *err) {
    for (struct job *job = t->awaiting, *next; job; job = next) {
        next = job->next;
        job_finish(job, result, err);
    }
    t->awaiting = NULL;
}

/* Until it breaks, or is to stop. */
static void serve(struct tunnel *t) {
    struct error why = ERROR_NULL;
    set_state(t, TUNNEL_UP, NULL);
    answer_awaiting(t, 0, NULL);
    tunnel_serve(t, &why);
    bool stopped = cancel_level(&t->stop) > 0;
    if (stopped)
        error_set(&why, ERROR_CANCELLED, "the host was closed");
    set_state(t, TUNNEL_DOWN, &why);
    tunnel_drop_links(t, &why);
    forward_disconnected(t);
    if (stopped)
        ssh_farewell(t->ssh);
    ssh_free(take_ptr(t->ssh));
}

static uint64_t with_jitter(uint64_t ns) {
    uint32_t random;
    random_bytes(&random, sizeof random);
    return ns / 2 + ns * (random % 1024) / 2048;
}

static void refuse_rest(struct tunnel *t) {
    struct error gone = ERROR_NULL;
    error_set(&gone, ERROR_CANCELLED, "the host was closed");
    answer_awaiting(t, -1, &gone);
    for (struct job *job = tunnel_take_jobs(t), *next; job; job = next) {
        next = job->next;
        forward_discard(job);
        job_finish(job, -1, &gone);
    }
}

static void reconnect_later(struct tunnel *t, uint64_t *wait_ns) {
    tunnel_serve_down(t, instant_after(clock_instant(), with_jitter(*wait_ns)));
    *wait_ns = 2 * *wait_ns < TUNNEL_BACKOFF_NS_MAX ? 2 * *wait_ns : TUNNEL_BACKOFF_NS_MAX;
}

/* The first time, whoever opens it hears why it failed and decides; later, it is tried again and
 * again. */
static void *tunnel_main(void *arg) {
    struct tunnel *t = arg;
    uint64_t wait_ns = TUNNEL_BACKOFF_NS_MIN;
    for (bool first = true; cancel_level(&t->stop) == 0; first = false) {
        struct error why = ERROR_NULL;
        if (log_in(t, &why) == 0) {
            pthread_mutex_lock(&t->lock);
            t->reconnects += !first;
            pthread_mutex_unlock(&t->lock);
            serve(t);
            wait_ns = TUNNEL_BACKOFF_NS_MIN;
        } else {
            set_state(t, TUNNEL_DOWN, &why);
            t->gave_up = first;
            if (why.kind == ERROR_REFUSED)
                answer_awaiting(t, -1, &why);
        }
        if (t->gave_up)
            tunnel_serve_down(t, INSTANT_NEVER);
        else
            reconnect_later(t, &wait_ns);
    }
    refuse_rest(t);
    return NULL;
}

/* ---- beginning and end ---- */

static uint64_t connect_ns(const struct tunnel_options *options) {
    if (options->connect_timeout_ns)
        return options->connect_timeout_ns;
    int64_t s = options->target->connect_timeout_s;
    return s > 0 ? (uint64_t)s * NS_PER_SEC : CONNECT_NS_DEFAULT;
}

static void set_probes(struct tunnel *t) {
    int64_t interval_s = t->target->server_alive_interval_s;
    int64_t count = t->target->server_alive_count_max;
    t->probe_after_ns = TUNNEL_PROBE_AFTER_NS;
    t->probe_limit_ns = TUNNEL_PROBE_LIMIT_NS;
    if (interval_s > 0 && interval_s < 86400) {
        t->probe_after_ns = (uint64_t)interval_s * NS_PER_SEC;
        t->probe_limit_ns = t->probe_after_ns * (count > 0 && count < 1000 ? (uint64_t)count : 1);
    }
}

static int open_parts(struct tunnel *t, const struct tunnel_options *options, struct error *err) {
    if (cancel_init(&t->stop, err) < 0)
        return -1;
    t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->wake_fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create eventfd");
    if (options->socket_name &&
        private_socket_open(options->socket_name, TUNNEL_BACKLOG, &t->socket, err) < 0)
        return -1;
    return 0;
}

/* Signals are for the thread of the program that takes them. */
static int start_thread(struct tunnel *t, struct error *err) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&t->thread, NULL, tunnel_main, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e)
        return error_set_os(err, ERROR_IO, e, "start a thread");
    t->has_thread = true;
    return 0;
}

static int await_first(struct tunnel *t, const struct task *task, struct error *err) {
    cleanup(job_releasep) struct job *job = NULL;
    if (job_new(JOB_AWAIT, &job, err) < 0)
        return -1;
    return tunnel_run(t, job, task, err) < 0 ? -1 : 0;
}

int tunnel_open(struct tunnel_options *options, const struct task *task, struct tunnel **ret,
                struct error *err) {
    cleanup(tunnel_closep) struct tunnel *t = mem_new(struct tunnel);
    t->target = take_ptr(options->target);
    t->jump = take_ptr(options->jump);
    t->engine_socket = text_dup(options->engine_socket);
    t->host_key = text_dup(options->host_key);
    t->unknown_keys = options->unknown_keys;
    options->target = t->target; /* to be read, still */
    t->timeout_ns = connect_ns(options);
    options->target = NULL;
    set_probes(t);
    pthread_mutex_init(&t->lock, NULL);
    t->last_job = &t->first_job;
    t->stop.event_fd = t->wake_fd = -1;
    t->socket = PRIVATE_SOCKET_NULL;
    t->scratch = mem_alloc(LINK_PIECE_BYTES);
    if (open_parts(t, options, err) < 0 || start_thread(t, err) < 0 ||
        await_first(t, task, err) < 0)
        return -1;
    *ret = take_ptr(t);
    return 0;
}

void tunnel_close(struct tunnel *t) {
    if (!t)
        return;
    if (t->has_thread) {
        cancel_raise(&t->stop, 1);
        pthread_join(t->thread, NULL);
    }
    forward_free_all(t);
    private_socket_deinit(&t->socket);
    cancel_deinit(&t->stop);
    if (t->wake_fd >= 0)
        close(t->wake_fd);
    tunnel_close(t->jump);
    pthread_mutex_destroy(&t->lock);
    target_free(t->target);
    free(t->links);
    free(t->fds);
    free(t->scratch);
    free(t->engine_socket);
    free(t->host_key);
    free(t->identity_file);
    free(t);
}

const char *tunnel_socket(const struct tunnel *t) {
    return t->socket.path;
}

const struct target *tunnel_target(const struct tunnel *t) {
    return t->target;
}

const char *tunnel_engine_socket(const struct tunnel *t) {
    return t->engine_socket;
}

const char *tunnel_identity_file(const struct tunnel *t) {
    return t->identity_file;
}

bool tunnel_is_short_of_sessions(const struct tunnel *t) {
    return atomic_load(&t->short_of_sessions);
}

bool tunnel_engine_takes_sessions(const struct tunnel *t) {
    return atomic_load(&t->engine_takes_sessions);
}

uint64_t tunnel_reconnects(struct tunnel *t) {
    pthread_mutex_lock(&t->lock);
    uint64_t count = t->reconnects;
    pthread_mutex_unlock(&t->lock);
    return count;
}
