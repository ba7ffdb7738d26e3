/*
 * The loader as a process against clusters whose replicas all answer: f + 1 equal answers make a
 * request done, whatever up to f of them do.
 */

#include "tests/cli/loader_stage.h"

#include "lib/cleanup.h"
#include "lib/text.h"
#include "tests/fake/voters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* One thread, as voters.h asks for. */
static struct voters_counts load(struct stage *s, struct voters_script script, const char *args) {
    struct error err = ERROR_NULL;
    struct voters *voters = NULL;
    struct voters_counts counts;
    if (voters_start(&script, &voters, &err) < 0)
        fail_msg("%s", err.text);
    for (int i = 0; i < script.n; i++)
        s->ports[s->n++] = voters_port(voters, i);
    stage_load(s, args);
    voters_stop(voters, &counts);
    return counts;
}

static void equal_answers_of_f_plus_1_make_a_request_done(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    struct voters_counts counts =
        load(&s, (struct voters_script){.n = 4}, "-b 1000 -c 15 -d 100 --threads 1");
    assert_status(&s, 0);
    assert_counts(&s, 1000, 0, 0, 0);
    assert_int_equal(counts.executed, 1000);
}

static void up_to_f_replicas_may_lie_refuse_be_silent_or_be_away(void **state) {
    (void)state;
    static const enum voter faults[] = {VOTER_LIES, VOTER_REFUSES, VOTER_SILENT, VOTER_ABSENT,
                                        VOTER_STRANGER};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        for (int faulty = 0; faulty < 4; faulty += 3) { /* the primary, and the last one */
            struct voters_script script = {.n = 4};
            script.voters[faulty] = faults[i];
            cleanup(stage_down) struct stage s = stage_empty();
            load(&s, script, "-b 200 -c 5 -d 100 --threads 1 --request-timeout 5s");
            assert_status(&s, 0);
            assert_counts(&s, 200, 0, 0, 0);
        }
    }
}

/* They go to all replicas at once, for nobody orders them, and each answers at its own height. */
static void reads_are_decided_by_what_was_read(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    struct voters_counts counts =
        load(&s, (struct voters_script){.n = 4, .voters = {VOTER_HONEST, VOTER_LIES}},
             "-b 400 -c 5 -d 100 --reads 50 --key-space 1000 --seed 1 --threads 1");
    assert_status(&s, 0);
    assert_counts(&s, 400, 0, 0, 0);
    assert_in_range(counts.executed, 150, 250);
    assert_true(counts.reads >= 2 * (400 - counts.executed));
}

/* Two have read something else: no three of four agree, so all is ordered. */
static void a_read_that_no_quorum_agrees_on_is_ordered(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    struct voters_counts counts =
        load(&s,
             (struct voters_script){
                 .n = 4, .voters = {VOTER_HONEST, VOTER_AHEAD, VOTER_HONEST, VOTER_AHEAD}},
             "-b 20 -c 5 -d 100 --reads 100 --key-space 1000 --seed 1 --threads 1");
    assert_status(&s, 0);
    assert_counts(&s, 20, 0, 0, 0);
    assert_int_equal(counts.executed, 20);
    assert_int_equal(counts.ordered_reads, 20);
    assert_int_equal(stage_number(&s, "requests.ordered_reads"), 20);
    assert_int_equal(stage_acknowledged(&s), 0); /* they write nothing */
}

/* The others say that it is not. */
static void one_answer_is_not_enough_because_one_replica_says_so(void **state) {
    (void)state;
    for (int alone = 0; alone < 4; alone++) {
        struct voters_script script = {.n = 4};
        script.voters[alone] = VOTER_ALONE;
        cleanup(stage_down) struct stage s = stage_empty();
        struct voters_counts counts =
            load(&s, script, "-b 20 -c 5 -d 100 --threads 1 --request-timeout 5s");
        assert_status(&s, 0);
        assert_counts(&s, 20, 0, 0, 0);
        assert_int_equal(counts.executed, 20);
    }
}

