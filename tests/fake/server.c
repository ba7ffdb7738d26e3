#include "tests/fake/server.h"

#include "lib/cleanup.h"
#include "lib/memory.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, INPUT_MAX = 256 * 1024 };

struct peer {
    int fd;
    char *in;
    size_t size;
};

struct server {
    struct server_script script;
    struct server_counts counts;
    pthread_t thread;
    int listen_fd, stop_fd;
    uint16_t port;
    struct peer peers[CONNECTIONS_MAX];
    size_t count;
};

static void drop(struct server *s, size_t index) {
    close(s->peers[index].fd);
    free(s->peers[index].in);
    s->peers[index] = s->peers[--s->count];
}

static void take_connection(struct server *s) {
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    int on = 1;
    if (fd < 0)
        return;
    assert(s->count < CONNECTIONS_MAX);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    s->counts.connections++;
    s->peers[s->count++] = (struct peer){.fd = fd, .in = mem_alloc(INPUT_MAX)};
}

static void put(int fd, const char *data, size_t size, bool pieces) {
    size_t step = pieces ? 1 : size;
    for (size_t at = 0; at < size; at += step)
        if (send(fd, data + at, step, MSG_NOSIGNAL) < 0)
            return;
}

static void put_text(int fd, const char *text, bool pieces) {
    put(fd, text, strlen(text), pieces);
}

/* Says whether the connection stays. */
static bool answer_http(const struct server *s, int fd, enum server_answer how) {
    char head[160];
    unsigned status = s->script.status ? s->script.status : 200;
    snprintf(head, sizeof head,
             "HTTP/1.1 %u X\r\nContent-Length: 5\r\nX-Some: thing\r\n%s\r\nhello", status,
             how == SERVER_ANSWERS_AND_CLOSES ? "Connection: close\r\n" : "");
    switch (how) {
    case SERVER_ANSWERS_IN_PIECES: put_text(fd, head, true); return true;
    case SERVER_ANSWERS_CHUNKED:
        put_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", false);
        put_text(fd, "3\r\ncde\r\n0\r\n\r\n", true);
        return true;
    case SERVER_ANSWERS_TWICE:
        put_text(fd, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n", false);
        put_text(fd, head, false);
        return true;
    case SERVER_ANSWERS_UNTIL_CLOSE:
        put_text(fd, "HTTP/1.1 200 OK\r\n\r\nas long as it lasts", false);
        return false;
    case SERVER_ANSWERS_GARBAGE: put_text(fd, "220 mail.example ESMTP\r\n", false); return true;
    case SERVER_ANSWERS_TOO_MUCH:
        put_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nHTTP/1.1", false);
        return true;
    case SERVER_ANSWERS_NEVER: return true;
    case SERVER_CLOSES: return false;
    case SERVER_ANSWERS:
    case SERVER_ANSWERS_AND_CLOSES:
    case SERVER_ANSWERS_AND_VANISHES: break;
    }
    put_text(fd, head, false);
    return how == SERVER_ANSWERS;
}

static enum server_answer next_answer(const struct server *s) {
    bool well = s->script.only_each && s->counts.requests % s->script.only_each != 0;
    return well ? SERVER_ANSWERS : s->script.answer;
}

/* The size of the whole request at the beginning of the input; 0: it is not all there. */
static size_t request_size(const struct peer *p) {
    const char *end = memmem(p->in, p->size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end - p->in) + 4, body = 0;
    const char *length = memmem(p->in, head, "Content-Length: ", 16);
    if (length)
        body = strtoul(length + 16, NULL, 10);
    return p->size >= head + body ? head + body : 0;
}

static bool serve_http(struct server *s, struct peer *p) {
    size_t size;
    bool stays = true;
    while (stays && (size = request_size(p)) > 0) {
        if (s->counts.requests++ == 0)
            snprintf(s->counts.head, sizeof s->counts.head, "%.*s", (int)size, p->in);
        const char *end = memmem(p->in, size, "\r\n\r\n", 4);
        s->counts.body_bytes += size - (size_t)(end + 4 - p->in);
        stays = answer_http(s, p->fd, next_answer(s));
        memmove(p->in, p->in + size, p->size - size);
        p->size -= size;
    }
    return stays;
}

static bool serve_echo(struct server *s, struct peer *p) {
    s->counts.requests++;
    s->counts.body_bytes += p->size;
    enum server_answer how = next_answer(s);
    if (how == SERVER_ANSWERS_GARBAGE)
        p->in[0] ^= 1;
    if (how != SERVER_ANSWERS_NEVER && how != SERVER_CLOSES)
        put(p->fd, p->in, p->size, how == SERVER_ANSWERS_IN_PIECES);
    p->size = 0;
    return how != SERVER_CLOSES;
}

static bool serve(struct server *s, struct peer *p) {
    assert(p->size < INPUT_MAX);
    ssize_t n = recv(p->fd, p->in + p->size, INPUT_MAX - p->size, 0);
    if (n <= 0)
        return false;
    p->size += (size_t)n;
    return s->script.echo ? serve_echo(s, p) : serve_http(s, p);
}

static bool at_its_end(const struct server *s) {
    return s->script.end_after && s->counts.requests >= s->script.end_after;
}

static void *work(void *arg) {
    struct server *s = arg;
    while (!at_its_end(s)) {
        struct pollfd fds[CONNECTIONS_MAX + 2] = {{.fd = s->stop_fd, .events = POLLIN},
                                                  {.fd = s->listen_fd, .events = POLLIN}};
        size_t count = s->count;
        for (size_t i = 0; i < count; i++)
            fds[i + 2] = (struct pollfd){.fd = s->peers[i].fd, .events = POLLIN};
        if (poll(fds, count + 2, -1) < 0)
            continue;
        if (fds[0].revents)
            return NULL;
        for (size_t i = count;
             i-- > 0;) /* from behind: who is dropped is replaced by a later one */
            if (fds[i + 2].revents && !serve(s, &s->peers[i]))
                drop(s, i);
        if (fds[1].revents)
            take_connection(s);
    }
    while (s->count)
        drop(s, 0);
    close(take_fd(&s->listen_fd));
    return NULL;
}

int server_start(const struct server_script *script, struct server **ret, struct error *err) {
    struct server *s = mem_new(struct server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    s->script = *script;
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->listen_fd, (struct sockaddr *)&address, size) < 0 ||
        listen(s->listen_fd, CONNECTIONS_MAX) < 0 ||
        getsockname(s->listen_fd, (struct sockaddr *)&address, &size) < 0)
        return error_set_os(err, ERROR_IO, errno, "listen");
    s->port = ntohs(address.sin_port);
    int failure = pthread_create(&s->thread, NULL, work, s);
    assert(failure == 0);
    (void)failure;
    *ret = s;
    return 0;
}

uint16_t server_port(const struct server *s) {
    return s->port;
}

void server_stop(struct server *s, struct server_counts *ret) {
    uint64_t one = 1;
    ssize_t n = write(s->stop_fd, &one, sizeof one);
    (void)n;
    pthread_join(s->thread, NULL);
    while (s->count)
        drop(s, 0);
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    close(s->stop_fd);
    if (ret)
        *ret = s->counts;
    free(s);
}
