#pragma once

/*
 * What `seatrial doctor` finds on one host. Nothing is changed there; for a crash test things are
 * made, and removed again.
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

enum { FINDINGS_MAX = 64 }; /* two of each of 20 services, and those of the host */

struct examination {
    const struct command_host *host;
    struct finding findings[FINDINGS_MAX];
    size_t count;
};

/* Fills the findings; `hosts` says whose containers are ours. */
void doctor_examine(struct examination *x, const struct command_hosts *hosts, bool crash_test);
void doctor_free_findings(struct examination *x);

/* ---- between the files of the doctor ---- */

/* Adds a finding; its remedy is the caller's to add. */
struct finding *doctor_find(struct examination *x, const char *check, enum finding_result result,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));
void doctor_find_error(struct examination *x, const char *check, const struct error *err);
/* For one look at something. */
struct task doctor_task(void);

/* Whether the deployment's registry is there, and who we are at it. */
void doctor_examine_registry(struct examination *x, const struct deployment *deployment);

/* `pattern`: the host's core pattern; NULL: not known. */
void doctor_examine_cores(struct examination *x, const struct command_hosts *hosts,
                          const char *pattern, bool crash_test);
