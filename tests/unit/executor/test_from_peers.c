/* What a replica that is faulty says in batches, and what it gathers for them, ends its connection
 * and gets no further. */

#include "executor/shell.h"

#include "lib/memory.h"
#include "lib/wire.h"
#include "tests/unit/executor/signers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PEER = 2, N = SIGNERS, PAYLOAD = 40000 };

/* As much of a replica as is needed before the core is asked. */
static int set_up(void **state) {
    static struct place place = {.n = N};
    static const struct replica_options options = {.ledger.handler = &handler_pee};
    struct error err = ERROR_NULL;
    struct replica *r = mem_new(struct replica);
    *state = r;
    r->options = &options;
    r->place = &place;
    r->auth = (struct auth){.run = "run"};
    const struct ahead_config config = {
        .replica = 0, .n = N, .f = 1, .clients_max = 10, .auth = &r->auth};
    r->ahead = ahead_new(&config);
    r->config = PBFT_CONFIG_DEFAULT;
    r->room = codec_room_new();
    r->gathered = mem_new_array(struct gathered, N);
    sha256_init(&r->hash);
    return request_checker_init(&r->checker, NULL, "run", WIRE_AUTHENTICATOR_MACS, &err);
}

static int tear_down(void **state) {
    struct replica *r = *state;
    for (uint16_t i = 0; i < (uint16_t)N; i++)
        drop_gathered(r, i);
    ahead_free(r->ahead);
    codec_room_free(r->room);
    request_checker_deinit(&r->checker);
    sha256_deinit(&r->hash);
    free(r->gathered);
    free(r);
    return 0;
}

/* The request of a batch, as the peer passes it on; `ahead` NULL: it was not executed before. */
static int pass_on(struct replica *r, const struct wire_request *request,
                   const struct endorsed *ahead, struct error *err) {
    static const uint8_t payload[PAYLOAD];
    static uint8_t body[CODEC_HEAD_SIZE_MAX + WIRE_REQUEST_HEAD_SIZE_MAX + PAYLOAD];
    uint8_t head[WIRE_REQUEST_HEAD_SIZE_MAX], first[CODEC_HEAD_SIZE_MAX];
    uint8_t bytes[ENDORSED_SIZE_MAX];
    struct wire_request m = *request;
    m.client = 7;
    m.number = 1;
    m.payload = payload;
    size_t size = wire_request_encode_head(&m, head) - WIRE_HEADER_SIZE;
    size_t before =
        codec_encode_request(CODEC_REQUEST, bytes, ahead ? endorsed_encode(ahead, bytes) : 0,
                             size + m.payload_size, first) -
        WIRE_HEADER_SIZE;
    memcpy(body, first + WIRE_HEADER_SIZE, before);
    memcpy(body + before, head + WIRE_HEADER_SIZE, size);
    memcpy(body + before + size, payload, m.payload_size);
    const struct frame frame = {
        .type = CODEC_REQUEST, .body = body, .size = before + size + m.payload_size};
    return on_peer_frame(r, PEER, &frame, err);
}

static const struct endorsed by_two = {.count = 2, .by = {{.replica = 1}, {.replica = 3}}};
static const struct endorsed by_one = {.count = 1, .by = {{.replica = 1}}};
static const struct endorsed by_strangers = {.count = 2, .by = {{.replica = 1}, {.replica = N}}};
static const struct endorsed by_the_same = {.count = 2, .by = {{.replica = 1}, {.replica = 1}}};

static struct request *last_gathered(const struct replica *r) {
    assert_true(r->gathered[PEER].count > 0);
    return request_of(&r->gathered[PEER].requests[r->gathered[PEER].count - 1]);
}

/* Whose word is needed that a request was executed ahead: f + 1 signatures, or our own work. */
static void who_has_not_executed_it_vouches_for_what_f_plus_1_have_signed(void **state) {
    struct replica *r = *state;
    const struct wire_request wanted = {.flags = WIRE_REQUEST_PRE_EXECUTE};
    struct endorsed e = {.execution.write_set = {7}, .count = 2};
    struct error err = ERROR_NULL;
    assert_int_equal(pass_on(r, &wanted, &by_two, &err), 0); /* to know its digest */
    uint8_t digest[SHA256_SIZE];
    memcpy(digest, last_gathered(r)->digest, sizeof digest);
    for (unsigned i = 0; i < 2; i++) {
        e.by[i].replica = (uint16_t)(2 * i + 1);
        execution_sign(&signers[2 * i + 1], digest, &e.execution, e.by[i].signature);
    }
    r->auth.identity = signers[0].identity;
    assert_int_equal(pass_on(r, &wanted, &e, &err), 0);
    assert_true(last_gathered(r)->vouched);
    assert_int_equal(request_for_core(last_gathered(r)).authentic, PBFT_AUTHENTIC);
    e.execution.read_set[0] ^= 1; /* which nobody has signed */
    assert_int_equal(pass_on(r, &wanted, &e, &err), 0);
    assert_int_equal(request_for_core(last_gathered(r)).authentic, PBFT_AUTHENTIC_UNKNOWN);
    e.execution.read_set[0] ^= 1;
    e.by[1].signature[9] ^= 1;
    assert_int_equal(pass_on(r, &wanted, &e, &err), 0);
    assert_int_equal(request_for_core(last_gathered(r)).authentic, PBFT_AUTHENTIC_UNKNOWN);
}

