/*
 * The loader as a process against scripted replicas: its counts are true whatever they do.
 */

#include "tests/cli/loader_stage.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/hdr_log.h"
#include "lib/text.h"
#include "lib/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- good replicas ---- */

static void all_requests_are_acknowledged_and_recorded(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.check_payloads = true});
    stage_load(&s, "-b 2000");
    assert_status(&s, 0);
    assert_counts(&s, 2000, 0, 0, 0);
    assert_int_equal(stage_number(&s, "requests.intended"), 2000);
    assert_int_equal(stage_number(&s, "requests.sent"), 2000);
    assert_string_equal(json_text_or_null(json_find(s.load, "model")), "closed");
    assert_true(json_is_nothing(json_find(s.load, "asked_per_s")));
    assert_int_equal(stage_acknowledged(&s), 2000);

    assert_int_equal(s.counts.requests, 2000);
    assert_int_equal(s.counts.out_of_order, 0);
    assert_int_equal(s.counts.client_max - s.counts.client_min, 14);
    assert_true(s.counts.same_payloads < 50); /* places repeat, but seldom */
    const struct primary_shape *shape = &s.counts.shape;
    assert_int_equal(shape->key_count, 31);
    assert_int_equal(shape->key_size, 118);
    assert_int_equal(shape->value_size, 2841);
    assert_int_equal(shape->payload_size, 15100);
    assert_int_equal(shape->execution_ms, 0);
    assert_int_equal(shape->flags, WIRE_REQUEST_BUSY_WAIT);

    assert_says(s.out, "2000 asked for, 2000 sent, 2000 acknowledged");
    assert_says(s.out, "p99.99");
    assert_int_equal(stage_exported(&s, "out/requests.bin"), 2000);
    assert_says(s.out, "client,number,intended_ns,sent_ns,latency_ns,outcome\n");
}

/* All latencies of a tag in latency.hlog. */
static struct hdr_log_sum logged(const struct stage *s, const char *tag, struct histogram *ret) {
    struct hdr_log_sum sum = HDR_LOG_SUM_NULL;
    struct error err = ERROR_NULL;
    cleanup_free char *path = text_format("%s/out/latency.hlog", s->folder.path);
    histogram_init(ret, HISTOGRAM_HOUR_NS);
    if (hdr_log_add(&sum, path, tag, ret, &err) < 0)
        fail_msg("%s", err.text);
    return sum;
}

/* Second by second, and yet the sum is what load.json says. */
static void the_log_of_histograms_holds_every_latency(void **state) {
    (void)state;
    cleanup(histogram_deinit) struct histogram intended, from_send;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.stall_at = 100, .stall_ns = 1500 * NS_PER_MS});
    stage_load(&s, "-b 1000 -c 5 -d 64");
    assert_status(&s, 0);
    const struct hdr_log_sum sum = logged(&s, NULL, &intended);
    assert_int_equal(logged(&s, "from-send", &from_send).intervals, sum.intervals);
    assert_true(sum.intervals >= 2);
    assert_int_equal(intended.count, 1000);
    assert_int_equal(from_send.count, 1000);
    assert_int_equal(histogram_percentile(&intended, 99), stage_number(&s, "latency_ns.p99"));
    assert_int_equal(histogram_max(&intended), stage_number(&s, "latency_ns.max"));
    assert_int_equal(histogram_percentile(&from_send, 50),
                     stage_number(&s, "latency_from_send_ns.p50"));
    assert_true(sum.end.ns - sum.start.ns >= 1499 * (int64_t)NS_PER_MS);
}

static void every_option_reaches_the_replica(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_load(&s, "-b 7 -p 1 -k 3 -s 20 -v 0 -d 64 -c 100 -e 25 -w 0 -i 0 --seed 9");
    assert_status(&s, 0);
    assert_int_equal(s.counts.requests, 7);
    const struct primary_shape *shape = &s.counts.shape;
    assert_int_equal(shape->key_count, 3);
    assert_int_equal(shape->key_size, 20);
    assert_int_equal(shape->value_size, 0);
    assert_int_equal(shape->payload_size, 64);
    assert_int_equal(shape->execution_ms, 25);
    assert_int_equal(shape->flags, WIRE_REQUEST_PRE_EXECUTE);
    assert_false(folder_has(&s.folder, "out/requests.bin"));
    assert_says(s.out, "seed 9");
}

