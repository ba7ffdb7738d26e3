/* Agreement and verdict: what is called good, and what is not. */

#include "lib/cleanup.h"
#include "lib/json.h"
#include "runner/report/agreement.h"
#include "runner/report/summary.h"
#include "runner/report/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { REQUESTS = 100, REPLICAS = 4 };

static struct request_set *requests(uint64_t without, uint64_t twice) {
    struct error err = ERROR_NULL;
    struct request_set *set = request_set_new();
    for (uint64_t n = 1; n <= REQUESTS; n++) {
        if (n != without)
            assert_int_equal(request_set_add(set, 7, n, &err), 0);
        if (n == twice)
            assert_int_equal(request_set_add(set, 7, n, &err), 0);
    }
    return set;
}

/* Four equal replicas; the last one's chain may lack a request or have one twice. */
static void agree(uint64_t without, uint64_t twice, struct agreement *ret) {
    struct agreement_replica replicas[REPLICAS];
    static const char *const names[] = {"r1", "r2", "r3", "r4"};
    cleanup(request_set_freep) struct request_set *acknowledged = requests(0, 0);
    for (size_t i = 0; i < REPLICAS; i++) {
        bool odd = i == REPLICAS - 1;
        replicas[i] =
            (struct agreement_replica){.name = names[i],
                                       .has_state = true,
                                       .height = REQUESTS,
                                       .digest = "abcd",
                                       .executed = requests(odd ? without : 0, odd ? twice : 0)};
    }
    agreement_check(replicas, REPLICAS, &acknowledged, 1, ret);
    for (size_t i = 0; i < REPLICAS; i++)
        request_set_free(replicas[i].executed);
}

static void equal_chains_with_every_request_once_agree(void **state) {
    (void)state;
    struct agreement a;
    agree(0, 0, &a);
    assert_true(a.ok);
    assert_int_equal(a.replicas, REPLICAS);
    assert_int_equal(a.acknowledged_in_chain, REQUESTS);
    assert_int_equal(a.duplicates, 0);
}

static void a_lost_request_is_a_disagreement_that_names_it(void **state) {
    (void)state;
    struct agreement a;
    agree(42, 0, &a);
    assert_false(a.ok);
    assert_int_equal(a.acknowledged_in_chain, REQUESTS - 1);
    assert_string_equal(a.reasons[0], "1 acknowledged requests are not in the chain of r4, first: "
                                      "client 7 number 42");
}

static void a_doubled_request_is_a_disagreement_that_names_it(void **state) {
    (void)state;
    struct agreement a;
    agree(0, 99, &a);
    assert_false(a.ok);
    assert_int_equal(a.duplicates, 1);
    assert_string_equal(a.reasons[0], "1 requests are more than once in the chain of r4, first: "
                                      "client 7 number 99");
}

static void different_heights_or_digests_disagree(void **state) {
    (void)state;
    struct agreement_replica r[2] = {{.name = "a", .has_state = true, .height = 5, .digest = "x"},
                                     {.name = "b", .has_state = true, .height = 6, .digest = "x"}};
    struct agreement a;
    agreement_check(r, 2, NULL, 0, &a);
    assert_false(a.ok);
    assert_string_equal(a.reasons[0], "a is at height 5, b at 6");
    r[1].height = 5;
    strcpy(r[1].digest, "y");
    agreement_check(r, 2, NULL, 0, &a);
    assert_false(a.ok);
    strcpy(r[1].digest, "x");
    agreement_check(r, 2, NULL, 0, &a);
    assert_true(a.ok);
    assert_false(a.requests_checked);
}

