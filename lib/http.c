#include "lib/http.h"

#include "lib/http_wire.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CONNECT_TIMEOUT_MS_DEFAULT = 10 * 1000,
    RECEIVE_SIZE = 256 * 1024,
    SEND_SIZE = 256 * 1024,
    CONNECTIONS_KEPT = 4,
    SALVAGE_MAX = 64 * 1024, /* more than a socket holds of an answer that is not chunked by us */
    POLL_MS_MAX = 60 * 1000, /* no harm in waking up once a minute */
    MUCH_SIZE = 8 * 1024,    /* a unix socket holds 27 KiB of lines that are sent one by one */
};
#define PAUSE_NS_MIN NS_PER_MS

struct http {
    CURLM *multi;
    CURL *easy;
    char *unix_socket;
    char *base;  /* "http://localhost" */
    char *where; /* for errors */
    bool tls, skip_verify, proxies;
    char *ca_file, *cert_file, *key_file;
    struct curl_slist *connect_to; /* where the server of another name is */
    long connect_timeout_ms;
    struct call *call;
};

/* What the callbacks of one transfer share. */
struct call {
    struct http *client;
    const struct http_request *request;
    struct http_response *response;
    struct error *err;
    struct memory_source memory;
    struct source source;   /* over the memory or the request's own */
    struct instant active;  /* when a byte last went either way */
    size_t delivered;       /* to the sink, since it was last waited for more */
    uint64_t pause_ns;      /* the last one, while what comes is little */
    bool head_ended;        /* libcurl takes an end in the middle of the headers for an answer */
    bool faulted;           /* `err` is set by a callback */
    bool stopped;           /* the sink wants no more */
    bool uploading;         /* there is a body and its end has not been sent */
    struct buffer salvaged; /* what the server had said when it hung up on our upload */
    char curl_text[CURL_ERROR_SIZE];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_start(void) {
    CURLcode r = curl_global_init(CURL_GLOBAL_DEFAULT);
    assert(r == CURLE_OK);
}

static struct curl_slist *add_line(struct curl_slist *list, const char *text) {
    struct curl_slist *longer = curl_slist_append(list, text);
    assert(longer);
    return longer;
}

static void take_tls(struct http *client, const struct http_tls *tls) {
    client->tls = true;
    client->skip_verify = tls->skip_verify;
    client->ca_file = text_dup(tls->ca_file);
    client->cert_file = text_dup(tls->cert_file);
    client->key_file = text_dup(tls->key_file);
}

/* "host:port", the host in brackets if it needs them. */
static char *host_and_port(const char *host, uint16_t port) {
    return text_format(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

/* A server of another name is asked for by that name, but looked for where it is. */
static void take_names(struct http *client, const struct http_address *address) {
    const struct http_tls *tls = address->tls;
    const char *name = tls && tls->server_name ? tls->server_name : address->host;
    cleanup_free char *there = host_and_port(address->host, address->port);
    cleanup_free char *named = host_and_port(name, address->port);
    client->base = text_format("%s://%s", tls ? "https" : "http", named);
    client->where = text_format("tcp://%s", there);
    if (!text_equal(there, named)) {
        cleanup_free char *text = text_format("::%s", there);
        client->connect_to = add_line(NULL, text);
    }
}

int http_open(const struct http_address *address, struct http **ret, struct error *err) {
    const char *path = address->unix_socket;
    if (path && strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return error_set(err, ERROR_LIMIT, "the path of the socket '%s' is longer than %zu bytes",
                         path, sizeof((struct sockaddr_un *)0)->sun_path - 1);
    assert(!path || !address->tls);
    pthread_once(&curl_once, curl_start);

    struct http *client = mem_new(struct http);
    client->multi = curl_multi_init();
    client->easy = curl_easy_init();
    assert(client->multi && client->easy);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    client->connect_timeout_ms = address->connect_timeout_ns
                                     ? (long)(address->connect_timeout_ns / NS_PER_MS)
                                     : CONNECT_TIMEOUT_MS_DEFAULT;
    client->proxies = address->proxies;
    client->unix_socket = text_dup(path);
    if (path) {
        client->base = text_dup("http://localhost");
        client->where = text_format("unix://%s", path);
    } else {
        take_names(client, address);
    }
    if (address->tls)
        take_tls(client, address->tls);
    *ret = client;
    return 0;
}

void http_close(struct http *client) {
    if (!client)
        return;
    curl_easy_cleanup(client->easy);
    curl_multi_cleanup(client->multi);
    curl_slist_free_all(client->connect_to);
    free(client->unix_socket);
    free(client->base);
    free(client->where);
    free(client->ca_file);
    free(client->cert_file);
    free(client->key_file);
    free(client);
}

void http_response_deinit(struct http_response *response) {
    buffer_deinit(&response->headers);
    buffer_deinit(&response->body);
    *response = HTTP_RESPONSE_NULL;
}

/* ---- callbacks ---- */

static int status_of(const struct call *call) {
    long status = 0;
    curl_easy_getinfo(call->client->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static size_t on_header(char *data, size_t one, size_t size, void *arg) {
    (void)one;
    struct call *call = arg;
    struct buffer *headers = &call->response->headers;
    call->active = clock_instant();
    if (size >= 5 && memcmp(data, "HTTP/", 5) == 0)
        buffer_clear(headers); /* the one before was "100 Continue" */
    call->head_ended = data[0] == '\r' || data[0] == '\n';
    buffer_append(headers, data, size);
    if (buffer_check(headers, "all headers of the answer", call->err) == 0)
        return size;
    call->faulted = true;
    return 0;
}

static size_t on_body(char *data, size_t one, size_t size, void *arg) {
    (void)one;
    struct call *call = arg;
    const struct sink *sink = call->request->sink;
    int status = status_of(call), r;
    if (sink && status >= 200 && status < 300) {
        r = sink->push(sink->arg, data, size, call->err);
        call->delivered += size;
    } else {
        buffer_append(&call->response->body, data, size);
        r = buffer_check(&call->response->body, "the body of the answer", call->err);
    }
    call->active = clock_instant();
    call->faulted = r < 0;
    call->stopped = r > 0;
    return r == 0 ? size : CURL_WRITEFUNC_ERROR;
}

static size_t on_upload(char *data, size_t one, size_t size, void *arg) {
    struct call *call = arg;
    ssize_t n = call->source.pull(call->source.arg, data, one * size, call->err);
    call->active = clock_instant();
    if (n < 0) {
        call->faulted = true;
        return CURL_READFUNC_ABORT;
    }
    assert((size_t)n <= one * size);
    if (n == 0)
        call->uploading = false;
    return (size_t)n;
}

/* A kept connection turned out to be dead before anything was answered: libcurl sends again. */
static int on_rewind(void *arg, curl_off_t offset, int origin) {
    struct call *call = arg;
    if (call->request->source || origin != SEEK_SET || (uint64_t)offset > call->request->body_size)
        return CURL_SEEKFUNC_CANTSEEK;
    call->memory = (struct memory_source){(const char *)call->request->body + offset,
                                          call->request->body_size - (size_t)offset};
    return CURL_SEEKFUNC_OK;
}

/*
 * A server may answer and hang up while we are still sending. If our write fails before libcurl has
 * looked for an answer, it would be lost: it is taken out of the socket at the last moment.
 */
static int on_close(void *arg, curl_socket_t fd) {
    struct http *client = arg;
    struct call *call = client->call;
    if (call && call->uploading && status_of(call) == 0 && !client->tls) {
        char piece[4096];
        ssize_t n;
        while ((n = recv(fd, piece, sizeof piece, MSG_DONTWAIT)) > 0 && !call->salvaged.overflowed)
            buffer_append(&call->salvaged, piece, (size_t)n);
    }
    return close(fd);
}

/* ---- one transfer ---- */

static void set_tls(const struct http *client, CURL *easy) {
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, client->skip_verify ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, client->skip_verify ? 0L : 2L);
    if (client->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* or the system's would do as well */
    }
    if (client->cert_file)
        curl_easy_setopt(easy, CURLOPT_SSLCERT, client->cert_file);
    if (client->key_file)
        curl_easy_setopt(easy, CURLOPT_SSLKEY, client->key_file);
}

/* How we get to the server. */
static void set_connection(const struct http *client, CURL *easy) {
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, client->tls ? "https" : "http");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (!client->proxies)
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, client->connect_timeout_ms);
    if (client->unix_socket)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, client->unix_socket);
    if (client->connect_to)
        curl_easy_setopt(easy, CURLOPT_CONNECT_TO, client->connect_to);
    if (client->tls)
        set_tls(client, easy);
}

static void set_common(struct call *call, const char *url) {
    CURL *easy = call->client->easy;
    curl_easy_reset(easy);
    set_connection(call->client, easy);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "seatrial/" SEATRIAL_VERSION);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_SIZE);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_text);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, call->client);
}

