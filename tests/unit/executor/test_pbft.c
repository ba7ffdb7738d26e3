/* One core alone: how often it asks the others for what it lacks, whatever else it is told, and
 * what it says of itself. What cores promise together is tests/sim's. */

#include "executor/pbft/pbft.h"

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { N = 4, SELF = 1 };

struct bench {
    struct pbft_config config;
    void *memory;
    struct pbft *core;
    struct pbft_update *update;
    uint64_t now_ns;
    unsigned sent[PBFT_MESSAGE_END];
    unsigned released, disconnected;
    struct pbft_certificate said; /* the first that its last VIEW-CHANGE has in Q */
    /* Its last PRE-PREPARE, PREPARE, NEW-VIEW and ASK_BATCH. */
    struct pbft_message proposed, prepared, shown, asked;
};

static void hash(void *context, const void *data, size_t size, uint8_t out[PBFT_DIGEST_SIZE]) {
    (void)context;
    sha256_of(data, size, out);
}

static void note_sent(struct bench *b, const struct pbft_message *m) {
    b->sent[m->type]++;
    if (m->type == PBFT_VIEW_CHANGE && m->changes[0].proposed_count > 0)
        b->said = m->changes[0].proposed[0];
    if (m->type == PBFT_PRE_PREPARE)
        b->proposed = *m;
    if (m->type == PBFT_PREPARE)
        b->prepared = *m;
    if (m->type == PBFT_NEW_VIEW)
        b->shown = *m;
    if (m->type == PBFT_ASK_BATCH)
        b->asked = *m;
}

static void note(struct bench *b, const struct pbft_action *action) {
    b->released += action->type == PBFT_RELEASE;
    b->disconnected += action->type == PBFT_DISCONNECT;
    if (action->type == PBFT_SEND)
        note_sent(b, &action->message);
}

static void step(struct bench *b, struct pbft_event *event) {
    do {
        event->now_ns = b->now_ns;
        pbft_step(b->core, event, b->update);
        for (size_t i = 0; i < b->update->count; i++)
            note(b, &b->update->actions[i]);
        event->type = PBFT_TICK;
    } while (b->update->more);
}

/* Something comes every millisecond. */
static void pass(struct bench *b, unsigned ms) {
    for (unsigned i = 0; i < ms; i++) {
        b->now_ns += NS_PER_MS;
        step(b, &(struct pbft_event){.type = PBFT_TICK});
    }
}

static int set_up_alone(void **state) {
    struct bench *b = mem_new(struct bench);
    b->config = PBFT_CONFIG_DEFAULT;
    b->config.replica = SELF;
    b->config.n = N;
    b->config.clients_max = 16;
    b->config.hash = hash;
    b->memory = mem_zero(1, pbft_size(&b->config));
    b->core = pbft_init(b->memory, &b->config);
    b->update = mem_new(struct pbft_update);
    b->now_ns = NS_PER_SEC;
    *state = b;
    return 0;
}

static int set_up(void **state) {
    set_up_alone(state);
    struct bench *b = *state;
    for (uint16_t i = 0; i < (uint16_t)N; i++)
        if (i != SELF)
            step(b, &(struct pbft_event){.type = PBFT_PEER_UP, .peer = i});
    return 0;
}

static int tear_down(void **state) {
    struct bench *b = *state;
    free(b->memory);
    free(b->update);
    free(b);
    return 0;
}

static unsigned statuses_within(struct bench *b, unsigned ms) {
    b->sent[PBFT_STATUS] = 0;
    pass(b, ms);
    return b->sent[PBFT_STATUS];
}

/* A batch that we never saw. */
static struct pbft_certificate unknown_batch(uint64_t seq) {
    return (struct pbft_certificate){.seq = seq, .digest = {7}};
}

/* The peer wants this view, and has prepared `count` batches. */
static void want(struct bench *b, uint16_t peer, uint64_t view,
                 const struct pbft_certificate *batches, uint32_t count) {
    const struct pbft_checkpoint empty = {.seq = 0};
    const struct pbft_view_change change = {.replica = peer,
                                            .view = view,
                                            .checkpoint_count = 1,
                                            .prepared_count = count,
                                            .proposed_count = count,
                                            .checkpoints = &empty,
                                            .prepared = batches,
                                            .proposed = batches};
    struct pbft_event event = {.type = PBFT_MESSAGE, .peer = peer};
    event.message.type = PBFT_VIEW_CHANGE;
    event.message.view = view;
    event.message.count = 1;
    event.message.changes = &change;
    step(b, &event);
}

