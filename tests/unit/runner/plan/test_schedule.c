/* The order in which steps go, and what is skipped when something fails. */

#include "lib/memory.h"
#include "runner/plan/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* create → start → load; then stop, collect (always), remove (only on failure) */
static size_t after_create[] = {0}, after_start[] = {1}, after_load[] = {2}, after_stop[] = {3},
              after_collect[] = {4};
static struct step steps[] = {
    {.kind = STEP_CREATE_CONTAINER},
    {.kind = STEP_START_CONTAINER, .after = after_create, .after_count = 1},
    {.kind = STEP_WAIT_EXIT, .after = after_start, .after_count = 1},
    {.kind = STEP_STOP_CONTAINER, .when = STEP_CLEANUP, .after = after_load, .after_count = 1},
    {.kind = STEP_COLLECT_CONTAINER, .when = STEP_CLEANUP, .after = after_stop, .after_count = 1},
    {.kind = STEP_REMOVE_CONTAINER,
     .when = STEP_CLEANUP_ON_FAILURE,
     .after = after_collect,
     .after_count = 1},
};
enum { COUNT = sizeof steps / sizeof *steps };

/* Carries everything out; step `failing` fails. Returns the order as a number, one digit a step. */
static long carry_out(struct schedule *s, long failing) {
    long order = 0, step;
    while ((step = schedule_next(s)) >= 0) {
        order = order * 10 + step + 1;
        schedule_end(s, (size_t)step, step == failing ? STEP_FAILED : STEP_GOOD);
    }
    assert_true(schedule_done(s));
    return order;
}

static void a_good_trial_goes_through_all_but_what_is_for_failures(void **state) {
    (void)state;
    struct schedule s;
    schedule_init(&s, steps, COUNT);
    assert_int_equal(carry_out(&s, -1), 12345);
    assert_int_equal(s.states[5], STEP_SKIPPED);
    schedule_deinit(&s);
}

static void a_failure_skips_what_is_ahead_and_cleans_up(void **state) {
    (void)state;
    struct schedule s;
    schedule_init(&s, steps, COUNT);
    assert_int_equal(carry_out(&s, 1), 12456);
    assert_int_equal(s.states[2], STEP_SKIPPED);
    schedule_deinit(&s);
}

static void a_failed_cleanup_does_not_keep_the_rest_of_the_cleanup_from_going(void **state) {
    (void)state;
    struct schedule s;
    schedule_init(&s, steps, COUNT);
    assert_int_equal(carry_out(&s, 3), 12345);
    assert_false(s.aborted);
    schedule_deinit(&s);
}

static void cleanup_waits_for_what_runs_when_the_trial_is_ended(void **state) {
    (void)state;
    struct schedule s;
    schedule_init(&s, steps, COUNT);
    assert_int_equal(schedule_next(&s), 0);
    schedule_abort(&s);
    assert_int_equal(schedule_next(&s), 3); /* its step before, 2, was skipped */
    schedule_end(&s, 3, STEP_GOOD);
    assert_int_equal(schedule_next(&s), 4);
    schedule_end(&s, 4, STEP_GOOD);
    assert_int_equal(schedule_next(&s), -1); /* removal waits: creation still runs */
    assert_false(schedule_done(&s));
    schedule_end(&s, 0, STEP_FAILED);
    assert_int_equal(schedule_next(&s), 5);
    schedule_end(&s, 5, STEP_GOOD);
    assert_true(schedule_done(&s));
    assert_int_equal(schedule_count(&s, STEP_GOOD), 3);
    schedule_deinit(&s);
}

static void independent_steps_run_side_by_side(void **state) {
    (void)state;
    static size_t both[] = {0, 1};
    static const struct step fan[] = {
        {.kind = STEP_BUILD_IMAGE},
        {.kind = STEP_BUILD_IMAGE},
        {.kind = STEP_CREATE_CONTAINER, .after = both, .after_count = 2},
    };
    struct schedule s;
    schedule_init(&s, fan, 3);
    assert_int_equal(schedule_next(&s), 0);
    assert_int_equal(schedule_next(&s), 1);
    assert_int_equal(schedule_next(&s), -1);
    schedule_end(&s, 1, STEP_GOOD);
    assert_int_equal(schedule_next(&s), -1);
    schedule_end(&s, 0, STEP_GOOD);
    assert_int_equal(schedule_next(&s), 2);
    schedule_end(&s, 2, STEP_GOOD);
    assert_true(schedule_done(&s));
    schedule_deinit(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_trial_goes_through_all_but_what_is_for_failures),
        cmocka_unit_test(a_failure_skips_what_is_ahead_and_cleans_up),
        cmocka_unit_test(a_failed_cleanup_does_not_keep_the_rest_of_the_cleanup_from_going),
        cmocka_unit_test(cleanup_waits_for_what_runs_when_the_trial_is_ended),
        cmocka_unit_test(independent_steps_run_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
