#pragma once

/*
 * A scripted peer: a thread that listens on a unix socket and plays a script to whoever connects,
 * to prove what a client does when its server stalls, cuts, floods or lies. There are no sleeps:
 * the script waits for the client's bytes, and the test waits for the script.
 *
 *     static const struct fake_step script[] = {
 *         FAKE_EXPECT("GET /_ping"),
 *         FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO"),
 *         FAKE_CLOSE(),
 *         FAKE_END(),
 *     };
 *     struct fake *fake = fake_start(script);
 *     ... connect to fake_socket(fake) ...
 *     assert_string_equal(fake_finish(fake), "");
 *
 * An EXPECT takes the next request, from the connection there is or from a new one. A client that
 * hangs up while we send ends that step, and is no fault: fake_sent says how far it came.
 */

#include <stddef.h>
#include <stdint.h>

struct fake_step {
    enum fake_step_kind {
        FAKE_STEP_END,
        FAKE_STEP_EXPECT,
        FAKE_STEP_BODY,
        FAKE_STEP_READ,
        FAKE_STEP_SEND,
        FAKE_STEP_CHUNK,
        FAKE_STEP_REPEAT,
        FAKE_STEP_STALL,
        FAKE_STEP_CALL,
        FAKE_STEP_CLOSE,
    } kind;
    const char *text;
    uint64_t size;
    void (*call)(void);
};

/* Reads a request up to the end of its head, whose first line must begin with `text`. */
#define FAKE_EXPECT(text_)                                                                         \
    { .kind = FAKE_STEP_EXPECT, .text = (text_) }
/* Reads the body of that request, by Content-Length or chunks. */
#define FAKE_BODY()                                                                                \
    { .kind = FAKE_STEP_BODY }
/* Reads `n` bytes of anything. */
#define FAKE_READ(n)                                                                               \
    { .kind = FAKE_STEP_READ, .size = (n) }
#define FAKE_SEND(text_)                                                                           \
    { .kind = FAKE_STEP_SEND, .text = (text_), .size = sizeof(text_) - 1 }
/* One chunk of a chunked answer. */
#define FAKE_CHUNK(text_)                                                                          \
    { .kind = FAKE_STEP_CHUNK, .text = (text_), .size = sizeof(text_) - 1 }
/* A whole answer: FAKE_ANSWER("404 Not Found", "{}"). `json_` is a literal. */
#define FAKE_ANSWER(status_, json_)                                                                \
    {.kind = FAKE_STEP_SEND,                                                                       \
     .text = "HTTP/1.1 " status_ "\r\nContent-Type: application/json\r\n",                         \
     .size = 0},                                                                                   \
    {                                                                                              \
        .kind = FAKE_STEP_SEND, .text = (json_), .size = UINT64_MAX                                \
    }
/* The byte `c` as often as told, made while it is sent. */
#define FAKE_REPEAT(c, n)                                                                          \
    { .kind = FAKE_STEP_REPEAT, .text = (c), .size = (n) }
/* Nothing more, until the client hangs up. */
#define FAKE_STALL()                                                                               \
    { .kind = FAKE_STEP_STALL }
/* Something of the test's, on the fake's thread. */
#define FAKE_CALL(function)                                                                        \
    { .kind = FAKE_STEP_CALL, .call = (function) }
#define FAKE_CLOSE()                                                                               \
    { .kind = FAKE_STEP_CLOSE }
#define FAKE_END()                                                                                 \
    { .kind = FAKE_STEP_END }

struct fake;

struct fake *fake_start(const struct fake_step *script);
const char *fake_socket(const struct fake *fake); /* path */

/* Ends it; what went wrong, "" when the whole script was played. A script that hangs is ended after
 * some seconds, and says at which step. The text lives until the next fake_finish. */
const char *fake_finish(struct fake *fake);

/* After fake_finish, of the last one: the bytes sent by REPEAT, and all that the client sent. */
uint64_t fake_sent(void);
const char *fake_received(void);
