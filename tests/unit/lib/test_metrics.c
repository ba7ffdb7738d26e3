/* Metrics are served to whoever asks for them as Prometheus does, and to nobody else. */

#include "lib/http.h"
#include "lib/metrics.h"
#include "lib/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool write_some(void *context, struct buffer *out) {
    int *asked = context;
    metrics_head(out, "x_total", "counter", "Times that somebody asked.");
    metrics_sample(out, "x_total", NULL, ++*asked);
    metrics_sample(out, "y", "a=\"b\"", NAN);
    metrics_sample(out, "z", NULL, 1e15 + 1);
    return true;
}

static void ask(uint16_t port, const char *method, const char *path, struct http_response *ret) {
    struct error err = ERROR_NULL;
    const struct task task = TASK_FOREVER;
    cleanup(http_closep) struct http *client = NULL;
    const struct http_address address = {.host = "127.0.0.1", .port = port};
    const struct http_request request = {.method = method, .path = path};
    if (http_open(&address, &client, &err) < 0 || http_call(client, &request, &task, ret, &err) < 0)
        fail_msg("%s", err.text);
}

static void what_is_written_is_served(void **state) {
    (void)state;
    int asked = 0;
    char type[80];
    struct error err = ERROR_NULL;
    cleanup(metrics_closep) struct metrics *m = NULL;
    cleanup(http_response_deinit) struct http_response answer = HTTP_RESPONSE_NULL;
    assert_int_equal(metrics_open("0", write_some, &asked, &m, &err), 0);
    ask(metrics_port(m), "GET", "/metrics", &answer);
    ask(metrics_port(m), "GET", "/metrics", &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(http_response_header(&answer, "content-type", type, sizeof type),
                        "text/plain; version=0.0.4; charset=utf-8");
    assert_string_equal(buffer_string(&answer.body),
                        "# HELP x_total Times that somebody asked.\n# TYPE x_total counter\n"
                        "x_total 2\ny{a=\"b\"} NaN\nz 1000000000000001\n");
}

static void other_paths_and_methods_are_refused(void **state) {
    (void)state;
    int asked = 0;
    struct error err = ERROR_NULL;
    cleanup(metrics_closep) struct metrics *m = NULL;
    cleanup(http_response_deinit) struct http_response answer = HTTP_RESPONSE_NULL;
    assert_int_equal(metrics_open("127.0.0.1:0", write_some, &asked, &m, &err), 0);
    ask(metrics_port(m), "GET", "/", &answer);
    assert_int_equal(answer.status, 404);
    ask(metrics_port(m), "POST", "/metrics", &answer);
    assert_int_equal(answer.status, 405);
    assert_int_equal(asked, 0);
}

static bool fill(void *context, struct buffer *out) {
    (void)context;
    for (int i = 0; i < METRICS_SIZE_MAX / 8; i++)
        buffer_text(out, "a_metric 1\n");
    return true;
}

static void more_than_the_limit_is_an_error_and_not_cut(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(metrics_closep) struct metrics *m = NULL;
    cleanup(http_response_deinit) struct http_response answer = HTTP_RESPONSE_NULL;
    assert_int_equal(metrics_open("0", fill, NULL, &m, &err), 0);
    ask(metrics_port(m), "GET", "/metrics", &answer);
    assert_int_equal(answer.status, 500);
}

static bool write_nothing(void *context, struct buffer *out) {
    (void)context;
    buffer_text(out, "half_of_it 1\n");
    return false;
}

static void what_cannot_be_told_now_is_an_error(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(metrics_closep) struct metrics *m = NULL;
    cleanup(http_response_deinit) struct http_response answer = HTTP_RESPONSE_NULL;
    assert_int_equal(metrics_open("0", write_nothing, NULL, &m, &err), 0);
    ask(metrics_port(m), "GET", "/metrics", &answer);
    assert_int_equal(answer.status, 503);
    assert_string_equal(buffer_string(&answer.body), "there is nothing to tell now; ask again\n");
}

/* Buckets count up, and the last one is the count. */
static void histograms_are_written_with_their_sums(void **state) {
    (void)state;
    static const double bounds[] = {1e-6, 0.0015, 10};
    static const uint64_t counts[] = {2, 0, 3, 1};
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 4096);
    metrics_histogram(&out, "x_seconds", "stage=\"a\"", bounds, counts, 3, 12.5);
    metrics_histogram(&out, "y", NULL, bounds, counts, 1, 0);
    assert_string_equal(buffer_string(&out), "x_seconds_bucket{stage=\"a\",le=\"1e-06\"} 2\n"
                                             "x_seconds_bucket{stage=\"a\",le=\"0.0015\"} 2\n"
                                             "x_seconds_bucket{stage=\"a\",le=\"10\"} 5\n"
                                             "x_seconds_bucket{stage=\"a\",le=\"+Inf\"} 6\n"
                                             "x_seconds_sum{stage=\"a\"} 12.5\n"
                                             "x_seconds_count{stage=\"a\"} 6\n"
                                             "y_bucket{le=\"1e-06\"} 2\n"
                                             "y_bucket{le=\"+Inf\"} 2\n"
                                             "y_sum 0\n"
                                             "y_count 2\n");
}

static void addresses_that_cannot_be_are_named(void **state) {
    (void)state;
    static const char *const bad[] = {"",       "x",           "65536", "localhost:9100",
                                      "[::1:5", "127.0.0.1:x", ":9100", "1.2.3.4.5:80"};
    int asked = 0;
    struct metrics *m = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = ERROR_NULL;
        assert_int_equal(metrics_open(bad[i], write_some, &asked, &m, &err), -1);
        assert_int_equal(err.kind, ERROR_CONFIG);
    }
    struct error err = ERROR_NULL;
    cleanup(metrics_closep) struct metrics *first = NULL;
    assert_int_equal(metrics_open("0", write_some, &asked, &first, &err), 0);
    cleanup_free char *taken = text_format("%u", metrics_port(first));
    assert_int_equal(metrics_open(taken, write_some, &asked, &m, &err), -1);
    assert_non_null(strstr(err.text, taken));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_served),
        cmocka_unit_test(other_paths_and_methods_are_refused),
        cmocka_unit_test(more_than_the_limit_is_an_error_and_not_cut),
        cmocka_unit_test(what_cannot_be_told_now_is_an_error),
        cmocka_unit_test(histograms_are_written_with_their_sums),
        cmocka_unit_test(addresses_that_cannot_be_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
