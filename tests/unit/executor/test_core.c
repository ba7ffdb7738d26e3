/* The core step by step: what each event makes it want. Golden traces of its rules. */

#include "executor/core/core.h"

#include "lib/cleanup.h"
#include "lib/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEC UINT64_C(1000000000)

struct fixture {
    void *memory;
    struct core *core;
    struct core_update *update;
    uint64_t now_ns;
    uint64_t handle;
};

static void fixture_deinit(struct fixture *f) {
    free(f->memory);
    free(f->update);
}

static struct core_config small_config(uint16_t n) {
    return (struct core_config){
        .n = n,
        .log_slots = 8,
        .pipeline_max = 4,
        .pending_max = 2,
        .clients_max = 10,
        .bytes_max = 10000,
        .laggard_ns = 10 * SEC,
        .drain_ns = 5 * SEC,
        .drain_together_ns = 1 * SEC,
    };
}

static struct fixture with_config(struct core_config config) {
    struct fixture f = {.memory = mem_zero(1, core_size(&config)),
                        .update = mem_new(struct core_update),
                        .now_ns = SEC};
    f.core = core_init(f.memory, &config);
    return f;
}

static struct fixture replica_of(uint16_t replica, uint16_t n) {
    struct core_config config = small_config(n);
    config.replica = replica;
    return with_config(config);
}

static void digest_of(uint64_t height, uint8_t out[CORE_DIGEST_SIZE]) {
    memset(out, (int)(height + 1), CORE_DIGEST_SIZE);
}

static struct core_update *step(struct fixture *f, struct core_event event) {
    event.now_ns = f->now_ns;
    core_step(f->core, &event, f->update);
    return f->update;
}

static struct core_update *request_of_size(struct fixture *f, uint64_t client, uint64_t number,
                                           uint32_t size) {
    return step(f, (struct core_event){.type = CORE_REQUEST,
                                       .request = {.handle = ++f->handle,
                                                   .size_bytes = size,
                                                   .client = client,
                                                   .number = number,
                                                   .origin = client}});
}

static struct core_update *request(struct fixture *f, uint64_t client, uint64_t number) {
    return request_of_size(f, client, number, 100);
}

static struct core_update *stored(struct fixture *f, uint64_t height) {
    static uint8_t digest[1][CORE_DIGEST_SIZE];
    digest_of(height, digest[0]);
    struct core_event event = {.type = CORE_STORED};
    event.stored.height = height;
    event.stored.count = 1;
    event.stored.digests = (const uint8_t(*)[CORE_DIGEST_SIZE])digest;
    return step(f, event);
}

static struct core_update *message(struct fixture *f, uint16_t peer, enum core_message_type type,
                                   uint64_t height) {
    struct core_event event = {.type = CORE_MESSAGE, .peer = peer};
    event.message.type = type;
    event.message.height = height;
    if (height > 0)
        digest_of(height, event.message.digest);
    event.message.request = (struct core_request){
        .handle = ++f->handle, .size_bytes = 100, .client = 1, .number = height};
    return step(f, event);
}

static void join(struct fixture *f, uint16_t peer, uint64_t height) {
    step(f, (struct core_event){.type = CORE_PEER_UP, .peer = peer});
    message(f, peer, CORE_JOIN, height);
}

static size_t count_of(const struct core_update *update, enum core_action_type type) {
    size_t count = 0;
    for (size_t i = 0; i < update->count; i++)
        count += update->actions[i].type == type;
    return count;
}

static const struct core_action *find(const struct core_update *update,
                                      enum core_action_type type) {
    for (size_t i = 0; i < update->count; i++)
        if (update->actions[i].type == type)
            return &update->actions[i];
    return NULL;
}

static const struct core_action *sent(const struct core_update *update, uint16_t peer,
                                      enum core_message_type type) {
    for (size_t i = 0; i < update->count; i++)
        if (update->actions[i].type == CORE_SEND && update->actions[i].peer == peer &&
            update->actions[i].message.type == type)
            return &update->actions[i];
    return NULL;
}

