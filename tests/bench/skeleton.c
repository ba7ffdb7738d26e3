/*
 * The speed of light of a replicated system on this machine: PBFT's messages and nothing else. n
 * processes and a client process talk over loopback; every message has an HMAC for its receiver,
 * every payload is hashed by whoever gets it, requests are batched while others are under way. No
 * execution but, if asked for, so many random stores of 2,959 B in memory; no client keys, views,
 * checkpoints, timers or checks of anything that could be wrong.
 *
 *     bench_skeleton REPLICAS CLIENTS PAYLOAD STORES REQUESTS
 *
 * prints "RATE P50_US": requests/s, and the median latency. A tenth of the requests is for warming
 * up. Castro and Liskov, TOCS '02, section 2.3 (the messages) and 4.1 (batches).
 */

#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    REPLICAS_MAX = 31,
    CLIENTS_MAX = 1024,
    WINDOW = 8,  /* batches under way at the primary */
    SLOTS = 256, /* at a replica that is slower */
    BATCH_MAX = 64,
    READ_BYTES = 1 << 20,
    OUT_MAX = 256 << 20,
    CELL = 118 + 2841, /* a key and its value */
    CELLS = 10000,
};

enum kind { HELLO, REQUEST, PRE_PREPARE, PREPARE, COMMIT, REPLY };

/* What follows it: of REQUEST the payload, of PRE_PREPARE `count` times a request with its head. */
struct head {
    uint32_t size; /* with the head */
    uint16_t count;
    uint8_t kind, from;
    uint64_t number; /* of the batch; of a request and its reply: client << 32 | count */
    uint8_t digest[SHA256_SIZE], mac[SHA256_SIZE];
};

struct link {
    int fd;
    struct buffer in, out;
    size_t sent;
    struct hmac hmac;
};

static unsigned n, f, client_count, stores, self;
static size_t payload_size;
static uint64_t request_count;
static int listeners[REPLICAS_MAX], epoll_fd;
static struct sockaddr_in addresses[REPLICAS_MAX];
static struct link links[2 * REPLICAS_MAX + 2], *to[REPLICAS_MAX + 1];
static unsigned link_count;

static void need(bool good, const char *what) {
    if (good)
        return;
    perror(what);
    exit(1);
}

/* ---- messages ---- */

static void mac_of(struct link *l, const struct head *h, uint8_t out[SHA256_SIZE]) {
    hmac_begin(&l->hmac);
    hmac_add(&l->hmac, h, offsetof(struct head, mac));
    hmac_end(&l->hmac, out);
}

static void send_to(struct link *l, struct head h, const void *body, size_t size) {
    h.size = (uint32_t)(sizeof h + size);
    h.from = (uint8_t)self;
    mac_of(l, &h, h.mac);
    buffer_append(&l->out, &h, sizeof h);
    buffer_append(&l->out, body, size);
}

static void send_to_others(struct head h, const void *body, size_t size) {
    for (unsigned i = 0; i < n; i++)
        if (i != self)
            send_to(to[i], h, body, size);
}

/* ---- a replica ---- */

struct slot {
    bool proposed, prepared, committed;
    unsigned prepares, commits;
    uint16_t count;
    uint8_t digest[SHA256_SIZE];
    struct buffer batch;
};

static struct slot slots[SLOTS];
static struct buffer spares[SLOTS]; /* memory that was used just now is still in a cache */
static unsigned spare_count;
static struct buffer pending; /* requests that the primary has not proposed yet */
static uint16_t pending_count;
static uint64_t next_number = 1, executed;
static uint8_t *cells;

static struct slot *slot_of(uint64_t number) {
    need(number <= executed + SLOTS, "a replica is too slow");
    return &slots[number % SLOTS];
}

static void store(void) {
    static uint64_t random = 88172645463325252;
    static uint8_t value[CELL];
    for (unsigned i = 0; i < stores; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        memcpy(cells + random % CELLS * CELL, value, CELL);
    }
}

static void execute(struct slot *s) {
    size_t at = 0;
    for (uint16_t i = 0; i < s->count; i++) {
        struct head request, reply = {.kind = REPLY};
        memcpy(&request, s->batch.data + at, sizeof request);
        at += request.size;
        store();
        reply.number = request.number;
        memcpy(reply.digest, request.digest, SHA256_SIZE);
        send_to(to[n], reply, NULL, 0);
    }
    buffer_clear(&s->batch);
    spares[spare_count++] = s->batch;
    *s = (struct slot){.count = 0};
}

static void advance(uint64_t number) {
    struct slot *s = slot_of(number);
    if (s->proposed && !s->prepared && s->prepares >= 2 * f) {
        struct head h = {.kind = COMMIT, .number = number};
        memcpy(h.digest, s->digest, SHA256_SIZE);
        s->prepared = true;
        s->commits++;
        send_to_others(h, NULL, 0);
    }
    s->committed = s->prepared && s->commits >= 2 * f + 1;
    while (slot_of(executed + 1)->committed)
        execute(slot_of(++executed));
}

