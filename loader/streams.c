#include "loader/streams.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "loader/http_answer.h"
#include "loader/limits.h"
#include "loader/line.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum stream_state {
    STREAM_DOWN, /* in the line of those that are to be connected */
    STREAM_CONNECTING,
    STREAM_IDLE,
    STREAM_READY,   /* in the line of those that have something to send */
    STREAM_SENDING, /* the kernel has a part of the request */
    STREAM_ASKED,
};

/* Some hundred bytes for each client: everything else is the thread's. */
struct stream {
    int fd; /* -1 when closed */
    enum stream_state state;
    uint32_t events; /* that epoll watches for */
    bool wanted;     /* there is a request that waits for the connection */
    bool answered;   /* something, since it was connected */
    uint32_t gone;   /* bytes of the request that were sent, or of the echo that came back */
    uint64_t number;
    struct instant until; /* to be connected, or before it is tried again */
    struct http_answer answer;
};

struct streams {
    struct carrier carrier; /* first: it is what others see */
    const struct streams_config *config;
    struct carrier_slice slice;
    struct stream *list; /* by client */
    struct link *links;
    struct line down, connecting; /* by time */
    struct line ready;
    uint32_t up;            /* connected */
    bool settled;           /* all were connected once, or the load could not begin */
    struct instant give_up; /* before: all must be connected until then; afterwards, one. NEVER
                               while that is so */
    uint32_t refusals;      /* one after the other */
    bool noted_refusal, noted_loss;
    struct error why; /* of the last connection that failed */
    char in[LOADER_INPUT_SIZE];
};

static struct streams *of(struct carrier *c) {
    return (struct streams *)c;
}

char *streams_http_head(const char *method, const char *path, const char *authority,
                        size_t payload_size) {
    cleanup_free char *length =
        payload_size
            ? text_format("Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n",
                          payload_size)
            : text_dup("");
    return text_format("%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: seatrial-loader\r\n%s\r\n",
                       method, path, authority, length);
}

/* ---- connections ---- */

static const struct endpoint *target_of(const struct streams *s, uint32_t client) {
    uint32_t index = client * s->slice.threads + s->slice.thread;
    return &s->config->targets->replicas[index % s->config->targets->count];
}

static void watch(struct streams *s, uint32_t client, uint32_t events, int operation) {
    if (operation == EPOLL_CTL_MOD && events == s->list[client].events)
        return;
    s->list[client].events = events;
    struct epoll_event event = {.events = events, .data.u32 = client};
    int r = epoll_ctl(s->slice.epoll_fd, operation, s->list[client].fd, &event);
    assert(r == 0); /* a fresh descriptor of ours, or one that is there */
}

static void begin_attempt(struct streams *s, uint32_t client, struct instant now);

static bool is_up(const struct stream *one) {
    return one->state != STREAM_DOWN && one->state != STREAM_CONNECTING;
}

/* Out of whatever it was in. Who has carried an answer is tried again at once, others after a
 * pause. */
static void put_down(struct streams *s, uint32_t client, struct instant now) {
    struct stream *one = &s->list[client];
    if (one->state == STREAM_CONNECTING)
        line_remove(&s->connecting, s->links, client);
    if (one->state == STREAM_READY)
        line_remove(&s->ready, s->links, client);
    if (is_up(one) && --s->up == 0 && s->settled)
        s->give_up = instant_after(now, s->config->connect_timeout_ns);
    if (one->fd >= 0)
        close(take_fd(&one->fd));
    bool at_once = one->answered && s->connecting.count < LOADER_CONNECTING_MAX;
    one->until = instant_after(now, LOADER_RETRY_FIRST_NS);
    one->answered = false;
    one->state = STREAM_DOWN;
    line_append(&s->down, s->links, client);
    if (at_once)
        begin_attempt(s, client, now);
}

static void connect_failed(struct streams *s, uint32_t client, struct instant now) {
    const struct endpoint *target = target_of(s, client);
    error_wrap(&s->why, "%s", target->address);
    put_down(s, client, now);
}

static void begin_attempt(struct streams *s, uint32_t client, struct instant now) {
    struct stream *one = &s->list[client];
    const struct endpoint *target = target_of(s, client);
    line_remove(&s->down, s->links, client);
    one->state = STREAM_CONNECTING;
    one->until = instant_after(now, LOADER_ATTEMPT_NS);
    line_append(&s->connecting, s->links, client);
    one->fd =
        socket(target->socket_address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (one->fd < 0) {
        error_set_os(&s->why, ERROR_IO, errno, "make a socket");
        connect_failed(s, client, now);
        return;
    }
    int on = 1;
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(one->fd, (const struct sockaddr *)&target->socket_address,
                target->socket_address_size) < 0 &&
        errno != EINPROGRESS) {
        error_set_os(&s->why, ERROR_UNREACHABLE, errno, "connect");
        connect_failed(s, client, now);
        return;
    }
    watch(s, client, EPOLLOUT, EPOLL_CTL_ADD);
}

