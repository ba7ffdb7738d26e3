/* Mixes of requests: how they are said, and that shapes and keys are drawn as often as they ought
 * to be. Seeds are fixed, so what is within bounds once is so for ever. */

#include "loader/mix.h"
#include "loader/workload.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- keys ---- */

enum { DRAWS = 200 * 1000, SPACE_MAX = 1000 };

/* Sum of (drawn - expected)^2 / expected over `count` outcomes, and five deviations of what chance
 * makes it (Pearson). */
static void expect_as_probable(const uint64_t *drawn, const double *probabilities, size_t count,
                               double draws) {
    double chi2 = 0, expected_rest = 0, drawn_rest = 0;
    size_t bins = 0;
    for (size_t i = 0; i < count; i++) {
        double expected = probabilities[i] * draws;
        if (expected < 10) { /* too few for a bin of their own */
            expected_rest += expected;
            drawn_rest += (double)drawn[i];
            continue;
        }
        chi2 += ((double)drawn[i] - expected) * ((double)drawn[i] - expected) / expected;
        bins++;
    }
    if (expected_rest >= 10) {
        chi2 += (drawn_rest - expected_rest) * (drawn_rest - expected_rest) / expected_rest;
        bins++;
    }
    double freedom = bins > 1 ? (double)(bins - 1) : 0.1;
    if (chi2 > freedom + 5 * sqrt(2 * freedom))
        fail_msg("chi-square %.1f with %.0f degrees of freedom", chi2, freedom);
}

/* How long the part of [0, 1) is that the method of Gray et al. maps to each key. */
static void probabilities_of(uint64_t n, double theta, double *out) {
    double zeta = 0, rest = 1 - theta;
    for (uint64_t i = 1; i <= n; i++)
        zeta += pow((double)i, -theta);
    double second = 1 + pow(2, -theta);
    double eta = (1 - pow(2 / (double)n, rest)) / (1 - second / zeta);
    for (uint64_t i = 0; i < n; i++)
        out[i] =
            i == 0 ? 1 / zeta
            : i == 1
                ? (second - 1) / zeta
                : (pow((double)(i + 1) / (double)n, rest) - pow((double)i / (double)n, rest)) / eta;
}

static void draw_many(uint64_t space, const char *skew_text, uint64_t drawn[SPACE_MAX]) {
    struct error err = ERROR_NULL;
    struct keys_skew skew;
    struct keys keys;
    assert_int_equal(keys_skew_parse(skew_text, &skew, &err), 0);
    keys_init(&keys, space, &skew);
    memset(drawn, 0, SPACE_MAX * sizeof *drawn);
    for (uint64_t i = 0; i < DRAWS; i++) {
        uint64_t key = keys_draw(&keys, workload_mix(i + 1000000 * space));
        assert_true(key < space);
        drawn[key]++;
    }
}

static void uniform_keys_are_equally_probable(void **state) {
    (void)state;
    static const uint64_t spaces[] = {1, 2, 3, 7, 100, 1000};
    uint64_t drawn[SPACE_MAX];
    double probabilities[SPACE_MAX];
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        for (size_t k = 0; k < spaces[i]; k++)
            probabilities[k] = 1 / (double)spaces[i];
        draw_many(spaces[i], "uniform", drawn);
        expect_as_probable(drawn, probabilities, spaces[i], DRAWS);
    }
}

static void skewed_keys_have_the_probabilities_of_the_method(void **state) {
    (void)state;
    static const uint64_t spaces[] = {1, 2, 3, 10, 100, 1000};
    static const char *const skews[] = {"zipf:0", "zipf:0.5", "zipf:0.9", "zipf:0.99",
                                        "zipf:0.999"};
    uint64_t drawn[SPACE_MAX];
    double probabilities[SPACE_MAX];
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        for (size_t k = 0; k < sizeof skews / sizeof *skews; k++) {
            probabilities_of(spaces[i], strtod(skews[k] + 5, NULL), probabilities);
            draw_many(spaces[i], skews[k], drawn);
            expect_as_probable(drawn, probabilities, spaces[i], DRAWS);
        }
}