static void several_loads_are_checked_against_one_chain(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct request_set *loads[2] = {request_set_new(), request_set_new()};
    cleanup(request_set_freep) struct request_set *chain = request_set_new();
    for (uint64_t n = 1; n <= 10; n++) {
        assert_int_equal(request_set_add(loads[0], 1, n, &err), 0);
        assert_int_equal(request_set_add(loads[1], 2, n, &err), 0);
        assert_int_equal(request_set_add(chain, 1, n, &err), 0);
        if (n != 5)
            assert_int_equal(request_set_add(chain, 2, n, &err), 0);
    }
    struct agreement_replica r = {
        .name = "r1", .has_state = true, .height = 19, .digest = "x", .executed = chain};
    struct agreement a;
    agreement_check(&r, 1, loads, 2, &a);
    assert_false(a.ok);
    assert_int_equal(a.acknowledged_in_chain, 19);
    assert_string_equal(a.reasons[0], "1 acknowledged requests are not in the chain of r1, first: "
                                      "client 2 number 5");
    request_set_free(loads[0]);
    request_set_free(loads[1]);
}

static void what_nobody_said_is_not_checked_and_not_a_failure(void **state) {
    (void)state;
    struct agreement_replica r[2] = {{.name = "a"}, {.name = "b"}};
    struct agreement a;
    agreement_check(r, 2, NULL, 0, &a);
    assert_false(a.checked);
    assert_int_equal(a.reason_count, 0);
    cleanup(json_freep) struct json *json = agreement_json(&a);
    assert_true(json_is_nothing(json));
    struct report_input input = {.run = "r", .name = "n", .agreement = &a};
    assert_int_equal(report_verdict(&input), VERDICT_GOOD);
}

