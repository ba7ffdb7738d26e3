/* What machines cost: tables of prices, sums, and what is said of what nobody knows. */

#include "lib/text.h"
#include "runner/cloud/cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char table[] = "a-1: {t.big: 1.5, t.small: {on_demand: 0.01, spot: 0.004}}\n"
                            "b-1: {t.big: 2, t.odd: {spot: 0.25}}\n";

static struct prices *prices_of(const char *text) {
    struct error err = ERROR_NULL;
    struct prices *prices = NULL;
    if (prices_parse("p.yaml", text, text ? strlen(text) : 0, &prices, &err) < 0)
        fail_msg("%s", err.text);
    return prices;
}

static void assert_price(const struct prices *prices, const char *region, const char *type,
                         bool spot, int64_t micros, bool at_most) {
    struct price price = prices_find(prices, region, type, spot);
    assert_int_equal(price.micros, micros);
    assert_int_equal(price.at_most, at_most);
}

static void a_price_is_of_a_region_a_type_and_a_market(void **state) {
    (void)state;
    cleanup(prices_freep) struct prices *prices = prices_of(table);
    assert_price(prices, "a-1", "t.big", false, 1500000, false);
    assert_price(prices, "b-1", "t.big", false, 2000000, false);
    assert_price(prices, "a-1", "t.small", true, 4000, false);
    /* A spot machine never costs more than one on demand. */
    assert_price(prices, "a-1", "t.big", true, 1500000, true);
    /* What the table does not have is not free. */
    assert_price(prices, "c-1", "t.big", false, PRICE_UNKNOWN, false);
    assert_price(prices, "a-1", "t.huge", false, PRICE_UNKNOWN, false);
    assert_price(prices, "b-1", "t.odd", false, PRICE_UNKNOWN, false);
    assert_price(prices, "b-1", "t.odd", true, 250000, false);
}

static void the_programs_own_table_has_what_trials_run_on(void **state) {
    (void)state;
    static const char *const regions[] = {"us-east-1",    "us-east-2", "us-west-2",
                                          "eu-central-1", "eu-west-1", "ap-northeast-1"};
    static const char *const types[] = {"i3.2xlarge", "c5.2xlarge", "m5.large", "t3.micro"};
    cleanup(prices_freep) struct prices *prices = prices_of(NULL);
    assert_price(prices, "us-east-2", "i3.2xlarge", false, 624000, false);
    assert_price(prices, "us-east-2", "c7i.large", false, PRICE_UNKNOWN, false);
    for (size_t r = 0; r < sizeof regions / sizeof *regions; r++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++)
            assert_in_range(prices_find(prices, regions[r], types[t], false).micros, 5000, 2000000);
}

static void what_is_no_price_is_an_error_with_its_place(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"a-1: {t: free}", "p.yaml:1:10: 't' must be US dollars per hour, such as 0.624, not"},
        {"a-1: {t: -1}", "p.yaml:1:10: "},
        {"a-1: {t: 1e3}", "p.yaml:1:10: "},
        {"a-1: {t: 0.0000001}", "p.yaml:1:10: "},
        {"a-1: {t: 1001}", "p.yaml:1:10: "},
        {"a-1: {t: 99999999999999999999999}", "p.yaml:1:10: "},
        {"a-1: {t: {on_demnd: 1}}", "p.yaml:1:11: "},
        {"a-1: 3", "p.yaml:1:6: "},
        {"[]", "p.yaml:1:1: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct prices *prices = NULL;
        assert_int_equal(
            prices_parse("p.yaml", cases[i].text, strlen(cases[i].text), &prices, &err), -1);
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (!text_starts(err.text, cases[i].part))
            fail_msg("%s: %s", cases[i].text, err.text);
    }
}

static void numbers_are_read_and_written_exactly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t micros;
        const char *written;
    } cases[] = {{"0.624", 624000, "0.624"}, {"2", 2000000, "2.00"},       {"0.5", 500000, "0.50"},
                 {".000001", 1, "0.000001"}, {"10.10", 10100000, "10.10"}, {"0", 0, "0.00"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(buffer_deinit) struct buffer text;
        int64_t micros = -1;
        buffer_init(&text, 64);
        assert_true(price_read(cases[i].text, &micros));
        assert_int_equal(micros, cases[i].micros);
        price_write(micros, &text);
        assert_string_equal(buffer_string(&text), cases[i].written);
    }
    static const char *const bad[] = {"", ".", "1.", "x", "1 ", "1.2.3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t micros;
        assert_int_equal(price_read(bad[i], &micros), text_equal(bad[i], "1."));
    }
}

/* ---- sums ---- */

static void add(struct machines *all, const char *type, enum machine_state state, bool spot,
                int64_t launched_s) {
    struct error err = ERROR_NULL;
    struct machine *m;
    assert_int_equal(machines_add(all, &m, &err), 0);
    machine_set(&m->region, "a-1");
    machine_set(&m->type, type);
    m->state = state;
    m->spot = spot;
    m->launched_s = launched_s;
}