static void make_ready(struct streams *s, uint32_t client) {
    s->list[client].state = STREAM_READY;
    s->list[client].wanted = false;
    line_append(&s->ready, s->links, client);
}

static void connected(struct streams *s, uint32_t client, struct instant now) {
    struct stream *one = &s->list[client];
    int failure = 0;
    socklen_t size = sizeof failure;
    if (getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0)
        failure = errno;
    if (failure) {
        error_set_os(&s->why, ERROR_UNREACHABLE, failure, "connect");
        connect_failed(s, client, now);
        return;
    }
    line_remove(&s->connecting, s->links, client);
    s->up++;
    if (s->settled)
        s->give_up = INSTANT_NEVER;
    one->state = STREAM_IDLE;
    watch(s, client, EPOLLIN, EPOLL_CTL_MOD);
    if (one->wanted)
        make_ready(s, client);
}

/* ---- requests ---- */

static void submit(struct carrier *c, uint32_t client, uint64_t number) {
    struct streams *s = of(c);
    struct stream *one = &s->list[client];
    one->number = number;
    if (one->state == STREAM_IDLE)
        make_ready(s, client);
    else
        one->wanted = true;
}

/* An answer that may still come would be taken for the next request's: the connection ends. */
static void withdraw(struct carrier *c, uint32_t client) {
    struct streams *s = of(c);
    struct stream *one = &s->list[client];
    one->wanted = false;
    if (one->state == STREAM_READY) {
        line_remove(&s->ready, s->links, client);
        one->state = STREAM_IDLE;
    } else if (one->state == STREAM_SENDING || one->state == STREAM_ASKED) {
        put_down(s, client, clock_instant());
    }
}

static int end(struct streams *s, uint32_t client, enum outcome outcome, struct error *err) {
    return s->carrier.owner.ended(s->carrier.owner.context, client, outcome, err);
}

static const uint8_t *payload_of(const struct streams *s, uint32_t client, uint32_t *ret_size) {
    const struct schedule_entry entry = {.client = client * s->slice.threads + s->slice.thread,
                                         .number = s->list[client].number};
    struct wire_request request;
    workload_request(s->config->workload, &entry, &request);
    *ret_size = request.payload_size;
    return request.payload;
}

/* What is left of head and payload after `gone` bytes. */
static int vectors_of(const struct streams *s, uint32_t client, struct iovec vectors[2]) {
    const char *head = s->config->heads
                           ? s->config->heads[target_of(s, client) - s->config->targets->replicas]
                           : "";
    size_t head_size = strlen(head), gone = s->list[client].gone;
    uint32_t payload_size;
    const uint8_t *payload = payload_of(s, client, &payload_size);
    size_t head_gone = gone < head_size ? gone : head_size;
    int count = 0;
    if (head_gone < head_size)
        vectors[count++] = (struct iovec){.iov_base = (void *)(uintptr_t)(head + head_gone),
                                          .iov_len = head_size - head_gone};
    if (gone - head_gone < payload_size)
        vectors[count++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)(payload + (gone - head_gone)),
                           .iov_len = payload_size - (gone - head_gone)};
    return count;
}

/* The request under way has failed; one that was not begun waits for the next connection. */
static int lose(struct streams *s, uint32_t client, struct error *err) {
    struct stream *one = &s->list[client];
    bool sent = one->state == STREAM_SENDING || one->state == STREAM_ASKED;
    one->wanted |= one->state == STREAM_READY;
    put_down(s, client, clock_instant());
    return sent ? end(s, client, OUTCOME_FAILED, err) : 0;
}

static int send_some(struct streams *s, uint32_t client, struct error *err) {
    struct stream *one = &s->list[client];
    struct iovec vectors[2];
    struct msghdr message = {.msg_iov = vectors};
    message.msg_iovlen = (size_t)vectors_of(s, client, vectors);
    size_t bytes = 0;
    for (size_t i = 0; i < message.msg_iovlen; i++)
        bytes += vectors[i].iov_len;
    bool first = one->state == STREAM_READY;
    uint64_t at_ns = first ? s->carrier.owner.now(s->carrier.owner.context) : 0;
    ssize_t n = sendmsg(one->fd, &message, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        error_set_os(&s->why, ERROR_UNREACHABLE, errno, "the connection broke");
        return lose(s, client, err);
    }
    if (first && n > 0) {
        line_remove(&s->ready, s->links, client);
        one->state = STREAM_SENDING;
        s->carrier.owner.begun(s->carrier.owner.context, client, at_ns);
    }
    one->gone += n > 0 ? (uint32_t)n : 0;
    bool whole = n >= 0 && (size_t)n == bytes;
    if (whole) {
        one->state = STREAM_ASKED;
        one->gone = 0;
    }
    watch(s, client, EPOLLIN | (whole ? 0U : (uint32_t)EPOLLOUT), EPOLL_CTL_MOD);
    return 0;
}

