/* The frames that loader and replicas exchange: what one side writes the other reads, and nothing
 * else is read. */

#include "lib/bytes.h"
#include "lib/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct wire_header header_of(const uint8_t *frame, size_t size) {
    struct error err = ERROR_NULL;
    struct wire_header header = {0};
    assert_int_equal(wire_header_decode(frame, &header, &err), 0);
    assert_int_equal(header.body_size + WIRE_HEADER_SIZE, size);
    return header;
}

static void a_hello_arrives_as_it_was_sent(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct wire_hello sent = {.role = WIRE_ROLE_REPLICA,
                              .id = 3,
                              .run = "3f9c2a1b",
                              .clients = {.first = 7, .step = 2, .count = 5}},
                      got;
    uint8_t frame[WIRE_HELLO_SIZE_MAX];
    size_t size = wire_hello_encode(&sent, frame);
    assert_int_equal(header_of(frame, size).type, WIRE_HELLO);
    assert_int_equal(
        wire_hello_decode(frame + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE, &got, &err), 0);
    assert_int_equal(got.role, WIRE_ROLE_REPLICA);
    assert_int_equal(got.id, 3);
    assert_string_equal(got.run, "3f9c2a1b");
    assert_int_equal(got.clients.first, 7);
    assert_int_equal(got.clients.step, 2);
    assert_int_equal(got.clients.count, 5);
    sent.clients = (struct wire_clients){.first = WIRE_NUMBER_MAX, .step = 1, .count = 1};
    size = wire_hello_encode(&sent, frame);
    assert_int_equal(
        wire_hello_decode(frame + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE, &got, &err), -1);
}

static void a_hello_answer_arrives_as_it_was_sent(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct wire_hello_answer sent = {
        .accepted = true, .replica = 2, .primary = 1, .n = 4, .f = 1, .answers = 2};
    struct wire_hello_answer got;
    uint8_t frame[WIRE_HELLO_ANSWER_SIZE_MAX];
    size_t size = wire_hello_answer_encode(&sent, frame) - WIRE_HEADER_SIZE;
    assert_int_equal(wire_hello_answer_decode(frame + WIRE_HEADER_SIZE, size, &got, &err), 0);
    assert_true(got.accepted);
    assert_int_equal(got.replica, 2);
    assert_int_equal(got.primary, 1);
    assert_int_equal(got.n, 4);
    assert_int_equal(got.f, 1);

    sent = (struct wire_hello_answer){.accepted = false, .text = "run 'a' is not run 'b'"};
    size = wire_hello_answer_encode(&sent, frame) - WIRE_HEADER_SIZE;
    assert_int_equal(wire_hello_answer_decode(frame + WIRE_HEADER_SIZE, size, &got, &err), 0);
    assert_false(got.accepted);
    assert_string_equal(got.text, "run 'a' is not run 'b'");

    sent = (struct wire_hello_answer){.accepted = true, .replica = 4, .n = 4, .answers = 1};
    size = wire_hello_answer_encode(&sent, frame) - WIRE_HEADER_SIZE;
    assert_int_equal(wire_hello_answer_decode(frame + WIRE_HEADER_SIZE, size, &got, &err), -1);
}

static size_t request_frame(const struct wire_request *m, uint8_t *out) {
    size_t size = wire_request_encode_head(m, out);
    memcpy(out + size, m->payload, m->payload_size);
    return size + m->payload_size;
}

static const struct wire_request good_request = {
    .client = 7,
    .number = 9,
    .flags = WIRE_REQUEST_BUSY_WAIT,
    .key_count = 31,
    .read_count = 12,
    .key_size = 118,
    .value_size = 2841,
    .execution_ms = 5,
    .key_space = UINT64_C(1) << 40,
    .first_key = (UINT64_C(1) << 40) - 1,
    .payload_size = 5,
    .payload = (const uint8_t *)"hello",
};

