/* The loads of several loaders as one: as if one had done all of it. */

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/text.h"
#include "runner/report/load.h"
#include "runner/report/summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { LOADERS = 3, REQUESTS = 3000 };

static struct json *parse(const char *text) {
    struct error err = ERROR_NULL;
    struct json *v = NULL;
    if (json_parse(text, strlen(text), 0, &v, &err) < 0)
        fail_msg("%s", err.text);
    return v;
}

static int64_t int_of(const struct json *v, const char *path) {
    struct error err = ERROR_NULL;
    int64_t n;
    if (json_require_int(v, path, INT64_MIN, INT64_MAX, &n, &err) < 0)
        fail_msg("%s", err.text);
    return n;
}

static double number_of(const struct json *v, const char *path) {
    struct error err = ERROR_NULL;
    double n;
    if (json_require_number(v, path, &n, &err) < 0)
        fail_msg("%s", err.text);
    return n;
}

/* Some latency for each request, with a tail. */
static uint64_t latency_of(uint64_t request) {
    uint64_t x = request * UINT64_C(0x9e3779b97f4a7c15);
    return 100000 + (x >> 44) + (request % 500 == 0 ? 50000000 : 0);
}

struct three {
    struct histogram whole, sum;
    struct report_loader loaders[LOADERS];
    struct json *json[LOADERS];
    struct report_loads loads;
};

/* Positions modulo the number of loaders, as loaders share an open loop; on hosts whose clocks go
 * wrong by a second each. */
static void three_init(struct three *t) {
    static const char *const names[LOADERS] = {"l1", "l2", "l3"};
    histogram_init(&t->whole, HISTOGRAM_HOUR_NS);
    histogram_init(&t->sum, HISTOGRAM_HOUR_NS);
    for (uint64_t i = 0; i < REQUESTS; i++)
        histogram_record(&t->whole, latency_of(i));
    for (size_t l = 0; l < LOADERS; l++) {
        struct histogram own;
        histogram_init(&own, HISTOGRAM_HOUR_NS);
        for (uint64_t i = l; i < REQUESTS; i += LOADERS)
            histogram_record(&own, latency_of(i));
        histogram_add(&t->sum, &own);
        histogram_deinit(&own);
        cleanup_free char *text =
            text_format("{\"model\": \"open\", \"arrival\": \"poisson\", \"protocol\": \"replica\","
                        " \"asked_per_s\": 100, \"sent_per_s\": 99.5, \"generated\": true,"
                        " \"started_ns\": %lld, \"cpu_seconds\": 0.5, \"seconds\": %d,"
                        " \"window\": {\"from_s\": 1, \"to_s\": %d, \"acknowledged\": 900},"
                        " \"share\": {\"begun_late_ns\": %d},"
                        " \"throughput_per_s\": 100,"
                        " \"requests\": {\"intended\": 1000, \"sent\": 1000, \"acknowledged\": 999,"
                        " \"timed_out\": 1, \"unsent\": 0, \"failed\": 0, \"overloaded\": 0,"
                        " \"ordered_reads\": 2}}",
                        1700000000000000000LL + (long long)l * 1000000000LL, 10 + (int)l,
                        10 + (int)l, 1000 * (int)l);
        t->json[l] = parse(text);
        t->loaders[l] = (struct report_loader){.name = names[l],
                                               .host = "h",
                                               .load = t->json[l],
                                               .ended = true,
                                               .has_latency = true,
                                               .has_from_send = true,
                                               .clock_offset_ns = (int64_t)l * 1000000000,
                                               .clock_uncertain_ns = 300 - 100 * l};
    }
    t->loads = (struct report_loads){.loaders = t->loaders,
                                     .count = LOADERS,
                                     .agreed_ns = 1700000000000000000LL,
                                     .latency = &t->sum,
                                     .from_send = &t->sum};
}

static void three_deinit(struct three *t) {
    histogram_deinit(&t->whole);
    histogram_deinit(&t->sum);
    for (size_t l = 0; l < LOADERS; l++)
        json_free(t->json[l]);
}