static int flush(struct carrier *c, struct error *err) {
    struct streams *s = of(c);
    for (uint64_t count = s->ready.count; count > 0 && s->ready.first != NOBODY; count--) {
        uint32_t client = s->ready.first;
        struct stream *one = &s->list[client];
        one->gone = 0;
        http_answer_begin(&one->answer);
        if (send_some(s, client, err) < 0)
            return -1;
        if (one->state == STREAM_READY) { /* the kernel has no room: epoll says when it has */
            line_remove(&s->ready, s->links, client);
            line_append(&s->ready, s->links, client);
        }
    }
    return 0;
}

/* ---- answers ---- */

static void note_once(struct streams *s, bool *noted) {
    if (!*noted)
        s->carrier.owner.note(s->carrier.owner.context, s->why.text);
    *noted = true;
}

/* A server that refuses everything will go on doing so. */
static int refused(struct streams *s, uint32_t client, struct error *err) {
    error_wrap(&s->why, "%s", target_of(s, client)->address);
    note_once(s, &s->noted_refusal);
    if (++s->refusals < LOADER_REFUSALS_MAX)
        return 0;
    return error_set(err, ERROR_REFUSED, "%u answers in a row were no good: %s", s->refusals,
                     s->why.text);
}

static int take_http_end(struct streams *s, uint32_t client, const struct http_answer_end *answer,
                         struct error *err) {
    struct stream *one = &s->list[client];
    bool good = answer->status >= 200 && answer->status < 400;
    enum outcome outcome = good                                             ? OUTCOME_ACKNOWLEDGED
                           : answer->status == 429 || answer->status == 503 ? OUTCOME_OVERLOADED
                                                                            : OUTCOME_FAILED;
    one->answered = true;
    one->state = STREAM_IDLE;
    if (!answer->keeps_alive)
        put_down(s, client, clock_instant());
    if (end(s, client, outcome, err) < 0)
        return -1;
    if (outcome != OUTCOME_FAILED) {
        s->refusals = 0;
        return 0;
    }
    error_set(&s->why, ERROR_REFUSED, "it answers with status %u", answer->status);
    return refused(s, client, err);
}

/* 0; 1 for what no server may say, described in s->why; or a fault. */
static int take_http(struct streams *s, uint32_t client, size_t size, struct error *err) {
    struct http_answer_end answer;
    int r = http_answer_feed(&s->list[client].answer, s->in, size, &answer, &s->why);
    return r < 0 ? 1 : r == 0 ? 0 : take_http_end(s, client, &answer, err);
}

static int take_echo(struct streams *s, uint32_t client, size_t size, struct error *err) {
    struct stream *one = &s->list[client];
    uint32_t payload_size;
    const uint8_t *payload = payload_of(s, client, &payload_size);
    if (size == 0) {
        error_set(&s->why, ERROR_UNREACHABLE, "it closed the connection in an answer");
        return 1;
    }
    if (size > payload_size - one->gone || memcmp(payload + one->gone, s->in, size) != 0) {
        error_set(&s->why, ERROR_INVALID, "what it sent back is not what it was sent");
        return 1;
    }
    one->gone += (uint32_t)size;
    if (one->gone < payload_size)
        return 0;
    one->answered = true;
    one->state = STREAM_IDLE;
    s->refusals = 0;
    return end(s, client, OUTCOME_ACKNOWLEDGED, err);
}

static int take(struct streams *s, uint32_t client, size_t size, struct error *err) {
    struct stream *one = &s->list[client];
    if (one->state != STREAM_ASKED) {
        if (size > 0)
            error_set(&s->why, ERROR_INVALID, "it sends before it was asked");
        else
            error_set(&s->why, ERROR_UNREACHABLE, "it closed the connection");
        return lose(s, client, err);
    }
    int r = s->config->protocol == STREAM_HTTP ? take_http(s, client, size, err)
                                               : take_echo(s, client, size, err);
    if (r <= 0)
        return r;
    if (size == 0) { /* it may be restarted: no refusal */
        error_wrap(&s->why, "%s", target_of(s, client)->address);
        note_once(s, &s->noted_loss);
        return lose(s, client, err);
    }
    return refused(s, client, err) < 0 ? -1 : lose(s, client, err);
}

