/* The HTTP client against servers that stall, cut, flood and lie. */

#include "lib/http.h"

#include "tests/fake/fake.h"

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEN_GB (UINT64_C(10) * 1000 * 1000 * 1000)
#define PATIENCE_NS (20 * NS_PER_SEC) /* a test that needs it has failed */

static struct cancel cancelled;

static void raise_cancel(void) {
    cancel_raise(&cancelled, 1);
}

struct fixture {
    struct fake *fake;
    struct http *client;
    struct http_response response;
    struct error err;
    struct task task;
};

static void open_fixture(struct fixture *f, const struct fake_step *script) {
    *f = (struct fixture){.response = HTTP_RESPONSE_NULL};
    assert_int_equal(cancel_init(&cancelled, &f->err), 0);
    f->fake = fake_start(script);
    struct task forever = {.cancel = &cancelled, .deadline = INSTANT_NEVER};
    f->task = task_within(&forever, PATIENCE_NS);
    struct http_address address = {.unix_socket = fake_socket(f->fake)};
    assert_int_equal(http_open(&address, &f->client, &f->err), 0);
}

/* The client hangs up first: that is what ends a stalled script. */
static void close_fixture(struct fixture *f) {
    http_response_deinit(&f->response);
    http_close(f->client);
    assert_string_equal(fake_finish(f->fake), "");
    cancel_deinit(&cancelled);
}

static int get(struct fixture *f, const char *path) {
    struct http_request request = {.method = "GET", .path = path};
    return http_call(f->client, &request, &f->task, &f->response, &f->err);
}

static void assert_error(const struct fixture *f, enum error_kind kind, const char *part) {
    if (f->err.kind != kind || !strstr(f->err.text, part))
        fail_msg("%s: %s (wanted %s: ...%s...)", error_kind_name(f->err.kind), f->err.text,
                 error_kind_name(kind), part);
}

static void a_connection_serves_several_calls(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("GET /a?x=1 HTTP/1.1\r\n"),
        FAKE_SEND("HTTP/1.1 200 OK\r\nApi-Version:  1.41 \r\nContent-Length: 3\r\n\r\none"),
        FAKE_EXPECT("DELETE /b HTTP/1.1\r\n"),
        FAKE_SEND("HTTP/1.1 204 No Content\r\n\r\n"),
        FAKE_EXPECT("HEAD /c HTTP/1.1\r\n"),
        FAKE_SEND("HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n"),
        FAKE_EXPECT("GET /d HTTP/1.1\r\n"),
        FAKE_SEND("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        FAKE_END(),
    };
    struct fixture f;
    char value[16];
    open_fixture(&f, script);
    assert_int_equal(get(&f, "/a?x=1"), 0);
    assert_int_equal(f.response.status, 200);
    assert_string_equal(buffer_string(&f.response.body), "one");
    assert_string_equal(http_response_header(&f.response, "api-version", value, sizeof value),
                        "1.41 ");
    assert_string_equal(http_response_header(&f.response, "api-version", value, 3), "1.");
    assert_string_equal(http_response_header(&f.response, "api", value, sizeof value), "");
    struct http_request request = {.method = "DELETE", .path = "/b"};
    assert_int_equal(http_call(f.client, &request, &f.task, &f.response, &f.err), 0);
    assert_int_equal(f.response.status, 204);
    request = (struct http_request){.method = "HEAD", .path = "/c"};
    assert_int_equal(http_call(f.client, &request, &f.task, &f.response, &f.err), 0);
    assert_int_equal(f.response.status, 404);
    assert_int_equal(get(&f, "/d"), 0);
    assert_int_equal(f.response.status, 500);
    assert_string_equal(buffer_string(&f.response.body), "abc");
    close_fixture(&f);
    assert_null(strstr(fake_received(), "Accept-Encoding"));
}

