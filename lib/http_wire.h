#pragma once

/*
 * A bare connection to a client's server, TLS included: what http.c, the door to libcurl, lends to
 * http_stream.c, non-blocking; and what these share of requests and answers as text (http_text.c).
 */

#include "lib/http.h"

#include <sys/types.h>

enum { HTTP_WIRE_AGAIN = -2 };

struct http_wire;

/* Connects anew, within the client's time for it. Borrows the client. */
int http_wire_open(struct http *client, const struct task *task, struct http_wire **ret,
                   struct error *err);
void http_wire_close(struct http_wire *wire);
static inline void http_wire_closep(struct http_wire **wire) {
    http_wire_close(*wire);
}

int http_wire_fd(const struct http_wire *wire);
/* Bytes; receive: 0 at the end; HTTP_WIRE_AGAIN: not now; -1 with `err` set. */
ssize_t http_wire_receive(struct http_wire *wire, void *data, size_t size, struct error *err);
ssize_t http_wire_send(struct http_wire *wire, const void *data, size_t size, struct error *err);
/* We have sent all; the other side may go on. */
void http_wire_end(struct http_wire *wire);

/* ERROR_INVALID or ERROR_LIMIT for a path or header that cannot be sent. */
int http_check_request(const struct http_request *request, struct error *err);

/* What a server said before it hung up on our upload, which libcurl did not see: into the response,
 * if it is an error with all its headers (RFC 9112; a success cannot be meant, as the body was not
 * read). It is read leniently: it is there to be shown. */
bool http_read_lenient(const struct buffer *answer, struct http_response *response);

/* http_tls.c: the alert close_notify on an SSL of OpenSSL (RFC 8446, section 6.1). */
void http_tls_end(void *ssl);