static bool has_body(const struct http_request *request) {
    return request->source || request->body_size > 0 || text_equal(request->method, "POST") ||
           text_equal(request->method, "PUT");
}

/* libcurl 7.88 hashes what it is given as a field, and takes what is pulled for nothing. */
static void set_signed_body(CURL *easy, const struct http_request *request) {
    const struct http_aws *aws = request->aws;
    cleanup_free char *how = text_format("aws:amz:%s:%s", aws->region, aws->service);
    assert(text_equal(request->method, "POST") && !request->source && request->content_type);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body_size ? request->body : "");
    curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, how);
    curl_easy_setopt(easy, CURLOPT_USERNAME, aws->access_key_id);
    curl_easy_setopt(easy, CURLOPT_PASSWORD, aws->secret_access_key);
}

static void set_method_and_body(struct call *call) {
    CURL *easy = call->client->easy;
    const struct http_request *request = call->request;
    if (request->aws) {
        set_signed_body(easy, request);
        return;
    }
    if (text_equal(request->method, "HEAD"))
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (!has_body(request)) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
        return;
    }
    call->memory = (struct memory_source){request->body, request->body_size};
    call->source = request->source ? *request->source : memory_source(&call->memory);
    call->uploading = true;
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload);
    curl_easy_setopt(easy, CURLOPT_READDATA, call);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_rewind);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)SEND_SIZE);
    if (request->source)
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L); /* it cannot be rewound */
    else
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_size);
}

