#include "lib/http_server.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct http_server {
    struct MHD_Daemon *daemon;
    http_serve *serve;
    void *context;
};

struct range {
    uint64_t from, size;
    bool given;
};

/* "bytes=FROM-" and "bytes=FROM-TO" (RFC 9110, section 14.1.2); of anything else the whole is
 * served, as a server may. Returns 1 where it begins behind the end. */
static int read_range(const char *text, uint64_t size, struct range *ret) {
    uint64_t from, to = UINT64_MAX;
    struct error ignored = ERROR_NULL;
    *ret = (struct range){.size = size};
    if (!text || !text_starts(text, "bytes="))
        return 0;
    cleanup_free char *first = text_dup(text + strlen("bytes="));
    char *dash = strchr(first, '-');
    if (!dash)
        return 0;
    *dash = '\0';
    if (text_to_u64(first, 0, UINT64_MAX, &from, &ignored) < 0 ||
        (dash[1] && text_to_u64(dash + 1, 0, UINT64_MAX, &to, &ignored) < 0) || to < from)
        return 0;
    if (from >= size)
        return 1;
    uint64_t left = size - from;
    *ret = (struct range){
        .from = from, .size = to - from < left - 1 ? to - from + 1 : left, .given = true};
    return 0;
}

static struct MHD_Response *of_file(struct MHD_Connection *connection, struct http_answer *answer) {
    struct stat st;
    struct range range;
    const char *wanted =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_RANGE);
    if (fstat(answer->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        close(answer->fd);
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    if (read_range(wanted, (uint64_t)st.st_size, &range) != 0) {
        answer->status = MHD_HTTP_RANGE_NOT_SATISFIABLE;
        close(answer->fd);
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    struct MHD_Response *response =
        MHD_create_response_from_fd_at_offset64(range.size, answer->fd, range.from);
    if (!response) {
        close(answer->fd);
        return NULL;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
    if (range.given) {
        char text[100];
        snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range.from,
                 range.from + range.size - 1, (uint64_t)st.st_size);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, text);
        answer->status = MHD_HTTP_PARTIAL_CONTENT;
    }
    return response;
}

static struct MHD_Response *of_memory(const struct http_answer *answer) {
    return MHD_create_response_from_buffer(answer->size, (void *)(uintptr_t)answer->data,
                                           MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct http_answer *answer) {
    struct MHD_Response *response =
        answer->fd >= 0 ? of_file(connection, answer) : of_memory(answer);
    enum MHD_Result r = MHD_NO;
    if (!response)
        return r;
    if (answer->type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    if (answer->digest)
        MHD_add_response_header(response, "Docker-Content-Digest", answer->digest);
    r = MHD_queue_response(connection, answer->status ? answer->status : MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return r;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state) {
    (void)version;
    (void)data;
    (void)size;
    (void)state;
    const struct http_server *server = context;
    struct http_answer answer = {.type = "text/plain; charset=utf-8", .fd = -1};
    static const char refusal[] = "only GET\n";
    if (text_equal(method, MHD_HTTP_METHOD_GET) || text_equal(method, MHD_HTTP_METHOD_HEAD)) {
        server->serve(server->context, url, &answer);
    } else {
        answer.status = MHD_HTTP_METHOD_NOT_ALLOWED;
        answer.data = refusal;
        answer.size = strlen(refusal);
    }
    return send_answer(connection, &answer);
}

int http_server_open(const struct http_server_options *options, struct http_server **ret,
                     struct error *err) {
    struct http_server *server = mem_new(struct http_server);
    *server = (struct http_server){.serve = options->serve, .context = options->context};
    server->daemon =
        MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
                         server, MHD_OPTION_LISTEN_SOCKET, options->listen_fd,
                         MHD_OPTION_CONNECTION_LIMIT, options->connections_max,
                         MHD_OPTION_CONNECTION_TIMEOUT, options->timeout_s, MHD_OPTION_END);
    if (!server->daemon) {
        int failure = errno;
        close(options->listen_fd);
        free(server);
        return error_set_os(err, ERROR_IO, failure, "start a server");
    }
    *ret = server;
    return 0;
}

void http_server_close(struct http_server *server) {
    MHD_stop_daemon(server->daemon); /* closes the socket too */
    free(server);
}
