#include "runner/plan/schedule.h"

#include "lib/cleanup.h"
#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>

static bool ended(enum step_state state) {
    return state != STEP_WAITING && state != STEP_RUNNING;
}

/* The edges the other way round: step i's are from its first_dependent to that of step i + 1. */
static void list_dependents(struct schedule *s) {
    size_t edges = 0;
    cleanup_free size_t *filled = mem_new_array(size_t, s->count);
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->steps[i].after_count; k++) {
            assert(s->steps[i].after[k] < i); /* so that a plan has no cycles */
            s->bookkeeping[s->steps[i].after[k] + 1].first_dependent++;
            edges++;
        }
    for (size_t i = 0; i < s->count; i++)
        s->bookkeeping[i + 1].first_dependent += s->bookkeeping[i].first_dependent;
    s->dependents = mem_new_array(size_t, edges);
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->steps[i].after_count; k++) {
            size_t before = s->steps[i].after[k];
            s->dependents[s->bookkeeping[before].first_dependent + filled[before]++] = i;
        }
}

void schedule_init(struct schedule *s, const struct step *steps, size_t count) {
    *s = (struct schedule){.steps = steps,
                           .states = mem_new_array(enum step_state, count),
                           .count = count,
                           .bookkeeping = mem_new_array(struct schedule_step, count + 1)};
    s->counts[STEP_WAITING] = count;
    for (size_t i = 0; i < count; i++) {
        s->bookkeeping[i].pending = steps[i].after_count;
        s->forward_open += steps[i].when == STEP_FORWARD;
    }
    list_dependents(s);
}

void schedule_deinit(struct schedule *s) {
    free(s->states);
    free(s->bookkeeping);
    free(s->dependents);
    *s = SCHEDULE_NULL;
}

static void set(struct schedule *s, size_t step, enum step_state state) {
    s->counts[s->states[step]]--;
    s->counts[state]++;
    s->states[step] = state;
    if (!ended(state))
        return;
    s->forward_open -= s->steps[step].when == STEP_FORWARD;
    const struct schedule_step *b = &s->bookkeeping[step];
    for (size_t i = b[0].first_dependent; i < b[1].first_dependent; i++) {
        struct schedule_step *dependent = &s->bookkeeping[s->dependents[i]];
        dependent->pending--;
        dependent->blocked = dependent->blocked || state != STEP_GOOD;
    }
}

enum verdict { GO, WAIT, SKIP };

static enum verdict judge(const struct schedule *s, size_t step) {
    const struct schedule_step *b = &s->bookkeeping[step];
    switch (s->steps[step].when) {
    case STEP_FORWARD: return s->aborted || b->blocked ? SKIP : b->pending ? WAIT : GO;
    case STEP_CLEANUP: return b->pending ? WAIT : GO;
    case STEP_CLEANUP_ON_FAILURE: break;
    }
    return b->pending || s->forward_open ? WAIT : s->aborted ? GO : SKIP;
}

long schedule_next(struct schedule *s) {
    /* Steps come after those they wait for, so one pass sees every skip that follows from another.
     */
    while (s->first_waiting < s->count && s->states[s->first_waiting] != STEP_WAITING)
        s->first_waiting++;
    for (size_t i = s->first_waiting; i < s->count; i++) {
        if (s->states[i] != STEP_WAITING)
            continue;
        switch (judge(s, i)) {
        case GO: set(s, i, STEP_RUNNING); return (long)i;
        case SKIP: set(s, i, STEP_SKIPPED); break;
        case WAIT: break;
        }
    }
    return -1;
}

void schedule_end(struct schedule *s, size_t step, enum step_state state) {
    assert(step < s->count && s->states[step] == STEP_RUNNING && ended(state));
    set(s, step, state);
    if (state == STEP_FAILED && s->steps[step].when == STEP_FORWARD)
        s->aborted = true;
}

void schedule_abort(struct schedule *s) {
    s->aborted = true;
}

void schedule_restore(struct schedule *s, size_t step, enum step_state state) {
    assert(step < s->count && s->states[step] == STEP_WAITING && ended(state));
    set(s, step, state);
}

bool schedule_done(const struct schedule *s) {
    return s->counts[STEP_WAITING] + s->counts[STEP_RUNNING] == 0;
}

size_t schedule_count(const struct schedule *s, enum step_state state) {
    return s->counts[state];
}

const char *step_state_name(enum step_state state) {
    static const char *const names[] = {
        [STEP_WAITING] = "waiting", [STEP_RUNNING] = "running", [STEP_GOOD] = "good",
        [STEP_FAILED] = "failed",   [STEP_SKIPPED] = "skipped",
    };
    return names[state];
}
