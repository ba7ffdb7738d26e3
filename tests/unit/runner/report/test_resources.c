/* Series of samples, and what a report says of them. */

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "runner/report/resources.h"
#include "runner/report/series.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND ((int64_t)NS_PER_SEC)

static void assert_near(double a, double b) {
    assert_true(fabs(a - b) < 1e-6);
}

static void add(struct series *s, int64_t second, unsigned value, uint64_t number) {
    struct series_point point = {.time_ns = second * SECOND, .known = 1U << value};
    point.values[value] = number;
    series_add(s, &point);
}

static void a_window_may_begin_and_end_between_samples(void **state) {
    (void)state;
    cleanup(series_deinit) struct series s = SERIES_NULL;
    double growth, seconds, rate;
    for (int64_t i = 0; i <= 10; i++)
        add(&s, i, 0, (uint64_t)(i * i));
    struct series_window window = {5 * SECOND + SECOND / 2, 7 * SECOND + SECOND / 4};
    assert_true(series_growth(&s, 0, window, &growth, &seconds));
    /* Half of 25..36, 36..49, a quarter of 49..64. */
    assert_near(growth, 5.5 + 13 + 3.75);
    assert_near(seconds, 1.75);
    assert_true(series_rate_max(&s, 0, window, &rate));
    assert_near(rate, 15);
    assert_true(series_growth(&s, 0, SERIES_ALL, &growth, &seconds));
    assert_near(growth, 100);
    assert_near(seconds, 10);
}

static void nothing_is_known_outside_of_what_was_sampled(void **state) {
    (void)state;
    cleanup(series_deinit) struct series s = {.gauges = 1 << 1};
    double growth = 7, seconds = 7;
    uint64_t most = 7;
    assert_false(series_growth(&s, 0, SERIES_ALL, &growth, &seconds));
    add(&s, 1, 0, 10);
    assert_false(series_growth(&s, 0, SERIES_ALL, &growth, &seconds));
    add(&s, 2, 0, 20);
    struct series_window later = {3 * SECOND, 9 * SECOND};
    assert_false(series_growth(&s, 0, later, &growth, &seconds));
    assert_false(series_rate_max(&s, 0, later, &growth));
    assert_false(series_max(&s, 1, SERIES_ALL, &most));
    assert_near(growth, 7);
    assert_int_equal(most, 7);
}

static void a_counter_that_went_back_has_begun_again(void **state) {
    (void)state;
    cleanup(series_deinit) struct series s = SERIES_NULL;
    double growth, seconds;
    add(&s, 1, 0, 1000);
    add(&s, 2, 0, 1500);
    add(&s, 3, 0, 40); /* it was started again */
    add(&s, 4, 0, 50);
    assert_true(series_growth(&s, 0, SERIES_ALL, &growth, &seconds));
    assert_near(growth, 500 + 40 + 10);
}

static void time_that_goes_back_is_left_out(void **state) {
    (void)state;
    cleanup(series_deinit) struct series s = SERIES_NULL;
    add(&s, 5, 0, 10);
    add(&s, 4, 0, 20);
    add(&s, 5, 0, 30);
    assert_int_equal(s.count, 1);
    add(&s, INT64_MAX / SECOND, 0, UINT64_MAX);
    double growth, seconds;
    assert_true(series_growth(&s, 0, SERIES_ALL, &growth, &seconds));
    assert_true(growth > 0 && seconds > 0);
}

static void a_long_series_stays_small_and_keeps_its_extremes(void **state) {
    (void)state;
    cleanup(series_deinit) struct series s = {.gauges = 1 << 1};
    enum { SECONDS = 10 * SERIES_POINTS_MAX };
    for (int64_t i = 0; i < SECONDS; i++) {
        struct series_point point = {.time_ns = i * SECOND, .known = 3};
        point.values[0] = (uint64_t)i * 5;
        point.values[1] = i == 12345 ? 999 : 3;
        series_add(&s, &point);
        assert_true(s.count <= SERIES_POINTS_MAX);
    }
    double growth, seconds;
    uint64_t most;
    assert_true(s.count > SERIES_POINTS_MAX / 4);
    assert_true(series_growth(&s, 0, SERIES_ALL, &growth, &seconds));
    assert_near(growth / seconds, 5);
    assert_true(seconds > SECONDS - 64);
    assert_true(series_max(&s, 1, SERIES_ALL, &most));
    assert_int_equal(most, 999);
}

/* ---- the report ---- */

/* A second apart: so many cores, and 1 MB more. */
static void use(struct series *s, double cores, bool network) {
    s->gauges = USAGE_GAUGES;
    for (int64_t i = 0; i <= 10; i++) {
        struct series_point p = {.time_ns = i * SECOND,
                                 .known = 1 << USAGE_CPU_NS | 1 << USAGE_MEMORY_BYTES};
        p.values[USAGE_CPU_NS] = (uint64_t)((double)i * cores * 1e9);
        p.values[USAGE_MEMORY_BYTES] = i == 8 ? 5000000 : 4000000;
        p.values[USAGE_RECEIVED_BYTES] = (uint64_t)i * 1000000;
        p.known |= (unsigned)network << USAGE_RECEIVED_BYTES;
        series_add(s, &p);
    }
}

