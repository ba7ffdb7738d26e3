#include "tests/fake/fake.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/task.h"
#include "lib/text.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    RECEIVED_MAX = 4 * 1024 * 1024, /* what a test looks at; the rest is read and dropped */
    FINISH_MS = 20 * 1000,          /* far more than any script takes */
};

struct fake {
    const struct fake_step *script;
    const struct fake_step *step;
    char folder[32];
    char *path;
    int listen_fd, fd;
    int stop_fd; /* readable: the test has waited long enough */
    int done_fd; /* readable: the script is over */
    pthread_t thread;
    struct buffer pending; /* received, not yet looked at */
    struct buffer received;
    size_t head; /* where in `received` the last request begins */
    uint64_t sent;
    char fault[512];
};

static char last_fault[512];
static uint64_t last_sent;
static char *last_received;

uint64_t fake_sent(void) {
    return last_sent;
}

const char *fake_received(void) {
    return last_received ? last_received : "";
}

const char *fake_socket(const struct fake *fake) {
    return fake->path;
}

/* false once the test gave up. */
static bool wait_for(struct fake *fake, int fd, short events) {
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = fake->stop_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0)
        assert(errno == EINTR);
    return !fds[1].revents;
}

static void hang_up(struct fake *fake) {
    if (fake->fd >= 0)
        close(take_fd(&fake->fd));
    buffer_clear(&fake->pending);
}

static bool fault(struct fake *fake, const char *text, const char *seen) {
    if (!fake->fault[0])
        snprintf(fake->fault, sizeof fake->fault, "step %td: %s '%.200s'",
                 fake->step - fake->script, text, seen);
    return false;
}

/* More bytes into `pending`; false when there will be none. */
static bool receive(struct fake *fake) {
    if (fake->fd < 0 || !wait_for(fake, fake->fd, POLLIN))
        return false;
    char data[65536];
    ssize_t n = recv(fake->fd, data, sizeof data, 0);
    if (n <= 0) {
        hang_up(fake);
        return false;
    }
    buffer_append(&fake->pending, data, (size_t)n);
    size_t room = fake->received.size_max - fake->received.size;
    buffer_append(&fake->received, data, (size_t)n < room ? (size_t)n : room);
    return true;
}

