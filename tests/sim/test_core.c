/* Seeded schedules of a whole cluster; see core_sim.h. SEATRIAL_SIM_SEEDS runs more of them. */

#include "tests/sim/core_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SEEDS = 400, FIRST_SEED = 1 };

static void no_schedule_breaks_a_promise(void **state) {
    (void)state;
    const char *asked = getenv("SEATRIAL_SIM_SEEDS"), *only = getenv("SEATRIAL_SIM_SEED");
    uint64_t count = asked ? strtoull(asked, NULL, 10) : SEEDS;
    uint64_t first = only ? strtoull(only, NULL, 10) : FIRST_SEED;
    uint64_t events = 0, answered = 0, left_behind = 0;
    for (uint64_t seed = first; seed < first + (only ? 1 : count); seed++) {
        struct sim_result result;
        sim_run(&(struct sim_options){.seed = seed, .verbose = only != NULL}, &result);
        if (result.violation[0])
            fail_msg("seed %llu: %s (run it alone: SEATRIAL_SIM_SEED=%llu)",
                     (unsigned long long)seed, result.violation, (unsigned long long)seed);
        events += result.events;
        answered += result.answered;
        left_behind += result.left_behind > 0;
    }
    print_message("seeds %llu to %llu: %llu events, %llu requests answered, in %llu of them a "
                  "backup fell out of the window\n",
                  (unsigned long long)first, (unsigned long long)(first + count - 1),
                  (unsigned long long)events, (unsigned long long)answered,
                  (unsigned long long)left_behind);
}

static void the_same_seed_is_the_same_schedule(void **state) {
    (void)state;
    struct sim_result a, b;
    sim_run(&(struct sim_options){.seed = 7}, &a);
    sim_run(&(struct sim_options){.seed = 7}, &b);
    assert_int_equal(a.events, b.events);
    assert_int_equal(a.answered, b.answered);
    assert_int_equal(a.height, b.height);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_schedule_breaks_a_promise),
        cmocka_unit_test(the_same_seed_is_the_same_schedule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
