#pragma once

/*
 * What the journal must say so that a run can go on without the runner that began it, and how it is
 * taken up again: the first line has the wishes and the digests of all that the plan was made of,
 * and the line about a step's end has what the steps after it need.
 *
 * Threads: the main thread only.
 */

#include "runner/plan/resume.h"
#include "runner/run/journal_read.h"
#include "runner/run/trial.h"

struct trial_resume {
    struct journal_log log;
    enum resume_how *how; /* by step */
    bool forward;         /* else only its cleanup is left */
};
#define TRIAL_RESUME_NULL ((struct trial_resume){.how = NULL})
void trial_resume_deinit(struct trial_resume *resume);

/* Gives the fields of the journal's first line. */
int resume_header(const struct trial *t, struct json **ret, struct error *err);

/* The wishes with which the run was begun; their texts are borrowed from the log. */
int resume_options(const struct journal_log *log, struct plan_options *ret,
                   struct trial_settings *settings, struct error *err);

/*
 * The plan must be the one that the run was begun with: ERROR_CONFLICT says what has changed.
 * Then it is made ready to be carried out further.
 */
int resume_prepare(struct trial_resume *resume, struct plan *plan, struct error *err);

/* What of a step that has ended the steps after it need, into its line; and back. */
void resume_note(const struct trial *t, size_t step, struct json *fields);
/* Brings the records and the schedule to where the earlier runner left them. */
void resume_restore(struct trial *t);

/* For run.json: when earlier runners were seen last, and when the next one went on. NULL: never. */
struct json *resume_json(const struct trial *t);
