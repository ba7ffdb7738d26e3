#pragma once

/*
 * A journal read back: what became of each step of a run whose runner is gone.
 *
 * The file is hostile until checked. A runner that died, or a machine that lost power, leaves at
 * most one bad line, the last: it is dropped. Any other line that is no JSON object with an `event`
 * is an error that names the line.
 *
 * A journal has parts: the trial's own, begun by a line `run`, and those of later `collect` and
 * `down`, begun by a line `run` too. `resume` begins a part that belongs to the trial again.
 *
 * Owns:   everything it points to, until journal_log_deinit.
 * Errors: ERROR_INVALID, ERROR_LIMIT, ERROR_IO; ERROR_NOT_FOUND when there is no journal, or no
 * line in it.
 */

#include "lib/clock.h"
#include "lib/error.h"
#include "lib/json.h"
#include "runner/plan/schedule.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    /* A plan of ten thousand containers has so many steps, and two lines for each. */
    JOURNAL_STEPS_MAX = 1 << 18,
    JOURNAL_SIZE_MAX = 256 << 20,
    JOURNAL_LINE_MAX = 8 << 20, /* the first has both files' texts */
};

struct journal_step {
    enum step_state state; /* WAITING: never begun; RUNNING: begun and not ended */
    struct wall_time begun, ended;
    struct json *end; /* the line about its end; NULL: there is none */
};

struct journal_log {
    struct json *header; /* of the trial */
    struct journal_step *steps;
    size_t step_count;
    struct json **warnings; /* lines */
    size_t warning_count, warning_capacity;
    struct json **resumed; /* lines */
    size_t resumed_count, resumed_capacity;
    bool interrupted;
    bool ended;                   /* to the end of its cleanup */
    bool reported;                /* all its results are written */
    bool taken_down;              /* by a later `down` */
    struct wall_time first, last; /* of the trial's lines */
    size_t size;                  /* bytes up to the last good line */
    size_t read;                  /* bytes in all */
};
#define JOURNAL_LOG_NULL ((struct journal_log){.header = NULL})

/* Pure. `text` need not end with NUL. */
int journal_parse(const char *text, size_t size, struct journal_log *ret, struct error *err);
int journal_read(const char *path, struct journal_log *ret, struct error *err);
void journal_log_deinit(struct journal_log *log);