static int receive(struct streams *s, uint32_t client, struct error *err) {
    ssize_t n = recv(s->list[client].fd, s->in, sizeof s->in, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0) {
        error_set_os(&s->why, ERROR_UNREACHABLE, errno, "the connection broke");
        return lose(s, client, err);
    }
    s->carrier.owner.now(s->carrier.owner.context); /* when the answer was there */
    return take(s, client, (size_t)n, err);
}

static int handle(struct carrier *c, const struct epoll_event *event, struct error *err) {
    struct streams *s = of(c);
    uint32_t client = event->data.u32;
    struct stream *one = &s->list[client];
    if (one->state == STREAM_DOWN)
        return 0; /* by an event before this one */
    if (one->state == STREAM_CONNECTING) {
        connected(s, client, clock_instant());
        return 0;
    }
    if (one->state == STREAM_SENDING && event->events & EPOLLOUT)
        return send_some(s, client, err);
    return event->events & ~(uint32_t)EPOLLOUT ? receive(s, client, err) : 0;
}

/* ---- time ---- */

static void start(struct carrier *c, struct instant now) {
    struct streams *s = of(c);
    s->give_up = instant_after(now, s->config->connect_timeout_ns);
    for (uint32_t i = 0; i < s->slice.clients; i++)
        s->list[i].until = now;
}

static bool ready(struct carrier *c, struct instant now) {
    (void)now;
    struct streams *s = of(c);
    if (s->up < s->slice.clients)
        return false;
    s->settled = true;
    s->give_up = INSTANT_NEVER;
    return true;
}

static bool alive(const struct carrier *c) {
    return ((const struct streams *)c)->up > 0;
}

static int unreachable(const struct streams *s, struct error *err) {
    return error_set(
        err, ERROR_UNREACHABLE, "%u of %u connections stand: %s", s->up, s->slice.clients,
        s->why.kind == ERROR_NONE ? "the others are not established in time" : s->why.text);
}

static int tick(struct carrier *c, struct instant now, struct error *err) {
    struct streams *s = of(c);
    if (instant_passed(s->give_up, now))
        return unreachable(s, err);
    while (s->connecting.first != NOBODY &&
           instant_passed(s->list[s->connecting.first].until, now)) {
        error_set(&s->why, ERROR_TIMEOUT, "the connection is not established in time");
        connect_failed(s, s->connecting.first, now);
    }
    while (s->down.first != NOBODY && s->connecting.count < LOADER_CONNECTING_MAX &&
           instant_passed(s->list[s->down.first].until, now))
        begin_attempt(s, s->down.first, now);
    return 0;
}

static struct instant due(const struct carrier *c) {
    const struct streams *s = (const struct streams *)c;
    struct instant at = s->give_up;
    if (s->connecting.first != NOBODY)
        at = instant_earlier(at, s->list[s->connecting.first].until);
    if (s->down.first != NOBODY && s->connecting.count < LOADER_CONNECTING_MAX)
        at = instant_earlier(at, s->list[s->down.first].until);
    return at;
}

static void streams_free(struct carrier *c) {
    struct streams *s = of(c);
    for (uint32_t i = 0; i < s->slice.clients; i++)
        if (s->list[i].fd >= 0)
            close(s->list[i].fd);
    free(s->list);
    free(s->links);
    free(s);
}

static const struct carrier_kind kind = {
    .start = start,
    .ready = ready,
    .alive = alive,
    .submit = submit,
    .withdraw = withdraw,
    .flush = flush,
    .handle = handle,
    .tick = tick,
    .due = due,
    .free = streams_free,
};

static struct carrier *make(const void *context, const struct carrier_slice *slice,
                            const struct carrier_owner *owner) {
    struct streams *s = mem_new(struct streams);
    s->carrier = (struct carrier){.kind = &kind, .owner = *owner, .epoll_fd = slice->epoll_fd};
    s->config = context;
    s->slice = *slice;
    s->down = s->connecting = s->ready = LINE_EMPTY;
    s->list = mem_new_array(struct stream, slice->clients);
    s->links = mem_new_array(struct link, slice->clients);
    for (uint32_t i = 0; i < slice->clients; i++) {
        s->list[i] = (struct stream){.fd = -1, .state = STREAM_DOWN};
        line_append(&s->down, s->links, i);
    }
    return &s->carrier;
}

struct carrier_maker streams_maker(const struct streams_config *config) {
    return (struct carrier_maker){.make = make, .context = config};
}
