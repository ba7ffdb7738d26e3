#pragma once

/*
 * A trial whose runner died goes on: from the same plan, and from what the journal says of each of
 * its steps, to what is done with each step now. Pure.
 *
 * What ended well stays done, as long as its result does not live in the runner: connections to
 * hosts, locks, followers of logs, custom commands and what prepare services left for others died
 * with it and are had again. What had begun and not ended may have happened, in part or whole: it
 * is done again, by acts that look at what is there first. A trial that had failed or was
 * interrupted is only brought to its end.
 */

#include "runner/plan/plan.h"
#include "runner/plan/schedule.h"

enum resume_how {
    RESUME_FRESH, /* was never begun */
    RESUME_AGAIN, /* may have been done: looks first */
    RESUME_DONE,  /* is left as it ended */
};

/*
 * `was`, by step: WAITING never begun, RUNNING begun and not ended, or how it ended; `ret`
 * likewise. Returns whether the trial goes forward; otherwise only its cleanup is left.
 */
bool resume_steps(const struct plan *plan, const enum step_state *was, bool interrupted,
                  enum resume_how *ret);

/* Makes everything that is still to be done on a host come after its check, which connects it. */
void resume_order(struct plan *plan, const enum resume_how *how, bool forward);