static bool noted(const struct core_update *update, enum core_note note) {
    const struct core_action *action = find(update, CORE_NOTE);
    return action && action->note == note;
}

static void assert_refused(const struct core_update *update, enum core_reason reason) {
    const struct core_action *reply = find(update, CORE_REPLY);
    assert_non_null(reply);
    assert_int_equal(reply->status,
                     reason == CORE_REASON_FULL ? CORE_REPLY_OVERLOADED : CORE_REPLY_REFUSED);
    assert_int_equal(reply->reason, reason);
    assert_int_equal(count_of(update, CORE_RELEASE), 1);
    assert_int_equal(count_of(update, CORE_STORE), 0);
}

/* ---- ordering and answering ---- */

static void one_replica_answers_what_it_has_stored(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 1);
    const struct core_update *u = request(&f, 7, 1);
    assert_int_equal(u->count, 1);
    assert_int_equal(find(u, CORE_STORE)->height, 1);
    assert_int_equal(find(u, CORE_STORE)->request.handle, 1);
    u = stored(&f, 1);
    const struct core_action *reply = find(u, CORE_REPLY);
    assert_int_equal(reply->status, CORE_REPLY_OK);
    assert_int_equal(reply->height, 1);
    assert_int_equal(reply->request.origin, 7);
    assert_int_equal(reply->digest[0], 2);
}

static void the_primary_sends_in_order_and_answers_when_f_plus_1_have_stored(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    for (uint16_t peer = 1; peer < 4; peer++)
        join(&f, peer, 0);
    const struct core_update *u = request(&f, 1, 1);
    assert_non_null(find(u, CORE_STORE));
    for (uint16_t peer = 1; peer < 4; peer++)
        assert_int_equal(sent(u, peer, CORE_APPEND)->message.height, 1);
    assert_null(find(message(&f, 1, CORE_ACK, 1), CORE_REPLY)); /* not stored here yet */
    u = stored(&f, 1);
    assert_int_equal(count_of(u, CORE_REPLY), 1);
    assert_null(find(message(&f, 2, CORE_ACK, 1), CORE_REPLY)); /* once */
}

static void its_own_copy_alone_is_not_enough(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    join(&f, 1, 0);
    request(&f, 1, 1);
    assert_null(find(stored(&f, 1), CORE_REPLY));
    assert_non_null(find(message(&f, 1, CORE_ACK, 1), CORE_REPLY));
}

static void seven_replicas_need_three_copies(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 7);
    for (uint16_t peer = 1; peer < 7; peer++)
        join(&f, peer, 0);
    request(&f, 1, 1);
    stored(&f, 1);
    assert_null(find(message(&f, 5, CORE_ACK, 1), CORE_REPLY));
    assert_null(find(message(&f, 5, CORE_ACK, 1), CORE_REPLY)); /* the same one again */
    assert_non_null(find(message(&f, 2, CORE_ACK, 1), CORE_REPLY));
}

static void a_replica_with_another_chain_does_not_count(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    join(&f, 1, 0);
    request(&f, 1, 1);
    stored(&f, 1);
    struct core_event event = {.type = CORE_MESSAGE, .peer = 1};
    event.message = (struct core_message){.type = CORE_ACK, .height = 1, .digest = {99}};
    const struct core_update *u = step(&f, event);
    assert_null(find(u, CORE_REPLY));
    assert_true(noted(u, CORE_NOTE_PEER_DIVERGED));
    assert_null(find(message(&f, 1, CORE_ACK, 1), CORE_REPLY)); /* not any more */
}

