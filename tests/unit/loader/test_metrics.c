/* What a load tells Prometheus. */

#include "loader/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char expected[] =
    "# HELP seatrial_loader_elapsed_seconds Since the start of the load.\n"
    "# TYPE seatrial_loader_elapsed_seconds gauge\n"
    "seatrial_loader_elapsed_seconds 3\n"
    "# HELP seatrial_loader_sent_total Requests that were sent.\n"
    "# TYPE seatrial_loader_sent_total counter\n"
    "seatrial_loader_sent_total 12\n"
    "# HELP seatrial_loader_requests_total Requests that have an outcome.\n"
    "# TYPE seatrial_loader_requests_total counter\n"
    "seatrial_loader_requests_total{outcome=\"acknowledged\"} 7\n"
    "seatrial_loader_requests_total{outcome=\"timed_out\"} 1\n"
    "seatrial_loader_requests_total{outcome=\"failed\"} 0\n"
    "seatrial_loader_requests_total{outcome=\"overloaded\"} 0\n"
    "seatrial_loader_requests_total{outcome=\"unsent\"} 3\n"
    "# HELP seatrial_loader_in_flight Requests that were sent and not yet answered.\n"
    "# TYPE seatrial_loader_in_flight gauge\n"
    "seatrial_loader_in_flight 4\n"
    "# HELP seatrial_loader_latency_seconds Of the last second's acknowledged requests, from when "
    "they were due.\n"
    "# TYPE seatrial_loader_latency_seconds gauge\n"
    "seatrial_loader_latency_seconds{quantile=\"0.5\"} 1e-06\n"
    "seatrial_loader_latency_seconds{quantile=\"0.9\"} 2e-06\n"
    "seatrial_loader_latency_seconds{quantile=\"0.99\"} 2e-06\n"
    "seatrial_loader_latency_seconds{quantile=\"0.999\"} 2e-06\n"
    "seatrial_loader_latency_seconds{quantile=\"1\"} 2e-06\n"
    "# HELP seatrial_loader_latency_from_send_seconds The same from the first byte sent.\n"
    "# TYPE seatrial_loader_latency_from_send_seconds gauge\n";

static void the_last_second_and_all_counts_are_told(void **state) {
    (void)state;
    const struct options options = {.metrics = "0"};
    struct error err = ERROR_NULL;
    cleanup(load_metrics_deinit) struct load_metrics m;
    cleanup(interval_deinit) struct interval last;
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 10000);
    load_metrics_init(&m, &options);
    assert_int_equal(load_metrics_open(&m, &err), 0);
    interval_init(&last);
    histogram_record(&last.latency, 1000);
    histogram_record(&last.latency, 2000);
    const struct engine_progress progress = {
        .elapsed_ns = 3 * NS_PER_SEC,
        .sent = 12,
        .outcomes = {[OUTCOME_ACKNOWLEDGED] = 7, [OUTCOME_TIMED_OUT] = 1, [OUTCOME_UNSENT] = 3},
        .last = &last};
    load_metrics_tell(&m, &progress);
    load_metrics_write(&m, &out);
    assert_string_equal(buffer_string(&out), expected);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_second_and_all_counts_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