static void a_body_from_memory_has_a_length(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("POST /a HTTP/1.1\r\n"),
        FAKE_BODY(),
        FAKE_ANSWER("201 Created", "{}"),
        FAKE_EXPECT("POST /b HTTP/1.1\r\n"),
        FAKE_BODY(),
        FAKE_ANSWER("200 OK", "{}"),
        FAKE_END(),
    };
    struct fixture f;
    open_fixture(&f, script);
    struct http_request request = {.method = "POST",
                                   .path = "/a",
                                   .headers = (const char *const[]){"X-Registry-Auth: e30=", NULL},
                                   .content_type = "application/json",
                                   .body = "{\"a\":1}",
                                   .body_size = 7};
    assert_int_equal(http_call(f.client, &request, &f.task, &f.response, &f.err), 0);
    assert_int_equal(f.response.status, 201);
    request = (struct http_request){.method = "POST", .path = "/b"};
    assert_int_equal(http_call(f.client, &request, &f.task, &f.response, &f.err), 0);
    close_fixture(&f);
    assert_non_null(strstr(fake_received(), "Content-Length: 7\r\n"));
    assert_non_null(strstr(fake_received(), "Content-Type: application/json\r\n"));
    assert_non_null(strstr(fake_received(), "X-Registry-Auth: e30=\r\n"));
    assert_non_null(strstr(fake_received(), "\r\n\r\n{\"a\":1}POST /b"));
    assert_non_null(strstr(fake_received(), "Content-Length: 0\r\n"));
    assert_null(strstr(fake_received(), "Expect"));
}

/* A source of `left` bytes 'u', or one that fails there. */
struct flow {
    uint64_t left;
    bool fails;
};

static ssize_t flow_pull(void *arg, void *data, size_t size, struct error *err) {
    struct flow *flow = arg;
    if (flow->left == 0 && flow->fails)
        return error_set(err, ERROR_IO, "read file 'x': gone");
    size_t n = size < flow->left ? size : flow->left;
    memset(data, 'u', n);
    flow->left -= n;
    return (ssize_t)n;
}

static int upload(struct fixture *f, struct flow *flow, const struct sink *sink) {
    struct source source = {.pull = flow_pull, .arg = flow};
    struct http_request request = {.method = "POST",
                                   .path = "/build?t=secret",
                                   .content_type = "application/x-tar",
                                   .source = &source,
                                   .sink = sink};
    return http_call(f->client, &request, &f->task, &f->response, &f->err);
}

static void a_source_of_unknown_size_is_sent_in_chunks(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("POST /build?t=secret"),
        FAKE_BODY(),
        FAKE_ANSWER("200 OK", "done"),
        FAKE_END(),
    };
    struct fixture f;
    struct flow flow = {.left = 1000 * 1000};
    open_fixture(&f, script);
    assert_int_equal(upload(&f, &flow, NULL), 0);
    assert_string_equal(buffer_string(&f.response.body), "done");
    assert_int_equal(flow.left, 0);
    close_fixture(&f);
    assert_non_null(strstr(fake_received(), "Transfer-Encoding: chunked\r\n"));
    assert_null(strstr(fake_received(), "Content-Length"));
}

static void a_source_that_fails_ends_the_call_with_its_error(void **state) {
    (void)state;
    static const struct fake_step script[] = {FAKE_EXPECT("POST"), FAKE_STALL(), FAKE_END()};
    struct fixture f;
    struct flow flow = {.left = 100000, .fails = true};
    open_fixture(&f, script);
    assert_int_equal(upload(&f, &flow, NULL), -1);
    assert_int_equal(f.err.kind, ERROR_IO);
    assert_string_equal(f.err.text, "POST /build: read file 'x': gone");
    close_fixture(&f);
    assert_null(strstr(fake_received(), "\r\n0\r\n\r\n"));
}

static void an_error_answered_during_the_upload_is_heard(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("POST"),
        FAKE_READ(100000),
        FAKE_SEND("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge"),
        FAKE_STALL(),
        FAKE_END(),
    };
    struct fixture f;
    struct flow flow = {.left = TEN_GB};
    open_fixture(&f, script);
    assert_int_equal(upload(&f, &flow, NULL), 0);
    assert_int_equal(f.response.status, 413);
    assert_string_equal(buffer_string(&f.response.body), "large");
    assert_true(flow.left > TEN_GB / 2);
    close_fixture(&f);
}

/* The race is between our write and their close: many rounds meet both orders. */
static void an_error_is_heard_even_if_the_server_hangs_up_on_the_upload(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("POST"),
        FAKE_READ(1000),
        FAKE_SEND("HTTP/1.1 400 Bad\r\nConnection: close\r\nX-It: yes\r\n\r\nno Dockerfile"),
        FAKE_CLOSE(),
        FAKE_END(),
    };
    for (int round = 0; round < 300; round++) {
        struct fixture f;
        struct flow flow = {.left = TEN_GB};
        char value[8];
        open_fixture(&f, script);
        if (upload(&f, &flow, NULL) != 0)
            fail_msg("round %d: %s", round, f.err.text);
        assert_int_equal(f.response.status, 400);
        assert_string_equal(buffer_string(&f.response.body), "no Dockerfile");
        assert_string_equal(http_response_header(&f.response, "X-It", value, sizeof value), "yes");
        close_fixture(&f);
    }
}