static void latencies_are_those_of_the_replica(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.delay_ns = 5 * NS_PER_MS});
    stage_load(&s, "-b 40 -c 4");
    assert_status(&s, 0);
    assert_true(stage_number(&s, "latency_ns.min") >= 4995000); /* less a thousandth */
    assert_true(stage_number(&s, "latency_from_send_ns.min") >= 4995000);
    assert_true(stage_number(&s, "latency_ns.p50") >= stage_number(&s, "latency_from_send_ns.p50"));
    assert_true(stage_number(&s, "latency_ns.p50") <= stage_number(&s, "latency_ns.max"));
}

static void a_stalled_replica_shows_in_the_maximum(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.stall_at = 50, .stall_ns = 300 * NS_PER_MS});
    stage_load(&s, "-b 200 -c 3");
    assert_status(&s, 0);
    assert_true(stage_number(&s, "latency_ns.max") >= 299 * (int64_t)NS_PER_MS);
}

static void the_primary_is_whoever_says_it_of_itself(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, &(struct primary_script){.index = 0, .n = 3, .primary = 1});
    stage_add(&s, &(struct primary_script){.index = 1, .n = 3, .primary = 1});
    stage_add(&s, &(struct primary_script){.index = 2, .n = 3, .primary = 1});
    stage_load(&s, "-b 50");
    assert_status(&s, 0);
    assert_counts(&s, 50, 0, 0, 0);
    assert_int_equal(s.counts.requests, 0);    /* of replica 0 */
    assert_int_equal(s.counts.connections, 2); /* one for each thread */
}

static void threads_share_the_clients_and_lose_nothing(void **state) {
    (void)state;
    for (int threads = 1; threads <= 8; threads += 7) {
        cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
        cleanup_free char *args = text_format("-b 3001 -c 5 -d 100 --threads %d", threads);
        stage_load(&s, args);
        assert_status(&s, 0);
        assert_counts(&s, 3001, 0, 0, 0);
        assert_int_equal(stage_acknowledged(&s), 3001);
        assert_int_equal(stage_exported(&s, "out/requests.bin"), 3001);
        assert_int_equal(s.counts.connections, threads < 5 ? threads : 5);
        assert_int_equal(s.counts.out_of_order, 0);
        assert_int_equal(s.counts.client_max - s.counts.client_min, 4);
    }
}

static void a_backup_that_is_away_is_only_a_warning(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, &(struct primary_script){.index = 0, .n = 2, .primary = 0});
    stage_add(&s, NULL);
    stage_load(&s, "-b 50");
    assert_status(&s, 0);
    assert_counts(&s, 50, 0, 0, 0);
    assert_says(s.err, "warning: replica 1 ('demo-replica-2' at 127.0.0.1:");
}

static void a_second_load_has_other_clients(void **state) {
    (void)state;
    struct primary_counts first;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_load(&s, "-b 20 -c 2");
    assert_status(&s, 0);
    first = s.counts;
    cleanup(stage_down) struct stage again = stage_with((struct primary_script){0});
    stage_load(&again, "-b 20 -c 2");
    assert_status(&again, 0);
    assert_true(again.counts.client_min > first.client_max ||
                again.counts.client_max < first.client_min);
}

/* ---- replicas that are not good ---- */

static void lost_requests_time_out_and_the_load_goes_on(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){.lose_each = 10});
    stage_load(&s, "-b 100 -c 5 --request-timeout 200ms");
    assert_status(&s, 1);
    assert_counts(&s, 90, 10, 0, 0);
    assert_int_equal(stage_number(&s, "requests.sent"), 100);
    assert_int_equal(stage_acknowledged(&s), 90);
    assert_says(s.err, "not every request was acknowledged");
}

static void a_silent_replica_times_out_every_request(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.answer = PRIMARY_ANSWERS_NEVER});
    stage_load(&s, "-b 6 -c 3 --request-timeout 100ms");
    assert_status(&s, 1);
    assert_counts(&s, 0, 6, 0, 0);
    assert_true(json_is_nothing(json_find(s.load, "latency_ns.p50")));
    assert_says(s.out, "no request was acknowledged");
}

