/* What people and scripts read: byte for byte. */

#include "loader/progress.h"
#include "loader/summary.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct options options = {.requests = 6,
                                       .keys = 31,
                                       .key_size = 118,
                                       .value_size = 2841,
                                       .payload_size = 15100,
                                       .mix = {.count = 1,
                                               .shapes = {{.weight = 1,
                                                           .key_count = 31,
                                                           .key_size = 118,
                                                           .value_size = 2841,
                                                           .payload_size = 15100}}},
                                       .concurrency = 15,
                                       .request_timeout_ns = 10 * NS_PER_SEC};

static void add(struct record *r, uint64_t number, uint64_t end_ns, uint64_t latency_ns,
                enum outcome outcome) {
    struct error err = ERROR_NULL;
    const struct duration one = {.number = number,
                                 .intended_ns = end_ns - latency_ns,
                                 .sent = true,
                                 .send_delay_ns = 100,
                                 .latency_ns = latency_ns,
                                 .outcome = outcome};
    record_advance(r, end_ns);
    record_sent(r, end_ns);
    assert_int_equal(record_outcome(r, &one, &err), 0);
}

/* Five of six, in two and a half seconds. */
static void fill(struct record *r) {
    record_init(r, 1001, NULL, NULL);
    add(r, 1, 1000, 900, OUTCOME_ACKNOWLEDGED);
    add(r, 2, 50000, 45000, OUTCOME_ACKNOWLEDGED);
    add(r, 3, NS_PER_SEC + 5, 3 * NS_PER_MS, OUTCOME_ACKNOWLEDGED);
    add(r, 4, 2 * NS_PER_SEC, 50, OUTCOME_OVERLOADED);
    add(r, 5, 2 * NS_PER_SEC + NS_PER_SEC / 2, 2 * NS_PER_SEC, OUTCOME_ACKNOWLEDGED);
    record_late(r);
}

static void the_text_says_everything(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r;
    cleanup(buffer_deinit) struct buffer text;
    fill(&r);
    buffer_init(&text, 10000);
    const struct summary s = {.options = &options,
                              .record = &r,
                              .run = "3f9c2a1b",
                              .seed = 42,
                              .threads = 2,
                              .intended = 6,
                              .why = "interrupted"};
    summary_text(&s, &text);
    assert_string_equal(
        buffer_string(&text),
        "model        closed loop, 15 clients, each with one request in flight\n"
        "request      31 keys of 118 B, values of 2841 B, payload of 15100 B\n"
        "run          3f9c2a1b, seed 42, clients 1001 to 1015, 2 threads\n"
        "requests     6 asked for, 5 sent, 4 acknowledged\n"
        "errors       0 timed out (after 10.000 s), 0 failed, 1 overloaded, 0 unsent\n"
        "late         1 replies to requests that had an outcome before\n"
        "ended early  interrupted\n"
        "time         2.500 s, all of it measured\n"
        "throughput   1.6 acknowledged requests/s\n"
        "latency      of acknowledged requests, from the client being free and from the first "
        "byte sent\n"
        "  min               900 ns         800 ns\n"
        "  p50              45.0 µs        44.9 µs\n"
        "  p90             2.001 s        2.001 s \n"
        "  p99             2.001 s        2.001 s \n"
        "  p99.9           2.001 s        2.001 s \n"
        "  p99.99          2.001 s        2.001 s \n"
        "  max             2.001 s        2.001 s \n"
        "  mean          500.801 ms     500.801 ms\n"
        "seconds      from   acknowledged/s     errors      largest latency\n"
        "                0              2.0          0              45.0 µs\n"
        "                1              1.0          0             3.000 ms\n");
}