/* Of four processors, in 100 ticks a second each. */
static void load(struct series *s, uint64_t busy, uint64_t steal) {
    s->gauges = HOST_GAUGES;
    for (int64_t i = 0; i <= 10; i++) {
        struct series_point p = {.time_ns = i * SECOND, .known = 7};
        p.values[HOST_BUSY_TICKS] = (uint64_t)i * busy;
        p.values[HOST_ALL_TICKS] = (uint64_t)i * 400;
        p.values[HOST_STEAL_TICKS] = (uint64_t)i * steal;
        series_add(s, &p);
    }
}

struct trial {
    struct series used[2], loaded;
    struct resources_container containers[2];
    struct resources_host host;
    struct resources resources;
};

static void make(struct trial *t, uint64_t busy, uint64_t steal) {
    *t = (struct trial){.used = {SERIES_NULL, SERIES_NULL}, .loaded = SERIES_NULL};
    use(&t->used[0], 0.5, true);
    use(&t->used[1], 1.5, false);
    load(&t->loaded, busy, steal);
    t->containers[0] = (struct resources_container){"a-1", "a", 0, &t->used[0], 11, 0};
    t->containers[1] = (struct resources_container){"a-2", "a", 0, &t->used[1], 11, 2};
    t->host = (struct resources_host){"h1", 4, &t->loaded, 11, 0};
    t->resources = (struct resources){.containers = t->containers,
                                      .container_count = 2,
                                      .hosts = &t->host,
                                      .host_count = 1,
                                      .of_load = true,
                                      .window = {2 * SECOND, 7 * SECOND}};
}

static void trial_deinit(struct trial *t) {
    series_deinit(&t->used[0]);
    series_deinit(&t->used[1]);
    series_deinit(&t->loaded);
}

static void containers_are_reported_over_the_loads_window(void **state) {
    (void)state;
    cleanup(trial_deinit) struct trial t;
    struct error err = ERROR_NULL;
    double mean, max;
    int64_t bytes;
    make(&t, 210, 0);
    cleanup(json_freep) struct json *j = resources_json(&t.resources);
    assert_int_equal(json_require_number(j, "containers.1.cpu_cores.mean", &mean, &err), 0);
    assert_int_equal(json_require_number(j, "containers.1.cpu_cores.max", &max, &err), 0);
    assert_near(mean, 1.5);
    assert_near(max, 1.5);
    assert_int_equal(
        json_require_int(j, "containers.0.network.received_bytes", 0, INT64_MAX, &bytes, &err), 0);
    assert_int_equal(bytes, 5000000);
    /* The maximum came after the window; what was never said is null, and not 0. */
    assert_int_equal(
        json_require_int(j, "containers.0.memory_bytes_max", 0, INT64_MAX, &bytes, &err), 0);
    assert_int_equal(bytes, 4000000);
    assert_true(json_is_nothing(json_find(j, "containers.1.network")));
    assert_true(json_is_nothing(json_find(j, "containers.0.devices")));
    assert_true(json_is_nothing(json_find(j, "hosts.0.memory_bytes_max")));
    assert_int_equal(json_count(json_member(j, "doubts")), 0);
}

static void what_else_was_busy_on_a_host_is_a_doubt(void **state) {
    (void)state;
    cleanup(trial_deinit) struct trial t;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 4096);
    make(&t, 320, 20);
    resources_text(&t.resources, &text);
    assert_non_null(strstr(buffer_string(&text), "a: cpu 1.00 cores each (max 1.50); memory max "
                                                 "4.0 MB; network 5.0 MB in, unknown out\n"));
    assert_non_null(strstr(buffer_string(&text),
                           "doubt     host h1 was busy with other things than our containers: 1.20 "
                           "of its 4 cores on average\n"));
    assert_non_null(strstr(buffer_string(&text), "host h1 did not get 5.0 % of its processor"));
    /* Whoever was not sampled may have been what was busy. */
    t.containers[1].series = &(struct series){.gauges = USAGE_GAUGES};
    cleanup(json_freep) struct json *j = resources_json(&t.resources);
    assert_true(json_is_nothing(json_find(j, "hosts.0.cpu_cores.foreign")));
    assert_int_equal(json_count(json_member(j, "doubts")), 1);
}

static void a_trial_without_samples_says_so_by_nulls(void **state) {
    (void)state;
    cleanup(trial_deinit) struct trial t;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 4096);
    make(&t, 1, 0);
    trial_deinit(&t);
    cleanup(json_freep) struct json *j = resources_json(&t.resources);
    assert_true(json_is_nothing(json_find(j, "containers.0.cpu_cores.mean")));
    assert_true(json_is_nothing(json_find(j, "hosts.0.steal_share")));
    resources_text(&t.resources, &text);
    assert_string_equal(buffer_string(&text), "");
    t.resources.of_load = false;
    t.resources.window = SERIES_ALL;
    cleanup(json_freep) struct json *all = resources_json(&t.resources);
    assert_true(json_is_nothing(json_member(all, "window")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_may_begin_and_end_between_samples),
        cmocka_unit_test(nothing_is_known_outside_of_what_was_sampled),
        cmocka_unit_test(a_counter_that_went_back_has_begun_again),
        cmocka_unit_test(time_that_goes_back_is_left_out),
        cmocka_unit_test(a_long_series_stays_small_and_keeps_its_extremes),
        cmocka_unit_test(containers_are_reported_over_the_loads_window),
        cmocka_unit_test(what_else_was_busy_on_a_host_is_a_doubt),
        cmocka_unit_test(a_trial_without_samples_says_so_by_nulls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