static void what_does_not_fit_into_one_update_comes_with_the_next(void **state) {
    (void)state;
    struct core_config config = small_config(4);
    config.log_slots = 1024;
    config.pipeline_max = 500;
    config.pending_max = 512;
    config.bytes_max = 1 << 20;
    config.clients_max = 500;
    cleanup(fixture_deinit) struct fixture f = with_config(config);
    for (uint64_t client = 1; client <= 400; client++)
        request(&f, client, 1);
    step(&f, (struct core_event){.type = CORE_PEER_UP, .peer = 1});
    uint64_t next = 1;
    const struct core_update *u = message(&f, 1, CORE_JOIN, 0);
    assert_true(u->more);
    for (;;) {
        assert_true(u->count <= CORE_ACTIONS_MAX);
        for (size_t i = 0; i < u->count; i++)
            if (u->actions[i].type == CORE_SEND)
                assert_int_equal(u->actions[i].message.height, next++);
        if (!u->more)
            break;
        u = step(&f, (struct core_event){.type = CORE_TICK});
    }
    assert_int_equal(next, 401);
}

/* ---- at most once ---- */

static void a_repeated_request_is_answered_and_not_executed_again(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 1);
    request(&f, 7, 3);
    const struct core_update *u = request(&f, 7, 3); /* still under way */
    assert_int_equal(u->count, 1);
    assert_int_equal(u->actions[0].type, CORE_RELEASE);
    stored(&f, 1);
    u = request(&f, 7, 3);
    assert_int_equal(u->count, 2);
    assert_int_equal(find(u, CORE_REPLY)->status, CORE_REPLY_OK);
    assert_int_equal(find(u, CORE_REPLY)->height, 1);
    assert_int_equal(find(u, CORE_REPLY)->digest[0], 2);
}

static void the_answer_goes_where_the_client_asked_last(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 1);
    request(&f, 7, 3);
    step(&f,
         (struct core_event){
             .type = CORE_REQUEST,
             .request = {.handle = 50, .size_bytes = 9, .client = 7, .number = 3, .origin = 77}});
    assert_int_equal(find(stored(&f, 1), CORE_REPLY)->request.origin, 77);
}

static void an_older_number_is_refused(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 1);
    request(&f, 7, 3);
    assert_refused(request(&f, 7, 2), CORE_REASON_STALE_NUMBER);
    assert_non_null(find(request(&f, 7, 4), CORE_STORE));
}

static void what_clients_have_executed_survives_a_restart(void **state) {
    (void)state;
    uint8_t digest[CORE_DIGEST_SIZE];
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 1);
    for (uint64_t height = 1; height <= 3; height++) {
        digest_of(height, digest);
        assert_true(core_recover(f.core, 7, height, height, digest));
    }
    const struct core_update *u = request(&f, 7, 3);
    assert_int_equal(find(u, CORE_REPLY)->height, 3);
    assert_int_equal(find(u, CORE_REPLY)->digest[0], 4);
    assert_int_equal(find(request(&f, 7, 4), CORE_STORE)->height, 4);
}

static void clients_beyond_the_table_are_refused(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 1);
    for (uint64_t client = 1; client <= 10; client++) {
        request(&f, client, 1);
        stored(&f, client);
    }
    assert_refused(request(&f, 11, 1), CORE_REASON_CLIENTS_FULL);
    assert_non_null(find(request(&f, 10, 2), CORE_STORE));
}

/* ---- limits ---- */

static void too_many_requests_wait_and_then_are_overloaded(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    for (uint64_t client = 1; client <= 4; client++)
        assert_non_null(find(request(&f, client, 1), CORE_STORE)); /* the pipeline */
    assert_int_equal(request(&f, 5, 1)->count, 0);                 /* the queue */
    assert_int_equal(request(&f, 6, 1)->count, 0);
    assert_refused(request(&f, 7, 1), CORE_REASON_FULL);
    join(&f, 1, 0);
    for (uint64_t height = 1; height <= 4; height++)
        stored(&f, height);
    const struct core_update *u = message(&f, 1, CORE_ACK, 4);
    assert_int_equal(count_of(u, CORE_REPLY), 4);
    assert_int_equal(count_of(u, CORE_STORE), 2);
    assert_int_equal(request(&f, 7, 1)->count, 2); /* may be sent again later */
}