static void percentiles_of_the_merged_are_those_of_one_loader_that_did_all(void **state) {
    (void)state;
    cleanup(three_deinit) struct three t;
    three_init(&t);
    cleanup(json_freep) struct json *load = report_merge_loads(&t.loads);
    assert_int_equal(t.sum.count, t.whole.count);
    assert_memory_equal(t.sum.counts, t.whole.counts, t.whole.counts_size * sizeof(uint64_t));
    assert_int_equal(int_of(load, "latency_ns.min"), histogram_min(&t.whole));
    assert_int_equal(int_of(load, "latency_ns.p50"), histogram_percentile(&t.whole, 50));
    assert_int_equal(int_of(load, "latency_ns.p9999"), histogram_percentile(&t.whole, 99.99));
    assert_int_equal(int_of(load, "latency_ns.max"), histogram_max(&t.whole));
    assert_true(number_of(load, "latency_ns.mean") == histogram_mean(&t.whole));
}

static void counts_and_rates_add_up_over_the_whole_time(void **state) {
    (void)state;
    cleanup(three_deinit) struct three t;
    three_init(&t);
    cleanup(json_freep) struct json *load = report_merge_loads(&t.loads);
    assert_int_equal(int_of(load, "requests.intended"), 3000);
    assert_int_equal(int_of(load, "requests.acknowledged"), 2997);
    assert_int_equal(int_of(load, "requests.timed_out"), 3);
    assert_int_equal(int_of(load, "requests.ordered_reads"), 6);
    assert_true(number_of(load, "asked_per_s") == 300);
    assert_true(number_of(load, "sent_per_s") == 298.5);
    assert_true(number_of(load, "seconds") == 12);
    assert_true(number_of(load, "window.from_s") == 1);
    assert_true(number_of(load, "window.to_s") == 12);
    assert_true(number_of(load, "throughput_per_s") == 2700.0 / 11);
    assert_string_equal(json_text_or_null(json_member(load, "model")), "open");
    struct error err = ERROR_NULL;
    assert_int_equal(report_check_load(load, &err), 0);
}

static void starts_are_compared_by_one_clock(void **state) {
    (void)state;
    cleanup(three_deinit) struct three t;
    three_init(&t);
    cleanup(json_freep) struct json *load = report_merge_loads(&t.loads);
    assert_int_equal(int_of(load, "started_ns"), 1700000000000000000LL);
    assert_int_equal(int_of(load, "start.agreed_ns"), 1700000000000000000LL);
    assert_int_equal(int_of(load, "start.spread_ns"), 2000); /* how late the last one woke up */
    assert_int_equal(int_of(load, "start.clock_uncertain_ns"), 300);
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 4096);
    report_loaders_text(load, &text);
    assert_string_equal(
        buffer_string(&text),
        "  loaders   3, begun within 0.002 ms (their clocks are known to 0.000 ms)\n"
        "            l1: 999 of 1000 requests acknowledged\n"
        "            l2: 999 of 1000 requests acknowledged\n"
        "            l3: 999 of 1000 requests acknowledged\n");
}

static void without_all_histograms_there_are_no_percentiles(void **state) {
    (void)state;
    cleanup(three_deinit) struct three t;
    three_init(&t);
    t.loaders[1].has_latency = false;
    cleanup(json_freep) struct json *load = report_merge_loads(&t.loads);
    assert_true(json_is_nothing(json_find(load, "latency_ns.p50")));
    assert_true(json_is_int(json_find(load, "latency_from_send_ns.p50")));
}

static void set_shapes(struct three *t, size_t loader, const char *shapes) {
    json_set(t->json[loader], "shapes", parse(shapes));
}

