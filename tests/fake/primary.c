#include "tests/fake/primary.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/wire.h"

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
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LINKS_MAX = 64,
    IN_SIZE = 4 * 1024 * 1024,
    OUT_SIZE = 256 * 1024,
    CLIENTS_MAX = 128 * 1024,
    PENDING_MAX = 128 * 1024,
};

struct link {
    int fd;
    bool greeted;
    uint8_t *in;
    size_t in_begin, in_end;
    uint8_t *out;
    size_t out_size;
};

/* A reply that is due later; they are due in the order of their requests. */
struct pending {
    int link;
    uint64_t connection; /* its number, in case the link's place has another since */
    uint64_t due_ns;
    struct wire_reply reply;
};

struct primary {
    struct primary_script script;
    int listen_fd, stop_fd;
    uint16_t port;
    pthread_t thread;
    struct link links[LINKS_MAX];
    uint64_t connection_of[LINKS_MAX];
    struct pending *pending;
    uint64_t pending_first, pending_end;
    uint64_t stall_until_ns;
    uint64_t *numbers; /* the last of each client */
    uint64_t client_base;
    uint64_t payload_first_bytes;
    bool vanished;
    struct primary_counts counts;
    pthread_mutex_t lock; /* of the two below */
    pthread_cond_t came;
    uint64_t requests;
};

static uint64_t now_ns(void) {
    return clock_instant().ns;
}

static void drop_link(struct primary *p, int i) {
    if (p->links[i].fd >= 0)
        close(p->links[i].fd);
    p->links[i].fd = -1;
    p->connection_of[i] = 0;
}

/* The few bytes that replies are always fit: the loader reads. */
static void write_out(struct primary *p, int i) {
    struct link *l = &p->links[i];
    size_t written = 0;
    while (l->fd >= 0 && written < l->out_size) {
        ssize_t n = send(l->fd, l->out + written, l->out_size - written, MSG_NOSIGNAL);
        if (n < 0) {
            drop_link(p, i);
            break;
        }
        written += (size_t)n;
    }
    l->out_size = 0;
}

static void put_out(struct primary *p, int i, const void *data, size_t size) {
    struct link *l = &p->links[i];
    if (l->out_size + size > OUT_SIZE)
        write_out(p, i);
    memcpy(l->out + l->out_size, data, size);
    l->out_size += size;
}

/* More than is read at once: some of it comes after the greeting was understood. */
static void answer_nothing(struct primary *p, int i, const struct wire_hello *hello) {
    enum { TIMES = 4096 };
    const struct wire_reply reply = {.client = hello->clients.first, .replica = p->script.index};
    uint8_t frame[WIRE_REPLY_SIZE_MAX];
    size_t size = wire_reply_encode(&reply, frame);
    for (int n = 0; n < TIMES; n++)
        put_out(p, i, frame, size);
}

