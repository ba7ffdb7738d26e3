#pragma once

/* Between custom.c (when what runs) and custom_run.c (one run). */

#include "lib/task.h"
#include "runner/collect/custom.h"

#include <pthread.h>

enum { CUSTOM_ANSWER_MAX_BYTES = 4096 };

/* For ending a command, which is given 2 s between SIGTERM and SIGKILL, and tidying up. */
#define CUSTOM_END_NS_MAX (10 * NS_PER_SEC)

struct target {
    char *container_id, *container_name, *folder;
    size_t index;
    uint64_t number; /* of the last run's files */
    bool has_script; /* in its container */
};

struct command {
    char *name, *command, *script_path;
    char *work; /* folder that it runs in, there; NULL: the container's own */
    bool in_container;
    enum custom_when when;
    uint64_t interval_ns, timeout_ns;
    struct target *targets;
    size_t target_count;
    size_t begun; /* of its targets, of what runs once */
    struct instant due;
    struct custom_count count;
};

struct run;

struct custom {
    struct custom_settings settings; /* without commands and what they point to */
    char *run, *work_folder, *mark;
    struct command *commands;
    size_t command_count;
    struct engine *engine;            /* of the thread that runs commands; NULL: not open */
    struct engine *watch_engine;      /* of the one that watches a run */
    const struct command *unfinished; /* something of its last run may still be there; */
    const struct target *unfinished_target;
    enum custom_when when; /* what a phase is for */
    struct error err;      /* why it ended early */
    struct cancel stop;    /* no more runs */
    pthread_mutex_t lock;  /* of `running` */
    struct run *running;
    pthread_t thread;
    bool has_thread;
    int ended_fd; /* readable once the thread is through */
};

static inline struct custom_target custom_public_target(const struct target *t) {
    return (struct custom_target){.container_id = t->container_id,
                                  .container_name = t->container_name,
                                  .index = t->index,
                                  .folder = t->folder};
}

/* `engine` is one of c's, opened if it is not. */
int custom_have_engine(const struct custom *c, struct engine **engine, const struct task *task,
                       struct error *err);

/* Has a shell there run a script; what it says is thrown away. */
int custom_ask_host(const struct custom *c, const char *script, const struct task *task,
                    struct error *err);

/*
 * Runs it once for this container: 0. 1: there was nothing to run it for, since the container does
 * not run, or we have been stopped. Negative: the host does not answer, or its engine.
 */
int custom_run(struct custom *c, struct command *command, struct target *t, struct error *err);

/* Ends the run that goes on, if one does; from any thread. */
void custom_end_run(struct custom *c);

/* Of a run that was lost. */
int custom_end_unfinished(struct custom *c, const struct task *task, struct error *err);
