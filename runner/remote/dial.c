#include "runner/remote/dial.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ADDRESSES_MAX = 16 };
/* An address that does not answer must not use up the time of the others. */
#define ADDRESS_NS_MAX (10 * NS_PER_SEC)

/* Shared by the thread that resolves and the one that waits for it. */
struct resolving {
    atomic_int users;
    int done_fd;
    char *host;
    char port[8];
    struct addrinfo hints;
    struct addrinfo *found;
    int result;
    atomic_bool done;
};

static void resolving_release(struct resolving *r) {
    if (atomic_fetch_sub(&r->users, 1) > 1)
        return;
    if (r->found)
        freeaddrinfo(r->found);
    close(r->done_fd);
    free(r->host);
    free(r);
}

static void resolving_releasep(struct resolving **r) {
    if (*r)
        resolving_release(*r);
}

static void *resolve_main(void *arg) {
    struct resolving *r = arg;
    uint64_t one = 1;
    r->result = getaddrinfo(r->host, r->port, &r->hints, &r->found);
    atomic_store(&r->done, true);
    ssize_t n = write(r->done_fd, &one, sizeof one);
    (void)n;
    resolving_release(r);
    return NULL;
}

static int start_resolving(const struct dial *dial, struct resolving **ret, struct error *err) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create eventfd");
    struct resolving *r = mem_new(struct resolving);
    atomic_init(&r->users, 2);
    r->done_fd = fd;
    r->host = text_dup(dial->host);
    snprintf(r->port, sizeof r->port, "%u", dial->port);
    r->hints = (struct addrinfo){.ai_family = dial->family, .ai_socktype = SOCK_STREAM};
    pthread_t thread;
    int e = pthread_create(&thread, NULL, resolve_main, r);
    if (e) {
        resolving_release(r);
        resolving_release(r);
        return error_set_os(err, ERROR_IO, e, "start a thread");
    }
    pthread_detach(thread);
    *ret = r;
    return 0;
}

static int resolve(const struct dial *dial, const struct task *task, struct resolving **ret,
                   struct error *err) {
    cleanup(resolving_releasep) struct resolving *r = NULL;
    if (start_resolving(dial, &r, err) < 0)
        return -1;
    while (!atomic_load(&r->done))
        if (task_wait(task, r->done_fd, POLLIN, err) < 0)
            return error_wrap(err, "resolve '%s'", dial->host);
    if (r->result == EAI_NONAME || r->result == EAI_NODATA || r->result == EAI_ADDRFAMILY)
        return error_set(err, ERROR_NOT_FOUND, "no machine is called '%s' (%s)", dial->host,
                         gai_strerror(r->result));
    if (r->result)
        return error_set(err, ERROR_UNREACHABLE, "resolve '%s': %s", dial->host,
                         gai_strerror(r->result));
    *ret = take_ptr(r);
    return 0;
}

static int bind_to(int fd, const char *address, int family, struct error *err) {
    struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    if (getaddrinfo(address, NULL, &hints, &found) != 0)
        return error_set(err, ERROR_CONFIG, "BindAddress '%s' is no address of this family",
                         address);
    int r = bind(fd, found->ai_addr, found->ai_addrlen);
    int e = errno;
    freeaddrinfo(found);
    return r < 0 ? error_set_os(err, ERROR_CONFIG, e, "bind to BindAddress '%s'", address) : 0;
}

static int connect_one(const struct dial *dial, const struct addrinfo *a, const struct task *task,
                       int *ret_fd, struct error *err) {
    int on = 1, e = 0;
    socklen_t size = sizeof e;
    cleanup_close int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create a socket");
    if (dial->bind_address && bind_to(fd, dial->bind_address, a->ai_family, err) < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
        if (errno != EINPROGRESS)
            return error_set_os(err, ERROR_UNREACHABLE, errno, "connect");
        if (task_wait(task, fd, POLLOUT, err) < 0)
            return -1;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &size) < 0 || e)
            return error_set_os(err, ERROR_UNREACHABLE, e ? e : errno, "connect");
    }
    *ret_fd = take_fd(&fd);
    return 0;
}

static void name_attempt(struct buffer *tried, const struct addrinfo *a, const struct error *err) {
    char address[64] = "?";
    getnameinfo(a->ai_addr, a->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST);
    const char *why = err->kind == ERROR_TIMEOUT ? "no answer" : err->text;
    buffer_format(tried, "%s%s: %s", tried->size ? "; " : "", address,
                  text_starts(why, "connect: ") ? why + strlen("connect: ") : why);
}

int dial(const struct dial *dial, const struct task *task, int *ret_fd, struct error *err) {
    cleanup(resolving_releasep) struct resolving *r = NULL;
    cleanup(buffer_deinit) struct buffer tried;
    buffer_init(&tried, 2048);
    if (resolve(dial, task, &r, err) < 0)
        return -1;
    uint64_t left = 0;
    for (struct addrinfo *a = r->found; a && left < ADDRESSES_MAX; a = a->ai_next)
        left++;
    for (struct addrinfo *a = r->found; a && left > 0; a = a->ai_next, left--) {
        struct error one = ERROR_NULL;
        uint64_t rest = instant_ns_between(clock_instant(), task->deadline);
        struct task share = *task;
        if (left > 1)
            share = task_within(task, rest / left < ADDRESS_NS_MAX ? rest / left : ADDRESS_NS_MAX);
        if (connect_one(dial, a, &share, ret_fd, &one) == 0)
            return 0;
        if (one.kind == ERROR_CANCELLED || one.kind == ERROR_CONFIG) {
            *err = one;
            return -1;
        }
        name_attempt(&tried, a, &one);
    }
    bool over = instant_passed(task->deadline, clock_instant());
    error_set(err, over ? ERROR_TIMEOUT : ERROR_UNREACHABLE, "connect to port %u: %s", dial->port,
              tried.size ? buffer_string(&tried) : "it has no address");
    return error_hint(err, "see whether it runs, whether sshd listens on that port, and whether a "
                           "firewall or security group lets us through");
}