static ssize_t pull_after_cut(void *arg, void *data, size_t size, struct error *err) {
    struct fixture *f = arg;
    (void)err;
    /* The script ends with the close; from then on every write of the client fails. */
    if (f->fake) {
        assert_string_equal(fake_finish(f->fake), "");
        f->fake = NULL;
    }
    memset(data, 'u', size);
    return (ssize_t)size;
}

static void an_answer_already_there_when_the_write_fails_is_heard(void **state) {
    (void)state;
    static const struct fake_step scripts[][4] = {
        {FAKE_EXPECT("PUT"), FAKE_SEND("HTTP/1.1 500 Oh\r\nContent-Length: 4\r\n\r\nfull"),
         FAKE_CLOSE(), FAKE_END()},
        {FAKE_EXPECT("PUT"),
         FAKE_SEND("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3\r\nful\r\n1\r\nl\r\n0\r\n\r\n"),
         FAKE_CLOSE(), FAKE_END()},
        {FAKE_EXPECT("PUT"),
         FAKE_SEND("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "4\r\nfull\r\nffffffffff\r\n"),
         FAKE_CLOSE(), FAKE_END()},
    };
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct fixture f;
        open_fixture(&f, scripts[i]);
        struct source source = {.pull = pull_after_cut, .arg = &f};
        struct http_request request = {.method = "PUT", .path = "/x", .source = &source};
        if (http_call(f.client, &request, &f.task, &f.response, &f.err) != 0)
            fail_msg("%s", f.err.text);
        assert_int_equal(f.response.status, 500);
        assert_string_equal(buffer_string(&f.response.body), "full");
        if (f.fake) /* the answer was heard before the first pull */
            assert_string_equal(fake_finish(f.fake), "");
        http_response_deinit(&f.response);
        http_close(f.client);
        cancel_deinit(&cancelled);
    }
}

static void an_upload_cut_without_an_answer_is_unreachable(void **state) {
    (void)state;
    static const struct fake_step script[] = {FAKE_EXPECT("POST"), FAKE_READ(1000), FAKE_CLOSE(),
                                              FAKE_END()};
    struct fixture f;
    struct flow flow = {.left = TEN_GB};
    open_fixture(&f, script);
    assert_int_equal(upload(&f, &flow, NULL), -1);
    assert_error(&f, ERROR_UNREACHABLE, "POST /build: ");
    assert_null(strstr(f.err.text, "secret"));
    close_fixture(&f);
}

struct counter {
    uint64_t size;
    uint64_t stop_at;
    bool fail;
};

static int count_push(void *arg, const void *data, size_t size, struct error *err) {
    (void)data;
    struct counter *counter = arg;
    counter->size += size;
    if (!counter->stop_at || counter->size < counter->stop_at)
        return 0;
    return counter->fail ? error_set(err, ERROR_IO, "disk full") : 1;
}

static int download(struct fixture *f, struct counter *counter) {
    struct sink sink = {.push = count_push, .arg = counter};
    struct http_request request = {.method = "GET", .path = "/big", .sink = &sink};
    return http_call(f->client, &request, &f->task, &f->response, &f->err);
}

static void a_sink_gets_good_answers_and_the_body_all_others(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("GET"),
        FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
        FAKE_REPEAT("x", 1000000),
        FAKE_EXPECT("GET"),
        FAKE_ANSWER("404 Not Found", "{\"message\":\"none\"}"),
        FAKE_END(),
    };
    struct fixture f;
    struct counter counter = {0};
    open_fixture(&f, script);
    assert_int_equal(download(&f, &counter), 0);
    assert_int_equal(counter.size, 1000000);
    assert_int_equal(f.response.body.size, 0);
    assert_int_equal(download(&f, &counter), 0);
    assert_int_equal(counter.size, 1000000);
    assert_string_equal(buffer_string(&f.response.body), "{\"message\":\"none\"}");
    close_fixture(&f);
}