static void a_request_arrives_as_it_was_sent(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct wire_request got;
    uint8_t frame[WIRE_REQUEST_HEAD_SIZE_MAX + 5];
    size_t size = request_frame(&good_request, frame);
    assert_int_equal(size, WIRE_REQUEST_HEAD_SIZE + 5);
    assert_int_equal(header_of(frame, size).type, WIRE_REQUEST);
    assert_int_equal(
        wire_request_decode(frame + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE, &got, &err), 0);
    assert_int_equal(got.client, 7);
    assert_int_equal(got.number, 9);
    assert_int_equal(got.flags, WIRE_REQUEST_BUSY_WAIT);
    assert_int_equal(got.key_count, 31);
    assert_int_equal(got.read_count, 12);
    assert_int_equal(got.key_size, 118);
    assert_int_equal(got.value_size, 2841);
    assert_int_equal(got.execution_ms, 5);
    assert_int_equal(got.key_space, UINT64_C(1) << 40);
    assert_int_equal(got.first_key, (UINT64_C(1) << 40) - 1);
    assert_int_equal(got.payload_size, 5);
    assert_memory_equal(got.payload, "hello", 5);
}

static void a_request_out_of_range_is_refused(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct wire_request got;
    uint8_t frame[WIRE_REQUEST_HEAD_SIZE_MAX + 5];
    struct wire_request bad[] = {good_request, good_request, good_request, good_request,
                                 good_request, good_request, good_request};
    bad[0].number = 0;
    bad[1].number = WIRE_NUMBER_MAX + 1;
    bad[2].client = WIRE_NUMBER_MAX + 1;
    bad[3].flags = WIRE_REQUEST_FLAGS + 1;
    bad[4].first_key = bad[4].key_space;
    bad[5].key_space = WIRE_NUMBER_MAX + 1;
    bad[6].key_space = 0; /* and a first key */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t size = request_frame(&bad[i], frame) - WIRE_HEADER_SIZE;
        assert_int_equal(wire_request_decode(frame + WIRE_HEADER_SIZE, size, &got, &err), -1);
    }
}

static void a_reply_and_a_status_arrive_as_they_were_sent(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct wire_reply sent = {.client = 1,
                              .number = 2,
                              .status = WIRE_REPLY_REFUSED,
                              .replica = 3,
                              .view = 5,
                              .height = 4,
                              .digest = {1, 2, 3},
                              .text = "no"};
    struct wire_reply got;
    uint8_t frame[WIRE_REPLY_SIZE_MAX];
    size_t size = wire_reply_encode(&sent, frame) - WIRE_HEADER_SIZE;
    assert_int_equal(wire_reply_decode(frame + WIRE_HEADER_SIZE, size, &got, &err), 0);
    assert_int_equal(got.client, 1);
    assert_int_equal(got.number, 2);
    assert_int_equal(got.status, WIRE_REPLY_REFUSED);
    assert_int_equal(got.replica, 3);
    assert_int_equal(got.view, 5);
    assert_int_equal(got.height, 4);
    assert_memory_equal(got.digest, sent.digest, sizeof sent.digest);
    assert_string_equal(got.text, "no");

    struct wire_status status = {.replica = 1, .n = 4, .f = 1, .height = 77, .peers_connected = 3};
    struct wire_status status_got;
    status.healthy = true;
    uint8_t status_frame[WIRE_STATUS_SIZE_MAX];
    size = wire_status_encode(&status, status_frame) - WIRE_HEADER_SIZE;
    assert_int_equal(wire_status_decode(status_frame + WIRE_HEADER_SIZE, size, &status_got, &err),
                     0);
    assert_int_equal(status_got.height, 77);
    assert_int_equal(status_got.peers_connected, 3);
    assert_true(status_got.healthy);
}

static void long_texts_are_cut_not_overrun(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct wire_reply sent = {.number = 1}, got;
    memset(sent.text, 'x', sizeof sent.text); /* not even terminated */
    uint8_t frame[WIRE_REPLY_SIZE_MAX];
    size_t size = wire_reply_encode(&sent, frame) - WIRE_HEADER_SIZE;
    assert_int_equal(wire_reply_decode(frame + WIRE_HEADER_SIZE, size, &got, &err), 0);
    assert_int_equal(strlen(got.text), WIRE_TEXT_SIZE - 1);
}

typedef int decode_any(const uint8_t *body, size_t size, struct error *err);

