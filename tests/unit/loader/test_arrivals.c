/* When an open loop sends: courses of rates, and the times that follow from them. */

#include "loader/arrivals.h"

#include "lib/cleanup.h"
#include "lib/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct rate course(const char *text) {
    struct rate r;
    struct error err = ERROR_NULL;
    if (rate_parse(text, &r, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return r;
}

static struct arrivals arrivals(const struct rate *rate, enum arrival_model model, uint64_t seed,
                                uint64_t requests) {
    struct arrivals a;
    const struct arrivals_config config = {
        .rate = rate, .model = model, .seed = seed, .requests = requests, .end_ns = UINT64_MAX};
    arrivals_init(&a, &config, 0, 1);
    return a;
}

/* Less than a microsecond apart. */
static void assert_near(uint64_t a_ns, uint64_t b_ns) {
    if (a_ns + 1000 < b_ns || b_ns + 1000 < a_ns)
        fail_msg("%llu ns is not %llu ns", (unsigned long long)a_ns, (unsigned long long)b_ns);
}

static void constant_arrivals_are_even(void **state) {
    (void)state;
    cleanup(rate_deinit) struct rate r = course("1000");
    struct arrivals a = arrivals(&r, ARRIVAL_CONSTANT, 0, 5000);
    struct arrival one;
    for (uint64_t i = 0; i < 5000; i++) {
        assert_true(arrivals_next(&a, &one));
        assert_int_equal(one.position, i);
        assert_near(one.intended_ns, i * NS_PER_MS);
    }
    assert_false(arrivals_next(&a, &one));
    assert_false(arrivals_next(&a, &one));
}

static void constant_arrivals_stay_exact_for_days(void **state) {
    (void)state;
    cleanup(rate_deinit) struct rate r = course("100000");
    size_t phase = 0;
    uint64_t days_7 = UINT64_C(7) * 24 * 3600;
    assert_near(rate_time(&r, (double)days_7 * 100000, &phase), days_7 * NS_PER_SEC);
}

static void a_time_ends_the_arrivals_before_it(void **state) {
    (void)state;
    cleanup(rate_deinit) struct rate r = course("1000");
    struct arrivals a;
    struct arrival one;
    const struct arrivals_config config = {
        .rate = &r, .requests = UINT64_MAX, .end_ns = 250 * NS_PER_MS};
    arrivals_init(&a, &config, 0, 1);
    uint64_t count = 0;
    while (arrivals_next(&a, &one)) {
        assert_true(one.intended_ns < 250 * NS_PER_MS);
        count++;
    }
    assert_int_equal(count, 250);
    assert_int_equal(arrivals_span_ns(&config), 250 * NS_PER_MS);
}

/* Mean and variance of the gaps are those of an exponential distribution. */
static void poisson_arrivals_have_the_mean_that_was_asked_for(void **state) {
    (void)state;
    enum { COUNT = 200000 };
    cleanup(rate_deinit) struct rate r = course("1000");
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct arrivals a = arrivals(&r, ARRIVAL_POISSON, seed, COUNT);
        struct arrival one;
        uint64_t before = 0;
        double squares = 0;
        while (arrivals_next(&a, &one)) {
            assert_true(one.intended_ns >= before);
            double gap_ms = (double)(one.intended_ns - before) / (double)NS_PER_MS;
            squares += gap_ms * gap_ms;
            before = one.intended_ns;
        }
        double mean_ms = (double)before / COUNT / (double)NS_PER_MS;
        assert_true(fabs(mean_ms - 1) < 0.01);         /* 4.5 standard errors */
        assert_true(fabs(squares / COUNT - 2) < 0.05); /* E(x²) of mean 1 is 2 */
    }
}