static void bytes_are_bounded_too(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    request_of_size(&f, 1, 1, 3000);
    assert_refused(request_of_size(&f, 2, 1, 3000), CORE_REASON_FULL);
    assert_non_null(find(request_of_size(&f, 2, 1, 1000), CORE_STORE));
}

static void the_window_keeps_the_last_requests_and_releases_older_ones(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 1);
    size_t released = 0;
    for (uint64_t height = 1; height <= 20; height++) {
        released += count_of(request(&f, 1, height), CORE_RELEASE);
        stored(&f, height);
    }
    assert_int_equal(released, 12);
}

/* ---- backups ---- */

static void a_backup_joins_stores_what_comes_and_says_so(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(2, 4);
    const struct core_update *u = step(&f, (struct core_event){.type = CORE_PEER_UP, .peer = 0});
    assert_int_equal(sent(u, 0, CORE_JOIN)->message.height, 0);
    u = message(&f, 0, CORE_APPEND, 1);
    assert_int_equal(find(u, CORE_STORE)->height, 1);
    assert_int_equal(count_of(u, CORE_RELEASE), 1);
    u = stored(&f, 1);
    assert_int_equal(sent(u, 0, CORE_ACK)->message.height, 1);
    assert_int_equal(sent(u, 0, CORE_ACK)->message.digest[0], 2);
    u = message(&f, 0, CORE_APPEND, 1); /* again, after a reconnect */
    assert_int_equal(u->count, 1);
    assert_int_equal(u->actions[0].type, CORE_RELEASE);
}

static void a_gap_is_a_violation(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(2, 4);
    const struct core_update *u = message(&f, 0, CORE_APPEND, 2);
    assert_non_null(find(u, CORE_DISCONNECT));
    assert_int_equal(count_of(u, CORE_RELEASE), 1);
    assert_int_equal(count_of(u, CORE_STORE), 0);
    u = message(&f, 1, CORE_APPEND, 1); /* from one that is not the primary */
    assert_non_null(find(u, CORE_DISCONNECT));
}

static void a_backup_refuses_clients(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(2, 4);
    assert_refused(request(&f, 1, 1), CORE_REASON_NOT_PRIMARY);
}

static void a_returning_backup_is_fed_from_where_it_was(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 1);
    (void)f;
    cleanup(fixture_deinit) struct fixture p = replica_of(0, 4);
    join(&p, 1, 0);
    for (uint64_t height = 1; height <= 3; height++) {
        request(&p, height, 1);
        stored(&p, height);
        message(&p, 1, CORE_ACK, height);
    }
    step(&p, (struct core_event){.type = CORE_PEER_UP, .peer = 3});
    const struct core_update *u = message(&p, 3, CORE_JOIN, 1);
    assert_true(noted(u, CORE_NOTE_PEER_JOINED));
    assert_int_equal(count_of(u, CORE_SEND), 2);
    assert_int_equal(sent(u, 3, CORE_APPEND)->message.height, 2);
}

static void beyond_the_window_a_backup_is_told_that_it_is_behind(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    join(&f, 1, 0);
    for (uint64_t height = 1; height <= 12; height++) {
        request(&f, 1, height);
        stored(&f, height);
        message(&f, 1, CORE_ACK, height);
    }
    step(&f, (struct core_event){.type = CORE_PEER_UP, .peer = 2});
    const struct core_update *u = message(&f, 2, CORE_JOIN, 3);
    assert_true(noted(u, CORE_NOTE_PEER_BEHIND));
    assert_int_equal(sent(u, 2, CORE_BEHIND)->message.height, 5);

    cleanup(fixture_deinit) struct fixture b = replica_of(2, 4);
    assert_true(noted(message(&b, 0, CORE_BEHIND, 5), CORE_NOTE_WE_ARE_BEHIND));
    struct core_status status;
    core_get_status(b.core, &status);
    assert_true(status.behind);
    assert_false(status.healthy);
}

