#pragma once

/* What the tests of the engine client against a fake share: a fake, an engine opened on it, a task.
 */

#include "runner/engine/engine.h"
#include "tests/fake/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEN_GB (UINT64_C(10) * 1000 * 1000 * 1000)
#define PATIENCE_NS (20 * NS_PER_SEC)
#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define PING(version)                                                                              \
    FAKE_EXPECT("GET /_ping HTTP/1.1\r\n"),                                                        \
        FAKE_SEND("HTTP/1.1 200 OK\r\nApi-Version: " version "\r\nContent-Length: 2\r\n\r\nOK")
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

/* For FAKE_CALL: cancels the task of the fixture. */
void raise_cancel(void);

struct fixture {
    struct fake *fake;
    struct engine *engine;
    struct error err;
    struct task task;
};

/* The result of engine_open. */
int try_open(struct fixture *f, const struct fake_step *script, struct engine_options options);
void open_fixture(struct fixture *f, const struct fake_step *script);
/* Also checks that the whole script was played. */
void close_fixture(struct fixture *f);
void assert_error(const struct fixture *f, enum error_kind kind, const char *part);

/* A sink's push that adds sizes to a uint64_t. */
int count_push(void *arg, const void *data, size_t size, struct error *err);