static struct curl_slist *header_list(const struct http_request *request) {
    /* No waiting for "100 Continue", which libcurl does not ask for before the little that is
     * signed; it would sign the header that is not sent. */
    struct curl_slist *list = request->aws ? NULL : add_line(NULL, "Expect:");
    if (request->content_type) {
        cleanup_free char *line = text_format("Content-Type: %s", request->content_type);
        list = add_line(list, line);
    }
    if (request->source)
        list = add_line(list, "Transfer-Encoding: chunked");
    for (const char *const *h = request->headers; h && *h; h++)
        list = add_line(list, *h);
    if (request->aws && request->aws->session_token) {
        cleanup_free char *line =
            text_format("X-Amz-Security-Token: %s", request->aws->session_token);
        list = add_line(list, line);
        explicit_bzero(line, strlen(line));
    }
    return list;
}

/* Tokens among them stay in no memory of ours. */
static void free_headers(struct curl_slist *list) {
    for (struct curl_slist *at = list; at; at = at->next)
        explicit_bzero(at->data, strlen(at->data));
    curl_slist_free_all(list);
}

/* What ends a call from outside of it. */
static int check_time(const struct call *call, const struct task *task) {
    if (task_check(task, call->err) < 0)
        return -1;
    uint64_t idle_ns = call->request->idle_ns;
    if (idle_ns && instant_passed(instant_after(call->active, idle_ns), clock_instant()))
        return error_set(call->err, ERROR_TIMEOUT, "the server was silent for %llu ms",
                         (unsigned long long)(idle_ns / NS_PER_MS));
    return 0;
}

static void wait_for_more(const struct call *call, const struct task *task) {
    struct instant until = task->deadline;
    if (call->request->idle_ns)
        until = instant_earlier(until, instant_after(call->active, call->request->idle_ns));
    struct curl_waitfd cancel = {.fd = task->cancel ? task->cancel->event_fd : -1,
                                 .events = CURL_WAIT_POLLIN};
    int ms = instant_poll_ms(until, clock_instant(), POLL_MS_MAX);
    if (ms < 0)
        ms = POLL_MS_MAX;
    CURLMcode r = curl_multi_poll(call->client->multi, &cancel, cancel.fd >= 0, ms, NULL);
    assert(r == CURLM_OK);
}

