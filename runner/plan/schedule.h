#pragma once

/*
 * Which step may go next. Pure bookkeeping over a plan's steps: the runner asks for ready steps,
 * carries them out side by side, and says how each ended.
 *
 * A forward step goes when all steps before it were good. When one fails, or somebody ends the
 * trial (schedule_abort), forward steps that have not begun are skipped, and what has begun is to
 * be brought to an end by the caller. Cleanup steps go when the steps before them are over, however
 * they ended; those "on failure" wait for the end of all forward steps, and are skipped when all
 * was good.
 *
 * A forward step that finds nothing to do was good: what comes after one that was skipped is
 * skipped too.
 *
 * Every step ends exactly once. The order of ready steps is the order of the plan.
 */

#include "runner/plan/step.h"

enum step_state { STEP_WAITING, STEP_RUNNING, STEP_GOOD, STEP_FAILED, STEP_SKIPPED };

struct schedule {
    const struct step *steps; /* borrowed */
    enum step_state *states;
    size_t count;
    bool aborted;

    /* Kept up to date, so that large plans cost as much as they have edges, once. */
    struct schedule_step {
        size_t pending;         /* steps before it that have not ended */
        bool blocked;           /* one of them was not good */
        size_t first_dependent; /* into `dependents`, up to the next step's */
    } * bookkeeping;
    size_t *dependents;
    size_t counts[STEP_SKIPPED + 1]; /* by state */
    size_t forward_open;             /* forward steps that have not ended */
    size_t first_waiting;            /* none before it waits */
};

#define SCHEDULE_NULL ((struct schedule){.steps = NULL})

void schedule_init(struct schedule *s, const struct step *steps, size_t count);
void schedule_deinit(struct schedule *s);

/* The next step to carry out, now RUNNING; -1 when none is ready. Skips what has to be skipped. */
long schedule_next(struct schedule *s);

/* `state` is STEP_GOOD, STEP_FAILED or STEP_SKIPPED. A failed forward step aborts the rest. */
void schedule_end(struct schedule *s, size_t step, enum step_state state);

void schedule_abort(struct schedule *s);

/* A step that ended before this schedule was made, as `state`; it does not abort the rest. */
void schedule_restore(struct schedule *s, size_t step, enum step_state state);

/* All steps have ended. */
bool schedule_done(const struct schedule *s);

size_t schedule_count(const struct schedule *s, enum step_state state);

const char *step_state_name(enum step_state state);
