#pragma once

/*
 * What can become of a request. One table: counts, CSV, summaries and the code in requests.bin
 * follow from it, so rows are only ever appended.
 */

/* name, as files and people see it; what it means */
#define OUTCOMES(X)                                                                                \
    X(ACKNOWLEDGED, "acknowledged", "executed and stored, the cluster says")                       \
    X(TIMED_OUT, "timed_out", "sent; no reply within the request timeout")                         \
    X(FAILED, "failed", "refused, or its connection was lost after it was sent")                   \
    X(OVERLOADED, "overloaded", "not taken: the cluster has too much to do")                       \
    X(UNSENT, "unsent", "could not even be sent within the request timeout")

enum outcome {
#define X(kind, name, text) OUTCOME_##kind,
    OUTCOMES(X)
#undef X
        OUTCOME_COUNT
};

const char *outcome_name(enum outcome outcome);
