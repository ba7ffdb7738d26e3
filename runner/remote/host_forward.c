/* Forwards as host.h has them: made here, listened to and ended by the tunnel's thread. */

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/host_impl.h"
#include "runner/remote/tunnel_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLOSE_NS (5 * NS_PER_SEC)

struct host_forward {
    struct host_forward *next;
    struct host *host;
    struct forward *forward; /* the thread's */
    uint16_t port;
};

static struct destination copy(const struct host_endpoint *e) {
    return (struct destination){
        .unix_socket = text_dup(e->unix_socket),
        .address = e->unix_socket ? NULL : text_dup(e->address ? e->address : "127.0.0.1"),
        .port = e->port};
}

static int listen_unix(const char *path, int *ret_fd, struct error *err) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path)
        return error_set(err, ERROR_CONFIG, "the path of the socket '%s' is too long", path);
    memcpy(a.sun_path, path, strlen(path) + 1);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Nobody gets in before it listens. */
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || chmod(path, 0600) < 0 ||
        listen(fd, TUNNEL_BACKLOG) < 0)
        return error_set_os(err, errno == EADDRINUSE ? ERROR_CONFLICT : ERROR_IO, errno,
                            "listen on '%s'", path);
    *ret_fd = take_fd(&fd);
    return 0;
}

static int bound_port(int fd, uint16_t *ret, struct error *err) {
    struct sockaddr_storage a;
    socklen_t size = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        return error_set_os(err, ERROR_IO, errno, "getsockname");
    *ret = ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&a)->sin6_port
                                         : ((struct sockaddr_in *)(void *)&a)->sin_port);
    return 0;
}

static int listen_tcp(const struct destination *d, int *ret_fd, uint16_t *ret_port,
                      struct error *err) {
    char port[8];
    int on = 1;
    snprintf(port, sizeof port, "%u", d->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_PASSIVE};
    struct addrinfo *found = NULL;
    const char *address = strcmp(d->address, "localhost") == 0 ? "127.0.0.1" : d->address;
    if (getaddrinfo(address, port, &hints, &found) != 0)
        return error_set(err, ERROR_CONFIG, "'%s' is no address to listen on", d->address);
    cleanup_close int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int r = fd < 0 ? -1 : bind(fd, found->ai_addr, found->ai_addrlen);
    int e = errno;
    freeaddrinfo(found);
    if (r < 0 || listen(fd, TUNNEL_BACKLOG) < 0)
        return error_set_os(err, e == EADDRINUSE ? ERROR_CONFLICT : ERROR_IO, r < 0 ? e : errno,
                            "listen on %s:%s", d->address, port);
    if (bound_port(fd, ret_port, err) < 0)
        return -1;
    *ret_fd = take_fd(&fd);
    return 0;
}

static int begin(struct host *host, enum job_kind kind, struct forward *forward,
                 const struct task *task, struct host_forward **ret, struct error *err) {
    cleanup(job_releasep) struct job *job = NULL;
    if (job_new(kind, &job, err) < 0) {
        forward_free(forward);
        return -1;
    }
    job->forward = forward;
    if (tunnel_submit(host->tunnel, job, err) < 0) {
        forward_free(forward);
        return -1;
    }
    if (tunnel_wait(host->tunnel, job, task, err) < 0)
        return -1; /* the thread has it, and sees that nobody waits */
    struct host_forward *f = mem_new(struct host_forward);
    *f = (struct host_forward){.host = host, .forward = forward, .port = job->port};
    pthread_mutex_lock(&host->lock);
    f->next = host->forwards;
    host->forwards = f;
    pthread_mutex_unlock(&host->lock);
    *ret = f;
    return 0;
}

static int refuse_here(const struct host *host, struct error *err) {
    return error_set(err, ERROR_CONFIG, "host '%s' is this machine: nothing needs forwarding",
                     host->name);
}

int host_forward_local(struct host *host, const struct host_endpoint *here,
                       const struct host_endpoint *there, const struct task *task,
                       struct host_forward **ret, struct error *err) {
    if (!host->tunnel)
        return refuse_here(host, err);
    struct forward *f = mem_new(struct forward);
    *f = (struct forward){.from = copy(here), .to = copy(there), .listen_fd = -1};
    int r = here->unix_socket ? listen_unix(here->unix_socket, &f->listen_fd, err)
                              : listen_tcp(&f->from, &f->listen_fd, &f->port, err);
    f->owns_path = r == 0;
    if (r < 0)
        forward_free(f);
    else
        r = begin(host, JOB_LISTEN_HERE, f, task, ret, err);
    return r < 0 ? error_wrap(err, "host '%s': forward", host->name) : 0;
}

int host_forward_remote(struct host *host, const struct host_endpoint *there,
                        const struct host_endpoint *here, const struct task *task,
                        struct host_forward **ret, struct error *err) {
    if (!host->tunnel)
        return refuse_here(host, err);
    if (there->unix_socket) {
        error_set(err, ERROR_CONFIG,
                  "host '%s': forward: listening on a unix socket there ('%s') "
                  "is not supported",
                  host->name, there->unix_socket);
        return error_hint(err, "listen on a port of its loopback address instead");
    }
    struct forward *f = mem_new(struct forward);
    *f = (struct forward){
        .there = true, .from = copy(there), .to = copy(here), .port = there->port, .listen_fd = -1};
    if (begin(host, JOB_LISTEN_THERE, f, task, ret, err) < 0)
        return error_wrap(err, "host '%s': forward", host->name);
    return 0;
}

uint16_t host_forward_port(const struct host_forward *forward) {
    return forward->port;
}

static void end(struct host_forward *f) {
    cleanup(job_releasep) struct job *job = NULL;
    struct error ignored = ERROR_NULL;
    struct task forever = TASK_FOREVER;
    struct task soon = task_within(&forever, CLOSE_NS);
    if (job_new(JOB_FORWARD_CLOSE, &job, &ignored) == 0) {
        job->forward = f->forward;
        tunnel_run(f->host->tunnel, job, &soon, &ignored);
    }
    free(f);
}

void host_forward_close(struct host_forward *forward) {
    if (!forward)
        return;
    struct host *host = forward->host;
    pthread_mutex_lock(&host->lock);
    struct host_forward **at = &host->forwards;
    while (*at != forward)
        at = &(*at)->next;
    *at = forward->next;
    pthread_mutex_unlock(&host->lock);
    end(forward);
}

/* The tunnel ends them all at once, so only what is ours is left to free. */
void host_forwards_close(struct host *host) {
    while (host->forwards) {
        struct host_forward *f = host->forwards;
        host->forwards = f->next;
        free(f);
    }
}