static void the_json_has_the_keys_that_scripts_rely_on(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r;
    cleanup(buffer_deinit) struct buffer json;
    fill(&r);
    buffer_init(&json, 10000);
    const struct summary s = {
        .options = &options, .record = &r, .run = "3f9c2a1b", .seed = 42, .intended = 6};
    summary_json(&s, &json);
    assert_string_equal(
        buffer_string(&json),
        "{\"model\": \"closed\", \"asked_per_s\": null, \"protocol\": \"replica\", \"seconds\": "
        "2.500000,\n"
        " \"window\": {\"from_s\": 0.000000, \"to_s\": 2.500000},\n"
        " \"requests\": {\"intended\": 6, \"sent\": 5, \"acknowledged\": 4, \"timed_out\": 0, "
        "\"failed\": 0, \"overloaded\": 1, \"unsent\": 0},\n"
        " \"throughput_per_s\": 1.600,\n"
        " \"latency_ns\": {\"min\": 900, \"p50\": 45023, \"p90\": 2000683007, \"p99\": 2000683007, "
        "\"p999\": 2000683007, \"p9999\": 2000683007, \"max\": 2000683007, \"mean\": "
        "500800981.0},\n"
        " \"latency_from_send_ns\": {\"min\": 800, \"p50\": 44927, \"p90\": 2000683007, "
        "\"p99\": 2000683007, \"p999\": 2000683007, \"p9999\": 2000683007, \"max\": 2000683007, "
        "\"mean\": 500800932.0}}\n");
}

/* Half of fill's are of the one, half of the other. */
static void shapes_are_summed_up_each_by_itself(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r;
    cleanup(buffer_deinit) struct buffer json, text;
    struct options mixed = options;
    struct error err = ERROR_NULL;
    mixed.mix = (struct mix){.key_space = 1000, .skew = {.model = KEYS_ZIPF, .theta = 0.99}};
    mix_add_reads(&mixed.mix, &options.mix.shapes[0], 75);
    record_init(&r, 1001, NULL, NULL);
    record_shapes(&r, 2);
    for (uint64_t i = 1; i <= 4; i++) {
        const struct duration one = {.number = i,
                                     .sent = true,
                                     .read_only = i > 1,
                                     .shape = i > 1,
                                     .latency_ns = i * NS_PER_MS,
                                     .outcome = i == 3 ? OUTCOME_OVERLOADED : OUTCOME_ACKNOWLEDGED};
        assert_int_equal(record_outcome(&r, &one, &err), 0);
    }
    buffer_init(&json, 10000);
    buffer_init(&text, 10000);
    const struct summary s = {.options = &mixed, .record = &r, .run = "x", .intended = 4};
    summary_json(&s, &json);
    summary_text(&s, &text);
    const char *end = strstr(buffer_string(&json), ",\n \"shapes\"");
    assert_non_null(end);
    assert_string_equal(
        end, ",\n \"shapes\": [\n"
             "  {\"name\": \"write\", \"weight\": 25, \"reads\": false,\n"
             "   \"requests\": {\"sent\": 1, \"acknowledged\": 1, \"timed_out\": 0, \"failed\": 0, "
             "\"overloaded\": 0, \"unsent\": 0},\n"
             "   \"throughput_per_s\": 250.000,\n"
             "   \"latency_ns\": {\"min\": 999936, \"p50\": 1000447, \"p90\": 1000447, "
             "\"p99\": 1000447, \"p999\": 1000447, \"p9999\": 1000447, \"max\": 1000447, "
             "\"mean\": 1000192.0},\n"
             "   \"latency_from_send_ns\": {\"min\": 999936, \"p50\": 1000447, \"p90\": 1000447, "
             "\"p99\": 1000447, \"p999\": 1000447, \"p9999\": 1000447, \"max\": 1000447, "
             "\"mean\": 1000192.0}},\n"
             "  {\"name\": \"read\", \"weight\": 75, \"reads\": true,\n"
             "   \"requests\": {\"sent\": 3, \"acknowledged\": 2, \"timed_out\": 0, \"failed\": 0, "
             "\"overloaded\": 1, \"unsent\": 0},\n"
             "   \"throughput_per_s\": 500.000,\n"
             "   \"latency_ns\": {\"min\": 1999872, \"p50\": 2000895, \"p90\": 4001791, "
             "\"p99\": 4001791, \"p999\": 4001791, \"p9999\": 4001791, \"max\": 4001791, "
             "\"mean\": 3000576.0},\n"
             "   \"latency_from_send_ns\": {\"min\": 1999872, \"p50\": 2000895, \"p90\": 4001791, "
             "\"p99\": 4001791, \"p999\": 4001791, \"p9999\": 4001791, \"max\": 4001791, "
             "\"mean\": 3000576.0}}]}\n");
    assert_non_null(
        strstr(buffer_string(&text),
               "request      25 % write: 31 keys of 118 B, values of 2841 B, payload of 15100 B\n"
               "             75 % read: reads 31 keys of 118 B, payload of 0 B\n"
               "keys         of 1000 that all requests share, by Zipf's law (0.99)\n"));
    assert_non_null(
        strstr(buffer_string(&text),
               "shapes       acknowledged     errors         p50         p99         max\n"
               "  write                  1          0    1.000 ms    1.000 ms    1.000 ms\n"
               "  read                   2          1    2.001 ms    4.002 ms    4.002 ms\n"));
}

