/* What real replicas tell Prometheus while and after a real loader has spoken to them. */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/http.h"
#include "lib/text.h"
#include "tests/cli/exposition.h"
#include "tests/cli/trial_stage.h"

#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { REQUESTS = 300 };

/* ---- scraping ---- */

static uint16_t port_of(const struct trial *t, int i) {
    static const char words[] = "metrics on port ";
    cleanup_free char *name = text_format("replica%d.log", i);
    cleanup_free char *log = folder_read(&t->folder, name);
    const char *at = log ? strstr(log, words) : NULL;
    if (!at)
        fail_msg("replica %d does not say where its metrics are", i);
    return (uint16_t)atoi(at + strlen(words));
}

/* As they are now, and right in their form. Caller frees. */
static char *scrape(const struct trial *t, int i) {
    char wrong[512];
    struct error err = ERROR_NULL;
    const struct task task = TASK_FOREVER;
    cleanup(http_closep) struct http *client = NULL;
    cleanup(http_response_deinit) struct http_response answer = HTTP_RESPONSE_NULL;
    const struct http_address address = {.host = "127.0.0.1", .port = port_of(t, i)};
    const struct http_request request = {.method = "GET", .path = "/metrics"};
    if (http_open(&address, &client, &err) < 0 ||
        http_call(client, &request, &task, &answer, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(answer.status, 200);
    exposition_check(buffer_string(&answer.body), wrong, sizeof wrong);
    if (wrong[0])
        fail_msg("%s\n%s", wrong, buffer_string(&answer.body));
    return text_dup(buffer_string(&answer.body));
}

static double value_of(const char *text, const char *series) {
    double value = exposition_value(text, series);
    if (isnan(value))
        fail_msg("there is no %s in\n%s", series, text);
    return value;
}

static void expect(const char *text, const char *series, double value) {
    double got = value_of(text, series);
    if (got < value || got > value)
        fail_msg("%s is %g, not %g", series, got, value);
}

static void expect_at_least(const char *text, const char *series, double value) {
    double got = value_of(text, series);
    if (got < value)
        fail_msg("%s is %g, not at least %g", series, got, value);
}

static double stage_of(const char *text, const char *stage, const char *what) {
    cleanup_free char *series =
        text_format("seatrial_replica_stage_seconds_%s{stage=\"%s\"}", what, stage);
    return value_of(text, series);
}

static void expect_stage(const char *text, const char *stage, double count) {
    double got = stage_of(text, stage, "count");
    if (got < count || got > count)
        fail_msg("%g requests were in stage %s, not %g", got, stage, count);
}

/* The last answers of those that were not waited for. */
static void wait_height(const struct trial *t, int i, int64_t height) {
    struct instant end = instant_after(clock_instant(), 60 * NS_PER_SEC);
    while (trial_height(t, i) < height) {
        if (instant_passed(end, clock_instant()))
            fail_msg("replica %d does not come to height %lld", i, (long long)height);
        poll(NULL, 0, 20);
    }
}

/* ---- what is told ---- */

/* Who leads follows from the view, whatever it is by now. Returns that. */
static unsigned expect_role(const char *text, int i, int n) {
    unsigned view = (unsigned)value_of(text, "seatrial_replica_view");
    bool primary = view % (unsigned)n == (unsigned)i;
    expect(text, "seatrial_replica_role{role=\"primary\"}", primary);
    expect(text, "seatrial_replica_role{role=\"backup\"}", !primary);
    return view;
}

/* Whoever is slow gets blocks from the others instead of executing them; on a machine that is very
 * slow the primary is replaced, and requests are sent again. */
static void expect_counts(const char *text, int i, const char *store) {
    static const char *const of_each_block[] = {"order", "queue", "execute",
                                                "tree",  "store", "reply"};
    expect(text, "seatrial_replica_height", REQUESTS);
    expect(text, "seatrial_replica_healthy", 1);
    bool undisturbed = expect_role(text, i, 4) == 0;
    double executed = value_of(text, "seatrial_replica_blocks_total{by=\"execution\"}");
    expect(text, "seatrial_replica_blocks_total{by=\"transfer\"}", REQUESTS - executed);
    assert_true(executed > 0);
    if (i == 0 && undisturbed)
        assert_true(executed >= REQUESTS);
    for (size_t k = 0; k < sizeof of_each_block / sizeof *of_each_block; k++)
        expect_stage(text, of_each_block[k], executed);
    /* At least: a request that seems to be late is sent again. */
    assert_true(stage_of(text, "receive", "count") >= executed);
    expect_stage(text, "pre_execute", 0);
    if (undisturbed)
        expect_at_least(text,
                        i == 0 ? "seatrial_replica_requests_total{from=\"client\"}"
                               : "seatrial_replica_requests_total{from=\"replica\"}",
                        executed);
    expect(text, "seatrial_replica_connections{with=\"replica\"}", 3);
    expect(text, "seatrial_replica_queue_length{for=\"storage\"}", 0);
    expect(text, "seatrial_replica_queue_length{for=\"order\"}", 0);
    expect_at_least(text, "seatrial_replica_messages_sent_total{type=\"commit\"}", 3);
    expect_at_least(text, "process_resident_memory_bytes", 1 << 20);
    expect_at_least(text, "seatrial_replica_commit_seconds_count", 1);
    bool disk = text_equal(store, "rocksdb");
    expect_at_least(text, "seatrial_replica_protocol_log_bytes", disk ? 1 : 0);
}

/* Each request executes for a millisecond: that is where its time is found again. */
static void counts_and_stages_are_those_of_the_load(const char *store) {
    cleanup(trial_down) struct trial t = trial_with(4, store, "--metrics 0");
    trial_load(&t, "-b 300 -c 6 -k 3 -v 300 -d 500 -e 1 -w 1 --request-timeout 60s "
                   "--connect-timeout 60s");
    double replies = 0;
    for (int i = 0; i < t.n; i++) {
        wait_height(&t, i, REQUESTS);
        trial_wait_healthy(&t, i);
        cleanup_free char *text = scrape(&t, i);
        expect_counts(text, i, store);
        replies += value_of(text, "seatrial_replica_replies_total{status=\"ok\"}");
        assert_true(stage_of(text, "execute", "sum") >= 0.001 * stage_of(text, "execute", "count"));
        assert_true(stage_of(text, "tree", "sum") < stage_of(text, "execute", "sum"));
    }
    assert_true(replies >= 2 * REQUESTS); /* f + 1 for each */
    trial_stop(&t);
    trial_expect_agreement(&t, "out", REQUESTS);
}

static void counts_and_stages_are_those_of_the_load_on_rocksdb(void **state) {
    (void)state;
    counts_and_stages_are_those_of_the_load("rocksdb");
}

static void counts_and_stages_are_those_of_the_load_in_memory(void **state) {
    (void)state;
    counts_and_stages_are_those_of_the_load("memory");
}

static void reads_have_a_stage_of_their_own(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_with(1, "memory", "--metrics 127.0.0.1:0");
    trial_load(&t, "-b 300 -c 6 -k 3 -v 300 -d 500 --reads 100 --key-space 1000");
    cleanup_free char *text = scrape(&t, 0);
    assert_true(stage_of(text, "read", "count") >= REQUESTS);
    expect_stage(text, "order", 0);
    expect_at_least(text, "seatrial_replica_replies_total{status=\"ok\"}", REQUESTS);
    expect(text, "seatrial_replica_height", 0);
    trial_stop(&t);
}

static void so_has_pre_execution(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_with(1, "memory", "--metrics 0");
    trial_load(&t, "-b 300 -c 6 -k 3 -v 300 -d 500 -p 1 -e 1");
    cleanup_free char *text = scrape(&t, 0);
    assert_true(stage_of(text, "pre_execute", "count") >= REQUESTS);
    expect_stage(text, "order", REQUESTS);
    assert_true(stage_of(text, "pre_execute", "sum") >= 0.001 * REQUESTS);
    trial_stop(&t);
}

static void a_view_change_is_seen(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_with(4, "memory", "--metrics 0");
    pid_t load =
        trial_begin_load(&t, "-b 1500 -c 20 -k 3 -v 300 -d 500 -e 1 --request-timeout 60s");
    wait_height(&t, 1, 100);
    trial_kill_replica(&t, 0);
    trial_expect_good(&t, trial_ended(load), "loader.log");
    for (int i = 1; i < t.n; i++) {
        trial_wait_healthy(&t, i);
        cleanup_free char *text = scrape(&t, i);
        assert_true(expect_role(text, i, 4) >= 1);
        expect(text, "seatrial_replica_connections{with=\"replica\"}", 2);
        expect_at_least(text, "seatrial_replica_events_total{event=\"new_view\"}", 1);
    }
    trial_stop(&t);
}

/* ---- where they are ---- */

static void nobody_listens_unless_it_is_asked_for(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_up(1, "memory");
    assert_false(trial_log_says(&t, 0, "metrics on port"));
    trial_stop(&t);
}

static void a_replica_ends_well_while_it_is_asked(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_with(1, "memory", "--metrics 0");
    cleanup_free char *command =
        text_format("for i in $(seq 50); do curl -s http://127.0.0.1:%u/metrics || break; done",
                    port_of(&t, 0));
    FILE *asking = popen(command, "r");
    assert_non_null(asking);
    trial_stop(&t);
    pclose(asking);
}

static void an_address_that_cannot_be_is_named(void **state) {
    (void)state;
    cleanup(trial_down) struct trial t = trial_with(1, "memory", "--metrics 0");
    static const struct {
        const char *address, *says;
        int status;
    } cases[] = {
        {"nowhere", "--metrics: 'nowhere' is none of PORT, ADDRESS:PORT and [ADDRESS]:PORT", 3},
        {"192.0.2.1:0", "--metrics: serve metrics on 192.0.2.1:0: Cannot assign requested", 1},
    };
    trial_kill_replica(&t, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_free char *options = text_format("--metrics %s", cases[i].address);
        trial_expect_end(&t, 0, options, cases[i].status, cases[i].says);
    }
}

/* ---- the judge ---- */

static void the_judge_of_the_format_finds_what_is_wrong(void **state) {
    (void)state;
    static const char *const bad[] = {
        "a 1",
        "a 1\n",
        "# HELP a A.\n# TYPE a gauge\na\n",
        "# HELP a A.\n# TYPE a gauge\na x\n",
        "# HELP a A.\n# TYPE a gauge\n9a 1\n",
        "# HELP a A.\n# TYPE a gauge\na{b=1} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"1\" 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a A.\n# TYPE a counter\na 1\n",
        "# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n",
        "# HELP a_total A.\n# TYPE a_total counter\na_total -1\n",
        "# HELP a A.\n# TYPE a gauge\n# TYPE a gauge\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\n# HELP b B.\n# TYPE b gauge\nb 1\n# HELP a A.\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"2\"} 1\na_bucket{le=\"1\"} 2\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 3\na_bucket{le=\"+Inf\"} 2\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 3\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_count 2\n",
    };
    char wrong[512];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        exposition_check(bad[i], wrong, sizeof wrong);
        if (!wrong[0])
            fail_msg("nothing is found in %s", bad[i]);
    }
    exposition_check("# HELP a A.\n# TYPE a histogram\na_bucket{x=\"1\",le=\"1\"} 1\n"
                     "a_bucket{x=\"1\",le=\"+Inf\"} 2\na_sum{x=\"1\"} 1\na_count{x=\"1\"} 2\n"
                     "# HELP b_total B.\n# TYPE b_total counter\nb_total{y=\"\\\\\\\"\"} 5\n",
                     wrong, sizeof wrong);
    assert_string_equal(wrong, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_judge_of_the_format_finds_what_is_wrong),
        cmocka_unit_test(counts_and_stages_are_those_of_the_load_on_rocksdb),
        cmocka_unit_test(counts_and_stages_are_those_of_the_load_in_memory),
        cmocka_unit_test(reads_have_a_stage_of_their_own),
        cmocka_unit_test(so_has_pre_execution),
        cmocka_unit_test(a_view_change_is_seen),
        cmocka_unit_test(nobody_listens_unless_it_is_asked_for),
        cmocka_unit_test(a_replica_ends_well_while_it_is_asked),
        cmocka_unit_test(an_address_that_cannot_be_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