static void f_lies_do_not_make_an_answer(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    load(&s,
         (struct voters_script){.n = 4,
                                .voters = {VOTER_HONEST, VOTER_SILENT, VOTER_SILENT, VOTER_LIES}},
         "-b 5 -c 5 -d 100 --threads 1 --request-timeout 500ms");
    assert_status(&s, 1);
    assert_counts(&s, 0, 5, 0, 0);
}

static void f_plus_1_refusals_are_a_failure(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    load(&s,
         (struct voters_script){
             .n = 4, .voters = {VOTER_REFUSES, VOTER_SILENT, VOTER_REFUSES, VOTER_SILENT}},
         "-b 5 -c 5 -d 100 --threads 1");
    assert_status(&s, 1);
    assert_counts(&s, 0, 0, 5, 0);
}

static void what_the_primary_loses_goes_to_all_after_the_retry_timeout(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    struct voters_counts counts = load(&s, (struct voters_script){.n = 4, .ignore_each = 50},
                                       "-b 500 -c 5 -d 100 --threads 1");
    assert_status(&s, 0);
    assert_counts(&s, 500, 0, 0, 0);
    assert_int_equal(counts.executed, 500);
    assert_true(counts.resent >= 10);
    assert_true(stage_number(&s, "latency_ns.max") >= 50000000); /* the smallest timeout */
}

static void the_primary_may_go_in_the_middle(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    struct voters_counts counts = load(&s, (struct voters_script){.n = 4, .vanish_after = 100},
                                       "-b 500 -c 5 -d 100 --threads 1");
    assert_status(&s, 0);
    assert_counts(&s, 500, 0, 0, 0);
    assert_int_equal(counts.executed, 500);
}

/* It hangs with a part of a request that it will never read the rest of: all others go to whoever
 * leads next. */
static void a_primary_that_hangs_holds_nothing_up(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    struct voters_counts counts = load(&s, (struct voters_script){.n = 4, .deaf_after = 10},
                                       "-b 100 -c 20 -d 1000000 --threads 1 --request-timeout 5s");
    assert_status(&s, 0);
    assert_counts(&s, 100, 0, 0, 0);
    assert_true(counts.came_to[1] >= 60);
}

/* The primary that was named is none any more; and one that says a higher view is not believed. */
static void requests_go_to_the_primary_of_the_view_that_f_plus_1_are_in(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    struct voters_counts counts =
        load(&s, (struct voters_script){.n = 4, .view = 5, .voters = {[3] = VOTER_LIES}},
             "-b 500 -c 5 -d 100 --threads 1");
    assert_status(&s, 0);
    assert_counts(&s, 500, 0, 0, 0);
    assert_true(counts.came_to[1] >= 400);
}

/* In the first view, too. */
static void who_says_of_itself_that_it_leads_gets_no_requests_for_long(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    struct voters_counts counts =
        load(&s, (struct voters_script){.n = 4, .voters = {[3] = VOTER_LIES}},
             "-b 500 -c 5 -d 100 --threads 1");
    assert_status(&s, 0);
    assert_counts(&s, 500, 0, 0, 0);
    assert_true(counts.came_to[0] >= 400);
}

static void seven_replicas_tolerate_two(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    load(&s,
         (struct voters_script){.n = 7,
                                .voters = {VOTER_HONEST, VOTER_LIES, VOTER_HONEST, VOTER_ABSENT}},
         "--rate 1000 -b 500 --clients 100 -d 100 --threads 1");
    assert_counts(&s, 500, 0, 0, 0);
}

