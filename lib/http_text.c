#include "lib/http.h"

#include <string.h>
#include <strings.h>

/* What needs no connection: headers of an answer, and paths. */

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