static int name_batch(struct replica *r, uint32_t count, struct error *err) {
    static const struct pbft_request none[PBFT_BATCH_MAX];
    const struct pbft_message m = {
        .type = PBFT_PRE_PREPARE, .seq = 1, .count = count, .requests = none};
    uint8_t bytes[CODEC_HEAD_SIZE_MAX];
    codec_encode(&m, bytes);
    const struct frame frame = {.type = PBFT_PRE_PREPARE,
                                .body = bytes + WIRE_HEADER_SIZE,
                                .size = codec_size(&m) - WIRE_HEADER_SIZE};
    return on_peer_frame(r, PEER, &frame, err);
}

static void what_a_correct_replica_would_have_refused_is_not_gathered(void **state) {
    struct replica *r = *state;
    static const struct {
        struct wire_request request;
        const struct endorsed *ahead;
        const char *why;
    } cases[] = {
        {{.flags = WIRE_REQUEST_READ_ONLY, .key_space = 10}, NULL, "are not ordered"},
        {{.flags = 0}, &by_two, "does not want pre-execution"},
        {{.flags = WIRE_REQUEST_PRE_EXECUTE}, &by_one, "1 endorsements of an execution, not 2"},
        {{.flags = WIRE_REQUEST_PRE_EXECUTE}, &by_strangers, "endorsements of an execution"},
        {{.flags = WIRE_REQUEST_PRE_EXECUTE}, &by_the_same, "no endorsements of an execution"},
        {{.key_count = UINT32_MAX, .key_size = 100, .value_size = 100}, NULL, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        assert_int_equal(pass_on(r, &cases[i].request, cases[i].ahead, &err), -1);
        assert_non_null(strstr(err.text, "it passed on a request that it should have refused"));
        assert_non_null(strstr(err.text, cases[i].why));
        assert_int_equal(r->gathered[PEER].count, 0);
    }
    struct error err = ERROR_NULL;
    const struct wire_request wanted = {.flags = WIRE_REQUEST_PRE_EXECUTE};
    assert_int_equal(pass_on(r, &wanted, &by_two, &err), 0);
    assert_int_equal(r->gathered[PEER].count, 1);
    assert_true(r->gathered[PEER].requests[0].pre_executed);
}

static void no_more_is_gathered_than_a_batch_has(void **state) {
    struct replica *r = *state;
    const struct wire_request small = {.payload_size = 1}, large = {.payload_size = PAYLOAD};
    struct error err = ERROR_NULL;
    for (int i = 0; i < PBFT_BATCH_MAX; i++)
        assert_int_equal(pass_on(r, &small, NULL, &err), 0);
    assert_int_equal(pass_on(r, &small, NULL, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
    drop_gathered(r, PEER); /* as when its connection ends */
    uint32_t count = 0;
    for (err = ERROR_NULL; pass_on(r, &large, NULL, &err) == 0; count++)
        continue;
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_int_equal(count, r->config.batch_bytes_max / (PAYLOAD + 100));
    assert_true(r->gathered[PEER].bytes <= r->config.batch_bytes_max);
}

static void a_batch_is_of_as_many_requests_as_have_come(void **state) {
    struct replica *r = *state;
    const struct wire_request small = {.payload_size = 1};
    struct error err = ERROR_NULL;
    assert_int_equal(pass_on(r, &small, NULL, &err), 0);
    assert_int_equal(pass_on(r, &small, NULL, &err), 0);
    assert_int_equal(name_batch(r, 3, &err), -1);
    assert_string_equal(err.text, "a batch of 3 requests, of which 2 came");
}

/* A NEW-VIEW of view 1 as the peer passes it on, signed by `primary`; its VIEW-CHANGE is not. */
static int pass_on_view(struct replica *r, uint16_t primary, struct error *err) {
    static const struct pbft_checkpoint empty;
    const struct pbft_view_change change = {
        .replica = PEER, .view = 1, .checkpoint_count = 1, .checkpoints = &empty};
    struct pbft_message m = {.type = PBFT_NEW_VIEW, .view = 1, .count = 1, .changes = &change};
    uint8_t bytes[1024];
    size_t size = codec_size(&m);
    assert_true(size <= sizeof bytes);
    codec_encode(&m, bytes);
    auth_sign(&signers[primary], "new-view", bytes + WIRE_HEADER_SIZE,
              size - WIRE_HEADER_SIZE - PBFT_SIGNATURE_SIZE, m.signature);
    codec_encode(&m, bytes);
    const struct frame frame = {
        .type = PBFT_NEW_VIEW, .body = bytes + WIRE_HEADER_SIZE, .size = size - WIRE_HEADER_SIZE};
    return on_peer_frame(r, PEER, &frame, err);
}

/* Any quorum of VIEW-CHANGEs would do otherwise, and replicas would be in the same view with
 * different proposals. */
static void a_new_view_is_what_its_primary_has_signed(void **state) {
    struct replica *r = *state;
    struct error err = ERROR_NULL;
    r->auth.identity = signers[0].identity;
    assert_int_equal(pass_on_view(r, PEER, &err), -1);
    assert_string_equal(err.text, "replica 1 has not signed that NEW-VIEW");
    err = ERROR_NULL;
    assert_int_equal(pass_on_view(r, 1, &err), -1);
    assert_string_equal(err.text, "replica 2 has not signed that VIEW-CHANGE");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            who_has_not_executed_it_vouches_for_what_f_plus_1_have_signed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_correct_replica_would_have_refused_is_not_gathered,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_is_gathered_than_a_batch_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_batch_is_of_as_many_requests_as_have_come, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_new_view_is_what_its_primary_has_signed, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, signers_make, signers_forget);
}
