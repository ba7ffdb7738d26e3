/* Executing ahead of the order: what is collected, what is believed, and what becomes of a request
 * whoever is slow, silent, or lies. */

#include "executor/ahead.h"

#include "lib/memory.h"
#include "tests/unit/executor/signers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = SIGNERS, SELF = 0, VIEW = 4, EXECUTION_MS = 10 };
#define SECOND UINT64_C(1000000000)

/* What the one that is tested has done. */
static struct {
    struct request *executing[8];
    unsigned executions, fanned_out, blamed, told;
    uint16_t blamed_peer, told_peer;
    struct codec_execution last_told;
    struct request *ordered[8];
    unsigned orders;
    bool full, deposed;
} seen;

static bool execute(void *context, struct request *request) {
    (void)context;
    if (seen.full)
        return false;
    seen.executing[seen.executions++] = request;
    return true;
}

static void fan_out(void *context, const struct request *request) {
    (void)context;
    (void)request;
    seen.fanned_out++;
}

static void tell(void *context, uint16_t peer, const struct codec_execution *execution) {
    (void)context;
    seen.told++;
    seen.told_peer = peer;
    seen.last_told = *execution;
}

static void order_it(void *context, struct request *request) {
    (void)context;
    seen.ordered[seen.orders++] = request;
}

static void blame(void *context, uint16_t peer, const char *why) {
    (void)context;
    (void)why;
    seen.blamed++;
    seen.blamed_peer = peer;
}

static bool leads(void *context, uint64_t view) {
    (void)context;
    return view == VIEW && !seen.deposed;
}

static int set_up(void **state) {
    const struct ahead_config config = {
        .replica = SELF,
        .n = N,
        .f = 1,
        .clients_max = 4,
        .auth = &signers[SELF],
        .ops = {.execute = execute,
                .fan_out = fan_out,
                .tell = tell,
                .order = order_it,
                .blame = blame,
                .leads = leads},
    };
    memset(&seen, 0, sizeof seen);
    *state = ahead_new(&config);
    return 0;
}

/* Whatever was executed or ordered is given back: nothing may be lost, nothing given twice. */
static int tear_down(void **state) {
    ahead_free(*state);
    for (unsigned i = 0; i < seen.executions; i++)
        if (seen.executing[i])
            request_unref(seen.executing[i]);
    for (unsigned i = 0; i < seen.orders; i++)
        request_unref(seen.ordered[i]);
    return 0;
}

/* `other`: a client that says different things under one number. */
static struct request *request_of_client(uint64_t client, uint64_t number, uint8_t other) {
    struct request *request = mem_new(struct request);
    request->references = 1;
    request->flags = WIRE_REQUEST_PRE_EXECUTE;
    request->command =
        (struct command){.client = client, .number = number, .execution_ms = EXECUTION_MS};
    request->digest[0] = (uint8_t)client;
    request->digest[1] = (uint8_t)number;
    request->digest[2] = other;
    return request;
}

static struct execution gives(uint8_t what) {
    return (struct execution){.read_set = {what}, .write_set = {7}};
}

/* The one that was begun first, and is not done. */
static void done_here(struct ahead *a, uint8_t what, uint64_t now_ns) {
    uint8_t signature[AUTH_SIGNATURE_SIZE];
    const struct execution execution = gives(what);
    unsigned i = 0;
    while (!seen.executing[i])
        i++;
    struct request *request = seen.executing[i];
    seen.executing[i] = NULL;
    execution_sign(&signers[SELF], request->digest, &execution, signature);
    ahead_executed(a, request, &execution, signature, now_ns);
}

static void told_by(struct ahead *a, uint16_t peer, uint64_t client, uint64_t number,
                    uint8_t what) {
    const struct execution execution = gives(what);
    struct codec_execution m = {.client = client, .number = number};
    struct request *request = request_of_client(client, number, 0);
    memcpy(m.request, request->digest, sizeof m.request);
    memcpy(m.read_set, execution.read_set, sizeof m.read_set);
    memcpy(m.write_set, execution.write_set, sizeof m.write_set);
    execution_sign(&signers[peer], m.request, &execution, m.signature);
    request_unref(request);
    ahead_told(a, peer, &m);
}

static void begin(struct ahead *a, uint64_t client, uint64_t number, enum ahead_begun expected) {
    struct request *request = request_of_client(client, number, 0);
    assert_int_equal(ahead_begin(a, request, VIEW, SECOND), expected);
    if (expected != AHEAD_TAKEN)
        request_unref(request);
}