static int keep_pace(struct call *call, const struct task *task) {
    const struct http_pace *pace = call->request->pace;
    if (!pace || call->delivered == 0)
        return 0;
    uint64_t longer_ns = call->pause_ns ? 2 * call->pause_ns : PAUSE_NS_MIN;
    call->pause_ns = call->delivered >= MUCH_SIZE      ? 0
                     : longer_ns < pace->gather_ns_max ? longer_ns
                                                       : pace->gather_ns_max;
    call->delivered = 0;
    if (pace->on_quiet && pace->on_quiet(pace->arg, call->err) < 0)
        return -1;
    return call->pause_ns ? task_sleep(task, call->pause_ns, call->err) : 0;
}

/* Runs the prepared transfer. -1 with `err` set by the task or a callback; else libcurl's result.
 */
static int drive(struct call *call, const struct task *task, CURLcode *ret_code) {
    CURLM *multi = call->client->multi;
    CURLMcode added = curl_multi_add_handle(multi, call->client->easy);
    assert(added == CURLM_OK);
    int r = check_time(call, task);
    for (bool done = false; r == 0 && !done;) {
        int running, left;
        CURLMcode performed = curl_multi_perform(multi, &running);
        assert(performed == CURLM_OK);
        CURLMsg *message = curl_multi_info_read(multi, &left);
        if (message && message->msg == CURLMSG_DONE) {
            *ret_code = message->data.result;
            done = true;
        } else {
            r = check_time(call, task);
            if (r == 0)
                r = keep_pace(call, task);
            if (r == 0)
                wait_for_more(call, task);
        }
    }
    curl_multi_remove_handle(multi, call->client->easy); /* drops a connection in mid-transfer */
    return call->faulted ? -1 : r;
}

/* ---- results ---- */

/* Why the server's certificate was not accepted: the X509_V_ERR_ values of OpenSSL's x509_vfy.h. */
static const char *certificate_fault(CURL *easy, const char *text) {
    static const struct {
        long code;
        const char *text;
    } faults[] = {
        {9, "is not valid yet"},
        {10, "has expired"},
        {18, "is signed by itself, and no authority of ours"},
        {19, "is signed by an authority that we do not know"},
        {20, "is signed by an authority that we do not know"},
        {21, "is signed by an authority that we do not know"},
        {23, "was revoked"},
    };
    long code = 0;
    if (strstr(text, "subject name")) /* libcurl looks at names itself */
        return "is for another name";
    curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &code);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (faults[i].code == code)
            return faults[i].text;
    return "is not accepted";
}

static int set_connect_error(const struct http *client, CURL *easy, const char *text,
                             struct error *err) {
    long os = 0;
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os);
    if (os)
        return error_set_os(err, ERROR_UNREACHABLE, (int)os, "cannot connect to '%s'",
                            client->where);
    return error_set(err, ERROR_UNREACHABLE, "cannot connect to '%s': %s", client->where, text);
}

/* What went wrong before there was a connection. 0 if it is nothing of that kind. */
static int set_connection_error(const struct http *client, CURL *easy, CURLcode code,
                                const char *text, struct error *err) {
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST: return set_connect_error(client, easy, text, err);
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(err, ERROR_TIMEOUT, "cannot connect to '%s' within %ld ms", client->where,
                         client->connect_timeout_ms);
    case CURLE_PEER_FAILED_VERIFICATION:
        return error_set(err, ERROR_REFUSED, "the certificate of '%s' %s (%s)", client->where,
                         certificate_fault(easy, text), text);
    case CURLE_SSL_CACERT_BADFILE:
        return error_set(err, ERROR_CONFIG, "the authority's certificate '%s' cannot be used (%s)",
                         client->ca_file ? client->ca_file : "of the system", text);
    case CURLE_SSL_CERTPROBLEM:
        return error_set(err, ERROR_CONFIG,
                         "our certificate '%s' with key '%s' cannot be used (%s)",
                         client->cert_file ? client->cert_file : "",
                         client->key_file ? client->key_file : "", text);
    case CURLE_SSL_CONNECT_ERROR:
        return error_set(err, ERROR_REFUSED, "no TLS with '%s': %s", client->where, text);
    default: return 0;
    }
}