static void greet(struct primary *p, int i, const struct wire_hello *hello) {
    const struct primary_script *s = &p->script;
    struct wire_hello_answer answer = {
        .accepted = s->greeting != PRIMARY_REFUSES,
        .replica = (uint16_t)(s->index + (s->greeting == PRIMARY_SAYS_OTHER_INDEX)),
        .primary = s->primary,
        .n = s->n,
        .f = (uint16_t)((s->n - 1) / 3),
        .answers = s->answers ? s->answers : 1,
    };
    uint8_t frame[WIRE_HELLO_ANSWER_SIZE_MAX];
    p->links[i].greeted = true;
    if (s->text)
        snprintf(answer.text, sizeof answer.text, "%s", s->text);
    if (s->greeting == PRIMARY_SAYS_GARBAGE)
        put_out(p, i, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    else if (s->greeting != PRIMARY_SAYS_NOTHING && s->greeting != PRIMARY_CLOSES)
        put_out(p, i, frame, wire_hello_answer_encode(&answer, frame));
    if (s->greeting == PRIMARY_ANSWERS_AT_ONCE)
        answer_nothing(p, i, hello);
    write_out(p, i);
    if (s->greeting == PRIMARY_CLOSES)
        drop_link(p, i);
}

static void send_reply(struct primary *p, int i, const struct wire_reply *reply) {
    uint8_t frame[WIRE_REPLY_SIZE_MAX];
    size_t size = wire_reply_encode(reply, frame);
    if (p->script.answer == PRIMARY_ANSWERS_GARBAGE)
        memset(frame, 0xee, size);
    put_out(p, i, frame, size);
    if (p->script.answer == PRIMARY_ANSWERS_TWICE)
        put_out(p, i, frame, size);
    if (p->script.replies && p->counts.replies < p->script.replies_max)
        p->script.replies[p->counts.replies] = (struct primary_reply){
            .client = reply->client, .number = reply->number, .wall_ns = clock_wall().ns};
    p->counts.replies += reply->status == WIRE_REPLY_OK;
    if (p->script.answer == PRIMARY_ANSWERS_AND_CLOSES) {
        write_out(p, i);
        drop_link(p, i);
    }
}

static void count_request(struct primary *p, const struct wire_request *r) {
    struct primary_counts *c = &p->counts;
    if (c->requests++ == 0)
        p->client_base = c->client_min = r->client;
    c->client_min = r->client < c->client_min ? r->client : c->client_min;
    c->client_max = r->client > c->client_max ? r->client : c->client_max;
    c->bytes += r->payload_size;
    c->shape = (struct primary_shape){.key_count = r->key_count,
                                      .key_size = r->key_size,
                                      .value_size = r->value_size,
                                      .payload_size = r->payload_size,
                                      .execution_ms = r->execution_ms,
                                      .flags = r->flags};
    uint64_t *number = &p->numbers[r->client % CLIENTS_MAX];
    c->out_of_order += r->number <= *number;
    *number = r->number;
    if (p->script.check_payloads && r->payload_size >= 8) {
        uint64_t first;
        memcpy(&first, r->payload, sizeof first);
        c->same_payloads += first == p->payload_first_bytes;
        p->payload_first_bytes = first;
    }
}

static bool each(uint64_t count, uint64_t step) {
    return step > 0 && count % step == 0;
}

static void answer(struct primary *p, int i, const struct wire_request *request) {
    const struct primary_script *s = &p->script;
    uint64_t nth = p->counts.requests;
    struct wire_reply reply = {
        .client = request->client, .number = request->number, .replica = s->index, .height = nth};
    if (s->answer == PRIMARY_ANSWERS_NEVER || each(nth, s->lose_each))
        return;
    if (s->answer == PRIMARY_ANSWERS_REFUSED) {
        reply.status = WIRE_REPLY_REFUSED;
        snprintf(reply.text, sizeof reply.text, "%s", s->text);
    } else if (each(nth, s->overloaded_each)) {
        reply.status = WIRE_REPLY_OVERLOADED;
        p->counts.overloaded++;
    }
    if (s->answer == PRIMARY_ANSWERS_STRANGER)
        reply.client = 5;
    if (s->stall_at > 0 && nth == s->stall_at)
        p->stall_until_ns = now_ns() + s->stall_ns;
    if (s->delay_ns == 0 && p->stall_until_ns == 0) {
        send_reply(p, i, &reply);
        return;
    }
    uint64_t due_ns = now_ns() + s->delay_ns;
    if (s->delay_spread_ns)
        due_ns += (nth * UINT64_C(0x9e3779b97f4a7c15) >> 11) % s->delay_spread_ns;
    assert(p->pending_end - p->pending_first < PENDING_MAX);
    p->pending[p->pending_end++ % PENDING_MAX] = (struct pending){
        .link = i,
        .connection = p->connection_of[i],
        .due_ns = due_ns > p->stall_until_ns ? due_ns : p->stall_until_ns,
        .reply = reply,
    };
}

static void vanish(struct primary *p) {
    p->vanished = true;
    close(take_fd(&p->listen_fd));
    for (int i = 0; i < LINKS_MAX; i++)
        drop_link(p, i);
}

/* One frame of the link's input, if it is whole. */
static bool take_frame(struct primary *p, int i) {
    struct link *l = &p->links[i];
    struct error err = ERROR_NULL;
    struct wire_header header;
    const uint8_t *frame = l->in + l->in_begin;
    size_t left = l->in_end - l->in_begin;
    if (l->fd < 0 || left < WIRE_HEADER_SIZE)
        return false;
    if (wire_header_decode(frame, &header, &err) < 0) {
        fprintf(stderr, "fake primary: %s\n", err.text);
        abort();
    }
    if (left < WIRE_HEADER_SIZE + header.body_size)
        return false;
    l->in_begin += WIRE_HEADER_SIZE + header.body_size;
    if (!l->greeted) {
        struct wire_hello hello;
        assert(header.type == WIRE_HELLO);
        if (wire_hello_decode(frame + WIRE_HEADER_SIZE, header.body_size, &hello, &err) < 0)
            abort();
        greet(p, i, &hello);
        return true;
    }
    struct wire_request request;
    assert(header.type == WIRE_REQUEST);
    if (wire_request_decode(frame + WIRE_HEADER_SIZE, header.body_size, &request, &err) < 0) {
        fprintf(stderr, "fake primary: %s\n", err.text);
        abort();
    }
    count_request(p, &request);
    answer(p, i, &request);
    if (p->counts.requests == p->script.vanish_after) {
        write_out(p, i);
        vanish(p);
    }
    return true;
}

static void read_in(struct primary *p, int i) {
    struct link *l = &p->links[i];
    memmove(l->in, l->in + l->in_begin, l->in_end - l->in_begin);
    l->in_end -= l->in_begin;
    l->in_begin = 0;
    ssize_t n = recv(l->fd, l->in + l->in_end, IN_SIZE - l->in_end, 0);
    if (n <= 0) {
        drop_link(p, i);
        return;
    }
    l->in_end += (size_t)n;
    while (take_frame(p, i))
        continue;
    pthread_mutex_lock(&p->lock);
    p->requests = p->counts.requests;
    pthread_cond_signal(&p->came);
    pthread_mutex_unlock(&p->lock);
    if (l->fd >= 0)
        write_out(p, i);
}

static void accept_one(struct primary *p) {
    int fd = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    p->counts.connections++;
    for (int i = 0; i < LINKS_MAX; i++) {
        struct link *l = &p->links[i];
        if (l->fd >= 0)
            continue;
        if (!l->in) {
            l->in = mem_alloc(IN_SIZE);
            l->out = mem_alloc(OUT_SIZE);
        }
        l->fd = fd;
        l->greeted = false;
        l->in_begin = l->in_end = l->out_size = 0;
        p->connection_of[i] = p->counts.connections;
        return;
    }
    close(fd);
}

static void send_due(struct primary *p) {
    bool touched[LINKS_MAX] = {false};
    uint64_t now = now_ns();
    for (; p->pending_first < p->pending_end; p->pending_first++) {
        struct pending *one = &p->pending[p->pending_first % PENDING_MAX];
        if (one->due_ns > now)
            break;
        if (p->connection_of[one->link] == one->connection) {
            send_reply(p, one->link, &one->reply);
            touched[one->link] = true;
        }
    }
    for (int i = 0; i < LINKS_MAX; i++)
        if (touched[i] && p->links[i].fd >= 0)
            write_out(p, i);
}

static void wait_for_something(struct primary *p, struct pollfd fds[LINKS_MAX + 2]) {
    fds[0] = (struct pollfd){.fd = p->stop_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = p->listen_fd, .events = POLLIN};
    for (int i = 0; i < LINKS_MAX; i++) {
        bool deaf = p->links[i].greeted && p->script.reads_nothing;
        fds[i + 2] = (struct pollfd){.fd = deaf ? -1 : p->links[i].fd, .events = POLLIN};
    }
    uint64_t wait_ns = UINT64_MAX, now = now_ns();
    if (p->pending_first < p->pending_end) {
        uint64_t due_ns = p->pending[p->pending_first % PENDING_MAX].due_ns;
        wait_ns = due_ns > now ? due_ns - now : 0;
    }
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / NS_PER_SEC),
                            .tv_nsec = (long)(wait_ns % NS_PER_SEC)};
    ppoll(fds, LINKS_MAX + 2, wait_ns == UINT64_MAX ? NULL : &wait, NULL);
}

