/*
 * The open loop as a process: it sends when requests are due, whatever the replica does, and hides
 * nothing of what came late or not at all.
 */

#include "tests/cli/loader_stage.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/text.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool generated(const struct stage *s) {
    bool value = false;
    struct error err = ERROR_NULL;
    assert_int_equal(json_get_bool(s->load, "generated", false, &value, &err), 0);
    return value;
}

/* All were acknowledged. A machine that is busy with other things may have made them late, which
 * the loader rightly says and which is not what these tests are about. */
static void assert_good_or_late(const struct stage *s) {
    if (s->status == 1 && !generated(s))
        assert_says(s->err, "the load was not generated as asked: ");
    else
        assert_status(s, 0);
}

static void requests_are_sent_at_the_rate_that_was_asked_for(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_load(&s, "--rate 1000 -b 500 -d 64");
    assert_good_or_late(&s);
    assert_counts(&s, 500, 0, 0, 0);
    assert_string_equal(json_text_or_null(json_find(s.load, "model")), "open");
    assert_string_equal(json_text_or_null(json_find(s.load, "arrival")), "constant");
    assert_int_equal(stage_number(&s, "requests.intended"), 500);
    assert_int_equal(stage_number(&s, "requests.unsent"), 0);
    assert_true(stage_number(&s, "lateness_ns.p50") > 0);
    assert_true(stage_number(&s, "latency_ns.p50") >= stage_number(&s, "latency_from_send_ns.p50"));
    assert_int_equal(s.counts.requests, 500);
    assert_int_equal(s.counts.out_of_order, 0);
    assert_int_equal(s.counts.connections, 2);
    assert_int_equal(stage_exported(&s, "out/requests.bin"), 500);
}

static void steps_ramps_and_random_arrivals_are_sent_whole(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_load(&s, "--rate 1000:100ms,0:50ms,500..1500:100ms --clients 100000 -d 64");
    assert_good_or_late(&s);
    assert_counts(&s, 200, 0, 0, 0);
    assert_says(s.out, "open loop, constant arrivals, 100000 clients");
    assert_says(s.out, "rate         800.0 requests/s asked for");
    cleanup(stage_down) struct stage poisson = stage_with((struct primary_script){0});
    stage_load(&poisson, "--rate 1000:200ms --arrival poisson --spin -d 64 --seed 4");
    assert_good_or_late(&poisson);
    assert_in_range(stage_number(&poisson, "requests.acknowledged"), 150, 250);
    assert_string_equal(json_text_or_null(json_find(poisson.load, "arrival")), "poisson");
}

/* The truth: of 600 requests, number 100 (due after 495 ms) and all that came in the second after
 * it were answered at its end; the latency of the 61st largest is 700 ms. */
static void a_stall_is_seen_by_everybody_who_would_have_come(void **state) {
    (void)state;
    const struct primary_script stall = {.stall_at = 100, .stall_ns = NS_PER_SEC};
    cleanup(stage_down) struct stage s = stage_with(stall);
    stage_load(&s, "--rate 200 --time 3s -d 64");
    assert_good_or_late(&s);
    assert_counts(&s, 600, 0, 0, 0);
    assert_true(stage_number(&s, "latency_ns.p90") >= 690 * (int64_t)NS_PER_MS);
    assert_true(stage_number(&s, "latency_ns.max") >= 990 * (int64_t)NS_PER_MS);
    assert_true(stage_number(&s, "latency_ns.p50") < stage_number(&s, "latency_ns.p90"));
}

static void the_closed_loop_hides_the_same_stall(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.stall_at = 100, .stall_ns = NS_PER_SEC});
    stage_load(&s, "-c 1 -b 600 -d 64");
    assert_status(&s, 0);
    assert_true(stage_number(&s, "latency_ns.max") >= 990 * (int64_t)NS_PER_MS);
    assert_true(stage_number(&s, "latency_ns.p99") < 990 * (int64_t)NS_PER_MS);
}

/* With an answer after 20 ms, 1,000 clients can send 50,000 requests/s and no more. */
static void a_rate_that_cannot_be_generated_is_said_so(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.delay_ns = 20 * NS_PER_MS});
    stage_load(&s, "--rate 5000000:5ms --clients 1000 -d 64 --request-timeout 60s");
    assert_status(&s, 1);
    assert_counts(&s, 25000, 0, 0, 0);
    assert_int_equal(stage_number(&s, "requests.intended"), 25000);
    assert_false(generated(&s));
    assert_says(s.err, "the load was not generated as asked: one request in 100 was sent ");
    assert_says(s.err, "asked for were 5000000.0 requests/s, sent were ");
    assert_says(s.out, "not reached  ");
}

/* The kernel takes a few MB; what is due after that is never sent, and counted. */
static void what_the_connection_does_not_take_is_unsent(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){.reads_nothing = true});
    stage_load(&s, "--rate 500 --time 500ms -d 1048576 --request-timeout 300ms --clients 40");
    assert_status(&s, 1);
    int64_t sent = stage_number(&s, "requests.sent");
    assert_true(sent > 0 && sent < 100);
    assert_int_equal(stage_number(&s, "requests.intended"), 250);
    assert_int_equal(stage_number(&s, "requests.timed_out"), sent);
    assert_int_equal(stage_number(&s, "requests.unsent"), 250 - sent);
    assert_says(s.err, "which is less than 99 %");
    assert_int_equal(stage_exported(&s, "out/requests.bin"), 250);
}