static int set_curl_error(const struct call *call, CURLcode code) {
    struct error *err = call->err;
    const char *text = call->curl_text[0] ? call->curl_text : curl_easy_strerror(code);
    cleanup(buffer_deinit) struct buffer reason;
    buffer_init(&reason, 4 * sizeof call->curl_text);
    text_harmless(&reason, text, strlen(text));
    text = buffer_string(&reason);
    if (set_connection_error(call->client, call->client->easy, code, text, err) < 0)
        return -1;
    switch (code) {
    case CURLE_GOT_NOTHING:
        return error_set(err, ERROR_UNREACHABLE, "the server hung up without an answer");
    case CURLE_SEND_ERROR:
        return error_set(err, ERROR_UNREACHABLE, "the server hung up while we were sending");
    case CURLE_PARTIAL_FILE:
        return error_set(err, ERROR_UNREACHABLE,
                         "the connection broke in the middle of the answer");
    case CURLE_RECV_ERROR:
        if (strstr(text, "chunk"))
            return error_set(err, ERROR_INVALID, "the answer is broken: %s", text);
        if (call->client->tls && strstr(text, "alert")) /* TLS 1.3 lets us speak first */
            return error_set(err, ERROR_REFUSED, "'%s' does not accept our certificate (%s)",
                             call->client->where, text);
        return error_set(err, ERROR_UNREACHABLE,
                         "the connection broke in the middle of the answer: %s", text);
    case CURLE_OUT_OF_MEMORY: /* what libcurl calls a header line beyond its maximum of 100 kB */
        return error_set(err, ERROR_LIMIT, "a header of the answer is too long");
    default: return error_set(err, ERROR_INVALID, "the answer is not HTTP as we know it: %s", text);
    }
}

static int perform(struct call *call, const struct task *task) {
    CURLcode code = CURLE_OK;
    int r = drive(call, task, &code);
    if (r == 0 && code == CURLE_SEND_ERROR && http_read_lenient(&call->salvaged, call->response))
        return 0;
    if (code == CURLE_OK && !call->head_ended)
        code = CURLE_PARTIAL_FILE;
    call->response->status = status_of(call);
    if (call->stopped)
        return 1;
    if (r < 0)
        return -1;
    /* It answered with an error and closed without reading the rest: the answer is what counts. */
    bool cut = code == CURLE_RECV_ERROR || (code == CURLE_PARTIAL_FILE && call->head_ended);
    if (cut && call->uploading && call->response->status >= 400)
        return 0;
    return code == CURLE_OK ? 0 : set_curl_error(call, code);
}

int http_call(struct http *client, const struct http_request *request, const struct task *task,
              struct http_response *ret, struct error *err) {
    http_response_deinit(ret);
    if (http_check_request(request, err) < 0)
        return -1;
    buffer_init(&ret->headers, HTTP_HEADERS_MAX);
    buffer_init(&ret->body, request->body_max ? request->body_max : HTTP_BODY_MAX);

    struct call call = {.client = client,
                        .request = request,
                        .response = ret,
                        .err = err,
                        .active = clock_instant()};
    buffer_init(&call.salvaged, SALVAGE_MAX);
    client->call = &call;
    cleanup_free char *url = text_format("%s%s", client->base, request->path);
    struct curl_slist *headers = header_list(request);
    set_common(&call, url);
    set_method_and_body(&call);
    curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, headers);
    int r = perform(&call, task);
    curl_easy_reset(client->easy); /* nothing of this call stays behind in the handle */
    client->call = NULL;
    free_headers(headers);
    buffer_deinit(&call.salvaged);
    if (r >= 0)
        return r;
    http_response_deinit(ret);
    /* Without the query, which may carry values that are nobody's business. */
    return error_wrap(err, "%s %.*s", request->method, (int)strcspn(request->path, "?"),
                      request->path);
}

/* ---- a bare connection ---- */

struct http_wire {
    const struct http *client;
    CURLM *multi;
    CURL *easy;
    int fd;
    bool ended;
    char curl_text[CURL_ERROR_SIZE];
};

static int wait_for_wire(CURLM *multi, const struct task *task, struct error *err) {
    struct curl_waitfd cancel = {.fd = task->cancel ? task->cancel->event_fd : -1,
                                 .events = CURL_WAIT_POLLIN};
    int ms = instant_poll_ms(task->deadline, clock_instant(), POLL_MS_MAX);
    curl_multi_poll(multi, &cancel, cancel.fd >= 0, ms < 0 ? POLL_MS_MAX : ms, NULL);
    return task_check(task, err);
}