static void want_view(struct bench *b, uint16_t peer, uint64_t view,
                      struct pbft_certificate batch) {
    want(b, peer, view, &batch, 1);
}

static void want_empty_view(struct bench *b, uint16_t peer, uint64_t view) {
    want(b, peer, view, NULL, 0);
}

static void a_new_primary_asks_for_batches_no_oftener_than_for_anything(void **state) {
    struct bench *b = *state;
    want_view(b, 2, 1, unknown_batch(1)); /* that is ours */
    want_view(b, 3, 1, unknown_batch(1));
    assert_int_equal(b->sent[PBFT_VIEW_CHANGE], 1);
    pass(b, 2000);
    assert_int_equal(b->sent[PBFT_NEW_VIEW], 0);
    assert_in_range(b->sent[PBFT_ASK_BATCH], 2, 2000 * NS_PER_MS / b->config.status_ns + 1);
}

static void recover(struct bench *b, const struct pbft_record *record) {
    pbft_recover_record(b->core, record, b->update);
    for (size_t i = 0; i < b->update->count; i++)
        note(b, &b->update->actions[i]);
}

static void remember(struct bench *b, struct pbft_record record) {
    record.digest[0] = record.type == PBFT_RECORD_VIEW ? 0 : 9;
    recover(b, &record);
}

/* TOCS '02, section 4.5: Q has the last view in which a batch was pre-prepared. What a new view
 * would take it over from may be older; that view need not come to anything. */
static void a_batch_is_vouched_for_in_the_last_view_in_which_it_was_proposed(void **state) {
    struct bench *b = *state;
    const struct pbft_request request = {.client = 5, .number = 1, .size_bytes = 1};
    remember(
        b,
        (struct pbft_record){
            .type = PBFT_RECORD_PROPOSAL, .seq = 1, .view = 1, .count = 1, .requests = &request});
    remember(b, (struct pbft_record){.type = PBFT_RECORD_PREPARED, .seq = 1, .view = 1});
    remember(b, (struct pbft_record){.type = PBFT_RECORD_PROPOSAL, .seq = 1, .view = 6});
    remember(b, (struct pbft_record){.type = PBFT_RECORD_VIEW, .view = 8});
    struct pbft_certificate known = {.seq = 1, .view = 1, .digest = {9}};
    want_view(b, 2, 9, known); /* ours; it lacks number 2 */
    want_view(b, 3, 9, unknown_batch(2));
    want_view(b, 0, 9, unknown_batch(2));
    assert_int_equal(b->said.seq, 1);
    assert_int_equal(b->said.view, 6);
    assert_int_equal(b->sent[PBFT_NEW_VIEW], 0);
    assert_true(b->sent[PBFT_ASK_BATCH] > 0);
    want_view(b, 2, 10, known);
    want_view(b, 3, 10, unknown_batch(2));
    assert_int_equal(b->sent[PBFT_VIEW_CHANGE], 2);
    assert_int_equal(b->said.seq, 1);
    assert_int_equal(b->said.view, 6);
}

/* A number's batches of these views, one each, that were prepared nowhere. */
static void remember_batches(struct bench *b, uint64_t seq, uint64_t first, uint64_t last) {
    for (uint64_t view = first; view <= last; view++) {
        const struct pbft_request request = {.client = view, .number = 1, .size_bytes = 1};
        const struct pbft_record record = {.type = PBFT_RECORD_PROPOSAL,
                                           .view = view,
                                           .seq = seq,
                                           .digest = {(uint8_t)view},
                                           .count = 1,
                                           .requests = &request};
        recover(b, &record);
    }
}

/* OSDI '99, section 4.2: no two batches for a number in a view. However many earlier views have
 * proposed something for it, a replica that was killed knows what it has said in the last one. */
static void the_last_of_many_proposals_is_still_known_after_a_crash(void **state) {
    struct bench *b = *state;
    const struct pbft_request other = {.client = 5, .number = 1, .size_bytes = 1};
    struct pbft_event event = {.type = PBFT_MESSAGE, .peer = 0};
    remember(b, (struct pbft_record){.type = PBFT_RECORD_VIEW, .view = 4, .active = true});
    remember_batches(b, 1, 0, 4);
    assert_int_equal(b->released, 2);
    event.message = (struct pbft_message){.type = PBFT_PRE_PREPARE, .view = 4, .seq = 1};
    event.message.count = 1;
    event.message.requests = &other;
    step(b, &event);
    assert_int_equal(b->sent[PBFT_PREPARE], 1); /* once more */
    assert_int_equal(b->prepared.digest[0], 4);
    assert_int_equal(b->disconnected, 1);
}