static void a_backup_that_stands_still_holds_the_window_only_for_a_while(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    join(&f, 1, 0);
    join(&f, 2, 0);
    uint64_t height = 0;
    while (height < 8) {
        request(&f, 1, ++height);
        stored(&f, height);
        message(&f, 1, CORE_ACK, height);
    }
    const struct core_update *u =
        request(&f, 1, 9); /* no room: replica 2 has acknowledged nothing */
    assert_int_equal(count_of(u, CORE_STORE), 0);
    assert_int_equal(u->timer_ns, SEC + 10 * SEC);
    f.now_ns = u->timer_ns;
    u = step(&f, (struct core_event){.type = CORE_TICK});
    assert_true(noted(u, CORE_NOTE_PEER_LAGGING));
    assert_non_null(sent(u, 2, CORE_BEHIND));
    assert_true(u->more);
    assert_int_equal(find(step(&f, (struct core_event){.type = CORE_TICK}), CORE_STORE)->height, 9);
}

static void a_primary_that_has_lost_blocks_accepts_nothing(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    step(&f, (struct core_event){.type = CORE_PEER_UP, .peer = 1});
    assert_true(noted(message(&f, 1, CORE_JOIN, 5), CORE_NOTE_PEER_AHEAD));
    assert_refused(request(&f, 1, 1), CORE_REASON_PEER_AHEAD);
}

static void after_a_store_failure_requests_are_refused(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    for (uint64_t client = 1; client <= 5; client++)
        request(&f, client, 1);
    const struct core_update *u = step(&f, (struct core_event){.type = CORE_STORE_FAILED});
    assert_refused(u, CORE_REASON_STORE_FAILED); /* the one that waited */
    assert_refused(request(&f, 6, 1), CORE_REASON_STORE_FAILED);
}

/* ---- health and stopping ---- */

static void health_needs_n_minus_f_replicas(void **state) {
    (void)state;
    struct core_status status;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    join(&f, 1, 0);
    core_get_status(f.core, &status);
    assert_false(status.healthy);
    join(&f, 2, 0);
    core_get_status(f.core, &status);
    assert_true(status.healthy);
    assert_int_equal(status.f, 1);
    step(&f, (struct core_event){.type = CORE_PEER_DOWN, .peer = 1});
    core_get_status(f.core, &status);
    assert_false(status.healthy);
}

static void a_stopping_primary_waits_for_those_it_feeds(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    join(&f, 1, 0);
    request(&f, 1, 1);
    assert_false(step(&f, (struct core_event){.type = CORE_DRAIN})->drained);
    assert_refused(request(&f, 2, 1), CORE_REASON_DRAINING);
    assert_false(stored(&f, 1)->drained);
    assert_true(message(&f, 1, CORE_ACK, 1)->drained);
}

static void a_stopping_primary_does_not_wait_forever(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    join(&f, 1, 0);
    request(&f, 1, 1);
    const struct core_update *u = step(&f, (struct core_event){.type = CORE_DRAIN});
    assert_int_equal(u->timer_ns, 6 * SEC);
    f.now_ns = u->timer_ns;
    u = step(&f, (struct core_event){.type = CORE_TICK});
    assert_true(u->drained);
    assert_true(noted(u, CORE_NOTE_DRAIN_LATE));
}

static void a_stopping_backup_gets_everything_that_was_ordered(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(1, 4);
    step(&f, (struct core_event){.type = CORE_PEER_UP, .peer = 0});
    const struct core_update *u = step(&f, (struct core_event){.type = CORE_DRAIN});
    assert_non_null(sent(u, 0, CORE_ASK_DRAIN));
    assert_false(u->drained);
    message(&f, 0, CORE_APPEND, 1); /* was on its way */
    assert_false(message(&f, 0, CORE_DRAINED, 1)->drained);
    assert_true(stored(&f, 1)->drained);
}

static void a_stopping_backup_without_a_primary_stops_with_what_it_has(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(1, 4);
    assert_true(step(&f, (struct core_event){.type = CORE_DRAIN})->drained);
}