static void assert_ordered(unsigned i, bool with, uint8_t what) {
    const struct execution execution = gives(what);
    assert_int_equal(seen.orders, i + 1);
    assert_int_equal(seen.ordered[i]->endorsed != NULL, with);
    if (!with)
        return;
    assert_true(seen.ordered[i]->vouched);
    assert_int_equal(seen.ordered[i]->endorsed->count, 2);
    assert_true(execution_equal(&seen.ordered[i]->endorsed->execution, &execution));
    for (size_t k = 0; k < N; k++) /* everybody can see it */
        assert_true(
            endorsed_verify(&signers[k], seen.ordered[i]->digest, seen.ordered[i]->endorsed));
}

static void f_plus_1_that_say_the_same_are_enough(void **state) {
    struct ahead *a = *state;
    begin(a, 1, 5, AHEAD_TAKEN);
    assert_int_equal(seen.fanned_out, 1);
    told_by(a, 2, 1, 5, 3);
    assert_int_equal(seen.orders, 0); /* one may lie */
    done_here(a, 3, SECOND);
    assert_ordered(0, true, 3);
    told_by(a, 3, 1, 5, 3); /* too late */
    assert_ordered(0, true, 3);
}

static void others_may_be_faster_than_the_primary(void **state) {
    struct ahead *a = *state;
    begin(a, 1, 5, AHEAD_TAKEN);
    told_by(a, 2, 1, 5, 3);
    told_by(a, 3, 1, 5, 3);
    assert_ordered(0, true, 3);
    done_here(a, 3, SECOND);
    assert_ordered(0, true, 3);
}

static void one_that_lies_or_repeats_itself_does_not_count(void **state) {
    struct ahead *a = *state;
    begin(a, 1, 5, AHEAD_TAKEN);
    told_by(a, 2, 1, 5, 9);
    told_by(a, 2, 1, 5, 9);
    told_by(a, 2, 1, 5, 3); /* another opinion: the first one stands */
    done_here(a, 3, SECOND);
    assert_int_equal(seen.orders, 0);
    told_by(a, 1, 1, 5, 3);
    assert_ordered(0, true, 3);
}

static void where_nobody_agrees_it_is_ordered_without(void **state) {
    struct ahead *a = *state;
    begin(a, 1, 5, AHEAD_TAKEN);
    for (uint16_t i = 1; i < (uint16_t)N; i++)
        told_by(a, i, 1, 5, (uint8_t)i);
    assert_int_equal(seen.orders, 0);
    done_here(a, 9, SECOND);
    assert_ordered(0, false, 0);
}

static void who_says_nothing_is_waited_for_for_so_long(void **state) {
    struct ahead *a = *state;
    begin(a, 1, 5, AHEAD_TAKEN);
    assert_true(ahead_due(a) == UINT64_MAX); /* it is executed here: that ends */
    done_here(a, 3, 2 * SECOND);
    uint64_t due_ns = 2 * SECOND + EXECUTION_MS * UINT64_C(1000000) + AHEAD_PATIENCE_NS;
    assert_true(ahead_due(a) == due_ns);
    ahead_tick(a, due_ns - 1);
    assert_int_equal(seen.orders, 0);
    ahead_tick(a, due_ns);
    assert_ordered(0, false, 0);
    assert_true(ahead_due(a) == UINT64_MAX);
}

static void a_bad_signature_is_blamed_and_does_not_count(void **state) {
    struct ahead *a = *state;
    struct codec_execution m = {.client = 1, .number = 5, .request = {1, 5}};
    const struct execution execution = gives(3);
    memcpy(m.read_set, execution.read_set, sizeof m.read_set);
    memcpy(m.write_set, execution.write_set, sizeof m.write_set);
    execution_sign(&signers[3], m.request, &execution, m.signature); /* another one's */
    begin(a, 1, 5, AHEAD_TAKEN);
    ahead_told(a, 2, &m);
    assert_int_equal(seen.blamed, 0); /* nobody has looked yet */
    done_here(a, 3, SECOND);
    assert_int_equal(seen.blamed, 1);
    assert_int_equal(seen.blamed_peer, 2);
    assert_int_equal(seen.orders, 0);
    told_by(a, 1, 1, 5, 3);
    assert_ordered(0, true, 3);
}