static void a_primary_proposes_where_many_views_have_come_to_nothing(void **state) {
    struct bench *b = *state;
    struct pbft_event event = {.type = PBFT_REQUEST};
    remember(b, (struct pbft_record){.type = PBFT_RECORD_VIEW, .view = 4});
    remember_batches(b, 1, 2, 4);
    want_empty_view(b, 2, 5); /* ours */
    want_empty_view(b, 3, 5);
    assert_int_equal(b->sent[PBFT_NEW_VIEW], 1);
    event.request = (struct pbft_request){.client = 5, .number = 1, .size_bytes = 1};
    step(b, &event);
    step(b, &(struct pbft_event){.type = PBFT_FLUSH});
    assert_int_equal(b->sent[PBFT_PRE_PREPARE], 1);
    assert_int_equal(b->proposed.seq, 1);
    assert_int_equal(b->released, 1); /* of the oldest */
}

/* What has not been said yet is not the same as what was said of no view. */
static void a_commit_of_no_view_decides_nothing(void **state) {
    struct bench *b = *state;
    struct pbft_event event = {.type = PBFT_MESSAGE, .peer = 2};
    event.message = (struct pbft_message){.type = PBFT_COMMIT, .view = UINT64_MAX, .seq = 1};
    step(b, &event);
    assert_int_equal(b->sent[PBFT_ASK_BATCH], 0);
    assert_int_equal(b->disconnected, 1);
}

static void hear(struct bench *b, uint16_t peer, const struct pbft_message *m) {
    step(b, &(struct pbft_event){.type = PBFT_MESSAGE, .peer = peer, .message = *m});
}

/* Others believe it for its primary's signature alone, also after a crash. */
static void a_new_view_is_passed_on_as_its_primary_has_signed_it(void **state) {
    struct bench *b = *state;
    const struct pbft_checkpoint empty = {.seq = 0};
    struct pbft_view_change changes[3];
    for (uint16_t i = 0; i < 3; i++)
        changes[i] = (struct pbft_view_change){
            .replica = i, .view = 2, .checkpoint_count = 1, .checkpoints = &empty};
    recover(b, &(struct pbft_record){.type = PBFT_RECORD_VIEW,
                                     .view = 2,
                                     .active = true,
                                     .count = 3,
                                     .changes = changes,
                                     .signature = {1, 2, 3}});
    hear(b, 3, &(struct pbft_message){.type = PBFT_STATUS, .view = 1});
    assert_int_equal(b->sent[PBFT_NEW_VIEW], 1);
    assert_int_equal(b->shown.signature[2], 3);
    for (uint16_t i = 0; i < 3; i++)
        changes[i].view = 3;
    hear(b, 3,
         &(struct pbft_message){.type = PBFT_NEW_VIEW,
                                .view = 3,
                                .count = 3,
                                .changes = changes,
                                .signature = {4, 5, 6}});
    hear(b, 3, &(struct pbft_message){.type = PBFT_STATUS, .view = 2});
    assert_int_equal(b->sent[PBFT_NEW_VIEW], 2);
    assert_int_equal(b->shown.signature[2], 6);
}

/* A quorum wants that view, and has prepared these batches, one each, behind number 64. */
static void show_view(struct bench *b, uint64_t view, const struct pbft_certificate batches[3]) {
    const struct pbft_checkpoint checkpoint = {.seq = 64};
    struct pbft_view_change changes[3];
    for (uint16_t i = 0; i < 3; i++)
        changes[i] = (struct pbft_view_change){.replica = i ? (uint16_t)(i + 1) : 0,
                                               .view = view,
                                               .stable = 64,
                                               .checkpoint_count = 1,
                                               .prepared_count = 1,
                                               .proposed_count = 1,
                                               .checkpoints = &checkpoint,
                                               .prepared = &batches[i],
                                               .proposed = &batches[i]};
    hear(b, 3,
         &(struct pbft_message){
             .type = PBFT_NEW_VIEW, .view = view, .count = 3, .changes = changes});
}

