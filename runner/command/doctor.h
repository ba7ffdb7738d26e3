#pragma once

/*
 * What `seatrial doctor` finds on one host. Nothing is changed there.
 *
 * Threads: one examination per host, on a thread of its own.
 */

#include "runner/command/hosts.h"

enum finding_result { FINDING_GOOD, FINDING_WARNING, FINDING_FAILED, FINDING_NOT_CHECKED };

struct finding {
    const char *check; /* constant: "login", "engine", "disk", ... */
    enum finding_result result;
    char *text;   /* what is so */
    char *remedy; /* what to do; or NULL */
};

enum { FINDINGS_MAX = 16 };

struct examination {
    const struct command_host *host;
    struct finding findings[FINDINGS_MAX];
    size_t count;
};

/* Fills the findings; `hosts` says whose containers are ours. */
void doctor_examine(struct examination *x, const struct command_hosts *hosts);
void doctor_free_findings(struct examination *x);
