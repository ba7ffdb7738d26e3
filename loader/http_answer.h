#pragma once

/*
 * An HTTP/1.1 answer, read as it comes: nothing of it is kept but its status. The door to
 * http_parser.
 *
 * Source: RFC 9112.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>

struct http_answer {
    _Alignas(8) unsigned char parser[40];
};

struct http_answer_end {
    unsigned status;
    bool keeps_alive; /* the connection can carry another request */
};

void http_answer_begin(struct http_answer *a);

/* More bytes; `size` 0: the connection was closed, which can be the end of an answer whose body has
 * no length (RFC 9112, section 6.3). Returns 0 when more are needed, 1 at the answer's end. Errors:
 * ERROR_INVALID: this is no answer, or there is more than one. */
int http_answer_feed(struct http_answer *a, const char *data, size_t size,
                     struct http_answer_end *ret, struct error *err);
