#pragma once

/*
 * A loader on a stage: a folder of its own with a cluster file, scripted replicas or none, and the
 * loader as a process, started there; afterwards everything that it printed and wrote. Failures are
 * cmocka's.
 *
 *     cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
 *     stage_load(&s, "-b 100");
 *     assert_status(&s, 0);
 */

#include "lib/json.h"
#include "tests/fake/primary.h"
#include "tests/unit/folder.h"

#include <stdint.h>
#include <sys/types.h>

enum { STAGE_REPLICAS_MAX = 7 };

struct stage {
    struct folder folder;
    struct primary *primaries[STAGE_REPLICAS_MAX]; /* NULL: nobody listens there */
    uint16_t ports[STAGE_REPLICAS_MAX];
    int n;
    char *env; /* SEATRIAL_LOADER_ARGS */
    pid_t pid;
    int status; /* exit status, or 128 + signal */
    char *out, *err;
    struct json *load;            /* load.json; NULL if there is none */
    struct primary_counts counts; /* of the first replica, once all are stopped */
};

/* The options that make the loader use the stage's folder. */
#define STAGE_HERE "--insecure --cluster cluster.yaml --out out "

struct stage stage_empty(void);
/* One replica, and it is the primary. */
struct stage stage_with(struct primary_script script);
/* Another replica; without a script one that is not there. */
void stage_add(struct stage *s, const struct primary_script *script);
void stage_down(struct stage *s);

/* Only starts it; `args` are split at blanks. */
void stage_start(struct stage *s, const char *args);
/* Until it ended. */
void stage_wait(struct stage *s);
void stage_stop_replicas(struct stage *s);
/* All three, in the stage's folder. */
void stage_load(struct stage *s, const char *args);

/* A whole number in load.json, by path. */
int64_t stage_number(const struct stage *s, const char *path);
/* Requests in acknowledged.json. */
uint64_t stage_acknowledged(const struct stage *s);
/* Lines of `loader export` but its first; -1 if that fails. */
int stage_exported(struct stage *s, const char *path);

void assert_counts(const struct stage *s, int64_t acknowledged, int64_t timed_out, int64_t failed,
                   int64_t overloaded);
void assert_says(const char *text, const char *part);
void assert_status(const struct stage *s, int status);