static void a_seed_makes_the_same_arrivals_and_another_seed_others(void **state) {
    (void)state;
    cleanup(rate_deinit) struct rate r = course("1000");
    struct arrivals a = arrivals(&r, ARRIVAL_POISSON, 7, 1000);
    struct arrivals b = arrivals(&r, ARRIVAL_POISSON, 7, 1000);
    struct arrivals c = arrivals(&r, ARRIVAL_POISSON, 8, 1000);
    struct arrival x, y, z;
    int same = 0;
    while (arrivals_next(&a, &x)) {
        assert_true(arrivals_next(&b, &y) && arrivals_next(&c, &z));
        assert_int_equal(x.intended_ns, y.intended_ns);
        same += x.intended_ns == z.intended_ns;
    }
    assert_in_range(same, 0, 5);
}

static void slices_of_all_threads_are_the_whole(void **state) {
    (void)state;
    enum { THREADS = 7, COUNT = 10000 };
    cleanup(rate_deinit) struct rate r = course("0..5000:3s,100:1s,20000");
    for (int model = ARRIVAL_CONSTANT; model <= ARRIVAL_POISSON; model++) {
        struct arrivals whole = arrivals(&r, (enum arrival_model)model, 3, COUNT);
        struct arrivals slices[THREADS];
        struct arrival one, own;
        for (uint32_t t = 0; t < THREADS; t++)
            arrivals_init(&slices[t], &whole.config, t, THREADS);
        for (uint64_t i = 0; i < COUNT; i++) {
            assert_true(arrivals_next(&whole, &one));
            assert_true(arrivals_next(&slices[i % THREADS], &own));
            assert_int_equal(own.position, one.position);
            assert_int_equal(own.intended_ns, one.intended_ns);
        }
        for (uint32_t t = 0; t < THREADS; t++)
            assert_false(arrivals_next(&slices[t], &own));
    }
}

static void steps_follow_each_other_and_end(void **state) {
    (void)state;
    cleanup(rate_deinit) struct rate r = course("1000:10s,0:5s,2000:1m");
    struct arrivals a = arrivals(&r, ARRIVAL_CONSTANT, 0, UINT64_MAX);
    struct arrival one;
    uint64_t counts[3] = {0};
    while (arrivals_next(&a, &one)) {
        uint64_t s = one.intended_ns / NS_PER_SEC;
        counts[s < 10 ? 0 : s < 15 ? 1 : 2]++;
    }
    assert_int_equal(counts[0], 10000);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], 120000);
    assert_int_equal(rate_end_ns(&r), 75 * NS_PER_SEC);
    assert_int_equal(arrivals_span_ns(&a.config), 75 * NS_PER_SEC);
    assert_true(rate_at(&r, 9 * NS_PER_SEC) == 1000);
    assert_true(rate_at(&r, 12 * NS_PER_SEC) == 0);
    assert_true(rate_at(&r, 76 * NS_PER_SEC) == 0);
}

static void a_ramp_rises_evenly(void **state) {
    (void)state;
    cleanup(rate_deinit) struct rate r = course("0..2000:10s");
    struct arrivals a = arrivals(&r, ARRIVAL_CONSTANT, 0, UINT64_MAX);
    struct arrival one;
    uint64_t count = 0, first_half = 0;
    while (arrivals_next(&a, &one)) {
        /* The integral of 200 t is 100 t². */
        assert_near(one.intended_ns, (uint64_t)(sqrt((double)count / 100) * (double)NS_PER_SEC));
        first_half += one.intended_ns < 5 * NS_PER_SEC;
        count++;
    }
    assert_int_equal(count, 10000);
    assert_int_equal(first_half, 2500);
    assert_true(fabs(rate_requests(&r, 5 * NS_PER_SEC) - 2500) < 1e-6);
}

static void a_ramp_can_fall_to_nothing(void **state) {
    (void)state;
    cleanup(rate_deinit) struct rate r = course("1000..0:4s");
    struct arrivals a = arrivals(&r, ARRIVAL_CONSTANT, 0, UINT64_MAX);
    struct arrival one;
    uint64_t count = 0, last = 0;
    for (; arrivals_next(&a, &one); count++) {
        assert_true(one.intended_ns >= last);
        last = one.intended_ns;
    }
    assert_int_equal(count, 2000);
    assert_true(last < 4 * NS_PER_SEC);
}

