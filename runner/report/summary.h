#pragma once

/*
 * From what was collected to the verdict, summary.json and the text on the screen. Pure.
 *
 * The verdict is the first of these that applies: a container crashed; the replicas disagree; the
 * user ended the trial; a step failed; the load asked for was not reached (because replicas said
 * they were overloaded, or otherwise); good. All reasons are listed, whatever the verdict; crashes
 * first, and of them those that are known best: others may have ended because of them.
 */

#include "lib/buffer.h"
#include "lib/json.h"
#include "runner/report/agreement.h"
#include "runner/report/cost.h"
#include "runner/report/resources.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERDICTS(X)                                                                                \
    X(CRASHED, "crashed")                                                                          \
    X(DISAGREEMENT, "disagreement")                                                                \
    X(INTERRUPTED, "interrupted")                                                                  \
    X(FAILED, "failed")                                                                            \
    X(OVERLOADED, "overloaded")                                                                    \
    X(LOAD_NOT_REACHED, "load_not_reached")                                                        \
    X(GOOD, "good")

enum verdict {
#define X(verdict, name) VERDICT_##verdict,
    VERDICTS(X)
#undef X
};

const char *verdict_name(enum verdict verdict);

/* A core dump. `where`: "FUNCTION at FILE:LINE" or less. Strings are borrowed; NULL: not known. */
struct report_core {
    const char *path; /* below the results folder */
    const char *program, *build_id, *where;
    int signal; /* 0: not known */
};

/* How a container of the trial ended. Strings are borrowed; NULL where not known. */
struct report_container {
    const char *name, *service, *role, *host;
    const char *image, *image_id, *image_digest;
    bool created; /* false: the trial never came that far */
    bool ended;   /* exit_code is known */
    int64_t exit_code;
    bool oom_killed;
    int64_t memory_bytes;       /* that it might use; 0: no limit, or not known */
    uint64_t memory_bytes_seen; /* the most of it in any sample; 0: not known */
    const struct report_core *cores;
    size_t core_count;
    int64_t restarts;
    bool stopped_by_us; /* it ran until we ended it */
    bool found_ended; /* before an earlier trial's rest was looked at: who ended it is not known */
    const char *last_lines; /* of its output, when it ended by itself with an error; else NULL */
};

struct report_input {
    const char *run, *name;
    const struct report_container *containers;
    size_t container_count;
    const struct json *load;          /* of all loaders (report/load.h); NULL: not there */
    const struct json *loads_by_hand; /* an array of {folder, verdict, load}; NULL: none */
    const struct json *load_gaps; /* sentences: loaders that failed or are missing; NULL: none */
    bool load_expected;           /* a loader was to run */
    const struct agreement *agreement;
    bool agreement_expected; /* replicas have come to their end: say so if nothing was checked */
    const struct resources *resources; /* NULL: nothing was sampled */
    const struct report_cost *cost;    /* NULL: nobody pays for the machines by the hour */
    bool interrupted;
    const char *const *failures; /* steps that failed, as sentences */
    size_t failure_count;
    const char *const *left_behind;
    size_t left_behind_count;
};

/* A signal that ended a process inside a container shows as 128 + its number, or stands in the core
 * dump of one that ended while the container went on; 0 for none. */
int report_exit_signal(const struct report_container *container);

/* Checks load.json (hostile: it may come from any image) for what the report relies on. */
int report_check_load(const struct json *load, struct error *err);

enum verdict report_verdict(const struct report_input *input);

/* summary.json, as docs promise it to scripts. */
struct json *report_summary(const struct report_input *input);

/* The result for people: verdict first, then reasons, load, agreement, containers. */
void report_text(const struct report_input *input, struct buffer *out);