/* Five of seven sent; one of them half a second late. */
static void the_open_loop_states_how_the_schedule_was_kept(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r;
    cleanup(buffer_deinit) struct buffer json, text;
    struct options open = {.arrival = ARRIVAL_POISSON, .concurrency = 9, .in_flight_max = 5};
    struct error err = ERROR_NULL;
    assert_int_equal(rate_parse("2..4:2s", &open.rate, &err), 0);
    fill(&r);
    for (int i = 0; i < 7; i++)
        record_due(&r);
    record_lateness(&r, 500, 20500);
    record_lateness(&r, 0, NS_PER_SEC / 2);
    buffer_init(&json, 10000);
    buffer_init(&text, 10000);
    const struct summary s = {
        .options = &open, .record = &r, .run = "x", .intended = 7, .span_ns = 2 * NS_PER_SEC};
    summary_json(&s, &json);
    summary_text(&s, &text);
    const char *end = strstr(buffer_string(&json), ",\n \"generated\"");
    assert_non_null(end);
    assert_string_equal(end, ",\n \"generated\": false, \"sent_per_s\": 2.000,\n"
                             " \"lateness_ns\": {\"p50\": 20015, \"p99\": 500170751, "
                             "\"max\": 500170751}}\n");
    assert_true(text_starts(buffer_string(&json), "{\"model\": \"open\", \"arrival\": "
                                                  "\"poisson\", \"asked_per_s\": 3.000, "));
    assert_non_null(strstr(buffer_string(&text), "model        open loop, Poisson arrivals, 9 "
                                                 "clients, at most 5 requests in flight\n"));
    assert_non_null(strstr(buffer_string(&text),
                           "rate         3.0 requests/s asked for, 2.0 sent\n"
                           "lateness     of sends: p50 20.0 µs, p99 500.171 ms, max 500.171 ms\n"
                           "not reached  of 7 requests that were due, 5 were sent, which is less "
                           "than 99 %; asked for were 3.0 requests/s, sent were 2.0/s\n"));
    rate_deinit(&open.rate);
}

/* From second 1 to 2: what was intended there, and who was answered there. */
/* The load was over before it was warm. */
static void acknowledged_requests_outside_of_the_window_are_not_denied(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r;
    cleanup(buffer_deinit) struct buffer text;
    struct error err = ERROR_NULL;
    const struct duration one = {
        .number = 1, .sent = true, .latency_ns = 900, .outcome = OUTCOME_ACKNOWLEDGED};
    record_init(&r, 1001, NULL, NULL);
    record_window(&r, NS_PER_SEC, UINT64_MAX);
    record_sent(&r, 0);
    assert_int_equal(record_outcome(&r, &one, &err), 0);
    buffer_init(&text, 10000);
    const struct summary s = {.options = &options, .record = &r, .run = "r", .intended = 1};
    summary_text(&s, &text);
    assert_non_null(strstr(buffer_string(&text),
                           "latency      none: no request that was measured was acknowledged\n"));
}