static void rates_need_not_be_whole(void **state) {
    (void)state;
    cleanup(rate_deinit) struct rate r = course("0.5");
    size_t phase = 0;
    assert_near(rate_time(&r, 3, &phase), 6 * NS_PER_SEC);
}

/* No time of 64 bits is as late. */
static void what_is_asked_for_after_all_time_never_comes(void **state) {
    (void)state;
    cleanup(rate_deinit) struct rate r = RATE_NULL;
    struct error err = ERROR_NULL;
    size_t phase = 0;
    assert_int_equal(rate_parse("0.01", &r, &err), 0);
    assert_true(rate_time(&r, 1e9, &phase) == UINT64_MAX);
    const struct arrivals_config config = {
        .rate = &r, .requests = 1000000000, .end_ns = UINT64_MAX};
    assert_true(arrivals_span_ns(&config) == UINT64_MAX);
}

static void what_is_no_course_is_refused(void **state) {
    (void)state;
    static const char *const texts[][2] = {
        {"", "'' is not a rate"},
        {"fast", "'fast' is not a rate"},
        {"-1", "'-1' is not a rate"},
        {"inf", "'inf' is not a rate"},
        {"1e3", "'1e3' is not a rate"},
        {"1.2.3", "'1.2.3' is not a rate"},
        {".", "'.' is not a rate"},
        {"0", "a phase without requests needs a duration"},
        {"0:5s", "no request is asked for"},
        {"0..0:5s", "no request is asked for"},
        {"1000..5000", "a ramp needs a duration"},
        {"1000,2000:5s", "only the last phase may be without a duration"},
        {"1000:0s", "'0s' is not a duration"},
        {"1000:", "''"},
        {"1000:5", "'5'"},
        {"1000:5s,", "'' is not a rate"},
        {"1000..:5s", "'' is not a rate"},
        {"1000:99999h", "is not a duration up to 30 days"},
        {"999999999", "cannot be asked for"},
        {"0.0000000001", "cannot be asked for"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct rate r;
        struct error err = ERROR_NULL;
        assert_int_equal(rate_parse(texts[i][0], &r, &err), -1);
        if (!strstr(err.text, texts[i][1]))
            fail_msg("'%s': %s", texts[i][0], err.text);
    }
}

static void too_many_phases_are_refused(void **state) {
    (void)state;
    char text[5 * (RATE_PHASES_MAX + 1) + 1] = "";
    struct rate r;
    struct error err = ERROR_NULL;
    for (int i = 0; i <= RATE_PHASES_MAX; i++)
        strcpy(text + strlen(text), i ? ",1:1s" : "1:1s");
    assert_int_equal(rate_parse(text, &r, &err), -1);
    assert_non_null(strstr(err.text, "more than 1000 phases"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_arrivals_are_even),
        cmocka_unit_test(constant_arrivals_stay_exact_for_days),
        cmocka_unit_test(a_time_ends_the_arrivals_before_it),
        cmocka_unit_test(poisson_arrivals_have_the_mean_that_was_asked_for),
        cmocka_unit_test(a_seed_makes_the_same_arrivals_and_another_seed_others),
        cmocka_unit_test(slices_of_all_threads_are_the_whole),
        cmocka_unit_test(steps_follow_each_other_and_end),
        cmocka_unit_test(a_ramp_rises_evenly),
        cmocka_unit_test(a_ramp_can_fall_to_nothing),
        cmocka_unit_test(rates_need_not_be_whole),
        cmocka_unit_test(what_is_asked_for_after_all_time_never_comes),
        cmocka_unit_test(what_is_no_course_is_refused),
        cmocka_unit_test(too_many_phases_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