static void a_request_that_is_sent_again_is_executed_once(void **state) {
    struct ahead *a = *state;
    begin(a, 1, 5, AHEAD_TAKEN);
    begin(a, 1, 5, AHEAD_TAKEN);
    assert_int_equal(seen.executions, 1);
    assert_int_equal(seen.fanned_out, 1);
    done_here(a, 3, SECOND);
    told_by(a, 1, 1, 5, 3);
    assert_ordered(0, true, 3);
    begin(a, 1, 5, AHEAD_ORDER); /* the core knows it */
    begin(a, 1, 4, AHEAD_ORDER); /* and that this is stale */
    begin(a, 1, 6, AHEAD_TAKEN);
    assert_int_equal(seen.executions, 2);
}

static void a_client_that_goes_on_gives_its_last_request_up(void **state) {
    struct ahead *a = *state;
    begin(a, 1, 5, AHEAD_TAKEN);
    begin(a, 1, 6, AHEAD_TAKEN);
    done_here(a, 3, SECOND); /* of 5: nobody wants it any more */
    told_by(a, 1, 1, 5, 3);
    assert_int_equal(seen.orders, 0);
    done_here(a, 3, SECOND);
    told_by(a, 1, 1, 6, 3);
    assert_ordered(0, true, 3);
    assert_int_equal(seen.ordered[0]->command.number, 6);
}

static void a_primary_that_was_replaced_says_nothing_of_it(void **state) {
    struct ahead *a = *state;
    begin(a, 1, 5, AHEAD_TAKEN);
    seen.deposed = true;
    done_here(a, 3, SECOND);
    told_by(a, 1, 1, 5, 3);
    assert_ordered(0, false, 0); /* the core passes it on, and the next one begins anew */
}

static void a_backup_executes_once_and_tells_whoever_leads(void **state) {
    struct ahead *a = *state;
    ahead_asked(a, 1, request_of_client(1, 5, 0));
    ahead_asked(a, 2, request_of_client(1, 5, 0)); /* the next primary */
    assert_int_equal(seen.executions, 1);
    done_here(a, 3, SECOND);
    assert_int_equal(seen.told, 1);
    assert_int_equal(seen.told_peer, 2);
    const struct execution execution = gives(3);
    assert_true(execution_verify(&signers[2], SELF, seen.last_told.request, &execution,
                                 seen.last_told.signature));
    ahead_asked(a, 3, request_of_client(1, 5, 0)); /* and the one after that */
    assert_int_equal(seen.told, 2);
    assert_int_equal(seen.told_peer, 3);
    ahead_asked(a, 3, request_of_client(1, 5, 1)); /* which is another one */
    ahead_asked(a, 3, request_of_client(1, 4, 0));
    assert_int_equal(seen.told, 2);
    assert_int_equal(seen.executions, 1);
    assert_int_equal(seen.orders, 0);
    /* Now it is the primary itself, and knows its own part. */
    begin(a, 1, 5, AHEAD_TAKEN);
    assert_int_equal(seen.executions, 1);
    told_by(a, 1, 1, 5, 3);
    assert_ordered(0, true, 3);
}

static void only_what_was_executed_here_is_agreed_with(void **state) {
    struct ahead *a = *state;
    struct request *request = request_of_client(1, 5, 0), *other = request_of_client(1, 5, 1);
    const struct execution right = gives(3), wrong = gives(4);
    assert_false(ahead_agrees(a, request, &right));
    ahead_asked(a, 1, request_ref(request));
    assert_false(ahead_agrees(a, request, &right));
    done_here(a, 3, SECOND);
    assert_true(ahead_agrees(a, request, &right));
    assert_false(ahead_agrees(a, request, &wrong));
    assert_false(ahead_agrees(a, other, &right));
    request_unref(request);
    request_unref(other);
}

static void what_is_too_much_is_refused_or_ordered_as_it_is(void **state) {
    struct ahead *a = *state;
    seen.full = true;
    begin(a, 1, 5, AHEAD_FULL);
    ahead_asked(a, 1, request_of_client(2, 5, 0));
    seen.full = false;
    begin(a, 1, 5, AHEAD_TAKEN); /* again, later */
    begin(a, 3, 1, AHEAD_TAKEN);
    begin(a, 4, 1, AHEAD_TAKEN);
    begin(a, 5, 1, AHEAD_ORDER); /* a fifth client, of four */
    ahead_asked(a, 1, request_of_client(6, 1, 0));
    assert_int_equal(seen.executions, 3);
}