/* Without skew it is the same as uniform; with it, keys 0 and 1 are exact, and in all 2 % of the
 * draws go elsewhere than Zipf's law says. */
static void the_method_is_near_zipfs_law(void **state) {
    (void)state;
    static const double thetas[] = {0, 0.5, 0.9, 0.99, 0.999};
    double p[SPACE_MAX];
    for (size_t t = 0; t < sizeof thetas / sizeof *thetas; t++) {
        double zeta = keys_zeta(SPACE_MAX, thetas[t]), distance = 0, sum = 0;
        probabilities_of(SPACE_MAX, thetas[t], p);
        for (size_t i = 0; i < SPACE_MAX; i++) {
            double law = pow((double)(i + 1), -thetas[t]) / zeta;
            assert_true(i > 1 || fabs(p[i] - law) < 1e-9);
            distance += fabs(p[i] - law) / 2;
            sum += p[i];
        }
        assert_true(fabs(sum - 1) < 1e-9);
        assert_true(distance < 0.02);
        assert_true(thetas[t] > 0 || distance < 1e-9);
    }
}

static void zeta_of_many_keys_takes_few_terms(void **state) {
    (void)state;
    static const double thetas[] = {0, 0.3, 0.99, 0.999};
    for (size_t t = 0; t < sizeof thetas / sizeof *thetas; t++) {
        double sum = 0;
        for (uint64_t i = 1; i <= 200000; i++) {
            sum += pow((double)i, -thetas[t]);
            if (i == 999 || i == 1000 || i == 1001 || i == 200000)
                assert_true(fabs(keys_zeta(i, thetas[t]) / sum - 1) < 1e-12);
        }
    }
}

static void no_random_number_leads_out_of_the_key_space(void **state) {
    (void)state;
    static const char *const skews[] = {"uniform", "zipf:0", "zipf:0.99", "zipf:0.999"};
    static const uint64_t spaces[] = {1, 2, 3, 4, 1000, LOADER_KEY_SPACE_MAX};
    for (size_t i = 0; i < sizeof skews / sizeof *skews; i++)
        for (size_t k = 0; k < sizeof spaces / sizeof *spaces; k++) {
            struct error err = ERROR_NULL;
            struct keys_skew skew;
            struct keys keys;
            assert_int_equal(keys_skew_parse(skews[i], &skew, &err), 0);
            keys_init(&keys, spaces[k], &skew);
            assert_int_equal(keys_draw(&keys, 0), 0);
            uint64_t last = keys_draw(&keys, UINT64_MAX);
            assert_true(last < spaces[k]);
            assert_true(last >= spaces[k] - 1 - spaces[k] / 1000);
        }
}

