#pragma once

/*
 * What one thread asks of the thread that owns a connection: it fills a job in, hands it over, and
 * waits for it with its own cancellation and deadline. Who does not want to wait any longer
 * abandons it; the other side notices and drops what it was doing for it.
 *
 * Owns: who asks holds it, and who answers from when it is handed over; the last to let go frees it
 * and closes the descriptors that nobody took.
 */

#include "lib/clock.h"
#include "lib/error.h"
#include "lib/task.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct forward;

enum job_kind {
    JOB_AWAIT,         /* until there is a connection */
    JOB_COMMAND,       /* run `command`; fds [0] input and output, [1] errors or -1 */
    JOB_STREAM,        /* connect fds[0] with `destination`; done once it is */
    JOB_ENGINE,        /* see whether the engine answers there */
    JOB_LISTEN_HERE,   /* `forward`, its socket listening */
    JOB_LISTEN_THERE,  /* `forward` */
    JOB_FORWARD_CLOSE, /* `forward` */
};

struct destination {
    char *unix_socket; /* or */
    char *address;
    uint16_t port;
};

void destination_deinit(struct destination *d);

struct job {
    struct job *next;
    enum job_kind kind;
    int fds[2];
    char *command;
    bool terminal;
    char *term;
    atomic_int columns, rows;
    struct destination destination;
    struct forward *forward;

    /* the answer */
    int result; /* 0, 1 as host_await says, or -1 with `err` */
    struct error err;
    int exit_code;
    char signal[16];
    uint16_t port; /* on which a forward listens */

    atomic_int holders;
    atomic_bool done, abandoned;
    int done_fd;
};

int job_new(enum job_kind kind, struct job **ret, struct error *err);
void job_release(struct job *job);
static inline void job_releasep(struct job **job) {
    if (*job)
        job_release(*job);
}

/* For who answers; lets go of it. `err` NULL: `result`. */
void job_finish(struct job *job, int result, const struct error *err);

/* For who asks. 0 or 1 as the result was; -1. Abandons it when the task ends. */
int job_wait(struct job *job, const struct task *task, struct error *err);
void job_abandon(struct job *job);