static void the_summary_states_its_window(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r;
    cleanup(buffer_deinit) struct buffer json, text;
    record_init(&r, 1001, NULL, NULL);
    record_window(&r, NS_PER_SEC, 2 * NS_PER_SEC);
    for (uint64_t i = 0; i < 30; i++)
        add(&r, i + 1, i * NS_PER_SEC / 10 + 500, 500 + i, OUTCOME_ACKNOWLEDGED);
    buffer_init(&json, 10000);
    buffer_init(&text, 10000);
    const struct summary s = {.options = &options, .record = &r, .run = "x", .intended = 30};
    summary_json(&s, &json);
    summary_text(&s, &text);
    assert_non_null(
        strstr(buffer_string(&json), "\"window\": {\"from_s\": 1.000000, \"to_s\": 2.000000}"));
    assert_non_null(strstr(buffer_string(&json), "\"acknowledged\": 30,"));
    assert_non_null(strstr(buffer_string(&json), "\"throughput_per_s\": 10.000"));
    assert_non_null(strstr(buffer_string(&json), "\"latency_ns\": {\"min\": 511, "));
    assert_non_null(strstr(buffer_string(&text),
                           "of which latencies and throughput cover 1.000 s to 2.000 s\n"));
    assert_int_equal(r.seconds_count, 2); /* the table is whole */
    assert_int_equal(r.seconds[0].outcomes[OUTCOME_ACKNOWLEDGED], 10);
}

static void what_does_not_exist_is_null(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r;
    struct buffer text;
    cleanup(buffer_deinit) struct buffer json;
    record_init(&r, 1001, NULL, NULL);
    buffer_init(&json, 10000);
    buffer_init(&text, 10000);
    const struct summary s = {
        .options = &options, .record = &r, .run = "x", .intended = 6, .why = "no primary"};
    summary_json(&s, &json);
    summary_text(&s, &text);
    assert_string_equal(
        buffer_string(&json),
        "{\"model\": \"closed\", \"asked_per_s\": null, \"protocol\": \"replica\", \"seconds\": "
        "0.000000,\n"
        " \"window\": {\"from_s\": 0.000000, \"to_s\": 0.000000},\n"
        " \"requests\": {\"intended\": 6, \"sent\": 0, \"acknowledged\": 0, \"timed_out\": 0, "
        "\"failed\": 0, \"overloaded\": 0, \"unsent\": 0},\n"
        " \"throughput_per_s\": 0.000,\n"
        " \"latency_ns\": {\"min\": null, \"p50\": null, \"p90\": null, \"p99\": null, "
        "\"p999\": null, \"p9999\": null, \"max\": null, \"mean\": null},\n"
        " \"latency_from_send_ns\": {\"min\": null, \"p50\": null, \"p90\": null, \"p99\": null, "
        "\"p999\": null, \"p9999\": null, \"max\": null, \"mean\": null}}\n");
    assert_non_null(strstr(buffer_string(&text), "latency      none: no request was acknowledged"));
    buffer_deinit(&text);
}

static void many_seconds_are_shown_in_few_rows(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r;
    cleanup(buffer_deinit) struct buffer text;
    record_init(&r, 1001, NULL, NULL);
    buffer_init(&text, 100000);
    for (uint64_t i = 0; i < 100; i++)
        add(&r, i + 1, i * NS_PER_SEC + 1000, i == 42 ? 900 : 500, OUTCOME_ACKNOWLEDGED);
    const struct summary s = {.options = &options, .record = &r, .run = "x"};
    summary_text(&s, &text);
    const char *table = strstr(buffer_string(&text), "seconds      from");
    int rows = 0;
    for (const char *p = table; (p = strchr(p, '\n')); p++)
        rows++;
    assert_int_equal(rows, 1 + 25); /* 99 whole seconds, four in a row */
    assert_non_null(
        strstr(table, "               40              1.0          0               900 ns"));
}