static void hostile_state_files_are_refused(void **state) {
    (void)state;
    const char *bad[] = {"",
                         "[]",
                         "{}",
                         "{\"height\": -1, \"digest\": \"x\"}",
                         "{\"height\": \"1\", \"digest\": \"x\"}",
                         "{\"height\": 1}",
                         "{\"height\": 1, \"digest\": 2}",
                         "{\"height\": 1e99, \"digest\": \"x\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = ERROR_NULL;
        struct agreement_replica r = {.name = "r"};
        assert_int_equal(agreement_read_state(bad[i], strlen(bad[i]), &r, &err), -1);
        assert_false(r.has_state);
    }
    char longer[1000];
    memset(longer, 'd', sizeof longer);
    memcpy(longer, "{\"height\":1,\"digest\":\"", 22);
    strcpy(longer + sizeof longer - 3, "\"}");
    struct error err = ERROR_NULL;
    struct agreement_replica r = {.name = "r"};
    assert_int_equal(agreement_read_state(longer, strlen(longer), &r, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
}

static struct json *load(int acknowledged, int overloaded) {
    struct json *l = json_new_object();
    struct json *counts = json_set_object(l, "requests");
    json_set_int(counts, "intended", 10);
    json_set_int(counts, "sent", 10);
    json_set_int(counts, "acknowledged", acknowledged);
    json_set_int(counts, "overloaded", overloaded);
    return l;
}

static void the_verdict_is_the_worst_that_applies(void **state) {
    (void)state;
    struct agreement good = {.checked = true, .ok = true};
    struct report_container c[] = {
        {.name = "r1",
         .role = "replica",
         .host = "h",
         .created = true,
         .ended = true,
         .stopped_by_us = true,
         .exit_code = 143},
        {.name = "l1", .role = "loader", .host = "h", .created = true, .ended = true}};
    struct report_input in = {.run = "r",
                              .name = "n",
                              .containers = c,
                              .container_count = 2,
                              .load_expected = true,
                              .agreement = &good};
    cleanup(json_freep) struct json *reached = load(10, 0);
    cleanup(json_freep) struct json *missed = load(9, 0);
    cleanup(json_freep) struct json *overloaded = load(9, 1);
    in.load = reached;
    assert_int_equal(report_verdict(&in), VERDICT_GOOD);
    in.load = missed;
    assert_int_equal(report_verdict(&in), VERDICT_LOAD_NOT_REACHED);
    in.load = overloaded;
    assert_int_equal(report_verdict(&in), VERDICT_OVERLOADED);
    const char *failures[] = {"a step failed"};
    in.failures = failures;
    in.failure_count = 1;
    assert_int_equal(report_verdict(&in), VERDICT_FAILED);
    in.interrupted = true;
    assert_int_equal(report_verdict(&in), VERDICT_INTERRUPTED);
    struct agreement bad = {.checked = true, .reason_count = 1, .reasons = {"they differ"}};
    in.agreement = &bad;
    assert_int_equal(report_verdict(&in), VERDICT_DISAGREEMENT);
    c[0].stopped_by_us = false; /* a replica that ended by itself has crashed */
    assert_int_equal(report_verdict(&in), VERDICT_CRASHED);
}

static void crashes_are_told_from_our_own_stop(void **state) {
    (void)state;
    struct agreement none = {.ok = true};
    struct report_container c = {.name = "r1",
                                 .role = "replica",
                                 .host = "h",
                                 .created = true,
                                 .ended = true,
                                 .stopped_by_us = true};
    struct report_input in = {
        .run = "r", .name = "n", .containers = &c, .container_count = 1, .agreement = &none};
    const struct {
        int exit_code;
        bool stopped, oom;
        enum verdict verdict;
    } cases[] = {{0, true, false, VERDICT_GOOD},      {143, true, false, VERDICT_GOOD},
                 {137, true, false, VERDICT_GOOD},    {139, true, false, VERDICT_CRASHED},
                 {134, true, false, VERDICT_CRASHED}, {137, true, true, VERDICT_CRASHED},
                 {0, false, false, VERDICT_CRASHED},  {1, false, false, VERDICT_CRASHED},
                 {137, false, false, VERDICT_CRASHED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        c.exit_code = cases[i].exit_code;
        c.stopped_by_us = cases[i].stopped;
        c.oom_killed = cases[i].oom;
        assert_int_equal(report_verdict(&in), cases[i].verdict);
    }
    /* Of an earlier trial's rest nobody knows who ended it: its exit status says enough. */
    static const int good[] = {0, 130, 137, 143}, bad[] = {1, 134, 139};
    c.found_ended = true;
    c.oom_killed = c.stopped_by_us = false;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        c.exit_code = good[i];
        assert_int_equal(report_verdict(&in), VERDICT_GOOD);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        c.exit_code = bad[i];
        assert_int_equal(report_verdict(&in), VERDICT_CRASHED);
    }
    c.exit_code = 139;
    assert_int_equal(report_exit_signal(&c), 11);
}

static void loaders_and_prepare_services_may_end_by_themselves(void **state) {
    (void)state;
    struct agreement none = {.ok = true};
    struct report_container c = {.name = "keys", .host = "h", .created = true, .ended = true};
    struct report_input in = {
        .run = "r", .name = "n", .containers = &c, .container_count = 1, .agreement = &none};
    const char *const roles[] = {"loader", "prepare"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        c.role = roles[i];
        c.exit_code = 0;
        assert_int_equal(report_verdict(&in), VERDICT_GOOD);
        c.exit_code = 139;
        assert_int_equal(report_verdict(&in), VERDICT_CRASHED);
    }
}

static void the_crash_that_is_known_best_is_told_first(void **state) {
    (void)state;
    struct agreement a;
    agree(0, 42, &a);
    const struct report_core cores[] = {{.path = "h/c/cores/core.1"}, {.path = "2", .signal = 6}};
    const struct report_core child[] = {{.path = "p", .program = "/bin/x", .signal = 4}};
    struct report_container c[] = {
        {.name = "a", .host = "h", .role = "replica", .ended = true, .exit_code = 1},
        {.name = "b",
         .host = "h",
         .role = "loader",
         .ended = true,
         .oom_killed = true,
         .memory_bytes_seen = 3 << 19},
        {.name = "c",
         .host = "h",
         .role = "replica",
         .ended = true,
         .exit_code = 134,
         .cores = cores,
         .core_count = 2},
        {.name = "d", .host = "h", .role = "replica", .cores = child, .core_count = 1},
        {.name = "e",
         .host = "h",
         .role = "replica",
         .ended = true,
         .exit_code = 143,
         .stopped_by_us = true,
         .restarts = 2},
    };
    struct report_input in = {
        .run = "r", .name = "n", .agreement = &a, .containers = c, .container_count = 5};
    assert_int_equal(report_verdict(&in), VERDICT_CRASHED);
    assert_int_equal(report_exit_signal(&c[2]), 6);
    assert_int_equal(report_exit_signal(&c[3]), 4);
    cleanup(buffer_deinit) struct buffer shown;
    buffer_init(&shown, 10000);
    report_text(&in, &shown);
    const char *wanted =
        "\nverdict     crashed\n"
        "  because   c on h was ended by signal 6 (Aborted); core dump in 'h/c/cores/core.1' (and "
        "1 more)\n"
        "  because   /bin/x, a process of d on h was ended by signal 4 (Illegal instruction); core "
        "dump in 'p'\n"
        "  because   b on h was killed: out of memory (it has no limit: the host's memory was used "
        "up; "
        "1.5 MiB were seen)\n"
        "  because   e on h ended by itself, and its restart policy started it again (2 times)\n"
        "  because   a on h ended by itself with exit status 1\n"
        "  because   1 requests are more than once";
    assert_memory_equal(buffer_string(&shown), wanted, strlen(wanted));
}

static void the_summary_keeps_its_promises_to_scripts(void **state) {
    (void)state;
    struct agreement a;
    agree(0, 0, &a);
    const struct report_core cores[] = {{.path = "local/r1/cores/core.1",
                                         .program = "/bin/x",
                                         .where = "main at x.c:7",
                                         .signal = 11}};
    struct report_container c = {.name = "r1",
                                 .service = "replica",
                                 .role = "replica",
                                 .host = "local",
                                 .image_id = "sha256:1",
                                 .created = true,
                                 .ended = true,
                                 .stopped_by_us = true,
                                 .exit_code = 139,
                                 .cores = cores,
                                 .core_count = 1,
                                 .memory_bytes = 1 << 20,
                                 .last_lines = "one\n\x1b[2Jtwo"};
    const char *left[] = {"container r1 on host local"};
    struct report_input in = {.run = "0123abcd",
                              .name = "demo",
                              .containers = &c,
                              .container_count = 1,
                              .agreement = &a,
                              .left_behind = left,
                              .left_behind_count = 1};
    cleanup(json_freep) struct json *summary = report_summary(&in);
    cleanup_free char *text = json_to_text(summary, JSON_LINE);
    assert_string_equal(
        text,
        "{\"agreement\":{\"acknowledged_in_chain\":100,\"digest\":\"abcd\",\"duplicates\":0,"
        "\"height\":100,\"ok\":true,\"replicas\":4},\"containers\":[{\"cores\":[{\"build_id\":null,"
        "\"path\":\"local/r1/cores/core.1\",\"program\":\"/bin/x\",\"signal\":11,"
        "\"where\":\"main at x.c:7\"}],\"exit_code\":139,"
        "\"host\":\"local\",\"image\":null,\"image_digest\":null,\"image_id\":\"sha256:1\","
        "\"memory_limit_bytes\":1048576,\"name\":\"r1\",\"oom_killed\":false,\"restarts\":0,"
        "\"role\":\"replica\","
        "\"service\":\"replica\",\"signal\":11}],\"cost\":null,\"left_behind\":[\"container r1 on "
        "host local\"],"
        "\"load\":null,\"name\":\"demo\",\"reasons\":[\"r1 on local was ended by signal 11 "
        "(Segmentation fault), in main at x.c:7; core dump in "
        "'local/r1/cores/core.1'\"],\"resources\":null,\"run\":\"0123abcd\",\"schema\":1,"
        "\"verdict\":\"crashed\"}");
    cleanup(buffer_deinit) struct buffer shown;
    buffer_init(&shown, 10000);
    report_text(&in, &shown);
    assert_non_null(strstr(buffer_string(&shown), "verdict     crashed\n"));
    assert_non_null(strstr(buffer_string(&shown), "    | one\n    | \\x1b[2Jtwo\n"));
    assert_non_null(strstr(buffer_string(&shown), "LEFT BEHIND container r1 on host local"));
}

static void what_machines_cost_is_told_and_what_is_not_known_too(void **state) {
    (void)state;
    struct report_cost cost = {.machines = 3,
                               .per_hour_micros = 2400000,
                               .before_micros = 1000000,
                               .run_ns = INT64_C(1800) * 1000000000,
                               .left_out = "disks"};
    cleanup(buffer_deinit) struct buffer shown;
    buffer_init(&shown, 10000);
    report_cost_text(&cost, &shown);
    assert_string_equal(buffer_string(&shown),
                        "cost        2.400 USD per hour: 1.20 USD for this run, 2.20 USD since the "
                        "machines were last started\n  without   disks\n");
    cost.unknown = 3;
    cost.unknown_type = "x9 in a-1";
    buffer_clear(&shown);
    report_cost_text(&cost, &shown);
    assert_string_equal(buffer_string(&shown),
                        "cost        3 of 3 machines have no known price: x9 in a-1\n");
    cleanup(json_freep) struct json *o = report_cost_json(&cost);
    cleanup_free char *text = json_to_text(o, JSON_LINE);
    assert_string_equal(text, "{\"at_most\":false,\"left_out\":\"disks\",\"machines\":3,"
                              "\"machines_of_unknown_price\":3,\"usd_of_run\":null,"
                              "\"usd_per_hour\":null,\"usd_so_far\":null}");
}

static void a_load_report_of_the_wrong_shape_is_refused(void **state) {
    (void)state;
    const char *bad[] = {"[]", "{}", "{\"requests\": {\"intended\": -1}}",
                         "{\"requests\": {\"intended\": 1, \"sent\": 1, \"acknowledged\": \"1\"}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = ERROR_NULL;
        cleanup(json_freep) struct json *value = NULL;
        assert_int_equal(json_parse(bad[i], strlen(bad[i]), 0, &value, &err), 0);
        assert_int_equal(report_check_load(value, &err), -1);
    }
}

static void overlapping_spans_get_rows_of_their_own(void **state) {
    (void)state;
    struct trace trace;
    trace_init(&trace);
    const int64_t spans[][2] = {{0, 10}, {5, 8}, {9, 12}, {10, 11}};
    const int64_t rows[] = {1, 2, 2, 1};
    for (size_t i = 0; i < 4; i++)
        trace_add(&trace, &(struct trace_span){.name = "n",
                                               .stage = "s",
                                               .host = "h",
                                               .subject = "x",
                                               .outcome = "good",
                                               .started_ns = spans[i][0],
                                               .ended_ns = spans[i][1]});
    cleanup(json_freep) struct json *document = trace_take(&trace);
    const struct json *events = json_member(document, "traceEvents");
    for (size_t i = 0; i < 4; i++) {
        struct error err = ERROR_NULL;
        int64_t row;
        assert_int_equal(json_require_int(json_at(events, i), "tid", 1, 9, &row, &err), 0);
        assert_int_equal(row, rows[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_chains_with_every_request_once_agree),
        cmocka_unit_test(a_lost_request_is_a_disagreement_that_names_it),
        cmocka_unit_test(a_doubled_request_is_a_disagreement_that_names_it),
        cmocka_unit_test(different_heights_or_digests_disagree),
        cmocka_unit_test(several_loads_are_checked_against_one_chain),
        cmocka_unit_test(what_nobody_said_is_not_checked_and_not_a_failure),
        cmocka_unit_test(hostile_state_files_are_refused),
        cmocka_unit_test(the_verdict_is_the_worst_that_applies),
        cmocka_unit_test(crashes_are_told_from_our_own_stop),
        cmocka_unit_test(loaders_and_prepare_services_may_end_by_themselves),
        cmocka_unit_test(the_crash_that_is_known_best_is_told_first),
        cmocka_unit_test(the_summary_keeps_its_promises_to_scripts),
        cmocka_unit_test(what_machines_cost_is_told_and_what_is_not_known_too),
        cmocka_unit_test(a_load_report_of_the_wrong_shape_is_refused),
        cmocka_unit_test(overlapping_spans_get_rows_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
