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

/* ---- against a schedule that looks everything up each time ---- */

static bool over(enum step_state state) {
    return state != STEP_WAITING && state != STEP_RUNNING;
}

/* What the header says of one waiting step: STEP_RUNNING when it may go. */
static enum step_state judged(const struct schedule *s, size_t step) {
    const struct step *it = &s->steps[step];
    bool all_over = true, all_good = true, forward_over = true;
    for (size_t k = 0; k < it->after_count; k++) {
        enum step_state before = s->states[it->after[k]];
        all_over = all_over && over(before);
        all_good = all_good && (before == STEP_GOOD || !over(before));
    }
    for (size_t i = 0; i < s->count; i++)
        forward_over = forward_over && (s->steps[i].when != STEP_FORWARD || over(s->states[i]));
    if (it->when == STEP_FORWARD)
        return s->aborted || !all_good ? STEP_SKIPPED : all_over ? STEP_RUNNING : STEP_WAITING;
    if (!all_over || (it->when == STEP_CLEANUP_ON_FAILURE && !forward_over))
        return STEP_WAITING;
    return it->when == STEP_CLEANUP || s->aborted ? STEP_RUNNING : STEP_SKIPPED;
}

enum { RANDOM_STEPS = 40, RANDOM_PLANS = 300 };

struct random_plan {
    struct step steps[RANDOM_STEPS];
    size_t after[RANDOM_STEPS][RANDOM_STEPS];
    uint64_t state;
};

static uint64_t draw(struct random_plan *r, uint64_t below) {
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (r->state >> 33) % below;
}

/* Cleanup steps come last, as in a plan; each step waits for about three. */
static void fill(struct random_plan *r, uint64_t seed) {
    *r = (struct random_plan){.state = seed};
    size_t cleanup = RANDOM_STEPS / 4 + draw(r, RANDOM_STEPS / 2);
    for (size_t i = 0; i < RANDOM_STEPS; i++) {
        r->steps[i].after = r->after[i];
        if (i >= cleanup)
            r->steps[i].when = draw(r, 3) ? STEP_CLEANUP : STEP_CLEANUP_ON_FAILURE;
        for (size_t k = 0; k < i; k++)
            if (draw(r, i) < 3)
                r->after[i][r->steps[i].after_count++] = k;
    }
}

/* Nobody that may go is held back, and nobody goes who may not. */
static void check_all(const struct schedule *s, uint64_t seed) {
    for (size_t i = 0; i < s->count; i++)
        if (s->states[i] == STEP_WAITING && judged(s, i) != STEP_WAITING)
            fail_msg("seed %llu: step %zu was forgotten", (unsigned long long)seed, i);
}

static void the_bookkeeping_agrees_with_looking_everything_up(void **state) {
    (void)state;
    static struct random_plan r;
    for (uint64_t seed = 1; seed <= RANDOM_PLANS; seed++) {
        struct schedule s;
        size_t running[RANDOM_STEPS], count = 0;
        fill(&r, seed);
        schedule_init(&s, r.steps, RANDOM_STEPS);
        while (!schedule_done(&s)) {
            long next;
            while ((next = schedule_next(&s)) >= 0) {
                s.states[next] = STEP_WAITING;
                if (judged(&s, (size_t)next) != STEP_RUNNING)
                    fail_msg("seed %llu: step %ld was too early", (unsigned long long)seed, next);
                s.states[next] = STEP_RUNNING;
                running[count++] = (size_t)next;
            }
            check_all(&s, seed);
            if (schedule_done(&s))
                break;
            assert_true(count > 0);
            size_t which = draw(&r, count), step = running[which];
            running[which] = running[--count];
            uint64_t fate = draw(&r, 40);
            schedule_end(&s, step, fate == 0 ? STEP_FAILED : fate == 1 ? STEP_SKIPPED : STEP_GOOD);
            if (draw(&r, 100) == 0)
                schedule_abort(&s);
        }
        schedule_deinit(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_trial_goes_through_all_but_what_is_for_failures),
        cmocka_unit_test(a_failure_skips_what_is_ahead_and_cleans_up),
        cmocka_unit_test(a_failed_cleanup_does_not_keep_the_rest_of_the_cleanup_from_going),
        cmocka_unit_test(cleanup_waits_for_what_runs_when_the_trial_is_ended),
        cmocka_unit_test(independent_steps_run_side_by_side),
        cmocka_unit_test(the_bookkeeping_agrees_with_looking_everything_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