static void assert_written(const struct cost *cost, const char *wanted) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 1024);
    cost_write(cost, true, &text);
    assert_string_equal(buffer_string(&text), wanted);
}

static void machines_that_run_cost_by_the_second_and_others_nothing(void **state) {
    (void)state;
    cleanup(prices_freep) struct prices *prices = prices_of(table);
    cleanup(machines_deinit) struct machines all = MACHINES_NULL;
    const int64_t now = 1000000;
    add(&all, "t.big", MACHINE_RUNNING, false, now - 7200);
    add(&all, "t.big", MACHINE_PENDING, false, now - 1); /* a minute at least */
    add(&all, "t.big", MACHINE_STOPPED, false, now - 7200);
    add(&all, "t.big", MACHINE_GONE, false, now - 7200);
    struct cost cost = cost_of_machines(&all, prices, now);
    assert_int_equal(cost.machines, 2);
    assert_int_equal(cost.per_hour_micros, 3000000);
    assert_int_equal(cost.so_far_micros, 3000000 + 25000);
    assert_written(&cost, "3.00 USD per hour, 3.03 USD since the machines were last started, "
                          "without disks, addresses and traffic");
    add(&all, "t.small", MACHINE_RUNNING, true, now);
    add(&all, "x9.metal", MACHINE_RUNNING, false, now - 3600);
    add(&all, "t.big", MACHINE_RUNNING, true, now + 500); /* clocks differ */
    cost = cost_of_machines(&all, prices, now);
    assert_int_equal(cost.machines, 5);
    assert_int_equal(cost.per_hour_micros, 4504000);
    assert_written(&cost, "at most 4.504 USD per hour, at most 3.05 USD since the machines were "
                          "last started, without disks, addresses and traffic; what 1 of 5 "
                          "machines cost is not known: the table of prices has no x9.metal in a-1");
}

static void sums_do_not_overflow_whatever_is_said(void **state) {
    (void)state;
    cleanup(prices_freep) struct prices *prices = prices_of("a-1: {t: 1000}");
    cleanup(machines_deinit) struct machines all = MACHINES_NULL;
    for (size_t i = 0; i < MACHINES_MAX; i++)
        add(&all, "t", MACHINE_RUNNING, false, 1);
    struct cost cost = cost_of_machines(&all, prices, INT64_MAX / (int64_t)NS_PER_SEC);
    assert_int_equal(cost.per_hour_micros, (int64_t)MACHINES_MAX * 1000 * 1000000);
    assert_true(cost.so_far_micros > cost.per_hour_micros);
}

static void a_deployment_costs_what_its_fleets_would(void **state) {
    (void)state;
    static const char text[] =
        "testbed:\n"
        "  provider: ec2\n"
        "  fleets:\n"
        "    r: {regions: {a-1: 2, b-1: 1}, instance_type: t.big, image: ami-1}\n"
        "    l: {regions: {a-1: 3}, instance_type: t.small, image: ami-1, market: spot}\n"
        "    m: {regions: {a-1: 1}, instance_type: t.small, image: ami-1, market: spot,\n"
        "        spot_fallback: true}\n";
    static const struct environment nothing = {.lookup = NULL};
    struct error err = ERROR_NULL;
    cleanup(prices_freep) struct prices *prices = prices_of(table);
    cleanup(deployment_freep) struct deployment *d = NULL;
    cleanup(buffer_deinit) struct buffer out;
    if (deployment_parse("d", "/w", 0600, text, strlen(text), &nothing, &d, &err) < 0)
        fail_msg("%s", err.text);
    buffer_init(&out, 4096);
    cost_write_deployment(d, prices, &out);
    assert_string_equal(
        buffer_string(&out),
        "machines of fleet r: 2 of t.big in a-1, on demand, image ami-1: 1.50 USD per hour each\n"
        "machines of fleet r: 1 of t.big in b-1, on demand, image ami-1: 2.00 USD per hour each\n"
        "machines of fleet l: 3 of t.small in a-1, spot, image ami-1: 0.004 USD per hour each\n"
        "machines of fleet m: 1 of t.small in a-1, spot, image ami-1: at most 0.01 USD per hour "
        "each\n"
        "machines cost at most 5.022 USD per hour, without disks, addresses and "
        "traffic\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_price_is_of_a_region_a_type_and_a_market),
        cmocka_unit_test(the_programs_own_table_has_what_trials_run_on),
        cmocka_unit_test(what_is_no_price_is_an_error_with_its_place),
        cmocka_unit_test(numbers_are_read_and_written_exactly),
        cmocka_unit_test(machines_that_run_cost_by_the_second_and_others_nothing),
        cmocka_unit_test(sums_do_not_overflow_whatever_is_said),
        cmocka_unit_test(a_deployment_costs_what_its_fleets_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
