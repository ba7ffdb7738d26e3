#pragma once

/*
 * A small HTTP/1.1 server: answers GET and HEAD from memory or from a file, by a thread that costs
 * nothing while nobody asks. The door to libmicrohttpd.
 *
 * Bodies of requests are not read; other methods get 405. A part of a file is served where it is
 * asked for by one range.
 *
 * Threads: http_server_open and _close from one; the callback runs in the server's thread.
 */

#include "lib/cleanup.h"
#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

struct http_server;

struct http_answer {
    unsigned status;    /* 0: 200 */
    const char *type;   /* of the content */
    const char *digest; /* Docker-Content-Digest; or NULL */
    const void *data;   /* copied; or NULL: */
    size_t size;
    int fd; /* of a regular file, taken; -1: there is no body */
};

/* `path` is decoded, hostile, and ends before any '?'. */
typedef void http_serve(void *context, const char *path, struct http_answer *ret);

struct http_server_options {
    int listen_fd;            /* bound and listening: taken, in case of an error too */
    unsigned connections_max; /* further ones wait */
    unsigned timeout_s;       /* of a connection that says nothing */
    http_serve *serve;
    void *context;
};

int http_server_open(const struct http_server_options *options, struct http_server **ret,
                     struct error *err);
/* Answers those that have asked, and ends the thread. */
void http_server_close(struct http_server *server);
static inline void http_server_closep(struct http_server **server) {
    if (*server)
        http_server_close(*server);
}