static void a_skew_is_uniform_or_zipf_below_one(void **state) {
    (void)state;
    static const char *const bad[] = {"",           "zipf",     "zipf:",     "zipf:1",
                                      "zipf:-0.5",  "zipf:nan", "zipf:0.5x", "zipf:1e-3",
                                      "zipf:0.9.9", "Uniform"};
    struct error err = ERROR_NULL;
    struct keys_skew skew;
    assert_int_equal(keys_skew_parse("zipf:0.75", &skew, &err), 0);
    assert_int_equal(skew.model, KEYS_ZIPF);
    assert_true(skew.theta == 0.75);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(keys_skew_parse(bad[i], &skew, &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
        error_clear(&err);
    }
}

/* ---- what requests are ---- */

static const struct mix three = {
    .count = 3,
    .key_space = 50,
    .shapes = {{.name = "a", .weight = 70, .key_count = 1, .payload_size = 100},
               {.name = "b", .weight = 29, .key_count = 2, .payload_size = 15100},
               {.name = "c", .weight = 1, .key_count = 3, .read_only = true}},
};

enum { CLIENTS = 100, NUMBERS = 2000 };

static void shapes_come_as_often_as_their_weights_say(void **state) {
    (void)state;
    static const double probabilities[] = {0.7, 0.29, 0.01};
    cleanup(workload_deinit) struct workload w;
    uint64_t counts[3] = {0}, of_client[3] = {0};
    workload_init(&w, &three, 42, 0, CLIENTS);
    for (uint32_t client = 0; client < CLIENTS; client++)
        for (uint64_t number = 1; number <= NUMBERS; number++) {
            uint32_t shape = workload_shape(&w, client, number);
            counts[shape]++;
            of_client[shape] += client == 7;
        }
    expect_as_probable(counts, probabilities, 3, (double)CLIENTS * NUMBERS);
    expect_as_probable(of_client, probabilities, 3, NUMBERS);
}

/* All pairs of shape and key come as often as if neither knew of the other. */
static void keys_are_drawn_alike_for_every_shape(void **state) {
    (void)state;
    static const double weights[] = {0.7, 0.29, 0.01};
    cleanup(workload_deinit) struct workload w;
    uint64_t counts[3 * 50] = {0};
    double probabilities[3 * 50];
    struct wire_request r;
    workload_init(&w, &three, 42, 0, CLIENTS);
    for (size_t i = 0; i < 3 * 50; i++)
        probabilities[i] = weights[i / 50] / 50;
    for (uint32_t client = 0; client < CLIENTS; client++)
        for (uint64_t number = 1; number <= NUMBERS; number++) {
            const struct schedule_entry e = {.client = client, .number = number};
            workload_request(&w, &e, &r);
            assert_int_equal(r.key_space, 50);
            counts[(r.key_count - 1) * 50 + r.first_key]++;
        }
    expect_as_probable(counts, probabilities, 3 * 50, (double)CLIENTS * NUMBERS);
}

static void requests_are_those_of_their_shape(void **state) {
    (void)state;
    cleanup(workload_deinit) struct workload w;
    struct wire_request r;
    workload_init(&w, &three, 42, 0, CLIENTS);
    for (uint64_t number = 1; number <= NUMBERS; number++) {
        const struct schedule_entry e = {.client = 3, .number = number};
        const struct shape *shape = &three.shapes[workload_shape(&w, 3, number)];
        workload_request(&w, &e, &r);
        assert_int_equal(r.key_count, shape->key_count);
        assert_int_equal(r.payload_size, shape->payload_size);
        assert_int_equal(r.flags, shape->read_only ? WIRE_REQUEST_READ_ONLY : 0);
    }
}

/* What was drawn before is drawn again, whatever else has been asked for between; another seed
 * draws something else; and another mix does not change the keys. */
static void draws_follow_from_seed_client_and_number_alone(void **state) {
    (void)state;
    cleanup(workload_deinit) struct workload a, b, other, mixed;
    struct mix alone = three;
    unsigned different = 0;
    alone.count = 1;
    workload_init(&a, &three, 42, 0, CLIENTS);
    workload_init(&b, &three, 42, 0, CLIENTS);
    workload_init(&other, &three, 43, 0, CLIENTS);
    workload_init(&mixed, &alone, 42, 0, CLIENTS);
    for (uint64_t i = 0; i < 1000; i++) {
        const struct schedule_entry e = {.client = (uint32_t)(i * 37 % CLIENTS),
                                         .number = 1000 - i};
        struct wire_request x, y, z, one;
        workload_request(&a, &e, &x);
        workload_request(&b, &(struct schedule_entry){.client = 1, .number = i + 1}, &y);
        workload_request(&b, &e, &y);
        workload_request(&other, &e, &z);
        workload_request(&mixed, &e, &one);
        assert_int_equal(x.key_count, y.key_count);
        assert_int_equal(x.first_key, y.first_key);
        assert_int_equal(x.first_key, one.first_key);
        different += x.first_key != z.first_key;
    }
    assert_true(different > 900);
}

/* ---- how they are said ---- */

static const struct shape letters = {.key_count = 31,
                                     .key_size = 118,
                                     .value_size = 2841,
                                     .payload_size = 15100,
                                     .pre_execute = 1,
                                     .busy_wait = 1};

static void a_shape_says_what_differs_from_the_letters(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct mix m = {.key_space = 1000};
    assert_int_equal(mix_add(&m, "small,weight=70,k=3,s=20,v=100,d=0,e=5,p=0,w=0", &letters, &err),
                     0);
    assert_int_equal(mix_add(&m, "large,value-size=100000,payload-size=7", &letters, &err), 0);
    assert_int_equal(mix_add(&m, "look,read,keys=1", &letters, &err), 0);
    assert_int_equal(mix_add(&m, "ask,d=9,read", &letters, &err), 0);
    assert_int_equal(m.count, 4);
    const struct shape *s = m.shapes;
    assert_string_equal(s[0].name, "small");
    assert_int_equal(s[0].weight, 70);
    assert_int_equal(s[0].key_count, 3);
    assert_int_equal(s[0].key_size, 20);
    assert_int_equal(s[0].value_size, 100);
    assert_int_equal(s[0].payload_size, 0);
    assert_int_equal(s[0].execution_ms, 5);
    assert_int_equal(s[0].pre_execute, 0);
    assert_int_equal(s[0].busy_wait, 0);
    assert_false(s[0].read_only);
    assert_int_equal(s[1].weight, 1);
    assert_int_equal(s[1].key_count, 31);
    assert_int_equal(s[1].value_size, 100000);
    assert_int_equal(s[1].payload_size, 7);
    assert_int_equal(s[1].pre_execute, 1);
    assert_true(s[2].read_only);
    assert_int_equal(s[2].key_count, 1);
    assert_int_equal(s[2].key_size, 118);
    assert_int_equal(s[2].value_size, 0);
    assert_int_equal(s[2].payload_size, 0); /* nobody would look at it */
    assert_int_equal(s[2].pre_execute, 0);
    assert_int_equal(s[3].payload_size, 9);
    assert_int_equal(mix_check(&m, &err), 0);
}

static void mistakes_in_a_shape_are_told_clearly(void **state) {
    (void)state;
    static const struct {
        const char *text, *error, *hint;
    } cases[] = {
        {"", "'' is no name of a shape", "it begins with its name"},
        {"weight=3", "'weight=3' is no name of a shape", "it begins with its name"},
        {"a b", "'a b' is no name of a shape", "it begins with its name"},
        {"x,wieght=3", "shape 'x': a shape has no 'wieght'", "did you mean weight=?"},
        {"x,raed", "shape 'x': a shape has no 'raed'", "did you mean read?"},
        {"x,b=3", "shape 'x': a shape has no 'b'", NULL},
        {"x,", "shape 'x': a shape has no ''", NULL},
        {"x,k", "shape 'x': k needs a value: k=NUMBER", NULL},
        {"x,k=1,keys=2", "shape 'x': keys is there twice", NULL},
        {"x,weight=0", "shape 'x': weight: ", NULL},
        {"x,d=1048577", "shape 'x': payload-size: ", NULL},
        {"x,v=5,read", "shape 'x': value-size is of writes", NULL},
        {"x,read,p=1", "shape 'x': pre-execute is of writes", NULL},
        {"from-send", "'from-send' means something else in latency.hlog", NULL},
        {"taken,k=1", "there are two shapes 'taken'", NULL},
        {"a-name-that-is-longer-than-31-bytes", "is no name of a shape", "it begins"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct mix m = MIX_NULL;
        assert_int_equal(mix_add(&m, "taken", &letters, &err), 0);
        assert_int_equal(mix_add(&m, cases[i].text, &letters, &err), -1);
        assert_int_equal(err.kind, ERROR_USAGE);
        if (!strstr(err.text, cases[i].error) ||
            (cases[i].hint && !strstr(err.hint, cases[i].hint)))
            fail_msg("%s: %s (%s)", cases[i].text, err.text, err.hint);
        assert_int_equal(m.count, 1);
    }
}

static void a_mix_has_a_maximum_and_its_parts_go_together(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct mix m = MIX_NULL;
    for (int i = 0; i < LOADER_SHAPES_MAX; i++) {
        cleanup_free char *name = text_format("s%d", i);
        assert_int_equal(mix_add(&m, name, &letters, &err), 0);
    }
    assert_int_equal(mix_add(&m, "more", &letters, &err), -1);
    assert_int_equal(mix_check(&m, &err), 0);
    m.skew.model = KEYS_ZIPF;
    assert_int_equal(mix_check(&m, &err), -1);
    assert_string_equal(err.text, "option --key-skew needs --key-space");
    m.key_space = 30;
    assert_int_equal(mix_check(&m, &err), -1);
    assert_string_equal(err.text, "a request of 31 keys does not fit into --key-space 30");
    m = MIX_NULL;
    mix_add_reads(&m, &letters, 5);
    assert_int_equal(m.count, 2);
    assert_int_equal(m.shapes[0].weight, 95);
    assert_true(m.shapes[1].read_only);
    assert_int_equal(mix_check(&m, &err), -1);
    assert_string_equal(err.text, "reads need keys that are written: --key-space");
    m = MIX_NULL;
    mix_add_reads(&m, &letters, 0);
    assert_int_equal(m.count, 1);
    assert_false(m.shapes[0].read_only);
    m = MIX_NULL;
    mix_add_reads(&m, &letters, 100);
    assert_int_equal(m.count, 1);
    assert_true(m.shapes[0].read_only);
}

static void a_request_may_read_keys_before_it_writes(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct wire_request r;
    struct workload w;
    struct mix m = {.key_space = 50};
    assert_int_equal(mix_add(&m, "modify,k=2,read-keys=3", &letters, &err), 0);
    assert_int_equal(mix_check(&m, &err), 0);
    workload_init(&w, &m, 1, 0, 1);
    workload_request(&w, &(struct schedule_entry){.number = 1}, &r);
    assert_int_equal(r.read_count, 3);
    assert_int_equal(r.key_count, 2);
    assert_int_equal(r.flags & WIRE_REQUEST_READ_ONLY, 0);
    workload_deinit(&w);
    m.key_space = 2;
    assert_int_equal(mix_check(&m, &err), -1);
    assert_string_equal(err.text, "a request of 3 keys does not fit into --key-space 2");
    m.key_space = 0;
    assert_int_equal(mix_check(&m, &err), -1);
    assert_string_equal(err.text, "--read-keys needs keys to read: --key-space");
    assert_int_equal(mix_add(&m, "look,read,read-keys=3", &letters, &err), -1);
    assert_non_null(strstr(err.text, "read-keys is of writes, but the shape is one that reads"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_keys_are_equally_probable),
        cmocka_unit_test(skewed_keys_have_the_probabilities_of_the_method),
        cmocka_unit_test(the_method_is_near_zipfs_law),
        cmocka_unit_test(zeta_of_many_keys_takes_few_terms),
        cmocka_unit_test(no_random_number_leads_out_of_the_key_space),
        cmocka_unit_test(a_skew_is_uniform_or_zipf_below_one),
        cmocka_unit_test(shapes_come_as_often_as_their_weights_say),
        cmocka_unit_test(keys_are_drawn_alike_for_every_shape),
        cmocka_unit_test(requests_are_those_of_their_shape),
        cmocka_unit_test(draws_follow_from_seed_client_and_number_alone),
        cmocka_unit_test(a_shape_says_what_differs_from_the_letters),
        cmocka_unit_test(mistakes_in_a_shape_are_told_clearly),
        cmocka_unit_test(a_mix_has_a_maximum_and_its_parts_go_together),
        cmocka_unit_test(a_request_may_read_keys_before_it_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
