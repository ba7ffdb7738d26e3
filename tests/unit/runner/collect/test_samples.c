/* Samples as engines say them, and as lines of stats.jsonl. */

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "runner/collect/log_record.h"
#include "runner/collect/samples_line.h"
#include "runner/report/resources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What each says, without what nobody reads. */
static const char docker_v1[] =
    "{\"read\":\"2026-11-28T13:20:27.797457143Z\",\"pids_stats\":{\"current\":2},"
    "\"blkio_stats\":{\"io_service_bytes_recursive\":["
    "{\"major\":254,\"minor\":0,\"op\":\"Read\",\"value\":4096},"
    "{\"major\":254,\"minor\":0,\"op\":\"Write\",\"value\":8192},"
    "{\"major\":254,\"minor\":0,\"op\":\"Total\",\"value\":12288}]},"
    "\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":103250946,\"percpu_usage\":[70733749,32517197],"
    "\"usage_in_kernelmode\":30000000,\"usage_in_usermode\":60000000},"
    "\"system_cpu_usage\":1138660000000,\"online_cpus\":2,\"throttling_data\":{\"periods\":0,"
    "\"throttled_periods\":0,\"throttled_time\":7}},"
    "\"memory_stats\":{\"usage\":565248,\"max_usage\":3723264,\"stats\":{\"cache\":0,"
    "\"total_inactive_file\":4096},\"limit\":25276026880},"
    "\"networks\":{\"eth0\":{\"rx_bytes\":10,\"tx_bytes\":20},\"eth1\":{\"rx_bytes\":1,"
    "\"tx_bytes\":2}}}";
static const char docker_v2[] =
    "{\"read\":\"2026-11-28T13:20:28.797457143Z\",\"pids_stats\":{\"current\":5,\"limit\":"
    "18446744073709551615},\"blkio_stats\":{\"io_service_bytes_recursive\":["
    "{\"major\":254,\"minor\":0,\"op\":\"read\",\"value\":8192},"
    "{\"major\":254,\"minor\":0,\"op\":\"write\",\"value\":8192}]},"
    "\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":603250946,\"usage_in_kernelmode\":30000000,"
    "\"usage_in_usermode\":60000000},\"system_cpu_usage\":1138660000000,\"online_cpus\":2},"
    "\"memory_stats\":{\"usage\":1000000,\"stats\":{\"inactive_file\":400000},"
    "\"limit\":18446744073709551615}}";
static const char docker_v2_idle[] =
    "{\"read\":\"2026-11-28T13:20:29.5Z\",\"pids_stats\":{},\"blkio_stats\":"
    "{\"io_service_bytes_recursive\":null},\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":5}},"
    "\"memory_stats\":{}}";
static const char podman[] =
    "{\"read\":\"2026-11-28T13:27:40.710156105Z\",\"preread\":\"0001-01-01T00:00:00Z\","
    "\"pids_stats\":{\"current\":2},\"blkio_stats\":{\"io_service_bytes_recursive\":[],"
    "\"io_serviced_recursive\":null},\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":35314398,"
    "\"usage_in_kernelmode\":32000000,\"usage_in_usermode\":3314398},\"online_cpus\":2,\"cpu\":0},"
    "\"memory_stats\":{\"usage\":114688,\"limit\":25276026880}}";
static const char stopped[] =
    "{\"read\":\"0001-01-01T00:00:00Z\",\"preread\":\"0001-01-01T00:00:00Z\",\"cpu_stats\":"
    "{\"cpu_usage\":{\"total_usage\":0}},\"memory_stats\":{},\"name\":\"/a\",\"id\":\"b\"}";

static struct sample read_sample(const char *text) {
    struct error err = ERROR_NULL;
    struct sample s = {.stats = ENGINE_STATS_NULL};
    cleanup(json_freep) struct json *v = NULL;
    assert_int_equal(json_parse(text, strlen(text), 0, &v, &err), 0);
    assert_int_equal(engine_stats_read(v, &s.stats, &err), 0);
    s.read_ns = s.time_ns = log_time_ns(s.stats.read, strlen(s.stats.read));
    s.stats.read = NULL;
    return s;
}

static struct json *line_of(const struct sample *s, const struct sample *before) {
    struct error err = ERROR_NULL;
    struct json *v = NULL;
    cleanup(buffer_deinit) struct buffer line;
    buffer_init(&line, 2048);
    sample_write(s, before, &line);
    assert_false(line.overflowed);
    assert_ptr_equal(strchr(line.data, '\n'), line.data + line.size - 1);
    assert_int_equal(json_parse(line.data, line.size, 0, &v, &err), 0);
    return v;
}

static void is(const struct json *v, const char *path, const char *expected) {
    const struct json *found = json_find(v, path);
    assert_non_null(found);
    cleanup_free char *text = json_to_text(found, JSON_LINE);
    assert_string_equal(text, expected);
}