/* The kernel takes a few MB; the rest never leaves, and is not said to have been sent. */
static void a_replica_that_reads_nothing_gets_only_what_fits(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){.reads_nothing = true});
    stage_load(&s, "-b 300 -c 100 -d 1048576 --request-timeout 200ms");
    assert_status(&s, 1);
    assert_int_equal(stage_number(&s, "requests.timed_out"), stage_number(&s, "requests.sent"));
    assert_int_equal(stage_number(&s, "requests.unsent"), 300 - stage_number(&s, "requests.sent"));
    assert_true(stage_number(&s, "requests.sent") > 0);
    assert_true(stage_number(&s, "requests.sent") < 100);
}

static void overload_is_an_outcome_of_its_own(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){.overloaded_each = 5});
    stage_load(&s, "-b 100 -c 5");
    assert_status(&s, 1);
    assert_counts(&s, 80, 0, 0, 20);
    assert_int_equal(s.counts.overloaded, 20);
    assert_int_equal(stage_acknowledged(&s), 80);
}

static void a_connection_closed_after_each_reply_loses_what_was_sent_on_it(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.answer = PRIMARY_ANSWERS_AND_CLOSES});
    stage_load(&s, "-b 60 -c 3 -d 100");
    assert_status(&s, 1);
    int64_t acknowledged = stage_number(&s, "requests.acknowledged");
    assert_int_equal(acknowledged, s.counts.replies);
    assert_int_equal(stage_number(&s, "requests.failed"), 60 - acknowledged);
    assert_int_equal(stage_number(&s, "requests.sent"), 60);
    assert_true(s.counts.connections >= 10);
}

static void a_reply_that_comes_twice_counts_once(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.answer = PRIMARY_ANSWERS_TWICE});
    stage_load(&s, "-b 100 -c 5");
    assert_status(&s, 0);
    assert_counts(&s, 100, 0, 0, 0);
    assert_says(s.out, "replies to requests that had an outcome before");
}

static void garbage_ends_the_load_with_a_clear_error(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.answer = PRIMARY_ANSWERS_GARBAGE});
    stage_load(&s, "-b 100 -c 5");
    assert_status(&s, 1);
    assert_counts(&s, 0, 0, 5, 0);
    assert_says(s.err, "replica 0 ('demo-replica-1' at 127.0.0.1:");
    assert_says(s.err, "does not speak our protocol");
    assert_says(s.out, "ended early");
}

static void an_answer_to_nobodys_request_is_not_believed(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.answer = PRIMARY_ANSWERS_STRANGER});
    stage_load(&s, "-b 100 -c 5");
    assert_status(&s, 1);
    assert_says(s.err, "it answered a request that was not sent");
}

/* While others are waited for, nothing was sent yet; and no request has that number. */
static void an_answer_before_the_load_begins_is_not_believed(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, &(struct primary_script){.n = 2, .greeting = PRIMARY_ANSWERS_AT_ONCE});
    stage_add(&s, &(struct primary_script){.index = 1, .n = 2, .greeting = PRIMARY_SAYS_NOTHING});
    stage_load(&s, "-b 100 -c 5 --connect-timeout 2s");
    assert_status(&s, 1);
    assert_says(s.err, "it answered a request that was not sent");
}

static void a_replica_that_refuses_everything_is_not_asked_for_ever(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with(
        (struct primary_script){.answer = PRIMARY_ANSWERS_REFUSED, .text = "values are too large"});
    stage_load(&s, "-b 100000 -c 5 -d 64");
    assert_status(&s, 1);
    assert_says(s.err, "refuses our requests: values are too large");
    assert_true(stage_number(&s, "requests.failed") >= 100);
    assert_true(stage_number(&s, "requests.failed") <= 2 * 100); /* each thread counts for itself */
}

static void a_primary_that_vanishes_ends_the_load_with_true_counts(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){.vanish_after = 200});
    stage_load(&s, "-b 100000 -c 5 -d 100 --connect-timeout 300ms");
    assert_status(&s, 1);
    int64_t acknowledged = stage_number(&s, "requests.acknowledged");
    assert_true(acknowledged <= 200 && acknowledged >= 195);
    assert_int_equal(stage_number(&s, "requests.sent"), acknowledged +
                                                            stage_number(&s, "requests.failed") +
                                                            stage_number(&s, "requests.timed_out"));
    assert_int_equal(stage_acknowledged(&s), acknowledged);
    assert_says(s.err, "there is no primary to load: replica 0 ('demo-replica-1' at 127.0.0.1:");
    assert_says(s.err, "Connection refused");
}

/* ---- greetings ---- */

