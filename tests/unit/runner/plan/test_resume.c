/* What is done again when a trial goes on whose runner died, wherever that was. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/plan/resume.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *nothing(void *arg, const char *name) {
    (void)arg;
    (void)name;
    return NULL;
}
static const struct environment env = {.lookup = nothing};

static const char services[] =
    "services:\n"
    "  keys: {image: i, network_mode: host, x-seatrial: {role: prepare, output: /keys}}\n"
    "  db: {image: i, network_mode: host, deploy: {replicas: 2}, x-seatrial: {role: replica}}\n"
    "  bench: {image: i, network_mode: host, x-seatrial: {role: loader}}\n";
static const char deployment_text[] =
    "runtime: {custom_command: id, custom_command_run_interval_sec: 1}\n"
    "testbed:\n"
    "  provider: hosts\n"
    "  hosts: [{ssh: h1}, {ssh: h2}, {ssh: h3}]\n";

struct trial {
    struct project *project;
    struct deployment *deployment;
    struct plan *plan;
    enum step_state *was;
    enum resume_how *how;
    bool forward;
};

static void trial_deinit(struct trial *t) {
    plan_free(t->plan);
    project_free(t->project);
    deployment_free(t->deployment);
    free(t->was);
    free(t->how);
}

static void trial_init(struct trial *t) {
    struct error err = ERROR_NULL;
    const struct project_source source = {"c", services, strlen(services)};
    const struct project_options of = {.name = "p", .folder = "/t", .environment = env};
    const struct plan_options options = {.run = "0badcafe"};
    *t = (struct trial){.project = NULL};
    if (project_parse(&source, 1, &of, &t->project, &err) < 0 ||
        deployment_parse("d", "/t", 0600, deployment_text, strlen(deployment_text), &env,
                         &t->deployment, &err) < 0 ||
        plan_make(t->project, t->deployment, &options, &t->plan, &err) < 0)
        fail_msg("%s", err.text);
    t->was = mem_new_array(enum step_state, t->plan->step_count);
    t->how = mem_new_array(enum resume_how, t->plan->step_count);
}

/* Carries the plan out by itself until `steps` have ended; one more has begun. Step `failing`
 * fails.
 */
static void live_until(struct trial *t, size_t steps, long failing) {
    struct schedule s;
    long next;
    schedule_init(&s, t->plan->steps, t->plan->step_count);
    for (size_t ended = 0; (next = schedule_next(&s)) >= 0 && ended < steps; ended++)
        schedule_end(&s, (size_t)next, next == failing ? STEP_FAILED : STEP_GOOD);
    memcpy(t->was, s.states, t->plan->step_count * sizeof *t->was);
    schedule_deinit(&s);
    /* Of a step that was skipped without a beginning the journal says nothing. */
    for (size_t i = 0; i < t->plan->step_count; i++)
        t->was[i] = t->was[i] == STEP_SKIPPED ? STEP_WAITING : t->was[i];
}

static void prepare(struct trial *t, bool interrupted) {
    t->forward = resume_steps(t->plan, t->was, interrupted, t->how);
    resume_order(t->plan, t->how, t->forward);
}

static size_t find(const struct trial *t, enum step_kind kind, const char *subject) {
    for (size_t i = 0; i < t->plan->step_count; i++)
        if (t->plan->steps[i].kind == kind &&
            text_equal(plan_subject(t->plan, &t->plan->steps[i]), subject))
            return i;
    fail_msg("no step %s %s", step_kind_name(kind), subject);
    return 0;
}

static enum step_kind undone_by(enum step_kind kind) {
    switch (kind) {
    case STEP_CREATE_CONTAINER: return STEP_REMOVE_CONTAINER;
    case STEP_PUT_FILES: return STEP_REMOVE_FILES;
    case STEP_START_COMMANDS: return STEP_STOP_COMMANDS;
    case STEP_START_SAMPLES: return STEP_STOP_SAMPLES;
    case STEP_LOCK_HOST: return STEP_UNLOCK_HOST;
    default: return STEP_KIND_COUNT;
    }
}

/* Whatever had begun is undone, by this life or by the one before. */
static void assert_undone(const struct trial *t, const enum step_state *states) {
    for (size_t i = 0; i < t->plan->step_count; i++) {
        const struct step *made = &t->plan->steps[i];
        enum step_kind undo = undone_by(made->kind);
        bool begun = t->was[i] != STEP_WAITING || states[i] != STEP_SKIPPED;
        bool now = states[i] == STEP_GOOD && t->how[i] != RESUME_DONE;
        for (size_t k = 0; begun && k < t->plan->step_count; k++) {
            if (t->plan->steps[k].kind != undo || t->plan->steps[k].subject != made->subject)
                continue;
            assert_int_equal(states[k], STEP_GOOD);
            assert_false(now && t->how[k] == RESUME_DONE);
        }
    }
}

/* To the end. On a host nothing is done before its check, and nothing twice that is done. */
static void live_on(struct trial *t) {
    struct schedule s;
    long next;
    schedule_init(&s, t->plan->steps, t->plan->step_count);
    for (size_t i = 0; i < t->plan->step_count; i++)
        if (t->how[i] == RESUME_DONE)
            schedule_restore(&s, i, t->was[i]);
    if (!t->forward)
        schedule_abort(&s);
    cleanup_free bool *checked = mem_new_array(bool, t->plan->host_count);
    while ((next = schedule_next(&s)) >= 0) {
        const struct step *step = &t->plan->steps[next];
        assert_int_not_equal(t->how[next], RESUME_DONE);
        assert_true(step->kind == STEP_CHECK_HOST || checked[step->host]);
        checked[step->host] = true;
        schedule_end(&s, (size_t)next, STEP_GOOD);
    }
    assert_true(schedule_done(&s));
    assert_undone(t, s.states);
    for (size_t i = 0; t->forward && i < t->plan->step_count; i++)
        assert_int_equal(s.states[i], STEP_GOOD);
    schedule_deinit(&s);
}