static void a_sink_can_stop_a_flood_or_fail(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("GET"), FAKE_SEND("HTTP/1.1 200 OK\r\n\r\n"), FAKE_REPEAT("x", TEN_GB),
        FAKE_EXPECT("GET"), FAKE_SEND("HTTP/1.1 200 OK\r\n\r\n"), FAKE_REPEAT("x", TEN_GB),
        FAKE_END(),
    };
    struct fixture f;
    struct counter counter = {.stop_at = 1000000};
    open_fixture(&f, script);
    assert_int_equal(download(&f, &counter), 1);
    assert_int_equal(f.response.status, 200);
    counter = (struct counter){.stop_at = 1000000, .fail = true};
    assert_int_equal(download(&f, &counter), -1);
    assert_string_equal(f.err.text, "GET /big: disk full");
    assert_int_equal(f.err.kind, ERROR_IO);
    close_fixture(&f);
    assert_true(fake_sent() < 100 * 1000 * 1000);
}

/* The server sends the second half when the first is known to be through. */
static sem_t quiet;

static void await_quiet(void) {
    sem_wait(&quiet);
}

static int note_quiet(void *arg, struct error *err) {
    const struct counter *counter = arg;
    sem_post(&quiet);
    return counter->fail ? error_set(err, ERROR_IO, "disk full") : 0;
}

static void what_has_come_is_through_before_more_is_waited_for(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("GET"),
        FAKE_SEND("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        FAKE_CHUNK("one"),
        FAKE_CALL(await_quiet),
        FAKE_CHUNK("two"),
        FAKE_CALL(await_quiet),
        FAKE_CHUNK(""),
        FAKE_EXPECT("GET"),
        FAKE_SEND("HTTP/1.1 200 OK\r\n\r\nx"),
        FAKE_STALL(),
        FAKE_END(),
    };
    struct fixture f;
    struct counter counter = {0};
    struct sink sink = {.push = count_push, .arg = &counter};
    struct http_pace pace = {
        .gather_ns_max = 4 * NS_PER_MS, .on_quiet = note_quiet, .arg = &counter};
    struct http_request request = {.method = "GET", .path = "/x", .sink = &sink, .pace = &pace};
    assert_int_equal(sem_init(&quiet, 0, 0), 0);
    open_fixture(&f, script);
    assert_int_equal(http_call(f.client, &request, &f.task, &f.response, &f.err), 0);
    assert_int_equal(counter.size, 6);
    counter.fail = true;
    assert_int_equal(http_call(f.client, &request, &f.task, &f.response, &f.err), -1);
    assert_error(&f, ERROR_IO, "GET /x: disk full");
    close_fixture(&f);
    sem_destroy(&quiet);
}

static void a_body_without_end_is_cut_at_the_limit(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("GET"),
        FAKE_SEND("HTTP/1.1 200 OK\r\n\r\n"),
        FAKE_REPEAT("x", TEN_GB),
        FAKE_END(),
    };
    struct fixture f;
    open_fixture(&f, script);
    assert_int_equal(get(&f, "/x"), -1);
    assert_error(&f, ERROR_LIMIT, "GET /x: the body of the answer is larger than 16777216 bytes");
    close_fixture(&f);
    assert_true(fake_sent() < 100 * 1000 * 1000);
}

static void headers_without_end_are_cut_at_the_limit(void **state) {
    (void)state;
    static const struct fake_step one_line[] = {
        FAKE_EXPECT("GET"),
        FAKE_SEND("HTTP/1.1 200 OK\r\nX: "),
        FAKE_REPEAT("x", TEN_GB),
        FAKE_END(),
    };
    struct fixture f;
    open_fixture(&f, one_line);
    assert_int_equal(get(&f, "/x"), -1);
    assert_error(&f, ERROR_LIMIT, "GET /x: ");
    close_fixture(&f);
    assert_true(fake_sent() < 100 * 1000 * 1000);

    static char lines[2 * HTTP_HEADERS_MAX];
    size_t n = (size_t)snprintf(lines, sizeof lines, "HTTP/1.1 200 OK\r\n");
    while (n + 8 < sizeof lines)
        n += (size_t)snprintf(lines + n, sizeof lines - n, "a: b\r\n");
    const struct fake_step many[] = {
        FAKE_EXPECT("GET"),
        {.kind = FAKE_STEP_SEND, .text = lines, .size = n},
        FAKE_STALL(),
        FAKE_END(),
    };
    open_fixture(&f, many);
    assert_int_equal(get(&f, "/x"), -1);
    assert_error(&f, ERROR_LIMIT, "all headers of the answer is larger than 65536");
    close_fixture(&f);
}

