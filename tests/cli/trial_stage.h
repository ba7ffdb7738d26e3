#pragma once

/*
 * A cluster of real replica processes, with keys, and the real loader before it, in a folder of its
 * own. Whatever fails, fails the test.
 */

#include "lib/request_set.h"
#include "tests/unit/folder.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { TRIAL_REPLICAS_MAX = 7 };

struct trial {
    struct folder folder;
    pid_t pids[TRIAL_REPLICAS_MAX]; /* 0: not running */
    int n;
    const char *store;
    const char *options; /* more of them, for replicas that are started; NULL */
};

/* All are healthy. */
struct trial trial_up(int n, const char *store);
struct trial trial_with(int n, const char *store, const char *options);
void trial_down(struct trial *t);

void trial_start_replica(struct trial *t, int i);
void trial_wait_healthy(const struct trial *t, int i);
/* SIGKILL, and it is gone. */
void trial_kill_replica(struct trial *t, int i);
/* With these options it ends by itself, with that status and those words in its log. */
void trial_expect_end(struct trial *t, int i, const char *options, int status, const char *says);
/* What `replica OPTION` says for that one; NULL while it does not answer. Caller frees. */
char *trial_ask(const struct trial *t, int i, const char *option);
int64_t trial_height(const struct trial *t, int i); /* -1: it does not answer */
bool trial_log_says(const struct trial *t, int i, const char *text);
/* SIGTERM to all that run, side by side, as the runner does it: they end well. */
void trial_stop(struct trial *t);

/* Starts a program in the trial's folder; what it prints goes to the file `log`. */
pid_t trial_run(const struct trial *t, const char *program, const char *log, const char *args);
int trial_ended(pid_t pid);
void trial_expect_good(const struct trial *t, int status, const char *log);
/* The loader, with its folders and these arguments: begun, or done and well. */
pid_t trial_begin_load(const struct trial *t, const char *args);
void trial_load(const struct trial *t, const char *args);

struct request_set *trial_read_set(const struct trial *t, const char *name);
/* Every replica's chain holds what `out` says was acknowledged, `count` of them, once, and no more
 * than that; and all of them are the same. */
void trial_expect_agreement(const struct trial *t, const char *out, uint64_t count);
/* And up to so many reads that had to be ordered, which nobody has to find there. */
void trial_expect_agreement_with(const struct trial *t, const char *out, uint64_t count,
                                 uint64_t ordered_reads);