static void shapes_that_all_loaders_have_are_added_up(void **state) {
    (void)state;
    static const char text[] =
        "[{\"name\": \"put\", \"weight\": 9, \"reads\": false, \"window_acknowledged\": 11,"
        " \"requests\": {\"sent\": 20, \"acknowledged\": 19, \"failed\": 1}},"
        " {\"name\": \"get\", \"weight\": 1, \"reads\": true, \"window_acknowledged\": 22,"
        " \"requests\": {\"sent\": 5, \"acknowledged\": 5}}]";
    cleanup(three_deinit) struct three t;
    three_init(&t);
    const struct report_shape shapes[] = {{.name = "get", .latency = &t.sum, .from_send = &t.sum},
                                          {.name = "get.from-send", .latency = &t.sum}};
    t.loads.shapes = shapes;
    t.loads.shapes_count = 2;
    for (size_t l = 0; l < LOADERS; l++)
        set_shapes(&t, l, text);
    cleanup(json_freep) struct json *load = report_merge_loads(&t.loads);
    assert_int_equal(json_count(json_member(load, "shapes")), 2);
    const struct json *put = json_at(json_member(load, "shapes"), 0);
    const struct json *get = json_at(json_member(load, "shapes"), 1);
    assert_string_equal(json_text_or_null(json_member(put, "name")), "put");
    assert_int_equal(int_of(put, "weight"), 9);
    assert_int_equal(int_of(put, "requests.sent"), 60);
    assert_int_equal(int_of(put, "requests.failed"), 3);
    assert_true(number_of(put, "throughput_per_s") == 33.0 / 11);
    assert_true(json_is_nothing(json_find(put, "latency_ns.p50"))); /* nobody has left any */
    assert_int_equal(int_of(get, "requests.acknowledged"), 15);
    assert_int_equal(int_of(get, "latency_ns.p99"), histogram_percentile(&t.sum, 99));
}

/* Taken off a clock's offset, it would be after the end of all time. */
static void a_start_that_cannot_be_is_none(void **state) {
    (void)state;
    cleanup(three_deinit) struct three t;
    three_init(&t);
    json_set_int(t.json[0], "started_ns", INT64_MAX);
    t.loaders[0].clock_offset_ns = -1000;
    cleanup(json_freep) struct json *load = report_merge_loads(&t.loads);
    assert_int_equal(int_of(load, "started_ns"), 1700000000000000000LL);
    assert_true(number_of(load, "seconds") == 12);
    assert_true(json_is_nothing(json_find(load, "start.spread_ns")));
}