static void an_answer_cut_in_the_middle_is_unreachable(void **state) {
    (void)state;
    static const struct fake_step scripts[][4] = {
        {FAKE_EXPECT("GET"), FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
         FAKE_CLOSE(), FAKE_END()},
        {FAKE_EXPECT("GET"),
         FAKE_SEND("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nx"), FAKE_CLOSE(),
         FAKE_END()},
        {FAKE_EXPECT("GET"), FAKE_SEND("HTTP/1.1 200 OK\r\nConte"), FAKE_CLOSE(), FAKE_END()},
    };
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct fixture f;
        open_fixture(&f, scripts[i]);
        assert_int_equal(get(&f, "/x"), -1);
        assert_error(&f, ERROR_UNREACHABLE, "GET /x: ");
        close_fixture(&f);
    }
    static const struct fake_step silent[] = {FAKE_EXPECT("GET"), FAKE_CLOSE(), FAKE_END()};
    struct fixture f;
    open_fixture(&f, silent);
    assert_int_equal(get(&f, "/x"), -1);
    assert_error(&f, ERROR_UNREACHABLE, "GET /x: the server hung up without an answer");
    close_fixture(&f);
}

static void what_is_not_http_is_invalid(void **state) {
    (void)state;
    static const struct fake_step scripts[][4] = {
        {FAKE_EXPECT("GET"), FAKE_SEND("SSH-2.0-OpenSSH_9.2\r\n"), FAKE_CLOSE(), FAKE_END()},
        {FAKE_EXPECT("GET"), FAKE_SEND("\x1b[31m\0\xff\r\n\r\n"), FAKE_CLOSE(), FAKE_END()},
        {FAKE_EXPECT("GET"), FAKE_SEND("HTTP/1.1 abc\r\n\r\n"), FAKE_CLOSE(), FAKE_END()},
        {FAKE_EXPECT("GET"),
         FAKE_SEND("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"), FAKE_STALL(),
         FAKE_END()},
        {FAKE_EXPECT("GET"),
         FAKE_SEND("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "fffffffffffffffffffffffff\r\n"),
         FAKE_STALL(), FAKE_END()},
        {FAKE_EXPECT("GET"), FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"),
         FAKE_STALL(), FAKE_END()},
    };
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct fixture f;
        open_fixture(&f, scripts[i]);
        assert_int_equal(get(&f, "/x"), -1);
        assert_error(&f, ERROR_INVALID, "GET /x: ");
        assert_null(strchr(f.err.text, '\x1b'));
        close_fixture(&f);
    }
}

static void redirects_are_not_followed(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("GET"),
        FAKE_SEND("HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"), FAKE_END()};
    struct fixture f;
    open_fixture(&f, script);
    assert_int_equal(get(&f, "/x"), 0);
    assert_int_equal(f.response.status, 302);
    close_fixture(&f);
}

static void silence_ends_by_the_idle_limit(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("GET"), FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
        FAKE_STALL(), FAKE_END()};
    struct fixture f;
    open_fixture(&f, script);
    struct http_request request = {.method = "GET", .path = "/x", .idle_ns = 50 * NS_PER_MS};
    assert_int_equal(http_call(f.client, &request, &f.task, &f.response, &f.err), -1);
    assert_error(&f, ERROR_TIMEOUT, "GET /x: the server was silent for 50 ms");
    close_fixture(&f);
}

static void the_deadline_ends_a_call_that_is_not_idle(void **state) {
    (void)state;
    static const struct fake_step script[] = {FAKE_EXPECT("GET"),
                                              FAKE_SEND("HTTP/1.1 200 OK\r\n\r\n"),
                                              FAKE_REPEAT("x", UINT64_MAX), FAKE_END()};
    struct fixture f;
    struct counter counter = {0};
    open_fixture(&f, script);
    f.task = task_within(&f.task, 100 * NS_PER_MS);
    assert_int_equal(download(&f, &counter), -1);
    assert_error(&f, ERROR_TIMEOUT, "GET /big: timed out");
    close_fixture(&f);
}