static int decode_hello(const uint8_t *body, size_t size, struct error *err) {
    struct wire_hello m;
    return wire_hello_decode(body, size, &m, err);
}
static int decode_hello_answer(const uint8_t *body, size_t size, struct error *err) {
    struct wire_hello_answer m;
    return wire_hello_answer_decode(body, size, &m, err);
}
static int decode_request(const uint8_t *body, size_t size, struct error *err) {
    struct wire_request m;
    return wire_request_decode(body, size, &m, err);
}
static int decode_reply(const uint8_t *body, size_t size, struct error *err) {
    struct wire_reply m;
    return wire_reply_decode(body, size, &m, err);
}
static int decode_status(const uint8_t *body, size_t size, struct error *err) {
    struct wire_status m;
    return wire_status_decode(body, size, &m, err);
}

/* Exactly the sent size decodes; every shorter one, and one byte more, does not. Each try is made
 * on a heap block of its exact size, so that ASan sees any read beyond it. */
static void check_sizes(const uint8_t *body, size_t size, decode_any *decode) {
    struct error err = ERROR_NULL;
    for (size_t n = 0; n <= size + 1; n++) {
        uint8_t *exact = malloc(n ? n : 1);
        memset(exact, 0, n);
        memcpy(exact, body, n < size ? n : size);
        assert_int_equal(decode(exact, n, &err), n == size ? 0 : -1);
        free(exact);
    }
}

static void truncated_and_overlong_bodies_are_refused(void **state) {
    (void)state;
    uint8_t frame[1024];
    size_t size =
        wire_hello_encode(&(struct wire_hello){.role = WIRE_ROLE_CLIENT, .run = "r"}, frame);
    check_sizes(frame + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE, decode_hello);
    size = wire_hello_answer_encode(&(struct wire_hello_answer){.text = "no"}, frame);
    check_sizes(frame + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE, decode_hello_answer);
    size = request_frame(&good_request, frame);
    check_sizes(frame + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE, decode_request);
    size = wire_reply_encode(&(struct wire_reply){.text = "full"}, frame);
    check_sizes(frame + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE, decode_reply);
    size = wire_status_encode(&(struct wire_status){.text = "alone"}, frame);
    check_sizes(frame + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE, decode_status);
}

static void strangers_are_told_apart_by_the_header(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct wire_header header;
    assert_int_equal(wire_header_decode((const uint8_t *)"GET / HTTP/1.1", &header, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);

    uint8_t frame[WIRE_HEADER_SIZE];
    wire_header_encode(WIRE_HELLO, WIRE_BODY_MAX, frame);
    assert_int_equal(wire_header_decode(frame, &header, &err), 0);
    frame[8 + 3] = 0xff; /* 4 GB */
    assert_int_equal(wire_header_decode(frame, &header, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
    wire_header_encode(WIRE_HELLO, 0, frame);
    frame[4] = WIRE_VERSION + 1;
    assert_int_equal(wire_header_decode(frame, &header, &err), -1);
    wire_header_encode(WIRE_HELLO, 0, frame);
    frame[6] = 1;
    assert_int_equal(wire_header_decode(frame, &header, &err), -1);
}

static void random_bodies_never_read_beyond_their_end(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    uint64_t seed = 1;
    print_message("seed %llu\n", (unsigned long long)seed);
    decode_any *const decoders[] = {decode_hello, decode_hello_answer, decode_request, decode_reply,
                                    decode_status};
    for (int round = 0; round < 2000; round++) {
        size_t size = seed % 300;
        uint8_t *body = malloc(size ? size : 1);
        for (size_t i = 0; i < size; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            body[i] = (seed >> 60) > 12 ? (uint8_t)(seed >> 33) : 0;
        }
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        for (size_t i = 0; i < sizeof decoders / sizeof *decoders; i++)
            decoders[i](body, size, &err);
        free(body);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_arrives_as_it_was_sent),
        cmocka_unit_test(a_hello_answer_arrives_as_it_was_sent),
        cmocka_unit_test(a_request_arrives_as_it_was_sent),
        cmocka_unit_test(a_request_out_of_range_is_refused),
        cmocka_unit_test(a_reply_and_a_status_arrive_as_they_were_sent),
        cmocka_unit_test(long_texts_are_cut_not_overrun),
        cmocka_unit_test(truncated_and_overlong_bodies_are_refused),
        cmocka_unit_test(strangers_are_told_apart_by_the_header),
        cmocka_unit_test(random_bodies_never_read_beyond_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
