#include "lib/metrics.h"

#include "lib/http_server.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct metrics {
    struct http_server *server;
    struct buffer body;
    metrics_write *write;
    void *context;
    uint16_t port;
};

/* ---- answering ---- */

static void answer_text(struct http_answer *answer, unsigned status, const char *text) {
    answer->status = status;
    answer->data = text;
    answer->size = strlen(text);
}

static void on_request(void *context, const char *path, struct http_answer *ret) {
    struct metrics *m = context;
    if (!text_equal(path, "/metrics")) {
        answer_text(ret, 404, "there is only /metrics\n");
        return;
    }
    buffer_deinit(&m->body); /* of the answer before, which was copied */
    buffer_init(&m->body, METRICS_SIZE_MAX);
    if (!m->write(m->context, &m->body)) {
        answer_text(ret, 503, "there is nothing to tell now; ask again\n");
        return;
    }
    if (m->body.overflowed) {
        answer_text(ret, 500, "too many metrics\n");
        return;
    }
    ret->type = "text/plain; version=0.0.4; charset=utf-8";
    ret->data = m->body.data;
    ret->size = m->body.size;
}

/* ---- listening ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int read_address(const char *listen_on, union address *ret, struct error *err) {
    cleanup_free char *host = text_dup(listen_on);
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
                         listen_on);
    ret->v4.sin_port = htons((uint16_t)port); /* at the same place in both */
    return 0;
}

static int bind_to(const char *listen_on, const union address *address, uint16_t *ret_port,
                   int *ret_fd, struct error *err) {
    union address bound;
    socklen_t size = address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
    socklen_t bound_size = sizeof bound;
    int on = 1;
    cleanup_close int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd >= 0 && address->any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (fd < 0 || bind(fd, &address->any, size) < 0 || listen(fd, METRICS_CONNECTIONS_MAX) < 0 ||
        getsockname(fd, &bound.any, &bound_size) < 0)
        return error_set_os(err, ERROR_IO, errno, "serve metrics on %s", listen_on);
    *ret_port = ntohs(bound.v4.sin_port); /* at the same place in both */
    *ret_fd = take_fd(&fd);
    return 0;
}

int metrics_open(const char *listen_on, metrics_write *write, void *context, struct metrics **ret,
                 struct error *err) {
    union address address;
    int fd;
    struct metrics *m = mem_new(struct metrics);
    *m = (struct metrics){.write = write, .context = context, .body = BUFFER_NULL};
    int r = read_address(listen_on, &address, err);
    if (r == 0)
        r = bind_to(listen_on, &address, &m->port, &fd, err);
    if (r == 0) {
        struct http_server_options options = {.listen_fd = fd,
                                              .connections_max = METRICS_CONNECTIONS_MAX,
                                              .timeout_s = METRICS_TIMEOUT_S,
                                              .serve = on_request,
                                              .context = m};
        r = http_server_open(&options, &m->server, err);
    }
    if (r < 0) {
        free(m);
        return -1;
    }
    *ret = m;
    return 0;
}

void metrics_close(struct metrics *m) {
    http_server_close(m->server);
    buffer_deinit(&m->body);
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

void metrics_histogram(struct buffer *out, const char *name, const char *labels,
                       const double *bounds, const uint64_t *counts, size_t bound_count,
                       double sum) {
    const char *more = labels ? labels : "", *comma = labels ? "," : "";
    uint64_t count = 0;
    for (size_t i = 0; i <= bound_count; i++) {
        char end[32] = "+Inf";
        if (i < bound_count)
            snprintf(end, sizeof end, "%.9g", bounds[i]);
        count += counts[i];
        buffer_format(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", name, more, comma, end,
                      (unsigned long long)count);
    }
    cleanup_free char *of_sum = text_format("%s_sum", name);
    cleanup_free char *of_count = text_format("%s_count", name);
    metrics_sample(out, of_sum, labels, sum);
    metrics_sample(out, of_count, labels, (double)count);
}