static void wherever_it_died_a_trial_comes_to_its_end(void **state) {
    (void)state;
    for (size_t steps = 0;; steps++) {
        cleanup(trial_deinit) struct trial t;
        trial_init(&t);
        live_until(&t, steps, -1);
        prepare(&t, false);
        assert_true(t.forward);
        live_on(&t);
        if (steps == t.plan->step_count)
            break;
    }
}

static void one_that_was_interrupted_is_only_cleaned_up(void **state) {
    (void)state;
    for (size_t steps = 0;; steps++) {
        cleanup(trial_deinit) struct trial t;
        trial_init(&t);
        live_until(&t, steps, -1);
        prepare(&t, true);
        assert_false(t.forward);
        live_on(&t);
        if (steps == t.plan->step_count)
            break;
    }
}

static void one_that_had_failed_is_only_cleaned_up(void **state) {
    (void)state;
    for (size_t steps = 1;; steps++) {
        cleanup(trial_deinit) struct trial t;
        trial_init(&t);
        size_t failing = find(&t, STEP_START_CONTAINER, "p-db-2");
        live_until(&t, steps, (long)failing);
        prepare(&t, false);
        assert_int_equal(t.forward, t.was[failing] != STEP_FAILED);
        live_on(&t);
        if (steps == t.plan->step_count)
            break;
    }
}

/* All steps before this one in the plan were good, and it has begun. */
static void died_in(struct trial *t, size_t step) {
    for (size_t i = 0; i < step; i++)
        t->was[i] = STEP_GOOD;
    t->was[step] = STEP_RUNNING;
}

static void what_died_with_the_runner_is_had_again(void **state) {
    (void)state;
    cleanup(trial_deinit) struct trial t;
    trial_init(&t);
    died_in(&t, find(&t, STEP_WAIT_EXIT, "p-bench-1"));
    prepare(&t, false);
    assert_int_equal(t.how[find(&t, STEP_CHECK_HOST, "h1")], RESUME_AGAIN);
    assert_int_equal(t.how[find(&t, STEP_LOCK_HOST, "h1")], RESUME_AGAIN);
    assert_int_equal(t.how[find(&t, STEP_START_CONTAINER, "p-db-1")], RESUME_AGAIN); /* its log */
    assert_int_equal(t.how[find(&t, STEP_START_COMMANDS, "h1")], RESUME_AGAIN);
    assert_int_equal(t.how[find(&t, STEP_WAIT_EXIT, "p-bench-1")], RESUME_AGAIN);
    assert_int_equal(t.how[find(&t, STEP_CREATE_CONTAINER, "p-db-1")], RESUME_DONE);
    assert_int_equal(t.how[find(&t, STEP_WAIT_HEALTHY, "p-db-1")], RESUME_DONE);
    assert_int_equal(t.how[find(&t, STEP_FETCH_OUTPUT, "p-keys-1")], RESUME_DONE);
    assert_int_equal(t.how[find(&t, STEP_STOP_CONTAINER, "p-bench-1")], RESUME_FRESH);
}

static void what_was_prepared_is_fetched_again_while_somebody_lacks_it(void **state) {
    (void)state;
    cleanup(trial_deinit) struct trial t;
    trial_init(&t);
    died_in(&t, find(&t, STEP_CREATE_CONTAINER, "p-db-2"));
    prepare(&t, false);
    assert_int_equal(t.how[find(&t, STEP_FETCH_OUTPUT, "p-keys-1")], RESUME_AGAIN);
}

static void what_was_collected_is_not_followed_again(void **state) {
    (void)state;
    cleanup(trial_deinit) struct trial t;
    trial_init(&t);
    died_in(&t, find(&t, STEP_REMOVE_CONTAINER, "p-db-1"));
    prepare(&t, false);
    assert_int_equal(t.how[find(&t, STEP_START_CONTAINER, "p-db-1")], RESUME_DONE);
    assert_int_equal(t.how[find(&t, STEP_START_COMMANDS, "h1")], RESUME_DONE);
    assert_int_equal(t.how[find(&t, STEP_COLLECT_CONTAINER, "p-db-1")], RESUME_DONE);
}

static void a_cleanup_that_failed_is_tried_again(void **state) {
    (void)state;
    cleanup(trial_deinit) struct trial t;
    trial_init(&t);
    size_t removal = find(&t, STEP_REMOVE_CONTAINER, "p-db-1");
    died_in(&t, removal + 1);
    t.was[removal] = STEP_FAILED;
    prepare(&t, false);
    assert_int_equal(t.how[removal], RESUME_AGAIN);
    assert_true(t.forward);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wherever_it_died_a_trial_comes_to_its_end),
        cmocka_unit_test(one_that_was_interrupted_is_only_cleaned_up),
        cmocka_unit_test(one_that_had_failed_is_only_cleaned_up),
        cmocka_unit_test(what_died_with_the_runner_is_had_again),
        cmocka_unit_test(what_was_prepared_is_fetched_again_while_somebody_lacks_it),
        cmocka_unit_test(what_was_collected_is_not_followed_again),
        cmocka_unit_test(a_cleanup_that_failed_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
