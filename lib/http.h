#pragma once

/*
 * HTTP/1.1 requests to one server, over a unix socket, TCP or TLS. The door to libcurl.
 *
 * A client keeps its connections alive between calls. A call blocks until the answer is complete,
 * and ends early by the task (cancellation and deadline), by an idle limit (no byte either way for
 * so long), by a limit on what the server may send, or by the caller's own source or sink. There
 * are no redirects, no cookies, no decompression, no signals, and no proxies unless the address
 * says so.
 *
 * Request bodies come from memory (Content-Length) or from a source (chunked; its size need not be
 * known, nothing is kept). A server that answers before it has read the whole body is heard: an
 * error status ends the upload, any other goes on in both directions.
 *
 * Answers with status 2xx go to `sink` if there is one; all others, and all without a sink, are
 * collected in `response.body` up to `body_max`. What a status means is for the caller: http_call
 * returns 0 for every complete answer, also for 404 and 500.
 *
 * Returns: 0 a complete answer; 1 the sink wanted no more (status and headers are there).
 * Errors:  ERROR_UNREACHABLE (cannot connect: os_errno says why; or the connection broke),
 *          ERROR_REFUSED (TLS: one side does not trust the other, and why), ERROR_CONFIG (a
 *          certificate or key of ours cannot be used), ERROR_TIMEOUT, ERROR_CANCELLED, ERROR_LIMIT,
 * ERROR_INVALID (not HTTP, or broken framing), and whatever source or sink set. All say method and
 * path. Threads: a client belongs to one thread. Opening many is cheap.
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/stream.h"
#include "lib/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_HEADERS_MAX = 64 * 1024,     /* all headers of one answer */
    HTTP_PATH_MAX = 64 * 1024,        /* path and query; build arguments travel in it */
    HTTP_BODY_MAX = 16 * 1024 * 1024, /* collected body where the request says nothing else */
};

struct http;

/*
 * TLS 1.2 or newer. The server must show a certificate for the name that we connect to, vouched for
 * by `ca_file` alone, or by the system's authorities where that is NULL.
 */
struct http_tls {
    const char *ca_file;              /* PEM, as all three */
    const char *cert_file, *key_file; /* ours, both or none */
    const char *server_name;          /* expected instead of `host`; or NULL */
    bool skip_verify;                 /* whoever answers is believed */
};

struct http_address {
    const char *unix_socket; /* path; or NULL, then: */
    const char *host;        /* name or address, IPv6 without brackets */
    uint16_t port;
    const struct http_tls *tls;  /* NULL: none */
    uint64_t connect_timeout_ns; /* with the TLS handshake; 0: 10 s */
    bool proxies; /* by http_proxy, https_proxy and no_proxy of the environment; else none */
};

/* Connects by the first call, not before. Copies what it is given. */
int http_open(const struct http_address *address, struct http **ret, struct error *err);
void http_close(struct http *client);
static inline void http_closep(struct http **client) {
    http_close(*client);
}

/*
 * AWS Signature Version 4, by libcurl, of a POST from memory whose content type is said. The date
 * is libcurl's own: a header for it must not be among the request's. Texts are one line each.
 */
struct http_aws {
    const char *region, *service;
    const char *access_key_id, *secret_access_key;
    const char *session_token; /* or NULL */
};

/*
 * Of an answer that comes in many small pieces for as long as there is news. Each piece that wakes
 * us costs its sender more than sending it. So while they are small we look for more after a pause,
 * in which they gather; the pause grows to `gather_ns_max`, and is none once much comes at once.
 */
struct http_pace {
    uint64_t gather_ns_max; /* 0: no pause */
    /* What has come is through: called before more is waited for. NULL: nobody minds. */
    int (*on_quiet)(void *arg, struct error *err);
    void *arg;
};

struct http_request {
    const char *method;
    const char *path;           /* with query; made by the functions below, checked again */
    const char *const *headers; /* "Name: value", NULL-terminated; or NULL */
    const char *content_type;   /* of the body; or NULL */
    const void *body;           /* from memory ... */
    size_t body_size;
    const struct source *source;  /* ... or pulled; not both */
    const struct sink *sink;      /* for the bodies of 2xx answers; or NULL */
    const struct http_aws *aws;   /* signed so; or NULL */
    size_t body_max;              /* of a collected body; 0 is HTTP_BODY_MAX */
    uint64_t idle_ns;             /* 0: no idle limit */
    const struct http_pace *pace; /* or NULL */
};

struct http_response {
    int status;
    struct buffer headers; /* "name: value" lines, as they came */
    struct buffer body;
};

#define HTTP_RESPONSE_NULL                                                                         \
    ((struct http_response){.status = 0, .headers = BUFFER_NULL, .body = BUFFER_NULL})

void http_response_deinit(struct http_response *response);

/* `ret` may be HTTP_RESPONSE_NULL or an earlier response, which is released first. After an error
 * it is deinitialised. */
int http_call(struct http *client, const struct http_request *request, const struct task *task,
              struct http_response *ret, struct error *err);

/* The value of the first header of that name (any case), cut at `size`; "" when there is none.
 * Returns `value`. */
const char *http_response_header(const struct http_response *response, const char *name,
                                 char *value, size_t size);

/* ---- paths: append to a buffer that starts as, say, "/v1.41" ---- */

/* "/" and the text with everything but unreserved characters as %XX (RFC 3986, section 2.3). */
void http_path_segment(struct buffer *path, const char *text);
/* As it is; for constant text of our own. */
void http_path_text(struct buffer *path, const char *text);
/* A value of a form (application/x-www-form-urlencoded): likewise, with '+' for a space. */
void http_form_value(struct buffer *form, const char *text);
/* "?name=value" or "&name=value", escaped. */
void http_path_query(struct buffer *path, const char *name, const char *value);