/* Each payload is hashed, and the hashes make the batch's. */
static void digest_batch(const uint8_t *batch, uint16_t count, uint8_t ret[SHA256_SIZE]) {
    uint8_t digests[BATCH_MAX][SHA256_SIZE];
    for (uint16_t i = 0; i < count; i++) {
        struct head h;
        memcpy(&h, batch, sizeof h);
        sha256_of(batch + sizeof h, h.size - sizeof h, digests[i]);
        need(memcmp(digests[i], h.digest, SHA256_SIZE) == 0, "payload");
        batch += h.size;
    }
    sha256_of(digests, (size_t)count * SHA256_SIZE, ret);
}

static void accept_batch(const struct head *h, const void *batch, size_t size) {
    struct slot *s = slot_of(h->number);
    if (spare_count > 0)
        s->batch = spares[--spare_count];
    else
        buffer_init(&s->batch, OUT_MAX);
    buffer_append(&s->batch, batch, size);
    s->count = h->count;
    memcpy(s->digest, h->digest, SHA256_SIZE);
    s->proposed = true;
}

/* The primary has hashed them when they came. */
static void propose(void) {
    uint8_t digests[BATCH_MAX][SHA256_SIZE];
    size_t at = 0;
    if (pending_count == 0 || next_number > executed + WINDOW)
        return;
    struct head h = {.kind = PRE_PREPARE, .number = next_number++};
    for (h.count = 0; h.count < pending_count && h.count < BATCH_MAX; h.count++) {
        struct head request;
        memcpy(&request, pending.data + at, sizeof request);
        memcpy(digests[h.count], request.digest, SHA256_SIZE);
        at += request.size;
    }
    sha256_of(digests, (size_t)h.count * SHA256_SIZE, h.digest);
    accept_batch(&h, pending.data, at);
    send_to_others(h, pending.data, at);
    buffer_consume(&pending, at);
    pending_count = (uint16_t)(pending_count - h.count);
    advance(h.number);
}

static void take(const struct head *h, const uint8_t *body) {
    size_t size = h->size - sizeof *h;
    uint8_t digest[SHA256_SIZE];
    if (h->kind != REQUEST && h->number <= executed)
        return; /* of whoever was later than the quorum */
    switch ((enum kind)h->kind) {
    case REQUEST:
        sha256_of(body, size, digest);
        need(memcmp(digest, h->digest, SHA256_SIZE) == 0, "request");
        buffer_append(&pending, h, sizeof *h);
        buffer_append(&pending, body, size);
        pending_count++;
        return;
    case PRE_PREPARE:
        digest_batch(body, h->count, digest);
        need(memcmp(digest, h->digest, SHA256_SIZE) == 0, "batch");
        accept_batch(h, body, size);
        slot_of(h->number)->prepares++;
        send_to_others((struct head){.kind = PREPARE, .number = h->number}, NULL, 0);
        break;
    case PREPARE: slot_of(h->number)->prepares++; break;
    case COMMIT: slot_of(h->number)->commits++; break;
    case HELLO:
    case REPLY: return;
    }
    advance(h->number);
}

/* ---- the client ---- */

static struct waiting {
    uint64_t number, since;
    unsigned votes;
} waiting[CLIENTS_MAX];
static uint64_t asked, answered, began, *latencies;
static uint8_t *payload, payload_digest[SHA256_SIZE];

static void ask(uint64_t client) {
    struct waiting *w = &waiting[client];
    if (asked == request_count)
        return;
    struct head h = {.kind = REQUEST, .number = client << 32 | ++asked};
    memcpy(h.digest, payload_digest, SHA256_SIZE);
    *w = (struct waiting){.number = h.number, .since = clock_instant().ns};
    send_to(to[0], h, payload, payload_size);
}

static void take_reply(const struct head *h) {
    struct waiting *w = &waiting[h->number >> 32];
    if (w->number != h->number || ++w->votes != f + 1)
        return;
    uint64_t now = clock_instant().ns;
    latencies[answered++] = now - w->since;
    if (answered == request_count / 10)
        began = now;
    w->number = 0;
    ask(h->number >> 32);
}

/* ---- links ---- */

static void add_link(int fd, unsigned who) {
    static const uint8_t key[32] = "of one cluster, in one benchmark";
    struct link *l = &links[link_count++];
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *l = (struct link){.fd = fd};
    buffer_init(&l->in, OUT_MAX);
    buffer_init(&l->out, OUT_MAX);
    hmac_init(&l->hmac, key, sizeof key);
    to[who] = l;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = l};
    need(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0, "epoll");
}

static void connect_to(unsigned who) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(connect(fd, (struct sockaddr *)&addresses[who], sizeof *addresses) == 0, "connect");
    add_link(fd, who);
    const struct head hello = {.kind = HELLO, .from = (uint8_t)self};
    need(send(fd, &hello, sizeof hello, 0) == sizeof hello, "send");
}