static void what_engines_say_becomes_a_line(void **state) {
    (void)state;
    struct sample v1 = read_sample(docker_v1), v2 = read_sample(docker_v2);
    assert_true(v1.stats.running && v2.stats.running);
    v2.time_ns -= 500 * (int64_t)NS_PER_MS; /* its host's clock is ahead of ours */
    cleanup(json_freep) struct json *first = line_of(&v1, NULL);
    is(first, "time", "\"2026-11-28T13:20:27.797457143Z\"");
    is(first, "cpu_ns", "103250946");
    is(first, "throttled_ns", "7");
    is(first, "memory_cache_bytes", "4096");
    is(first, "received_bytes", "11");
    is(first, "sent_bytes", "22");
    is(first, "read_bytes", "4096");
    is(first, "rates", "null");
    cleanup(json_freep) struct json *second = line_of(&v2, &v1);
    is(second, "time", "\"2026-11-28T13:20:28.297457143Z\"");
    is(second, "read", "\"2026-11-28T13:20:28.797457143Z\"");
    is(second, "memory_cache_bytes", "400000");
    is(second, "rates.seconds", "1.0");
    is(second, "rates.cpu_cores", "0.5");
    is(second, "rates.read_bytes_per_s", "4096");
    is(second, "rates.written_bytes_per_s", "0");
}

static void what_an_engine_does_not_say_is_null_and_not_0(void **state) {
    (void)state;
    struct sample v2 = read_sample(docker_v2), idle = read_sample(docker_v2_idle);
    struct sample other = read_sample(podman);
    cleanup(json_freep) struct json *line = line_of(&v2, NULL);
    is(line, "received_bytes", "null"); /* it has its host's network */
    is(line, "memory_limit_bytes", "null");
    cleanup(json_freep) struct json *nothing = line_of(&idle, &v2);
    is(nothing, "memory_bytes", "null");
    is(nothing, "processes", "null");
    is(nothing, "read_bytes", "null");
    is(nothing, "cpus", "null");
    is(nothing, "rates.read_bytes_per_s", "null");
    cleanup(json_freep) struct json *of_podman = line_of(&other, NULL);
    is(of_podman, "memory_bytes", "114688");
    is(of_podman, "read_bytes", "0");
    struct series_point point;
    sample_point(&v2, &point);
    assert_int_equal(point.values[USAGE_MEMORY_BYTES], 600000);
    assert_false(point.known >> USAGE_RECEIVED_BYTES & 1);
    sample_point(&idle, &point);
    assert_int_equal(point.known, 1 << USAGE_CPU_NS);
}

static void a_container_that_does_not_run_is_no_sample(void **state) {
    (void)state;
    assert_false(read_sample(stopped).stats.running);
}

static void counters_and_clocks_that_go_back_have_no_rates(void **state) {
    (void)state;
    struct sample a = read_sample(docker_v2), b = read_sample(docker_v2);
    b.read_ns += (int64_t)NS_PER_SEC;
    b.stats.cpu_ns = 12; /* it was started again */
    cleanup(json_freep) struct json *again = line_of(&b, &a);
    is(again, "rates.cpu_cores", "null");
    is(again, "rates.read_bytes_per_s", "0");
    b.read_ns = a.read_ns - 1;
    cleanup(json_freep) struct json *back = line_of(&b, &a);
    is(back, "rates", "null");
}

static void numbers_beyond_all_measure_do_no_harm(void **state) {
    (void)state;
    static const char huge[] =
        "{\"read\":\"9999-11-28T13:20:27Z\",\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":"
        "18446744073709551615}},\"networks\":{\"a\":{\"rx_bytes\":18446744073709551615},\"b\":"
        "{\"rx_bytes\":18446744073709551615}},\"memory_stats\":{\"usage\":1,\"stats\":"
        "{\"inactive_file\":18446744073709551615}}}";
    static const char *const wrong[] = {
        "[]",
        "{\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":-1}}}",
        "{\"memory_stats\":{\"usage\":\"NaN\"}}",
        "{\"networks\":[1]}",
        "{\"blkio_stats\":{\"io_service_bytes_recursive\":[{\"op\":1}]}}",
    };
    struct sample s = read_sample(huge);
    assert_int_equal(s.read_ns, 0); /* no nanoseconds for that year */
    cleanup(json_freep) struct json *line = line_of(&s, NULL);
    is(line, "read", "null");
    is(line, "cpu_ns", "null");
    is(line, "received_bytes", "null");
    struct series_point point;
    sample_point(&s, &point);
    assert_int_equal(point.values[USAGE_MEMORY_BYTES], 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct error err = ERROR_NULL;
        struct engine_stats stats = ENGINE_STATS_NULL;
        cleanup(json_freep) struct json *v = NULL;
        assert_int_equal(json_parse(wrong[i], strlen(wrong[i]), 0, &v, &err), 0);
        assert_int_equal(engine_stats_read(v, &stats, &err), -1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_engines_say_becomes_a_line),
        cmocka_unit_test(what_an_engine_does_not_say_is_null_and_not_0),
        cmocka_unit_test(a_container_that_does_not_run_is_no_sample),
        cmocka_unit_test(counters_and_clocks_that_go_back_have_no_rates),
        cmocka_unit_test(numbers_beyond_all_measure_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