/* The connection we have, or a new one: a client may open a second while it keeps the first. */
static bool wait_for_client(struct fake *fake) {
    struct pollfd fds[3] = {{.fd = fake->stop_fd, .events = POLLIN},
                            {.fd = fake->fd, .events = POLLIN},
                            {.fd = fake->listen_fd, .events = POLLIN}};
    while (poll(fds, 3, -1) < 0)
        assert(errno == EINTR);
    if (fds[0].revents)
        return false;
    if (fds[1].revents) {
        receive(fake);
        return true;
    }
    hang_up(fake);
    fake->fd = accept4(fake->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    return true;
}

static bool expect(struct fake *fake) {
    const char *end;
    while (!(end = strstr(buffer_string(&fake->pending), "\r\n\r\n")))
        if (!wait_for_client(fake))
            return fault(fake, "nobody came for", fake->step->text);
    const char *head = buffer_string(&fake->pending);
    if (!text_starts(head, fake->step->text)) {
        cleanup_free char *line = text_format("%.*s", (int)strcspn(head, "\r"), head);
        return fault(fake, "another request came:", line);
    }
    fake->head = fake->received.size - fake->pending.size;
    buffer_consume(&fake->pending, (size_t)(end + 4 - head));
    return true;
}

static bool read_bytes(struct fake *fake, uint64_t size) {
    while (size > 0) {
        if (fake->pending.size == 0 && !receive(fake))
            return false;
        uint64_t n = size < fake->pending.size ? size : fake->pending.size;
        buffer_consume(&fake->pending, n);
        size -= n;
    }
    return true;
}

static bool read_chunks(struct fake *fake) {
    for (;;) {
        const char *end;
        while (!(end = strstr(buffer_string(&fake->pending), "\r\n")))
            if (!receive(fake))
                return false;
        unsigned long long size = strtoull(buffer_string(&fake->pending), NULL, 16);
        buffer_consume(&fake->pending, (size_t)(end + 2 - buffer_string(&fake->pending)));
        if (!read_bytes(fake, size + 2))
            return false;
        if (size == 0)
            return true;
    }
}

/* A client that hangs up in its body is seen by the next step. */
static bool read_body(struct fake *fake) {
    const char *head = buffer_string(&fake->received) + fake->head;
    const char *length = strcasestr(head, "\r\nContent-Length:");
    if (strcasestr(head, "\r\nTransfer-Encoding: chunked"))
        read_chunks(fake);
    else if (length)
        read_bytes(fake, strtoull(length + strlen("\r\nContent-Length:"), NULL, 10));
    return true;
}

static uint64_t send_bytes(struct fake *fake, const char *data, size_t size) {
    size_t done = 0;
    while (done < size && fake->fd >= 0 && wait_for(fake, fake->fd, POLLOUT)) {
        ssize_t n = send(fake->fd, data + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            done += (size_t)n;
        else if (errno != EAGAIN)
            hang_up(fake);
    }
    return done;
}

static bool send_repeated(struct fake *fake) {
    char data[65536];
    memset(data, fake->step->text[0], sizeof data);
    for (uint64_t left = fake->step->size; left > 0;) {
        uint64_t n = left < sizeof data ? left : sizeof data;
        uint64_t sent = send_bytes(fake, data, n);
        fake->sent += sent;
        if (sent < n)
            break;
        left -= n;
    }
    return true;
}

static bool send_text(struct fake *fake) {
    const struct fake_step *step = fake->step;
    if (step->size != UINT64_MAX) {
        send_bytes(fake, step->text, step->size ? step->size : strlen(step->text));
        return true;
    }
    cleanup_free char *body =
        text_format("Content-Length: %zu\r\n\r\n%s", strlen(step->text), step->text);
    send_bytes(fake, body, strlen(body));
    return true;
}

static bool send_chunk(struct fake *fake) {
    char head[32];
    int n = snprintf(head, sizeof head, "%llx\r\n", (unsigned long long)fake->step->size);
    send_bytes(fake, head, (size_t)n);
    send_bytes(fake, fake->step->text, fake->step->size);
    send_bytes(fake, "\r\n", 2);
    return true;
}

static bool play(struct fake *fake) {
    switch (fake->step->kind) {
    case FAKE_STEP_EXPECT: return expect(fake);
    case FAKE_STEP_BODY: return read_body(fake);
    case FAKE_STEP_READ: read_bytes(fake, fake->step->size); return true;
    case FAKE_STEP_SEND: return send_text(fake);
    case FAKE_STEP_CHUNK: return send_chunk(fake);
    case FAKE_STEP_REPEAT: return send_repeated(fake);
    case FAKE_STEP_STALL:
        while (receive(fake))
            buffer_clear(&fake->pending);
        return true;
    case FAKE_STEP_CALL: fake->step->call(); return true;
    case FAKE_STEP_CLOSE: hang_up(fake); return true;
    case FAKE_STEP_END: break;
    }
    return false;
}

static void *run(void *arg) {
    struct fake *fake = arg;
    while (fake->step->kind != FAKE_STEP_END && play(fake))
        fake->step++;
    hang_up(fake);
    close(take_fd(&fake->listen_fd)); /* whoever still wants something is refused */
    eventfd_write(fake->done_fd, 1);
    return NULL;
}

struct fake *fake_start(const struct fake_step *script) {
    struct fake *fake = mem_new(struct fake);
    *fake = (struct fake){.script = script, .step = script, .fd = -1};
    buffer_init(&fake->pending, SIZE_MAX / 2);
    buffer_init(&fake->received, RECEIVED_MAX);
    snprintf(fake->folder, sizeof fake->folder, "/tmp/fake.XXXXXX");
    char *made = mkdtemp(fake->folder);
    assert(made);
    fake->path = text_format("%s/s", fake->folder);

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", fake->path);
    fake->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fake->stop_fd = eventfd(0, EFD_CLOEXEC);
    fake->done_fd = eventfd(0, EFD_CLOEXEC);
    assert(fake->listen_fd >= 0 && fake->stop_fd >= 0 && fake->done_fd >= 0);
    int r = bind(fake->listen_fd, (struct sockaddr *)&address, sizeof address);
    assert(r == 0);
    r = listen(fake->listen_fd, 16);
    assert(r == 0);
    r = pthread_create(&fake->thread, NULL, run, fake);
    assert(r == 0);
    return fake;
}

const char *fake_finish(struct fake *fake) {
    struct pollfd done = {.fd = fake->done_fd, .events = POLLIN};
    bool hung = poll(&done, 1, FINISH_MS) <= 0;
    eventfd_write(fake->stop_fd, 1);
    pthread_join(fake->thread, NULL);
    snprintf(last_fault, sizeof last_fault, "%s", fake->fault);
    if (hung && !last_fault[0])
        snprintf(last_fault, sizeof last_fault, "the script did not end (now at step %td)",
                 fake->step - fake->script);
    last_sent = fake->sent;
    free(last_received);
    last_received = buffer_take(&fake->received);
    unlink(fake->path);
    rmdir(fake->folder);
    close(fake->stop_fd);
    close(fake->done_fd);
    buffer_deinit(&fake->pending);
    free(fake->path);
    free(fake);
    return last_fault;
}
