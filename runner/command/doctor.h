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

/* Two of each of 20 services, and those of the host; or three of each fleet in a region. */
enum { FINDINGS_MAX = 128 };

struct examination {
    const struct command_host *host;
    struct finding findings[FINDINGS_MAX];
    size_t count;
};

/* Fills the findings; `hosts` says whose containers are ours. */
void doctor_examine(struct examination *x, const struct command_hosts *hosts, bool crash_test);
void doctor_free_findings(struct examination *x);

/* What is found in each region of a cloud that makes the machines. */
enum { DOCTOR_REGIONS_MAX = 32 };
struct doctor_cloud {
    struct examination all[DOCTOR_REGIONS_MAX];
    struct command_host hosts[DOCTOR_REGIONS_MAX]; /* the regions, by their names */
    char *names[DOCTOR_REGIONS_MAX];
    size_t count;
};
/* Nothing where machines are there anyway. `ret` is zero-initialised. */
void doctor_examine_cloud(const struct command_context *context, const struct command_files *files,
                          struct doctor_cloud *ret);
/* Hands the examinations over; the regions stay `cloud`'s. */
void doctor_cloud_move(struct doctor_cloud *cloud, struct examination *to);
void doctor_cloud_deinit(struct doctor_cloud *cloud);

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