/* The pool's file, with the replicas where the voters are. */
static void write_pool(const struct stage *s, const char *transport, const char *clients) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 10000);
    buffer_format(&text,
                  "num_replicas: 4\nf_val: 1\nc_val: 0\ncomm_to_use: %s\n"
                  "client_initial_retry_timeout_milli: 20\nclient_min_retry_timeout_milli: 10\n"
                  "client_max_retry_timeout_milli: 40\nnode:\n",
                  transport);
    for (int i = 0; i < s->n; i++)
        buffer_format(&text,
                      "  - replica: [{principal_id: %d, replica_host: 127.0.0.1, replica_port: "
                      "%u}]\n",
                      i, s->ports[i]);
    buffer_text(&text, clients);
    folder_write(&s->folder, "pool.yaml", buffer_string(&text));
}

#define CLIENTS                                                                                    \
    "participant_nodes:\n  - participant_node:\n      - external_clients:\n"                       \
    "          - client: [{client_port: 4001, principal_id: 4}]\n"                                 \
    "          - client: [{client_port: 4002, principal_id: 5}]\n"

static void the_client_pool_says_where_replicas_are_and_when_to_try_again(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct voters *voters = NULL;
    struct voters_counts counts;
    const struct voters_script script = {.n = 4, .ignore_each = 20};
    cleanup(stage_down) struct stage s = stage_empty();
    assert_int_equal(voters_start(&script, &voters, &err), 0);
    for (int i = 0; i < script.n; i++)
        s.ports[s.n++] = voters_port(voters, i);
    write_pool(&s, "plain", CLIENTS);
    memset(s.ports, 0, sizeof s.ports); /* the cluster file only says which run it is */
    for (int i = 0; i < s.n; i++)
        s.ports[i] = 1;
    stage_load(&s, "-f pool.yaml -b 200 -c 2 -d 100 --threads 1");
    voters_stop(voters, &counts);
    assert_status(&s, 0);
    assert_counts(&s, 200, 0, 0, 0);
    assert_true(counts.resent >= 10);
    assert_true(stage_number(&s, "latency_ns.max") >= 10000000);
}

static void what_a_client_pool_cannot_mean_here_is_named(void **state) {
    (void)state;
    static const struct {
        const char *transport, *clients, *args, *says;
    } rows[] = {
        {"tls", CLIENTS, "-c 2", "comm_to_use is 'tls', but our replicas speak plain TCP"},
        {"plain", CLIENTS, "-c 3", "has 2 external_clients, fewer than the 3"},
        {"plain", "nodes: []\n", "-c 2", "pool.yaml:13:1: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleanup(stage_down) struct stage s = stage_empty();
        cleanup_free char *args = text_format("-f pool.yaml %s", rows[i].args);
        for (s.n = 0; s.n < 4; s.n++)
            s.ports[s.n] = (uint16_t)(s.n + 1);
        write_pool(&s, rows[i].transport, rows[i].clients);
        stage_load(&s, args);
        assert_status(&s, 3);
        assert_says(s.err, rows[i].says);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_answers_of_f_plus_1_make_a_request_done),
        cmocka_unit_test(up_to_f_replicas_may_lie_refuse_be_silent_or_be_away),
        cmocka_unit_test(reads_are_decided_by_what_was_read),
        cmocka_unit_test(a_read_that_no_quorum_agrees_on_is_ordered),
        cmocka_unit_test(one_answer_is_not_enough_because_one_replica_says_so),
        cmocka_unit_test(f_lies_do_not_make_an_answer),
        cmocka_unit_test(f_plus_1_refusals_are_a_failure),
        cmocka_unit_test(what_the_primary_loses_goes_to_all_after_the_retry_timeout),
        cmocka_unit_test(the_primary_may_go_in_the_middle),
        cmocka_unit_test(a_primary_that_hangs_holds_nothing_up),
        cmocka_unit_test(requests_go_to_the_primary_of_the_view_that_f_plus_1_are_in),
        cmocka_unit_test(who_says_of_itself_that_it_leads_gets_no_requests_for_long),
        cmocka_unit_test(seven_replicas_tolerate_two),
        cmocka_unit_test(the_client_pool_says_where_replicas_are_and_when_to_try_again),
        cmocka_unit_test(what_a_client_pool_cannot_mean_here_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
