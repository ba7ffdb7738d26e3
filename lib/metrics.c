#include "lib/metrics.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct metrics {
    struct MHD_Daemon *daemon;
    metrics_write *write;
    void *context;
    uint16_t port;
};

/* ---- answering ---- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              struct buffer *body) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->size, body->data, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result r = MHD_NO;
    if (response && MHD_add_response_header(response, "Content-Type", type) == MHD_YES)
        r = MHD_queue_response(connection, status, response);
    if (response)
        MHD_destroy_response(response);
    return r;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
                                   const char *text) {
    cleanup(buffer_deinit) struct buffer body;
    buffer_init(&body, 256);
    buffer_text(&body, text);
    return answer(connection, status, "text/plain; charset=utf-8", &body);
}

/* Bodies of requests are not read: what they would say is nothing to us. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state) {
    (void)version;
    (void)data;
    (void)size;
    (void)state;
    struct metrics *m = context;
    if (!text_equal(method, MHD_HTTP_METHOD_GET))
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    if (!text_equal(url, "/metrics"))
        return answer_text(connection, MHD_HTTP_NOT_FOUND, "there is only /metrics\n");
    cleanup(buffer_deinit) struct buffer body;
    buffer_init(&body, METRICS_SIZE_MAX);
    m->write(m->context, &body);
    if (body.overflowed)
        return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "too many metrics\n");
    return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &body);
}

/* ---- listening ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int read_address(const char *listen, union address *ret, struct error *err) {
    cleanup_free char *host = text_dup(listen);
    char *colon = strrchr(host, ':'), *number = colon ? colon + 1 : host, *name = host;
    uint64_t port;
    struct error ignored = ERROR_NULL;
    bool good = text_to_u64(number, 0, UINT16_MAX, &port, &ignored) == 0;
    *ret = (union address){.v4 = {.sin_family = AF_INET}};
    if (!colon)
        ret->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        *colon = '\0';
    size_t size = strlen(host);
    if (colon && host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        name = host + 1;
        ret->v6.sin6_family = AF_INET6;
        good = good && inet_pton(AF_INET6, name, &ret->v6.sin6_addr) == 1;
    } else if (colon) {
        good = good && inet_pton(AF_INET, name, &ret->v4.sin_addr) == 1;
    }
    if (!good)
        return error_set(err, ERROR_CONFIG, "'%s' is none of PORT, ADDRESS:PORT and [ADDRESS]:PORT",
                         listen);
    ret->v4.sin_port = htons((uint16_t)port); /* at the same place in both */
    return 0;
}

int metrics_open(const char *listen, metrics_write *write, void *context, struct metrics **ret,
                 struct error *err) {
    union address address;
    if (read_address(listen, &address, err) < 0)
        return -1;
    struct metrics *m = mem_new(struct metrics);
    *m = (struct metrics){.write = write, .context = context};
    unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD |
                     (address.any.sa_family == AF_INET6 ? (unsigned)MHD_USE_IPv6 : 0U);
    m->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, m, MHD_OPTION_SOCK_ADDR,
                                 &address.any, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)METRICS_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                 (unsigned)METRICS_TIMEOUT_S, MHD_OPTION_END);
    if (!m->daemon) {
        int failure = errno;
        free(m);
        return error_set_os(err, ERROR_IO, failure, "serve metrics on %s", listen);
    }
    m->port = MHD_get_daemon_info(m->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    *ret = m;
    return 0;
}

void metrics_close(struct metrics *m) {
    MHD_stop_daemon(m->daemon);
    free(m);
}

uint16_t metrics_port(const struct metrics *m) {
    return m->port;
}

/* ---- writing ---- */

void metrics_head(struct buffer *out, const char *name, const char *type, const char *help) {
    buffer_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_sample(struct buffer *out, const char *name, const char *labels, double value) {
    buffer_text(out, name);
    if (labels)
        buffer_format(out, "{%s}", labels);
    if (isnan(value))
        buffer_text(out, " NaN\n");
    else if (floor(value) == value && fabs(value) < 0x1p53) /* counts as they are */
        buffer_format(out, " %.0f\n", value);
    else
        buffer_format(out, " %.9g\n", value);
}
