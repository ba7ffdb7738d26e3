#include "lib/http_wire.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What needs no connection: requests and answers as text. */

const char *http_response_header(const struct http_response *response, const char *name,
                                 char *value, size_t size) {
    size_t name_size = strlen(name);
    value[0] = '\0';
    for (const char *line = buffer_string(&response->headers); *line;) {
        const char *end = line + strcspn(line, "\r\n");
        if (strncasecmp(line, name, name_size) == 0 && line[name_size] == ':') {
            line += name_size + 1;
            line += strspn(line, " \t");
            size_t n = (size_t)(end - line);
            n = n < size ? n : size - 1;
            memcpy(value, line, n);
            value[n] = '\0';
            return value;
        }
        line = end + strspn(end, "\r\n");
    }
    return value;
}

int http_check_request(const struct http_request *request, struct error *err) {
    assert(request->method && request->path && !(request->source && request->body));
    size_t size = strlen(request->path);
    if (size > HTTP_PATH_MAX)
        return error_set(err, ERROR_LIMIT, "the request's path is longer than %d bytes",
                         HTTP_PATH_MAX);
    if (request->path[0] != '/' || strchr(request->path, '#'))
        return error_set(err, ERROR_INVALID, "not a path of a request");
    for (size_t i = 0; i < size; i++)
        if (request->path[i] <= ' ' || request->path[i] > '~')
            return error_set(err, ERROR_INVALID, "the request's path is not escaped");
    for (const char *const *h = request->headers; h && *h; h++)
        if (strpbrk(*h, "\r\n"))
            return error_set(err, ERROR_INVALID, "a header of the request has a line break");
    const char *token = request->aws ? request->aws->session_token : NULL;
    if (token && strpbrk(token, "\r\n"))
        return error_set(err, ERROR_INVALID, "the session token has a line break");
    return 0;
}

/* ---- an answer that libcurl did not see ---- */

static void append_chunks(struct buffer *body, const char *text, const char *end) {
    for (;;) {
        char *rest;
        unsigned long size = strtoul(text, &rest, 16);
        const char *data = strstr(rest, "\r\n");
        if (size == 0 || !data || size > (size_t)(end - data - 2))
            return;
        buffer_append(body, data + 2, size);
        text = data + 2 + size;
        text += strspn(text, "\r\n");
    }
}

bool http_read_lenient(const struct buffer *answer, struct http_response *response) {
    const char *text = buffer_string(answer), *end = text + answer->size;
    const char *body = strstr(text, "\r\n\r\n");
    int status = 0;
    if (!body || sscanf(text, "HTTP/1.%*1[01] %3d ", &status) != 1 || status < 400)
        return false;
    body += 4;
    buffer_append(&response->headers, text, (size_t)(body - text));
    char value[32];
    if (text_equal(http_response_header(response, "Transfer-Encoding", value, sizeof value),
                   "chunked"))
        append_chunks(&response->body, body, end);
    else
        buffer_append(&response->body, body, (size_t)(end - body));
    response->status = status;
    return true;
}

/* ---- paths ---- */

static void append_escaped(struct buffer *path, const char *text) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || (c && strchr("-._~", c));
        if (unreserved)
            buffer_append(path, text, 1);
        else
            buffer_format(path, "%%%02X", c);
    }
}

void http_path_segment(struct buffer *path, const char *text) {
    buffer_text(path, "/");
    append_escaped(path, text);
}

void http_path_text(struct buffer *path, const char *text) {
    buffer_text(path, text);
}

void http_path_query(struct buffer *path, const char *name, const char *value) {
    buffer_text(path, strchr(buffer_string(path), '?') ? "&" : "?");
    append_escaped(path, name);
    buffer_text(path, "=");
    append_escaped(path, value);
}

void http_form_value(struct buffer *form, const char *text) {
    for (;;) {
        size_t size = strcspn(text, " ");
        cleanup_free char *word = strndup(text, size);
        append_escaped(form, word);
        if (text[size] == '\0')
            return;
        buffer_text(form, "+");
        text += size + 1;
    }
}
