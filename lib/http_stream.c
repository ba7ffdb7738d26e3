#include "lib/http_stream.h"

#include "lib/http_wire.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_SIZE = 64 * 1024, POLL_MS_MAX = 60 * 1000 };

struct http_stream {
    struct http_wire *wire;
    struct buffer early; /* what came with the head of the answer */
    char piece[PIECE_SIZE];
};

void http_stream_close(struct http_stream *stream) {
    if (!stream)
        return;
    http_wire_close(stream->wire);
    buffer_deinit(&stream->early);
    free(stream);
}

/* ---- the request ---- */

static int send_all(struct http_stream *stream, const char *data, size_t size,
                    const struct task *task, struct error *err) {
    while (size) {
        ssize_t n = http_wire_send(stream->wire, data, size, err);
        if (n == HTTP_WIRE_AGAIN) {
            if (task_wait(task, http_wire_fd(stream->wire), POLLOUT | POLLIN, err) < 0)
                return -1;
            continue;
        }
        if (n < 0)
            return -1;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static int send_request(struct http_stream *stream, const struct http_request *request,
                        const char *protocol, const struct task *task, struct error *err) {
    cleanup(buffer_deinit) struct buffer head;
    buffer_init(&head, HTTP_PATH_MAX + HTTP_HEADERS_MAX);
    buffer_format(&head,
                  "%s %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: seatrial/%s\r\n"
                  "Connection: Upgrade\r\nUpgrade: %s\r\nContent-Length: %zu\r\n",
                  request->method, request->path, SEATRIAL_VERSION, protocol, request->body_size);
    if (request->content_type)
        buffer_format(&head, "Content-Type: %s\r\n", request->content_type);
    for (const char *const *h = request->headers; h && *h; h++)
        buffer_format(&head, "%s\r\n", *h);
    buffer_text(&head, "\r\n");
    if (buffer_check(&head, "the head of the request", err) < 0 ||
        send_all(stream, buffer_string(&head), head.size, task, err) < 0)
        return -1;
    return send_all(stream, request->body, request->body_size, task, err);
}

/* ---- the answer ---- */

/* Appends what comes next to `to`; 0 at the end, 1 otherwise. */
static int receive_more(struct http_stream *stream, struct buffer *to, const char *what,
                        const struct task *task, struct error *err) {
    for (;;) {
        ssize_t n = http_wire_receive(stream->wire, stream->piece, sizeof stream->piece, err);
        if (n == HTTP_WIRE_AGAIN) {
            if (task_wait(task, http_wire_fd(stream->wire), POLLIN, err) < 0)
                return -1;
            continue;
        }
        if (n <= 0)
            return (int)n;
        buffer_append(to, stream->piece, (size_t)n);
        return buffer_check(to, what, err) < 0 ? -1 : 1;
    }
}

static int receive_head(struct http_stream *stream, const struct task *task,
                        struct http_response *response, struct error *err) {
    static const char end_of_head[] = "\r\n\r\n";
    cleanup(buffer_deinit) struct buffer text;
    const char *end;
    int one, n = 0;
    buffer_init(&text, HTTP_HEADERS_MAX + PIECE_SIZE);
    while (!(end = strstr(buffer_string(&text), end_of_head))) {
        int r = receive_more(stream, &text, "all headers of the answer", task, err);
        if (r < 0)
            return -1;
        if (r == 0)
            return error_set(err, ERROR_UNREACHABLE,
                             text.size ? "the connection broke in the middle of the answer"
                                       : "the server hung up without an answer");
        if (text.size > HTTP_HEADERS_MAX && !strstr(text.data, end_of_head))
            return error_set(err, ERROR_LIMIT, "all headers of the answer are larger than %d bytes",
                             HTTP_HEADERS_MAX);
    }
    end += strlen(end_of_head);
    if (sscanf(text.data, "HTTP/1.%1d %3d%n", &one, &response->status, &n) != 2 ||
        !strchr(" \r", text.data[n]) || response->status < 100)
        return error_set(err, ERROR_INVALID, "the answer is not HTTP as we know it");
    buffer_append(&response->headers, text.data, (size_t)(end - text.data));
    buffer_append(&stream->early, end, text.size - (size_t)(end - text.data));
    return 0;
}

/* The chunks in `from` as far as they are there; true when the last one is. */
static bool join_chunks(const struct buffer *from, struct buffer *to) {
    const char *at = buffer_string(from), *end = at + from->size;
    buffer_clear(to);
    for (;;) {
        char *rest;
        unsigned long size = strtoul(at, &rest, 16);
        const char *data = rest == at ? NULL : strstr(rest, "\r\n");
        if (!data || size == 0 || size > (size_t)(end - data - 2))
            return data && size == 0;
        buffer_append(to, data + 2, size);
        at = data + 2 + size;
        at += strspn(at, "\r\n");
    }
}

/* The body of an answer that opens no stream: errors, small and with their length. */
static int receive_body(struct http_stream *stream, const struct task *task,
                        struct http_response *response, struct error *err) {
    char text[32];
    uint64_t size = HTTP_BODY_MAX;
    struct error ignored = ERROR_NULL;
    bool chunked = text_equal(
        http_response_header(response, "Transfer-Encoding", text, sizeof text), "chunked");
    http_response_header(response, "Content-Length", text, sizeof text);
    if (text[0] && text_to_u64(text, 0, HTTP_BODY_MAX, &size, &ignored) < 0)
        return error_set(err, ERROR_INVALID, "the answer's length is '%s'",
                         text_safe(text, (char[64]){0}, 64));
    struct buffer *whole = &stream->early;
    for (;;) {
        if (chunked ? join_chunks(whole, &response->body) : whole->size >= size)
            break;
        int r = receive_more(stream, whole, "the body of the answer", task, err);
        if (r < 0)
            return -1;
        if (r == 0)
            break;
    }
    if (!chunked)
        buffer_append(&response->body, whole->data, whole->size < size ? whole->size : size);
    return buffer_check(&response->body, "the body of the answer", err);
}

static int open_stream(struct http *client, const struct http_request *request,
                       const char *protocol, const struct task *task,
                       struct http_response *response, struct http_stream *stream,
                       struct error *err) {
    buffer_init(&response->headers, HTTP_HEADERS_MAX);
    buffer_init(&response->body, HTTP_BODY_MAX);
    buffer_init(&stream->early, HTTP_BODY_MAX);
    if (http_wire_open(client, task, &stream->wire, err) < 0 ||
        send_request(stream, request, protocol, task, err) < 0 ||
        receive_head(stream, task, response, err) < 0)
        return -1;
    if (response->status == 101 || (response->status >= 200 && response->status < 300))
        return 0;
    return receive_body(stream, task, response, err) < 0 ? -1 : 1;
}

int http_stream_open(struct http *client, const struct http_request *request, const char *protocol,
                     const struct task *task, struct http_response *ret_response,
                     struct http_stream **ret, struct error *err) {
    assert(!request->source && !request->sink);
    http_response_deinit(ret_response);
    if (http_check_request(request, err) < 0)
        return -1;
    cleanup(http_stream_closep) struct http_stream *stream = mem_new(struct http_stream);
    int r = open_stream(client, request, protocol, task, ret_response, stream, err);
    if (r < 0) {
        http_response_deinit(ret_response);
        return error_wrap(err, "%s %.*s", request->method, (int)strcspn(request->path, "?"),
                          request->path);
    }
    if (r == 0)
        *ret = take_ptr(stream);
    return r;
}

/* ---- both ways ---- */

struct carry {
    struct http_stream *stream;
    const struct http_stream_io *io;
    const struct task *task;
    struct error *err;
    char pending[PIECE_SIZE]; /* of the input, not yet sent */
    size_t pending_at, pending_size;
    bool input_ended;
    bool server_ended;
};

/* Hands on all that can be received now. 1 when the sink wants no more. */
static int receive(struct carry *c) {
    struct http_stream *stream = c->stream;
    const struct sink *sink = c->io->output;
    if (stream->early.size) {
        int r = sink->push(sink->arg, stream->early.data, stream->early.size, c->err);
        buffer_clear(&stream->early);
        if (r != 0)
            return r;
    }
    for (;;) {
        ssize_t n = http_wire_receive(stream->wire, stream->piece, sizeof stream->piece, c->err);
        if (n == HTTP_WIRE_AGAIN)
            return 0;
        if (n <= 0) {
            c->server_ended = n == 0;
            return (int)n;
        }
        int r = sink->push(sink->arg, stream->piece, (size_t)n, c->err);
        if (r != 0)
            return r;
    }
}

/* More of the input; `readable`: its descriptor can be read. */
static int take_input(struct carry *c, bool readable) {
    const struct http_stream_io *io = c->io;
    ssize_t n = -1;
    if (c->input_ended || c->pending_size)
        return 0;
    if (io->input) {
        n = io->input->pull(io->input->arg, c->pending, sizeof c->pending, c->err);
        if (n < 0)
            return -1;
    } else if (readable) {
        n = read(io->input_fd, c->pending, sizeof c->pending);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
    } else {
        return 0;
    }
    c->pending_at = 0;
    c->pending_size = n > 0 ? (size_t)n : 0;
    if (n <= 0) {
        c->input_ended = true;
        http_wire_end(c->stream->wire);
    }
    return 0;
}

static int send_pending(struct carry *c) {
    while (c->pending_size) {
        ssize_t n =
            http_wire_send(c->stream->wire, c->pending + c->pending_at, c->pending_size, c->err);
        if (n == HTTP_WIRE_AGAIN)
            return 0;
        if (n < 0) { /* nobody reads our input any more: what the server still says counts */
            error_clear(c->err);
            c->input_ended = true;
            c->pending_size = 0;
            return 0;
        }
        c->pending_at += (size_t)n;
        c->pending_size -= (size_t)n;
        if (c->pending_size == 0 && c->io->input && take_input(c, false) < 0)
            return -1;
    }
    return 0;
}

/* One turn: waits for anything, and does it. */
static int turn(struct carry *c) {
    const struct http_stream_io *io = c->io;
    bool wants_input = !c->input_ended && !c->pending_size && !io->input && io->input_fd >= 0;
    struct pollfd fds[] = {
        {.fd = http_wire_fd(c->stream->wire),
         .events = (short)(POLLIN | (c->pending_size ? POLLOUT : 0))},
        {.fd = wants_input ? io->input_fd : -1, .events = POLLIN},
        {.fd = io->wake_fd, .events = POLLIN},
        {.fd = c->task->cancel ? c->task->cancel->event_fd : -1, .events = POLLIN},
    };
    int ms = instant_poll_ms(c->task->deadline, clock_instant(), POLL_MS_MAX);
    if (poll(fds, sizeof fds / sizeof *fds, ms < 0 ? POLL_MS_MAX : ms) < 0 && errno != EINTR)
        return error_set_os(c->err, ERROR_IO, errno, "poll");
    if (task_check(c->task, c->err) < 0)
        return -1;
    if ((fds[2].revents & POLLIN) && io->on_wake(io->wake_arg, c->err) < 0)
        return -1;
    if (take_input(c, fds[1].revents != 0) < 0 || send_pending(c) < 0)
        return -1;
    return receive(c);
}

int http_stream_carry(struct http_stream *stream, const struct http_stream_io *io,
                      const struct task *task, struct error *err) {
    cleanup_free struct carry *c = mem_new(struct carry);
    *c = (struct carry){.stream = stream, .io = io, .task = task, .err = err};
    int r = task_check(task, err);
    if (r == 0)
        r = receive(c); /* what came early, and what TLS has read already */
    if (r == 0)
        r = take_input(c, false); /* nobody wakes us for a source */
    while (r == 0 && !c->server_ended)
        r = turn(c);
    return r;
}