static void accept_one(void) {
    struct head hello;
    int fd = accept(listeners[self], NULL, NULL);
    need(recv(fd, &hello, sizeof hello, MSG_WAITALL) == sizeof hello && hello.from <= n, "accept");
    add_link(fd, hello.from);
}

static void take_all(struct link *l) {
    size_t at = 0;
    for (struct head h; l->in.size - at >= sizeof h; at += h.size) {
        uint8_t mac[SHA256_SIZE];
        memcpy(&h, l->in.data + at, sizeof h);
        if (l->in.size - at < h.size)
            break;
        mac_of(l, &h, mac);
        need(memcmp(mac, h.mac, sizeof mac) == 0, "MAC");
        if (self == n)
            take_reply(&h);
        else
            take(&h, (const uint8_t *)l->in.data + at + sizeof h);
    }
    buffer_consume(&l->in, at);
}

static bool read_from(struct link *l) {
    void *room = buffer_reserve(&l->in, READ_BYTES);
    ssize_t got = recv(l->fd, room, READ_BYTES, MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    buffer_commit(&l->in, (size_t)got);
    take_all(l);
    return true;
}

static void flush(struct link *l) {
    while (l->sent < l->out.size) {
        ssize_t done =
            send(l->fd, l->out.data + l->sent, l->out.size - l->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done < 0)
            break;
        l->sent += (size_t)done;
    }
    bool all = l->sent == l->out.size;
    if (all) {
        buffer_clear(&l->out);
        l->sent = 0;
    }
    struct epoll_event e = {.events = all ? EPOLLIN : EPOLLIN | EPOLLOUT, .data.ptr = l};
    if (!all || errno == EAGAIN)
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, l->fd, &e);
    errno = 0;
}

/* Until a link ends, or the client has all its answers. */
static void serve(void) {
    for (;;) {
        struct epoll_event events[2 * REPLICAS_MAX];
        int count = epoll_wait(epoll_fd, events, 2 * REPLICAS_MAX, -1);
        for (int i = 0; i < count; i++)
            if (!read_from(events[i].data.ptr) || (self == n && answered == request_count))
                return;
        if (self == 0)
            propose();
        for (unsigned i = 0; i < link_count; i++)
            if (links[i].out.size > 0)
                flush(&links[i]);
    }
}

/* ---- processes ---- */

static void run_replica(unsigned index) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    self = index;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    cells = stores ? mem_new_array(uint8_t, (size_t)CELLS * CELL) : NULL;
    if (cells)
        memset(cells, 1, (size_t)CELLS * CELL);
    buffer_init(&pending, OUT_MAX);
    for (unsigned i = 0; i < index; i++)
        connect_to(i);
    for (unsigned i = index + 1; i <= n; i++)
        accept_one();
    serve();
    exit(0);
}

static int by_value(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void run_client(void) {
    self = n;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    payload = mem_new_array(uint8_t, payload_size + 1);
    random_bytes(payload, payload_size);
    sha256_of(payload, payload_size, payload_digest);
    latencies = mem_new_array(uint64_t, request_count);
    for (unsigned i = 0; i < n; i++)
        connect_to(i);
    for (unsigned i = 0; i < client_count; i++)
        ask(i);
    for (unsigned i = 0; i < n; i++)
        flush(to[i]);
    serve();
    uint64_t warm = request_count / 10, took = clock_instant().ns - began;
    qsort(latencies + warm, request_count - warm, sizeof *latencies, by_value);
    printf("%.0f %.1f\n", (double)(request_count - warm) * 1e9 / (double)took,
           (double)latencies[warm + (request_count - warm) / 2] / 1000);
}

static void listen_for(unsigned i) {
    socklen_t size = sizeof *addresses;
    addresses[i] =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(bind(listeners[i], (struct sockaddr *)&addresses[i], size) == 0 &&
             listen(listeners[i], REPLICAS_MAX) == 0 &&
             getsockname(listeners[i], (struct sockaddr *)&addresses[i], &size) == 0,
         "listen");
}

int main(int argc, char **argv) {
    if (argc != 6)
        return 2;
    n = (unsigned)atoi(argv[1]);
    client_count = (unsigned)atoi(argv[2]);
    payload_size = (size_t)atoi(argv[3]);
    stores = (unsigned)atoi(argv[4]);
    request_count = (uint64_t)atoll(argv[5]);
    if (n < 1 || n > REPLICAS_MAX || client_count < 1 || client_count > CLIENTS_MAX ||
        request_count < 10)
        return 2;
    f = (n - 1) / 3;
    for (unsigned i = 0; i < n; i++)
        listen_for(i);
    for (unsigned i = 0; i < n; i++)
        if (fork() == 0)
            run_replica(i);
    run_client();
    for (unsigned i = 0; i < n; i++)
        close(to[i]->fd);
    while (wait(NULL) > 0)
        ;
    return 0;
}
