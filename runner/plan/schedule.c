#include "runner/plan/schedule.h"

#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>

void schedule_init(struct schedule *s, const struct step *steps, size_t count) {
    *s = (struct schedule){
        .steps = steps, .states = mem_new_array(enum step_state, count), .count = count};
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < steps[i].after_count; k++)
            assert(steps[i].after[k] < i); /* so that a plan has no cycles */
}

void schedule_deinit(struct schedule *s) {
    free(s->states);
    *s = SCHEDULE_NULL;
}

static bool ended(enum step_state state) {
    return state != STEP_WAITING && state != STEP_RUNNING;
}

static bool forward_ended(const struct schedule *s) {
    for (size_t i = 0; i < s->count; i++)
        if (s->steps[i].when == STEP_FORWARD && !ended(s->states[i]))
            return false;
    return true;
}

enum verdict { GO, WAIT, SKIP };

static enum verdict judge_forward(const struct schedule *s, const struct step *step) {
    if (s->aborted)
        return SKIP;
    enum verdict verdict = GO;
    for (size_t k = 0; k < step->after_count; k++) {
        enum step_state before = s->states[step->after[k]];
        if (before == STEP_FAILED || before == STEP_SKIPPED)
            return SKIP;
        if (before != STEP_GOOD)
            verdict = WAIT;
    }
    return verdict;
}

static enum verdict judge_cleanup(const struct schedule *s, const struct step *step) {
    for (size_t k = 0; k < step->after_count; k++)
        if (!ended(s->states[step->after[k]]))
            return WAIT;
    if (step->when == STEP_CLEANUP)
        return GO;
    return !forward_ended(s) ? WAIT : s->aborted ? GO : SKIP;
}

long schedule_next(struct schedule *s) {
    /* Steps come after those they wait for, so one pass sees every skip that follows from another.
     */
    for (size_t i = 0; i < s->count; i++) {
        if (s->states[i] != STEP_WAITING)
            continue;
        const struct step *step = &s->steps[i];
        switch (step->when == STEP_FORWARD ? judge_forward(s, step) : judge_cleanup(s, step)) {
        case GO: s->states[i] = STEP_RUNNING; return (long)i;
        case SKIP: s->states[i] = STEP_SKIPPED; break;
        case WAIT: break;
        }
    }
    return -1;
}

void schedule_end(struct schedule *s, size_t step, enum step_state state) {
    assert(step < s->count && s->states[step] == STEP_RUNNING && ended(state));
    s->states[step] = state;
    if (state == STEP_FAILED && s->steps[step].when == STEP_FORWARD)
        s->aborted = true;
}

void schedule_abort(struct schedule *s) {
    s->aborted = true;
}

bool schedule_done(const struct schedule *s) {
    for (size_t i = 0; i < s->count; i++)
        if (!ended(s->states[i]))
            return false;
    return true;
}

size_t schedule_count(const struct schedule *s, enum step_state state) {
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++)
        count += s->states[i] == state;
    return count;
}

const char *step_state_name(enum step_state state) {
    static const char *const names[] = {
        [STEP_WAITING] = "waiting", [STEP_RUNNING] = "running", [STEP_GOOD] = "good",
        [STEP_FAILED] = "failed",   [STEP_SKIPPED] = "skipped",
    };
    return names[state];
}