static void begin_large(struct ahead *a, uint64_t client, enum ahead_begun expected) {
    struct request *request = request_of_client(client, 1, 0);
    request->payload_size = AHEAD_BYTES_MAX / 2;
    assert_int_equal(ahead_begin(a, request, VIEW, SECOND), expected);
    if (expected != AHEAD_TAKEN)
        request_unref(request);
}

/* Wherever they wait: to be executed here, or for what the others say. */
static void large_requests_have_a_limit_together(void **state) {
    struct ahead *a = *state;
    begin_large(a, 1, AHEAD_TAKEN);
    begin_large(a, 2, AHEAD_TAKEN);
    begin_large(a, 3, AHEAD_FULL);
    done_here(a, 3, SECOND);
    begin_large(a, 3, AHEAD_FULL); /* the others have not said anything */
    told_by(a, 1, 1, 1, 3);
    begin_large(a, 3, AHEAD_TAKEN);
    assert_int_equal(seen.executions, 3);
}

static void what_a_primary_asks_for_has_the_same_limit(void **state) {
    struct ahead *a = *state;
    for (uint64_t client = 1; client <= 3; client++) {
        struct request *request = request_of_client(client, 1, 0);
        request->payload_size = AHEAD_BYTES_MAX / 2;
        ahead_asked(a, 1, request);
    }
    assert_int_equal(seen.executions, 2);
    done_here(a, 3, SECOND);
    struct request *again = request_of_client(3, 1, 0);
    again->payload_size = AHEAD_BYTES_MAX / 2;
    ahead_asked(a, 1, again);
    assert_int_equal(seen.executions, 3);
}

/* Its read set could not be looked up. */
static void what_cannot_be_executed_here_may_be_elsewhere(void **state) {
    struct ahead *a = *state;
    begin(a, 1, 5, AHEAD_TAKEN);
    struct request *request = seen.executing[0];
    seen.executing[0] = NULL;
    ahead_executed(a, request, NULL, NULL, SECOND);
    assert_true(ahead_due(a) != UINT64_MAX);
    told_by(a, 1, 1, 5, 3);
    told_by(a, 2, 1, 5, 3);
    assert_ordered(0, true, 3);
}

static void endorsements_are_read_in_one_way_only(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct endorsed got, e = {.execution = gives(3), .count = 2, .by = {{.replica = 1}}};
    uint8_t bytes[ENDORSED_SIZE_MAX + 1] = {0};
    e.by[1].replica = 3;
    size_t size = endorsed_encode(&e, bytes);
    assert_int_equal(endorsed_decode(bytes, size, &got, &err), 0);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.by[1].replica, 3);
    assert_true(execution_equal(&got.execution, &e.execution));
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(endorsed_decode(bytes, cut, &got, &err), -1);
    assert_int_equal(endorsed_decode(bytes, size + 1, &got, &err), -1);
    e.by[1].replica = 1; /* the same once more */
    assert_int_equal(endorsed_decode(bytes, endorsed_encode(&e, bytes), &got, &err), -1);
    e.count = 0;
    assert_int_equal(endorsed_decode(bytes, endorsed_encode(&e, bytes), &got, &err), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(f_plus_1_that_say_the_same_are_enough),
        TEST(others_may_be_faster_than_the_primary),
        TEST(one_that_lies_or_repeats_itself_does_not_count),
        TEST(where_nobody_agrees_it_is_ordered_without),
        TEST(who_says_nothing_is_waited_for_for_so_long),
        TEST(a_bad_signature_is_blamed_and_does_not_count),
        TEST(a_request_that_is_sent_again_is_executed_once),
        TEST(a_client_that_goes_on_gives_its_last_request_up),
        TEST(a_primary_that_was_replaced_says_nothing_of_it),
        TEST(a_backup_executes_once_and_tells_whoever_leads),
        TEST(only_what_was_executed_here_is_agreed_with),
        TEST(what_is_too_much_is_refused_or_ordered_as_it_is),
        TEST(large_requests_have_a_limit_together),
        TEST(what_a_primary_asks_for_has_the_same_limit),
        TEST(what_cannot_be_executed_here_may_be_elsewhere),
        cmocka_unit_test(endorsements_are_read_in_one_way_only),
    };
    return cmocka_run_group_tests(tests, signers_make, signers_forget);
}