static void durations_have_the_unit_that_fits(void **state) {
    (void)state;
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {{0, "0 ns"},        {999, "999 ns"},       {1000, "1.0 µs"},
                 {91340, "91.3 µs"}, {4210000, "4.210 ms"}, {12503000000, "12.503 s"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(buffer_deinit) struct buffer text;
        buffer_init(&text, 100);
        summary_duration(&text, 0, cases[i].ns);
        assert_string_equal(buffer_string(&text), cases[i].text);
    }
}

/* Five of ten, one of them in the last second. */
static void fill_progress(struct engine_progress *p, struct interval *last) {
    interval_init(last);
    last->from_ns = NS_PER_SEC;
    last->to_ns = 2 * NS_PER_SEC;
    histogram_record(&last->latency, 3 * NS_PER_MS);
    *p = (struct engine_progress){.elapsed_ns = 2 * NS_PER_SEC, .sent = 6, .last = last};
    p->outcomes[OUTCOME_ACKNOWLEDGED] = 4;
    p->outcomes[OUTCOME_OVERLOADED] = 1;
}

static void progress_says_what_is_left(void **state) {
    (void)state;
    struct engine_progress progress;
    cleanup(interval_deinit) struct interval last;
    cleanup(buffer_deinit) struct buffer line;
    fill_progress(&progress, &last);
    buffer_init(&line, 1000);
    progress_line(&progress, &(struct options){.requests = 10}, &line);
    assert_string_equal(buffer_string(&line),
                        "2 s  6 sent  5 done of 10 (50.0 %)  1 errors  last second: 1/s p50 "
                        "3.000 ms p99 3.000 ms max 3.000 ms  2 s left");
}

/* Output of a progress to a file that is no terminal, or as if it were one. */
static char *told(bool live, int lines, int warnings) {
    struct engine_progress progress;
    cleanup(interval_deinit) struct interval last;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    struct progress p;
    fill_progress(&progress, &last);
    progress_init(&p, to, live, &options);
    for (int i = 0; i < lines; i++)
        progress_tell(&p, &progress);
    for (int i = 0; i < warnings; i++)
        progress_note(&p, "it is \x1b[31mlost");
    progress_end(&p);
    fclose(to);
    return text;
}

static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

static void a_file_gets_a_plain_line_every_five_seconds(void **state) {
    (void)state;
    cleanup_free char *text = told(false, 14, 0);
    assert_int_equal(count_of(text, "\n"), 2);
    assert_int_equal(count_of(text, "\r"), 0);
    assert_true(text_starts(text, "loader: 2 s  6 sent  5 done of 6"));
}

static void a_terminal_has_one_line_that_is_rewritten(void **state) {
    (void)state;
    cleanup_free char *text = told(true, 14, 0);
    assert_int_equal(count_of(text, "\n"), 1);
    assert_int_equal(count_of(text, "\r"), 14);
}

static void a_flood_of_warnings_is_cut_and_harmless(void **state) {
    (void)state;
    cleanup_free char *text = told(false, 0, 1000);
    assert_int_equal(count_of(text, "loader: warning: it is \\x1b[31mlost\n"), 20);
    assert_int_equal(count_of(text, "\x1b"), 0);
    assert_int_equal(count_of(text, "loader: 980 more warnings were not shown\n"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_says_everything),
        cmocka_unit_test(the_json_has_the_keys_that_scripts_rely_on),
        cmocka_unit_test(shapes_are_summed_up_each_by_itself),
        cmocka_unit_test(the_open_loop_states_how_the_schedule_was_kept),
        cmocka_unit_test(acknowledged_requests_outside_of_the_window_are_not_denied),
        cmocka_unit_test(the_summary_states_its_window),
        cmocka_unit_test(what_does_not_exist_is_null),
        cmocka_unit_test(many_seconds_are_shown_in_few_rows),
        cmocka_unit_test(durations_have_the_unit_that_fits),
        cmocka_unit_test(progress_says_what_is_left),
        cmocka_unit_test(a_file_gets_a_plain_line_every_five_seconds),
        cmocka_unit_test(a_terminal_has_one_line_that_is_rewritten),
        cmocka_unit_test(a_flood_of_warnings_is_cut_and_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
