#pragma once

/*
 * A scripted replica: a thread that speaks lib/wire to loaders and does exactly what its script
 * says: answers at once or after a known time, says that it is overloaded, refuses, closes, sends
 * garbage, falls silent. What it has seen can be read after primary_stop.
 *
 * Threads: the script and the counts belong to the caller before start and after stop.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

enum primary_greeting {
    PRIMARY_ACCEPTS,
    PRIMARY_REFUSES,          /* with `text` */
    PRIMARY_SAYS_GARBAGE,     /* instead of an answer */
    PRIMARY_SAYS_OTHER_INDEX, /* it is replica index + 1 */
    PRIMARY_SAYS_NOTHING,
    PRIMARY_CLOSES,          /* after HELLO */
    PRIMARY_ANSWERS_AT_ONCE, /* request 0 of the first client, many times */
};

enum primary_answer {
    PRIMARY_ANSWERS,
    PRIMARY_ANSWERS_NEVER,
    PRIMARY_ANSWERS_REFUSED, /* with `text` */
    PRIMARY_ANSWERS_GARBAGE,
    PRIMARY_ANSWERS_STRANGER,   /* to a client that is not there */
    PRIMARY_ANSWERS_AND_CLOSES, /* the connection, after each reply */
    PRIMARY_ANSWERS_TWICE,
};

struct primary_script {
    uint16_t index, n, primary;
    uint16_t answers; /* that it says are needed; 0: 1 */
    enum primary_greeting greeting;
    enum primary_answer answer;
    const char *text;
    uint64_t delay_ns;        /* between a request and its reply, */
    uint64_t delay_spread_ns; /* and up to that much more, at random by its position */
    uint64_t stall_at; /* this request (from 1) and all after it wait stall_ns longer; 0: none */
    uint64_t stall_ns; /* from when that request came */
    uint64_t
        overloaded_each;   /* every such request (7: the 7th, 14th, ...) is overloaded; 0: none */
    uint64_t lose_each;    /* every such request is not answered; 0: none */
    uint64_t vanish_after; /* requests; then it closes everything, the listener too; 0: never */
    bool reads_nothing;    /* after the greeting */
    bool check_payloads;   /* that no two requests have the same one */
    struct primary_reply *replies; /* when each was sent, in order; or NULL */
    uint64_t replies_max;
};

struct primary_reply {
    uint64_t client, number;
    int64_t wall_ns;
};

struct primary;

/* Listens on a port of 127.0.0.1 that the system chooses. */
int primary_start(const struct primary_script *script, struct primary **ret, struct error *err);
uint16_t primary_port(const struct primary *p);

struct primary_counts {
    uint64_t connections;
    uint64_t requests;
    uint64_t replies; /* that said OK */
    uint64_t overloaded;
    uint64_t bytes;        /* of payloads */
    uint64_t out_of_order; /* requests whose number is not above the last of their client */
    uint64_t client_min, client_max;
    uint64_t same_payloads; /* as that of the request before */
    struct primary_shape {
        uint32_t key_count, key_size, value_size, payload_size, execution_ms;
        uint8_t flags;
    } shape; /* of the last request */
};

/* Returns once so many requests came in all. */
void primary_wait(struct primary *p, uint64_t requests);

/* Ends the thread. Frees. */
void primary_stop(struct primary *p, struct primary_counts *ret);