/* 5 ms for each, one at a time: only a fifth of the rate gets through, and the rest waits. Each
 * answer is quick from its own sending; who was to be served earlier waited much longer. */
static void a_limit_in_flight_makes_requests_late_and_shows_it(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.delay_ns = 5 * NS_PER_MS});
    stage_load(&s, "--rate 1000 --time 200ms --in-flight-max 1 -d 64");
    assert_status(&s, 1);
    assert_counts(&s, 200, 0, 0, 0);
    assert_true(stage_number(&s, "latency_ns.max") > 700 * (int64_t)NS_PER_MS);
    assert_true(stage_number(&s, "lateness_ns.max") > 700 * (int64_t)NS_PER_MS);
    assert_true(stage_number(&s, "latency_from_send_ns.p50") < stage_number(&s, "latency_ns.p50"));
    assert_says(s.err, "the load was not generated as asked");
}

static void overloaded_clients_pause_and_others_go_on(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){.overloaded_each = 5});
    stage_load(&s, "--rate 1000 -b 200 -d 64");
    assert_status(&s, 1);
    assert_counts(&s, 160, 0, 0, 40);
    assert_says(s.err, "not every request was acknowledged");
}

static double number(const struct stage *s, const char *path) {
    double value = -1;
    struct error err = ERROR_NULL;
    if (json_require_number(s->load, path, &value, &err) < 0)
        fail_msg("%s", err.text);
    return value;
}

/* The replica stalls at the very beginning, which is not what is to be measured. */
static void warming_up_and_cooling_down_are_not_measured(void **state) {
    (void)state;
    const struct primary_script stall = {.stall_at = 1, .stall_ns = NS_PER_SEC};
    cleanup(stage_down) struct stage s = stage_with(stall);
    stage_load(&s, "--rate 200 --time 2s -d 64 --warm-up 1200ms --cool-down 300ms");
    assert_good_or_late(&s);
    assert_counts(&s, 400, 0, 0, 0);
    assert_true(stage_number(&s, "latency_ns.max") < 990 * (int64_t)NS_PER_MS);
    assert_true(number(&s, "window.from_s") == 1.2);
    assert_true(number(&s, "window.to_s") == 1.7);
    assert_true(number(&s, "throughput_per_s") > 0);
    assert_says(s.out, "cover 1.200 s to 1.700 s");
}

static void a_load_without_end_ends_well_when_it_is_told(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_start(&s, STAGE_HERE "--rate 2000 -b 0 -d 64");
    primary_wait(s.primaries[0], 300);
    kill(s.pid, SIGTERM);
    stage_wait(&s);
    stage_stop_replicas(&s);
    assert_good_or_late(&s);
    assert_int_equal(stage_number(&s, "requests.acknowledged"), s.counts.replies);
    assert_true(stage_number(&s, "requests.intended") >= 300);
}

static void a_load_with_an_end_is_interrupted_by_a_signal(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_start(&s, STAGE_HERE "--rate 2000 --time 1h -d 64");
    primary_wait(s.primaries[0], 300);
    kill(s.pid, SIGINT);
    stage_wait(&s);
    stage_stop_replicas(&s);
    assert_status(&s, 130);
    assert_says(s.out, "ended early  interrupted");
}

/* Far more is due than five clients can send. */
static void what_was_due_and_never_sent_has_an_outcome_in_a_load_that_is_interrupted(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.answer = PRIMARY_ANSWERS_NEVER});
    stage_start(&s, STAGE_HERE "--rate 100000 -b 0 --clients 5 --threads 1 -d 64");
    primary_wait(s.primaries[0], 5);
    kill(s.pid, SIGINT);
    stage_wait(&s);
    stage_stop_replicas(&s);
    assert_status(&s, 1);
    int64_t intended = stage_number(&s, "requests.intended");
    assert_counts(&s, 0, 0, 5, 0);
    assert_int_equal(stage_number(&s, "requests.unsent"), intended - 5);
    assert_int_equal(stage_exported(&s, "out/requests.bin"), intended);
}

static void a_closed_loop_can_end_by_time(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_load(&s, "--time 200ms -c 3 -d 64");
    assert_status(&s, 0);
    int64_t acknowledged = stage_number(&s, "requests.acknowledged");
    assert_true(acknowledged > 0);
    assert_int_equal(stage_number(&s, "requests.intended"), acknowledged);
    assert_int_equal(s.counts.requests, acknowledged);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_sent_at_the_rate_that_was_asked_for),
        cmocka_unit_test(steps_ramps_and_random_arrivals_are_sent_whole),
        cmocka_unit_test(a_stall_is_seen_by_everybody_who_would_have_come),
        cmocka_unit_test(the_closed_loop_hides_the_same_stall),
        cmocka_unit_test(a_rate_that_cannot_be_generated_is_said_so),
        cmocka_unit_test(what_the_connection_does_not_take_is_unsent),
        cmocka_unit_test(a_limit_in_flight_makes_requests_late_and_shows_it),
        cmocka_unit_test(overloaded_clients_pause_and_others_go_on),
        cmocka_unit_test(warming_up_and_cooling_down_are_not_measured),
        cmocka_unit_test(a_load_without_end_ends_well_when_it_is_told),
        cmocka_unit_test(a_load_with_an_end_is_interrupted_by_a_signal),
        cmocka_unit_test(what_was_due_and_never_sent_has_an_outcome_in_a_load_that_is_interrupted),
        cmocka_unit_test(a_closed_loop_can_end_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