/* Number 129 is not in our window yet when its view begins. */
static void a_new_view_that_is_wrong_changes_nothing(void **state) {
    struct bench *b = *state;
    const struct pbft_certificate good = unknown_batch(129), goods[] = {good, good, good};
    struct pbft_certificate bad[] = {good, good, good};
    for (uint8_t i = 0; i < 3; i++)
        bad[i].digest[1] = i;
    show_view(b, 2, goods);
    assert_int_equal(b->disconnected, 0);
    show_view(b, 3, bad);
    assert_int_equal(b->disconnected, 1);
    pass(b, 1000); /* the state at 64 is taken over: the empty chain's */
    assert_int_equal(b->asked.view, 2);
    assert_int_equal(b->asked.seq, 129);
    assert_int_equal(b->asked.digest[0], good.digest[0]);
    assert_int_not_equal(b->prepared.seq, 129);
}

/* COMMITs of a later view make a batch known, and then our view's primary proposes it here. */
static void nothing_is_vouched_for_in_a_view_that_is_still_to_come(void **state) {
    struct bench *b = *state;
    const struct pbft_request request = {.client = 5, .number = 1, .size_bytes = 1};
    const struct pbft_request other = {.client = 6, .number = 1, .size_bytes = 1};
    struct pbft_message commit = {.type = PBFT_COMMIT, .view = 2, .seq = 1};
    pbft_batch_digest(&b->config, &request, 1, commit.digest);
    for (uint16_t i = 0; i < N; i++)
        if (i != SELF)
            hear(b, i, &commit);
    hear(b, 0,
         &(struct pbft_message){
             .type = PBFT_PRE_PREPARE, .seq = 1, .count = 1, .requests = &request});
    assert_int_equal(b->sent[PBFT_PREPARE], 1);
    hear(b, 2, &(struct pbft_message){.type = PBFT_STATUS, .view = 2});
    step(b, &(struct pbft_event){.type = PBFT_REQUEST, .request = other});
    pass(b, (unsigned)(b->config.request_timeout_ns / NS_PER_MS) + 1);
    assert_int_equal(b->sent[PBFT_VIEW_CHANGE], 1); /* to view 1 */
    assert_int_equal(b->said.seq, 1);
    assert_int_equal(b->said.view, 0);
}

static void status_becomes_rarer_while_something_is_waited_for(void **state) {
    struct bench *b = *state;
    struct pbft_event event = {.type = PBFT_REQUEST};
    statuses_within(b, 10000); /* idle */
    event.request = (struct pbft_request){.client = 5, .number = 1, .size_bytes = 1};
    step(b, &event);
    assert_int_equal(statuses_within(b, 100), 1); /* not rarer by having been idle */
    assert_int_equal(statuses_within(b, 200), 1);
    assert_int_equal(statuses_within(b, 400), 1);
    assert_int_equal(statuses_within(b, 800), 1);
}

/* Ids whose products with the golden ratio, as a hash, are small numbers: all would have one place.
 * By CPU time, because each would walk past all those before it. */
static void clients_that_were_chosen_to_fall_together_do_not(void **state) {
    (void)state;
    enum { SECONDS_MAX = 5 };
    const uint64_t inverse = UINT64_C(0xf1de83e19937733d);
    struct pbft_config config = PBFT_CONFIG_DEFAULT;
    config.n = N;
    config.hash = hash;
    config.clients = (struct keyed_hash){{UINT64_C(0x1d8af066cd2c1a37), 0x5eed}};
    cleanup_free void *memory = mem_zero(1, pbft_size(&config));
    struct pbft *core = pbft_init(memory, &config);
    clock_t begin = clock();
    for (uint64_t i = 1; i <= config.clients_max; i++) {
        const struct pbft_block block = {.height = i, .seq = i, .client = i * inverse, .number = 1};
        assert_true(pbft_recover_block(core, &block));
    }
    assert_true(clock() - begin < SECONDS_MAX * CLOCKS_PER_SEC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_that_were_chosen_to_fall_together_do_not),
        cmocka_unit_test_setup_teardown(a_new_primary_asks_for_batches_no_oftener_than_for_anything,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_batch_is_vouched_for_in_the_last_view_in_which_it_was_proposed, set_up_alone,
            tear_down),
        cmocka_unit_test_setup_teardown(the_last_of_many_proposals_is_still_known_after_a_crash,
                                        set_up_alone, tear_down),
        cmocka_unit_test_setup_teardown(a_primary_proposes_where_many_views_have_come_to_nothing,
                                        set_up_alone, tear_down),
        cmocka_unit_test_setup_teardown(a_commit_of_no_view_decides_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_view_is_passed_on_as_its_primary_has_signed_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_view_that_is_wrong_changes_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_vouched_for_in_a_view_that_is_still_to_come,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(status_becomes_rarer_while_something_is_waited_for, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