static void a_backup_that_stops_first_gets_what_is_ordered_until_the_primary_stops(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    join(&f, 1, 0);
    request(&f, 1, 1);
    const struct core_update *u = message(&f, 1, CORE_ASK_DRAIN, 0);
    assert_null(sent(u, 1, CORE_DRAINED));
    assert_int_equal(u->timer_ns, 2 * SEC);
    request(&f, 2, 1); /* the primary has not heard of the stop yet */
    const struct core_action *answer =
        sent(step(&f, (struct core_event){.type = CORE_DRAIN}), 1, CORE_DRAINED);
    assert_non_null(answer);
    assert_int_equal(answer->message.height, 2);
}

static void a_backup_that_stops_alone_is_answered_after_a_while(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    join(&f, 1, 0);
    request(&f, 1, 1);
    f.now_ns = message(&f, 1, CORE_ASK_DRAIN, 0)->timer_ns;
    const struct core_action *answer =
        sent(step(&f, (struct core_event){.type = CORE_TICK}), 1, CORE_DRAINED);
    assert_non_null(answer);
    assert_int_equal(answer->message.height, 1);
}

static uint64_t dropped;
static void count_dropped(const struct core_request *r) {
    assert_true(r->handle > 0);
    dropped++;
}

static void what_it_still_holds_is_given_back_at_the_end(void **state) {
    (void)state;
    cleanup(fixture_deinit) struct fixture f = replica_of(0, 4);
    for (uint64_t client = 1; client <= 6; client++)
        request(&f, client, 1);
    core_drop(f.core, count_dropped);
    assert_int_equal(dropped, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_replica_answers_what_it_has_stored),
        cmocka_unit_test(the_primary_sends_in_order_and_answers_when_f_plus_1_have_stored),
        cmocka_unit_test(its_own_copy_alone_is_not_enough),
        cmocka_unit_test(seven_replicas_need_three_copies),
        cmocka_unit_test(a_replica_with_another_chain_does_not_count),
        cmocka_unit_test(what_does_not_fit_into_one_update_comes_with_the_next),
        cmocka_unit_test(a_repeated_request_is_answered_and_not_executed_again),
        cmocka_unit_test(the_answer_goes_where_the_client_asked_last),
        cmocka_unit_test(an_older_number_is_refused),
        cmocka_unit_test(what_clients_have_executed_survives_a_restart),
        cmocka_unit_test(clients_beyond_the_table_are_refused),
        cmocka_unit_test(too_many_requests_wait_and_then_are_overloaded),
        cmocka_unit_test(bytes_are_bounded_too),
        cmocka_unit_test(the_window_keeps_the_last_requests_and_releases_older_ones),
        cmocka_unit_test(a_backup_joins_stores_what_comes_and_says_so),
        cmocka_unit_test(a_gap_is_a_violation),
        cmocka_unit_test(a_backup_refuses_clients),
        cmocka_unit_test(a_returning_backup_is_fed_from_where_it_was),
        cmocka_unit_test(beyond_the_window_a_backup_is_told_that_it_is_behind),
        cmocka_unit_test(a_backup_that_stands_still_holds_the_window_only_for_a_while),
        cmocka_unit_test(a_primary_that_has_lost_blocks_accepts_nothing),
        cmocka_unit_test(after_a_store_failure_requests_are_refused),
        cmocka_unit_test(health_needs_n_minus_f_replicas),
        cmocka_unit_test(a_stopping_primary_waits_for_those_it_feeds),
        cmocka_unit_test(a_stopping_primary_does_not_wait_forever),
        cmocka_unit_test(a_stopping_backup_gets_everything_that_was_ordered),
        cmocka_unit_test(a_backup_that_stops_first_gets_what_is_ordered_until_the_primary_stops),
        cmocka_unit_test(a_backup_that_stops_alone_is_answered_after_a_while),
        cmocka_unit_test(a_stopping_backup_without_a_primary_stops_with_what_it_has),
        cmocka_unit_test(what_it_still_holds_is_given_back_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
