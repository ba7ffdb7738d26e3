#include "runner/plan/resume.h"

#include "lib/memory.h"

/* The step of that kind about the same thing; NULL when the plan has none. */
static const struct step *sibling(const struct plan *plan, const struct step *step,
                                  enum step_kind kind) {
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].kind == kind && plan->steps[i].subject == step->subject)
            return &plan->steps[i];
    return NULL;
}

static enum step_state state_of(const struct plan *plan, const enum step_state *was,
                                const struct step *step) {
    return step ? was[step - plan->steps] : STEP_WAITING;
}

/* What a prepare service left was in memory: is there anybody who has not got it? */
static bool is_still_wanted(const struct plan *plan, const enum step_state *was,
                            const struct step *fetch) {
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        if (step->kind != STEP_CREATE_CONTAINER || was[i] == STEP_GOOD)
            continue;
        const struct plan_container *c = &plan->containers[step->subject];
        for (size_t k = 0; k < c->output_count; k++)
            if (c->outputs[k] == fetch->subject)
                return true;
    }
    return false;
}

/* Of a step that ended well: did its result die with the runner? */
static bool is_lost(const struct plan *plan, const enum step_state *was, const struct step *step) {
    switch (step->kind) {
    case STEP_CHECK_HOST: return true;
    case STEP_LOCK_HOST: /* somebody may have broken it */
        return state_of(plan, was, sibling(plan, step, STEP_UNLOCK_HOST)) == STEP_WAITING;
    case STEP_FETCH_OUTPUT: return is_still_wanted(plan, was, step);
    case STEP_START_CONTAINER:
        return state_of(plan, was, sibling(plan, step, STEP_COLLECT_CONTAINER)) != STEP_GOOD;
    case STEP_START_SAMPLES:
        return state_of(plan, was, sibling(plan, step, STEP_STOP_SAMPLES)) == STEP_WAITING;
    case STEP_START_COMMANDS:
        return state_of(plan, was, sibling(plan, step, STEP_STOP_COMMANDS)) == STEP_WAITING;
    default: return false;
    }
}

static enum resume_how how_of(const struct plan *plan, const enum step_state *was, size_t i) {
    const struct step *step = &plan->steps[i];
    switch (was[i]) {
    case STEP_WAITING: return step->kind == STEP_CHECK_HOST ? RESUME_AGAIN : RESUME_FRESH;
    case STEP_RUNNING: return RESUME_AGAIN;
    case STEP_GOOD: return is_lost(plan, was, step) ? RESUME_AGAIN : RESUME_DONE;
    case STEP_FAILED:
    case STEP_SKIPPED: break;
    }
    bool once = step->when == STEP_FORWARD && step->kind != STEP_CHECK_HOST;
    return once ? RESUME_DONE : RESUME_AGAIN;
}

bool resume_steps(const struct plan *plan, const enum step_state *was, bool interrupted,
                  enum resume_how *ret) {
    bool forward = !interrupted;
    for (size_t i = 0; i < plan->step_count; i++) {
        ret[i] = how_of(plan, was, i);
        if (plan->steps[i].when == STEP_FORWARD && was[i] == STEP_FAILED)
            forward = false;
    }
    return forward;
}

static void after(struct step *step, size_t before) {
    mem_grow(step->after, step->after_count, step->after_capacity);
    step->after[step->after_count++] = before;
}

void resume_order(struct plan *plan, const enum resume_how *how, bool forward) {
    for (size_t check = 0; check < plan->step_count; check++) {
        struct step *c = &plan->steps[check];
        if (c->kind != STEP_CHECK_HOST)
            continue;
        if (!forward)
            c->when = STEP_CLEANUP;
        for (size_t i = check + 1; i < plan->step_count; i++)
            if (plan->steps[i].host == c->host && how[i] != RESUME_DONE)
                after(&plan->steps[i], check);
    }
}
