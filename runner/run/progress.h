#pragma once

/*
 * What a person sees while a trial runs, on stderr. Four ways: `tty` redraws the running steps
 * below the finished ones, `plain` writes one line per thing that happened, `json` one object per
 * line, `quiet` only warnings and errors. `auto` is tty on a terminal, plain elsewhere.
 *
 * Threads: the main thread only.
 */

#include "lib/clock.h"
#include "lib/error.h"
#include "runner/plan/schedule.h"

#include <stdbool.h>
#include <stdio.h>

enum progress_mode {
    PROGRESS_AUTO,
    PROGRESS_TTY,
    PROGRESS_PLAIN,
    PROGRESS_JSON,
    PROGRESS_QUIET,
    PROGRESS_MODE_COUNT
};

enum ansi_mode { ANSI_AUTO, ANSI_ALWAYS, ANSI_NEVER, ANSI_MODE_COUNT };

/* The names that users write; NULL-free arrays of the COUNTs above. */
extern const char *const progress_mode_names[PROGRESS_MODE_COUNT];
extern const char *const ansi_mode_names[ANSI_MODE_COUNT];

struct progress;

/* `out` is borrowed. */
struct progress *progress_new(enum progress_mode mode, enum ansi_mode ansi, FILE *out);
void progress_free(struct progress *p);

/* `host` may be NULL where there is only one. Texts are harmless already. */
void progress_begin(struct progress *p, size_t step, const struct step *what, const char *host,
                    const char *subject);
/* Stays beside the step until the next one; "" takes it away. */
void progress_text(struct progress *p, size_t step, const char *text);
/* How much of `what` has come, as often as it is known: shown as often as is good. */
void progress_bytes(struct progress *p, size_t step, const char *what, uint64_t bytes);
/* The same for a command that has no steps: "copied 12.3 MB" while `what` is copied. A terminal
 * keeps nothing of it; progress_clear takes it away. */
void progress_copied(struct progress *p, const char *what, uint64_t bytes);
void progress_end(struct progress *p, size_t step, enum step_state state, const struct error *err);

void progress_note(struct progress *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void progress_warn(struct progress *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The one way in which commands report an error to their user: message, then the hint. */
void progress_error(struct progress *p, const struct error *err);

/* Redraws the running steps (tty only); call it a few times a second. */
void progress_tick(struct progress *p);
/* Takes the running steps off the screen, before something else writes there. */
void progress_clear(struct progress *p);
