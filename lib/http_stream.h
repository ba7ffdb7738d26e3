#pragma once

/*
 * A request after which the connection is no HTTP any more but bytes in both directions, each ended
 * by itself (RFC 9110, section 7.8; what docker calls hijacking).
 *
 * libcurl's own handling of upgrades knows only WebSocket and HTTP/2, and leaves no way to end our
 * direction while the other goes on. So libcurl only connects (by its CONNECT_ONLY: sockets, TLS,
 * names and errors are those of every other call), and this file speaks the little HTTP that is
 * left: one request with a body from memory, and the head of the answer.
 *
 * Threads: a stream belongs to one thread, which is that of its client. The client may be used for
 * calls meanwhile.
 */

#include "lib/http.h"

struct http_stream;

/*
 * Asks for `protocol` ("tcp") by an Upgrade header; `request` as for http_call, without source,
 * sink and body_max. Status 101, or 2xx from a server that speaks no upgrades, opens the stream.
 * Returns: 0 it is open; 1 the server said something else, and `ret_response` has it.
 * Errors:  as http_call.
 */
int http_stream_open(struct http *client, const struct http_request *request, const char *protocol,
                     const struct task *task, struct http_response *ret_response,
                     struct http_stream **ret, struct error *err);
void http_stream_close(struct http_stream *stream);
static inline void http_stream_closep(struct http_stream **stream) {
    http_stream_close(*stream);
}

/* What goes in and comes out. */
struct http_stream_io {
    /* Read whenever something can be read, a terminal or a pipe; it stays open. Or a source, which
     * must not block. Neither (-1 and NULL): nothing is sent, and our direction stays open. At the
     * end of the input our direction ends. */
    int input_fd;
    const struct source *input;
    const struct sink *output;
    /* Called whenever `wake_fd` (-1: none) can be read; it has to take what is there. */
    int wake_fd;
    int (*on_wake)(void *arg, struct error *err);
    void *wake_arg;
};

/* Carries both ways until the server ends its direction. Returns 1 when the sink wanted no more. By
 * the task alone. A broken terminal or pipe in front of us counts as the end of the input. */
int http_stream_carry(struct http_stream *stream, const struct http_stream_io *io,
                      const struct task *task, struct error *err);