static void expect_no_greeting(struct primary_script script, const char *says) {
    cleanup(stage_down) struct stage s = stage_with(script);
    stage_load(&s, "-b 10 --connect-timeout 200ms");
    assert_status(&s, 1);
    assert_says(s.err, "replica 0 ('demo-replica-1' at 127.0.0.1:");
    assert_says(s.err, says);
    assert_int_equal(stage_number(&s, "requests.sent"), 0);
    assert_int_equal(s.counts.requests, 0);
}

static void a_wrong_greeting_is_a_clear_error(void **state) {
    (void)state;
    expect_no_greeting((struct primary_script){.greeting = PRIMARY_SAYS_GARBAGE},
                       "does not speak our protocol");
    expect_no_greeting((struct primary_script){.greeting = PRIMARY_SAYS_NOTHING},
                       "it does not answer HELLO in time");
    expect_no_greeting((struct primary_script){.greeting = PRIMARY_CLOSES},
                       "it closed the connection");
    expect_no_greeting((struct primary_script){.primary = 5}, "primary 5, n 1");
}

static void a_refusal_is_shown_without_its_escapes(void **state) {
    (void)state;
    expect_no_greeting(
        (struct primary_script){.greeting = PRIMARY_REFUSES, .text = "wrong run \x1b[31m"},
        "it refused us: wrong run \\x1b[31m");
}

static void an_unreachable_replica_is_named(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, NULL);
    stage_load(&s, "-b 10 --connect-timeout 100ms");
    assert_status(&s, 1);
    cleanup_free char *where = text_format("127.0.0.1:%u", s.ports[0]);
    assert_says(s.err, where);
    assert_says(s.err, "Connection refused");
    assert_int_equal(stage_number(&s, "requests.sent"), 0);
}

static void a_replica_at_the_wrong_address_is_not_believed(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, &(struct primary_script){.n = 2, .greeting = PRIMARY_SAYS_OTHER_INDEX});
    stage_add(&s, NULL);
    stage_load(&s, "-b 10 --connect-timeout 200ms");
    assert_status(&s, 1);
    assert_says(s.err, "replica 0 ('demo-replica-1' at 127.0.0.1:");
    assert_says(s.err, "replica 1 answers there, not replica 0");
    assert_says(s.err, "Connection refused"); /* the other one's reason */
}

static void a_cluster_of_another_size_is_refused(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, &(struct primary_script){.n = 4});
    stage_load(&s, "-b 10");
    assert_status(&s, 1);
    assert_says(s.err, "it is one of 4 replicas, but the cluster file names 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_requests_are_acknowledged_and_recorded),
        cmocka_unit_test(the_log_of_histograms_holds_every_latency),
        cmocka_unit_test(every_option_reaches_the_replica),
        cmocka_unit_test(latencies_are_those_of_the_replica),
        cmocka_unit_test(a_stalled_replica_shows_in_the_maximum),
        cmocka_unit_test(the_primary_is_whoever_says_it_of_itself),
        cmocka_unit_test(threads_share_the_clients_and_lose_nothing),
        cmocka_unit_test(a_backup_that_is_away_is_only_a_warning),
        cmocka_unit_test(a_second_load_has_other_clients),
        cmocka_unit_test(lost_requests_time_out_and_the_load_goes_on),
        cmocka_unit_test(a_silent_replica_times_out_every_request),
        cmocka_unit_test(a_replica_that_reads_nothing_gets_only_what_fits),
        cmocka_unit_test(overload_is_an_outcome_of_its_own),
        cmocka_unit_test(a_connection_closed_after_each_reply_loses_what_was_sent_on_it),
        cmocka_unit_test(a_reply_that_comes_twice_counts_once),
        cmocka_unit_test(garbage_ends_the_load_with_a_clear_error),
        cmocka_unit_test(an_answer_to_nobodys_request_is_not_believed),
        cmocka_unit_test(an_answer_before_the_load_begins_is_not_believed),
        cmocka_unit_test(a_replica_that_refuses_everything_is_not_asked_for_ever),
        cmocka_unit_test(a_primary_that_vanishes_ends_the_load_with_true_counts),
        cmocka_unit_test(a_wrong_greeting_is_a_clear_error),
        cmocka_unit_test(a_refusal_is_shown_without_its_escapes),
        cmocka_unit_test(an_unreachable_replica_is_named),
        cmocka_unit_test(a_replica_at_the_wrong_address_is_not_believed),
        cmocka_unit_test(a_cluster_of_another_size_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