static void cancellation_ends_a_call_at_once(void **state) {
    (void)state;
    static const struct fake_step script[] = {FAKE_EXPECT("GET"), FAKE_CALL(raise_cancel),
                                              FAKE_STALL(), FAKE_END()};
    struct fixture f;
    open_fixture(&f, script);
    struct instant before = clock_instant();
    assert_int_equal(get(&f, "/x"), -1);
    assert_true(instant_ns_between(before, clock_instant()) < PATIENCE_NS / 4);
    assert_error(&f, ERROR_CANCELLED, "GET /x: cancelled");
    assert_int_equal(get(&f, "/never"), -1);
    assert_error(&f, ERROR_CANCELLED, "GET /never");
    close_fixture(&f);
}

static void no_server_is_unreachable_and_says_why(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    struct http *client = NULL;
    struct http_response response = HTTP_RESPONSE_NULL;
    struct http_address address = {.unix_socket = "/nonexistent/docker.sock"};
    assert_int_equal(http_open(&address, &client, &err), 0);
    struct http_request request = {.method = "GET", .path = "/_ping"};
    assert_int_equal(http_call(client, &request, &task, &response, &err), -1);
    assert_int_equal(err.kind, ERROR_UNREACHABLE);
    assert_int_equal(err.os_errno, ENOENT);
    assert_string_equal(err.text, "GET /_ping: cannot connect to 'unix:///nonexistent/docker.sock'"
                                  ": No such file or directory");
    http_close(client);

    char longer[200];
    memset(longer, 'x', sizeof longer);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    address.unix_socket = longer;
    assert_int_equal(http_open(&address, &client, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
}

static void a_path_that_is_not_escaped_is_not_sent(void **state) {
    (void)state;
    static const struct fake_step script[] = {FAKE_END()};
    static const char *const paths[] = {"", "x", "/a b", "/a\r\nHost: y", "/a#b", "/\xc3\xa9"};
    struct fixture f;
    open_fixture(&f, script);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_int_equal(get(&f, paths[i]), -1);
        assert_error(&f, ERROR_INVALID, "path");
    }
    struct http_request request = {
        .method = "GET", .path = "/x", .headers = (const char *const[]){"A: b\r\nC: d", NULL}};
    assert_int_equal(http_call(f.client, &request, &f.task, &f.response, &f.err), -1);
    assert_error(&f, ERROR_INVALID, "line break");
    close_fixture(&f);
}

static void paths_are_built_escaped(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer path;
    buffer_init(&path, HTTP_PATH_MAX);
    http_path_text(&path, "/v1.41/containers");
    http_path_segment(&path, "a/../b c");
    http_path_query(&path, "filters", "{\"a\":1}");
    http_path_query(&path, "t", "x&y=\xc3\xa9");
    assert_string_equal(buffer_string(&path), "/v1.41/containers/a%2F..%2Fb%20c?filters=%7B%22a%22"
                                              "%3A1%7D&t=x%26y%3D%C3%A9");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_serves_several_calls),
        cmocka_unit_test(a_body_from_memory_has_a_length),
        cmocka_unit_test(a_source_of_unknown_size_is_sent_in_chunks),
        cmocka_unit_test(a_source_that_fails_ends_the_call_with_its_error),
        cmocka_unit_test(an_error_answered_during_the_upload_is_heard),
        cmocka_unit_test(an_error_is_heard_even_if_the_server_hangs_up_on_the_upload),
        cmocka_unit_test(an_answer_already_there_when_the_write_fails_is_heard),
        cmocka_unit_test(an_upload_cut_without_an_answer_is_unreachable),
        cmocka_unit_test(a_sink_gets_good_answers_and_the_body_all_others),
        cmocka_unit_test(a_sink_can_stop_a_flood_or_fail),
        cmocka_unit_test(what_has_come_is_through_before_more_is_waited_for),
        cmocka_unit_test(a_body_without_end_is_cut_at_the_limit),
        cmocka_unit_test(headers_without_end_are_cut_at_the_limit),
        cmocka_unit_test(an_answer_cut_in_the_middle_is_unreachable),
        cmocka_unit_test(what_is_not_http_is_invalid),
        cmocka_unit_test(redirects_are_not_followed),
        cmocka_unit_test(silence_ends_by_the_idle_limit),
        cmocka_unit_test(the_deadline_ends_a_call_that_is_not_idle),
        cmocka_unit_test(cancellation_ends_a_call_at_once),
        cmocka_unit_test(no_server_is_unreachable_and_says_why),
        cmocka_unit_test(a_path_that_is_not_escaped_is_not_sent),
        cmocka_unit_test(paths_are_built_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