static int connect_wire(struct http_wire *wire, const struct task *task, struct error *err) {
    CURLMcode added = curl_multi_add_handle(wire->multi, wire->easy);
    assert(added == CURLM_OK);
    if (task_check(task, err) < 0)
        return -1;
    for (;;) {
        int running, left;
        CURLMcode performed = curl_multi_perform(wire->multi, &running);
        assert(performed == CURLM_OK);
        CURLMsg *message = curl_multi_info_read(wire->multi, &left);
        if (message && message->msg == CURLMSG_DONE) {
            CURLcode code = message->data.result;
            if (code == CURLE_OK)
                return 0;
            const char *text = wire->curl_text[0] ? wire->curl_text : curl_easy_strerror(code);
            char shown[CURL_ERROR_SIZE];
            text_safe(text, shown, sizeof shown);
            if (set_connection_error(wire->client, wire->easy, code, shown, err) < 0)
                return -1;
            return error_set(err, ERROR_UNREACHABLE, "cannot connect to '%s': %s",
                             wire->client->where, shown);
        }
        if (wait_for_wire(wire->multi, task, err) < 0)
            return -1;
    }
}

int http_wire_open(struct http *client, const struct task *task, struct http_wire **ret,
                   struct error *err) {
    cleanup(http_wire_closep) struct http_wire *wire = mem_new(struct http_wire);
    wire->client = client;
    wire->multi = curl_multi_init();
    wire->easy = curl_easy_init();
    assert(wire->multi && wire->easy);
    set_connection(client, wire->easy);
    curl_easy_setopt(wire->easy, CURLOPT_URL, client->base);
    curl_easy_setopt(wire->easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(wire->easy, CURLOPT_ERRORBUFFER, wire->curl_text);
    if (connect_wire(wire, task, err) < 0)
        return -1;
    curl_socket_t fd = CURL_SOCKET_BAD;
    CURLcode code = curl_easy_getinfo(wire->easy, CURLINFO_ACTIVESOCKET, &fd);
    assert(code == CURLE_OK && fd != CURL_SOCKET_BAD);
    wire->fd = fd;
    *ret = take_ptr(wire);
    return 0;
}

void http_wire_close(struct http_wire *wire) {
    if (!wire)
        return;
    curl_multi_remove_handle(wire->multi, wire->easy);
    curl_easy_cleanup(wire->easy);
    curl_multi_cleanup(wire->multi);
    free(wire);
}

int http_wire_fd(const struct http_wire *wire) {
    return wire->fd;
}

static ssize_t moved(struct http_wire *wire, CURLcode code, size_t n, struct error *err) {
    if (code == CURLE_OK)
        return (ssize_t)n;
    if (code == CURLE_AGAIN)
        return HTTP_WIRE_AGAIN;
    char shown[CURL_ERROR_SIZE];
    const char *text = wire->curl_text[0] ? wire->curl_text : curl_easy_strerror(code);
    text_safe(text, shown, sizeof shown);
    if (wire->client->tls && strstr(text, "alert"))
        return error_set(err, ERROR_REFUSED, "'%s' does not accept our certificate (%s)",
                         wire->client->where, shown);
    return error_set(err, ERROR_UNREACHABLE, "the connection broke: %s", shown);
}

ssize_t http_wire_receive(struct http_wire *wire, void *data, size_t size, struct error *err) {
    size_t n = 0;
    CURLcode code = curl_easy_recv(wire->easy, data, size, &n);
    return moved(wire, code, n, err);
}

ssize_t http_wire_send(struct http_wire *wire, const void *data, size_t size, struct error *err) {
    size_t n = 0;
    CURLcode code = curl_easy_send(wire->easy, data, size, &n);
    return moved(wire, code, n, err);
}

void http_wire_end(struct http_wire *wire) {
    struct curl_tlssessioninfo *tls = NULL;
    if (wire->ended)
        return;
    wire->ended = true;
    if (!wire->client->tls)
        shutdown(wire->fd, SHUT_WR);
    else if (curl_easy_getinfo(wire->easy, CURLINFO_TLS_SSL_PTR, &tls) == CURLE_OK && tls &&
             tls->backend == CURLSSLBACKEND_OPENSSL && tls->internals)
        http_tls_end(tls->internals);
}