/* What is not the same everywhere has no sum; hostile shapes do no harm. */
static void shapes_that_differ_are_left_to_each_loader(void **state) {
    (void)state;
    static const char *const others[] = {"[{\"name\": \"a\"}, {\"name\": \"b\"}]",
                                         "[{\"name\": \"b\"}]",
                                         "[{\"name\": 7}]",
                                         "[7]",
                                         "[]",
                                         "{\"name\": \"a\"}",
                                         "null"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        for (size_t odd = 0; odd < LOADERS; odd++) {
            cleanup(three_deinit) struct three t;
            three_init(&t);
            for (size_t l = 0; l < LOADERS; l++)
                set_shapes(&t, l, l == odd ? others[i] : "[{\"name\": \"a\"}]");
            cleanup(json_freep) struct json *load = report_merge_loads(&t.loads);
            assert_null(json_member(load, "shapes"));
        }
}

static struct report_input input_of(const struct json *load, const struct json *gaps) {
    static const struct agreement agreement = {.ok = true};
    return (struct report_input){.run = "r",
                                 .name = "n",
                                 .load = load,
                                 .load_gaps = gaps,
                                 .load_expected = true,
                                 .agreement = &agreement};
}

static void a_loader_that_failed_or_is_missing_is_named(void **state) {
    (void)state;
    cleanup(three_deinit) struct three t;
    three_init(&t);
    cleanup(json_freep) struct json *none = report_load_gaps(&t.loads);
    assert_int_equal(json_count(none), 0);
    t.loaders[0].exit_code = 1;
    t.loaders[2].load = NULL;
    cleanup(json_freep) struct json *gaps = report_load_gaps(&t.loads);
    cleanup(json_freep) struct json *load = report_merge_loads(&t.loads);
    assert_int_equal(json_count(gaps), 2);
    assert_string_equal(json_text_or_null(json_at(gaps, 0)),
                        "loader l1 on h ended with exit status 1");
    assert_string_equal(json_text_or_null(json_at(gaps, 1)),
                        "loader l3 on h reported no load: what it has sent is missing in the sums");
    assert_int_equal(int_of(load, "requests.acknowledged"), 2 * 999);
    struct report_input input = input_of(load, gaps);
    assert_int_equal(report_verdict(&input), VERDICT_LOAD_NOT_REACHED);
    cleanup(json_freep) struct json *summary = report_summary(&input);
    const struct json *reasons = json_member(summary, "reasons");
    assert_int_equal(json_count(reasons), 3);
    assert_string_equal(json_text_or_null(json_at(reasons, 2)),
                        json_text_or_null(json_at(gaps, 1)));
}

static void loaders_of_another_make_may_report_nothing_at_all(void **state) {
    (void)state;
    const struct report_loader loaders[2] = {{.name = "a", .host = "h", .ended = true},
                                             {.name = "b", .host = "h", .ended = true}};
    const struct report_loads loads = {.loaders = loaders, .count = 2};
    cleanup(json_freep) struct json *gaps = report_load_gaps(&loads);
    assert_null(report_merge_loads(&loads));
    struct report_input input = input_of(NULL, gaps);
    assert_int_equal(report_verdict(&input), VERDICT_GOOD);
}

static void what_one_loader_reported_stays_as_it_is(void **state) {
    (void)state;
    cleanup(three_deinit) struct three t;
    three_init(&t);
    t.loads.count = 1;
    cleanup(json_freep) struct json *load = report_merge_loads(&t.loads);
    assert_true(json_same(load, t.json[0]));
}

/* Any image may have written it. */
static void hostile_reports_neither_overflow_nor_pass_for_numbers(void **state) {
    (void)state;
    cleanup(json_freep) struct json *a =
        parse("{\"requests\": {\"intended\": 9223372036854775807, \"sent\": 0, \"acknowledged\": 1,"
              " \"failed\": -5}, \"started_ns\": 9223372036854775807, \"seconds\": 1e308, "
              "\"asked_per_s\": 1e308,"
              " \"share\": {\"begun_late_ns\": 9223372036854775807}, \"model\": 7,"
              " \"window\": {\"from_s\": \"x\", \"to_s\": -1e300, \"acknowledged\": -1}}");
    struct report_loader loaders[2] = {{.name = "a", .host = "h", .load = a},
                                       {.name = "b", .host = "h", .load = a}};
    const struct report_loads loads = {.loaders = loaders, .count = 2};
    cleanup(json_freep) struct json *load = report_merge_loads(&loads);
    assert_int_equal(int_of(load, "requests.intended"), INT64_MAX);
    assert_int_equal(int_of(load, "requests.failed"), 0);
    assert_true(number_of(load, "throughput_per_s") == 0);
    assert_true(json_is_nothing(json_find(load, "start.spread_ns")));
    assert_true(json_is_nothing(json_member(load, "asked_per_s")));
    assert_null(json_member(load, "model"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_of_the_merged_are_those_of_one_loader_that_did_all),
        cmocka_unit_test(counts_and_rates_add_up_over_the_whole_time),
        cmocka_unit_test(starts_are_compared_by_one_clock),
        cmocka_unit_test(shapes_that_all_loaders_have_are_added_up),
        cmocka_unit_test(a_start_that_cannot_be_is_none),
        cmocka_unit_test(shapes_that_differ_are_left_to_each_loader),
        cmocka_unit_test(without_all_histograms_there_are_no_percentiles),
        cmocka_unit_test(a_loader_that_failed_or_is_missing_is_named),
        cmocka_unit_test(loaders_of_another_make_may_report_nothing_at_all),
        cmocka_unit_test(what_one_loader_reported_stays_as_it_is),
        cmocka_unit_test(hostile_reports_neither_overflow_nor_pass_for_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
