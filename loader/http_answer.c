#include "loader/http_answer.h"

#include <assert.h>
#include <http_parser.h>

static_assert(sizeof(http_parser) <= sizeof((struct http_answer *)0)->parser, "there is room");

static http_parser *parser_of(struct http_answer *a) {
    return (http_parser *)(void *)a->parser;
}

/* Execution stops here, so that nothing behind the answer is taken for a part of it. What was only
 * said meanwhile is none (RFC 9110, section 15.2); another protocol nobody has asked for. */
static int on_end(http_parser *parser) {
    enum { SWITCHING_PROTOCOLS = 101 };
    if (parser->status_code / 100 == 1 && parser->status_code != SWITCHING_PROTOCOLS)
        return 0;
    *(bool *)parser->data = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {.on_message_complete = on_end};

void http_answer_begin(struct http_answer *a) {
    http_parser_init(parser_of(a), HTTP_RESPONSE);
}

int http_answer_feed(struct http_answer *a, const char *data, size_t size,
                     struct http_answer_end *ret, struct error *err) {
    http_parser *parser = parser_of(a);
    bool ended = false;
    parser->data = &ended;
    size_t used = http_parser_execute(parser, &settings, data, size);
    if (size == 0 && !ended)
        return error_set(err, ERROR_UNREACHABLE, "it closed the connection in an answer");
    enum http_errno failure = HTTP_PARSER_ERRNO(parser);
    if (failure != HPE_OK && failure != HPE_PAUSED)
        return error_set(err, ERROR_INVALID, "it does not answer in HTTP: %s",
                         http_errno_description(failure));
    if (!ended)
        return 0;
    if (used < size)
        return error_set(err, ERROR_INVALID, "it sent %zu bytes behind its answer", size - used);
    *ret = (struct http_answer_end){.status = parser->status_code,
                                    .keeps_alive = http_should_keep_alive(parser)};
    return 1;
}
