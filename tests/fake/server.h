#pragma once

/*
 * A scripted server for loaders that speak to servers of others: a thread that answers HTTP
 * requests, or echoes, and does what its script says. What it has seen can be read after
 * server_stop.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

enum server_answer {
    SERVER_ANSWERS,
    SERVER_ANSWERS_IN_PIECES, /* of one byte */
    SERVER_ANSWERS_CHUNKED,
    SERVER_ANSWERS_TWICE,        /* at first 103, which is none yet */
    SERVER_ANSWERS_UNTIL_CLOSE,  /* a body without a length */
    SERVER_ANSWERS_AND_CLOSES,   /* and says so */
    SERVER_ANSWERS_AND_VANISHES, /* the connection, without saying so */
    SERVER_ANSWERS_GARBAGE,
    SERVER_ANSWERS_TOO_MUCH,
    SERVER_ANSWERS_NEVER,
    SERVER_CLOSES, /* instead of answering */
};

struct server_script {
    bool echo; /* or HTTP */
    enum server_answer answer;
    unsigned status;    /* HTTP; 0: 200 */
    uint64_t only_each; /* every such request (7: the 7th, 14th, ...) is answered by `answer`,
                           others well; 0: all */
    uint64_t end_after; /* requests: closes everything, the listener too; 0: never */
};

struct server;

int server_start(const struct server_script *script, struct server **ret, struct error *err);
uint16_t server_port(const struct server *s);

struct server_counts {
    uint64_t connections, requests;
    uint64_t body_bytes;
    char head[256]; /* of the first request */
};
/* Ends it, frees it. */
void server_stop(struct server *s, struct server_counts *ret);