static void *run(void *context) {
    struct primary *p = context;
    struct pollfd fds[LINKS_MAX + 2];
    for (;;) {
        wait_for_something(p, fds);
        if (fds[0].revents)
            return NULL;
        send_due(p);
        for (int i = 0; i < LINKS_MAX; i++)
            if (fds[i + 2].revents && p->links[i].fd == fds[i + 2].fd)
                read_in(p, i);
        if (fds[1].revents && !p->vanished)
            accept_one(p);
    }
}

static int listen_anywhere(struct primary *p, struct error *err) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    p->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    p->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (p->listen_fd < 0 || p->stop_fd < 0 ||
        bind(p->listen_fd, (struct sockaddr *)&address, size) < 0 || listen(p->listen_fd, 64) < 0 ||
        getsockname(p->listen_fd, (struct sockaddr *)&address, &size) < 0)
        return error_set_os(err, ERROR_IO, errno, "listen");
    p->port = ntohs(address.sin_port);
    return 0;
}

int primary_start(const struct primary_script *script, struct primary **ret, struct error *err) {
    struct primary *p = mem_new(struct primary);
    p->script = *script;
    p->pending = mem_new_array(struct pending, PENDING_MAX);
    p->numbers = mem_new_array(uint64_t, CLIENTS_MAX);
    for (int i = 0; i < LINKS_MAX; i++)
        p->links[i].fd = -1;
    if (listen_anywhere(p, err) < 0)
        return -1; /* a test that ends here, ends */
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->came, NULL);
    int r = pthread_create(&p->thread, NULL, run, p);
    assert(r == 0);
    *ret = p;
    return 0;
}

uint16_t primary_port(const struct primary *p) {
    return p->port;
}

void primary_wait(struct primary *p, uint64_t requests) {
    pthread_mutex_lock(&p->lock);
    while (p->requests < requests)
        pthread_cond_wait(&p->came, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void primary_stop(struct primary *p, struct primary_counts *ret) {
    uint64_t one = 1;
    ssize_t written = write(p->stop_fd, &one, sizeof one);
    assert(written == (ssize_t)sizeof one);
    pthread_join(p->thread, NULL);
    if (ret)
        *ret = p->counts;
    for (int i = 0; i < LINKS_MAX; i++) {
        drop_link(p, i);
        free(p->links[i].in);
        free(p->links[i].out);
    }
    if (p->listen_fd >= 0)
        close(p->listen_fd);
    close(p->stop_fd);
    pthread_cond_destroy(&p->came);
    pthread_mutex_destroy(&p->lock);
    free(p->pending);
    free(p->numbers);
    free(p);
}
